// SPDX-License-Identifier: MIT

/// @file
/// What verbs accept: a key or what stands for it, a range of keys, a loader for one call.

#ifndef LARDER_DETAIL_USER_ARGUMENTS_HPP
#define LARDER_DETAIL_USER_ARGUMENTS_HPP

#include <larder/concepts.hpp>
#include <larder/detached.hpp>
#include <larder/entry.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <functional>
#include <iterator>
#include <string_view>
#include <type_traits>
#include <unordered_set>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What a key verb accepts for a key.
template <class Q, class K>
concept KeyFor = std::same_as<Q, K> || LookupKey<Q, K> || std::convertible_to<const Q&, K>;

/// A range of things that convert to T. A text is one of characters only: whoever writes "7" for an int
/// does not mean 55.
template <class R, class T>
concept RangeOf =
    (!std::convertible_to<R&&, std::string_view> || std::same_as<T, char>)&&requires(R&& range) {
        { *std::begin(range) } -> std::convertible_to<T>;
        std::end(range);
    };

/// What `detached` holds; anything else as it is.
template <class F>
struct Undetached {
    using type = F;
};
template <class F>
struct Undetached<Detached<F>> {
    using type = F;
};

/// A loader that is passed to one call, lent or `detached`.
template <class F, class S>
concept CallLoaderFor = LoaderFor<typename Undetached<std::remove_cvref_t<F>>::type, S> ||
                        LoaderFor<std::remove_reference_t<F>, S>;

/// What is passed to one call as a loader, and is none.
template <class F, class S>
concept MistakenLoaderFor = !std::convertible_to<F, const Read&> && !CallLoaderFor<F, S>;

/// The key itself, made where something else stands for it.
template <class K, class Q>
[[nodiscard]] decltype(auto) as_key(const Q& key) {
    if constexpr (std::same_as<Q, K>) {
        return (key);
    } else {
        return K(key);
    }
}

/// What a store looks up by: the key itself, or a view of it where that is enough.
template <class K, class Q>
[[nodiscard]] decltype(auto) as_lookup_key(const Q& key) {
    if constexpr (std::same_as<Q, K>) {
        return (key);
    } else if constexpr (LookupKey<Q, K>) {
        return std::string_view{key};
    } else {
        return K(key);
    }
}

template <class K, class R>
[[nodiscard]] std::vector<K> as_keys(R&& range) {
    std::vector<K> keys;
    for (auto&& key : range) {
        keys.push_back(K(key));
    }
    return keys;
}

/// Leaves each key once, where it was first.
///
/// @return how many were taken out
template <class K>
typename std::vector<K>::size_type erase_repeated(std::vector<K>& keys) {
    std::unordered_set<K, Hash<K>, std::equal_to<>> seen;
    return std::erase_if(keys, [&](const K& key) { return !seen.insert(key).second; });
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_USER_ARGUMENTS_HPP
