// SPDX-License-Identifier: MIT

/// @file
/// Calls that cannot be, and say why in the compiler's first line.
///
/// A constraint alone makes it "no matching function", a static_assert could not be asked about: that
/// a policy over a plain loader has no `put` is to be found by a concept, too.

#ifndef LARDER_DETAIL_USER_REFUSED_HPP
#define LARDER_DETAIL_USER_REFUSED_HPP

#include <larder/version.hpp>

#include <cstddef>

// LARDER_REFUSED(why, template parameters) stands before a function, LARDER_NEVER after it. Clang says
// why by its attribute, with which GCC could not be asked; GCC names the template's arguments.
#ifdef __clang__
#define LARDER_REFUSED(why, ...) \
    template <__VA_ARGS__>       \
    __attribute__((unavailable(why)))
#define LARDER_NEVER
#else
#define LARDER_REFUSED(why, ...) template <__VA_ARGS__, ::larder::detail::Reason = why>
#define LARDER_NEVER = delete
#endif

#define LARDER_NEEDS_A_REPOSITORY                                                             \
    "larder: put, put_many and remove need a repository: a loader that has save(key, value) " \
    "and remove(key)"
#define LARDER_NEEDS_ANOTHER_LOADER                                               \
    "larder: a loader for one call must give exactly std::optional<value_type>, " \
    "larder::Loaded<value_type>, value_type or std::nullopt_t for a key"

LARDER_NS_BEGIN

namespace detail {

/// A text that is a template argument.
template <std::size_t N>
struct Reason {
    char text[N]{};

    consteval Reason(const char (&given)[N]) {
        for (std::size_t i = 0; i < N; ++i) {
            text[i] = given[i];
        }
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_USER_REFUSED_HPP
