// SPDX-License-Identifier: MIT

/// @file
/// A per-call loader that may outlive its call.

#ifndef LARDER_DETACHED_HPP
#define LARDER_DETACHED_HPP

#include <larder/version.hpp>

#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

/// A loader given away: `get(k, detached(f), {.timeout = 50ms})` may return before `f` has.
template <class F>
struct Detached {
    using loader_type = F;
    F loader;
};

/// Gives the loader `f` away to the call that it is passed to. It is copied or moved: whatever it
/// refers to must live until the policy is destroyed.
template <class F>
[[nodiscard]] Detached<std::decay_t<F>> detached(F&& f) {
    return {std::forward<F>(f)};
}

namespace detail {
template <class T>
inline constexpr bool is_detached = false;
template <class F>
inline constexpr bool is_detached<Detached<F>> = true;
}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETACHED_HPP
