// SPDX-License-Identifier: MIT

/// @file
/// One entry of a MemoryStore, and the table that keeps them.

#ifndef LARDER_DETAIL_MEMORY_CACHED_HPP
#define LARDER_DETAIL_MEMORY_CACHED_HPP

#include <larder/detail/memory/eviction_queue.hpp>
#include <larder/detail/memory/hashed_key.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <unordered_map>

LARDER_NS_BEGIN

namespace detail {

/// A copy, or the place of one that a write in flight has taken. What a hit reads comes first, beside
/// the key.
template <class K, class V>
struct Cached : Evictable {
    using Instant = std::chrono::steady_clock::time_point;

    Instant fresh_until{};
    std::unique_ptr<TagMarks> marks{};
    std::optional<V> value{};
    Ttl life{};
    Ttl grace{};
    const HashedKey<K>* key = nullptr;
    std::size_t weight = 0;

    static constexpr Instant never = (Instant::min)();

    /// Without a copy: a write in flight has taken it.
    [[nodiscard]] bool vacant() const noexcept { return fresh_until == never; }

    /// Within its life or grace, and its tags stand.
    [[nodiscard]] bool live(Instant now) const noexcept {
        return (now < fresh_until || now < later(fresh_until, grace)) && (!marks || marks->stand());
    }
};

/// The entries of a shard, by key.
template <class K, class V, class KeyEqual>
using CachedTable = std::unordered_map<HashedKey<K>, Cached<K, V>, HashOfKey, EqualKeys<KeyEqual>>;

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_CACHED_HPP
