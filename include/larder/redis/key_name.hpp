// SPDX-License-Identifier: MIT

/// @file
/// How keys are named in Redis, and which names a namespace may have.

#ifndef LARDER_REDIS_KEY_NAME_HPP
#define LARDER_REDIS_KEY_NAME_HPP

#include <larder/detail/support/key_text.hpp>
#include <larder/version.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

LARDER_NS_BEGIN

namespace redis {

namespace detail {

/// It, or a part of it, is a floating point number: two that are equal may be written differently, and
/// one that is none is not equal to itself.
template <class K>
inline constexpr bool has_floating_part = std::floating_point<K>;
template <class A, class B>
inline constexpr bool has_floating_part<std::pair<A, B>> =
    has_floating_part<A> || has_floating_part<B>;
template <class... T>
inline constexpr bool has_floating_part<std::tuple<T...>> = (has_floating_part<T> || ...);
template <class T, std::size_t N>
inline constexpr bool has_floating_part<std::array<T, N>> = has_floating_part<T>;

}  // namespace detail

/// What can be a key: integers, enumerations, strings, tuples and pairs of these, and whatever
/// `std::string to_key(const K&)` in the key's own namespace names.
///
/// Two keys that differ must have names that differ.
template <class K>
concept Nameable = larder::detail::TextualKey<K> && !detail::has_floating_part<K>;

/// How the key is named: `42`, `name`, `1:name` for a tuple; see detail/support/key_text.hpp.
template <class K>
[[nodiscard]] std::string key_name(const K& key) {
    static_assert(
        Nameable<K>,
        "larder: a key in Redis is an integer, an enumeration, a string, a tuple of these, "
        "or has std::string to_key(const K&) in its own namespace");
    return larder::detail::key_text(key);
}

/// A namespace begins with no `~`, which larder's own keys begin with, and holds no braces, which
/// choose the slot in a cluster, and no control characters.
///
/// @throws std::invalid_argument  naming what is wrong
inline void require_namespace(std::string_view name) {
    const auto refuse = [&](const char* why) {
        throw std::invalid_argument{"larder: the namespace \"" + std::string{name} + "\" " + why};
    };
    if (name.empty()) {
        refuse("is empty");
    }
    if (name.front() == '~') {
        refuse("begins with ~, as larder's own keys do");
    }
    if (name.front() == ':' || name.back() == ':') {
        refuse("begins or ends with a colon");
    }
    for (const char c : name) {
        if (c == '{' || c == '}') {
            refuse("holds a brace");
        }
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            refuse("holds a control character");
        }
    }
}

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_KEY_NAME_HPP
