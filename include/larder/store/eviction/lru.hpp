// SPDX-License-Identifier: MIT

/// @file
/// The least recently used entry goes first.

#ifndef LARDER_STORE_EVICTION_LRU_HPP
#define LARDER_STORE_EVICTION_LRU_HPP

#include <larder/store/eviction/queue.hpp>
#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

/// Exact LRU: the entry goes whose last use is the longest ago. Every hit takes the shard's lock, and
/// a scan drives out all that is in use: for comparisons, and where the order must be known.
/// Remembers nothing of what has left.
///
/// **Thread safety**: none, the store's lock guards it (`EvictionPolicy` in policy.hpp).
class Lru {
public:
    using Id = EvictionQueue::Id;

    static constexpr unsigned most_uses = 0;
    static constexpr bool sees_hits = true;

    /// Lists a new entry as the last used.
    template <class Entries>
    void insert(Entries& entries, Id id, std::uint64_t /*hash*/) noexcept {
        queue_.push(entries, id);
    }

    /// Lists an entry as the last used.
    template <class Entries>
    void hit(Entries& entries, Id id) noexcept {
        queue_.remove(entries, id);
        queue_.push(entries, id);
    }

    /// Unlists an entry.
    template <class Entries>
    void remove(Entries& entries, Id id) noexcept {
        queue_.remove(entries, id);
    }

    /// Unlists the least recently used entry; 0 if none is listed.
    template <class Entries>
    Id evict(Entries& entries) noexcept {
        const Id id = queue_.oldest();
        if (id != 0) {
            queue_.remove(entries, id);
        }
        return id;
    }

    /// Unlists all.
    void clear() noexcept { queue_ = {}; }

private:
    EvictionQueue queue_{};
};

LARDER_NS_END

#endif  // LARDER_STORE_EVICTION_LRU_HPP
