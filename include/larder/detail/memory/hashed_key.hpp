// SPDX-License-Identifier: MIT

/// @file
/// A key beside its hash: it is hashed once an operation.

#ifndef LARDER_DETAIL_MEMORY_HASHED_KEY_HPP
#define LARDER_DETAIL_MEMORY_HASHED_KEY_HPP

#include <larder/version.hpp>

#include <cstddef>

LARDER_NS_BEGIN

namespace detail {

/// The key of an entry.
template <class K>
struct HashedKey {
    K key;
    std::size_t hash;
};

/// What is looked up: a key, or what it is looked up by.
template <class Q>
struct KeyProbe {
    const Q& key;
    std::size_t hash;
};

/// Finds an entry by where its key is: the user's comparison is not asked.
template <class K>
struct SameKey {
    const HashedKey<K>& key;
    std::size_t hash;

    explicit SameKey(const HashedKey<K>& of) noexcept : key{of}, hash{of.hash} {}
};

/// The hash of any of them.
struct HashOfKey {
    using is_transparent = void;

    template <class P>
    std::size_t operator()(const P& probe) const noexcept {
        return probe.hash;
    }
};

/// Compares any of them with the key of an entry.
template <class KeyEqual>
struct EqualKeys {
    using is_transparent = void;

    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
        return a.hash == b.hash && KeyEqual{}(a.key, b.key);
    }
    template <class K>
    bool operator()(const SameKey<K>& a, const HashedKey<K>& b) const noexcept {
        return &a.key == &b;
    }
    template <class K>
    bool operator()(const HashedKey<K>& a, const SameKey<K>& b) const noexcept {
        return &a == &b.key;
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_HASHED_KEY_HPP
