// SPDX-License-Identifier: MIT

/// @file
/// Hashing of keys: what std::hash hashes, strings by view, pairs, tuples and arrays of these.

#ifndef LARDER_HASH_HPP
#define LARDER_HASH_HPP

#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/mix.hpp>
#include <larder/version.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

template <class K>
concept StdHashable = requires(const K& key) {
    { std::hash<K>{}(key) } -> std::convertible_to<std::size_t>;
};

template <class K>
concept HashesQuietly = StdHashable<K> && requires(const K& key) {
    { std::hash<K>{}(key) } noexcept;
};

}  // namespace detail

/// The hash of a key: what std::hash says, else that of its text, `to_key(key)`. For a type of your
/// own that is looked up often, specialise std::hash: a text takes memory.
template <class K>
struct Hash {
    /// @throws whatever the key's own hash or `to_key` throws
    [[nodiscard]] std::size_t operator()(const K& key) const noexcept(detail::HashesQuietly<K>) {
        static_assert(
            detail::StdHashable<K> || detail::NamesItself<K>,
            "larder: a key of your own needs a hash: specialise std::hash for it, or give "
            "it std::string to_key(const K&) in its own namespace");
        if constexpr (detail::StdHashable<K>) {
            return detail::mix(std::hash<K>{}(key));
        } else if constexpr (detail::NamesItself<K>) {
            return detail::mix(std::hash<std::string>{}(to_key(key)));
        } else {
            return 0;
        }
    }
};

/// Strings are looked up by anything that converts to a view, without a copy.
template <>
struct Hash<std::string> {
    using is_transparent = void;

    /// The same for a string and for a view of it.
    [[nodiscard]] std::size_t operator()(std::string_view key) const noexcept {
        return detail::mix(std::hash<std::string_view>{}(key));
    }
};

/// The parts' hashes, in their order.
template <class... T>
struct Hash<std::tuple<T...>> {
    /// @throws whatever a part's hash throws
    [[nodiscard]] std::size_t operator()(const std::tuple<T...>& key) const {
        return std::apply(
            [](const T&... part) {
                std::size_t hash = sizeof...(T);
                ((hash = detail::mix(hash ^ Hash<T>{}(part))), ...);
                return hash;
            },
            key);
    }
};

/// That of the tuple of both.
template <class A, class B>
struct Hash<std::pair<A, B>> {
    /// @throws whatever a part's hash throws
    [[nodiscard]] std::size_t operator()(const std::pair<A, B>& key) const {
        return detail::mix(detail::mix(2 ^ Hash<A>{}(key.first)) ^ Hash<B>{}(key.second));
    }
};

/// The elements' hashes, in their order.
template <class T, std::size_t N>
struct Hash<std::array<T, N>> {
    /// @throws whatever an element's hash throws
    [[nodiscard]] std::size_t operator()(const std::array<T, N>& key) const {
        std::size_t hash = N;
        for (const T& part : key) {
            hash = detail::mix(hash ^ Hash<T>{}(part));
        }
        return hash;
    }
};

LARDER_NS_END

#endif  // LARDER_HASH_HPP
