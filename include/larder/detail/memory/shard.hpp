// SPDX-License-Identifier: MIT

/// @file
/// One part of a MemoryStore: the entries and slots behind one lock.

#ifndef LARDER_DETAIL_MEMORY_SHARD_HPP
#define LARDER_DETAIL_MEMORY_SHARD_HPP

#include <larder/detail/memory/cached.hpp>
#include <larder/detail/memory/eviction.hpp>
#include <larder/detail/memory/hashed_key.hpp>
#include <larder/detail/memory/removals.hpp>
#include <larder/detail/memory/room.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/detail/slot/slot_table.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/entry.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a shard counts.
struct ShardCounts {
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evictions = 0;
    std::uint64_t expirations = 0;
    std::uint64_t oversized = 0;
};

/// A value that is to get in.
template <class V>
struct Offer {
    std::optional<V> value;
    Lifetime life;
    std::unique_ptr<TagMarks> marks;
    std::size_t weight;
    bool keepable;    ///< it lives, and could be found again
    bool never_fits;  ///< it is heavier than the store
};

/// Thread safety: none of its own. Hold `mutex` for every call.
template <class K, class V, class KeyHash, class KeyEqual>
class alignas(64) Shard {
    using Table = CachedTable<K, V, KeyEqual>;
    using At = typename Table::iterator;

public:
    using Instant = std::chrono::steady_clock::time_point;
    using Entry = Cached<K, V>;
    using Slots = SlotTable<K, V, KeyHash, KeyEqual>;
    using Gone = Removals<K, V, Table>;

    /// A slot as a step finds it.
    struct Found {
        At at;
        bool there;  // an entry, live or not
        Held held;
        Instant now;
    };

    /// A place may change its value: that cannot fail in the middle.
    static constexpr bool keeps_place =
        std::is_nothrow_move_constructible_v<V> && std::is_nothrow_move_assignable_v<V>;

    /// The copy of a key, counted as a hit; null, counted as a miss, if there is none.
    template <class Q>
    Entry* hit(const KeyProbe<Q>& probe, Instant now) {
        const auto at = entries_.find(probe);
        if (at == entries_.end() || !at->second.live(now)) {
            ++counts.misses;
            return nullptr;
        }
        Entry& entry = at->second;
        entry.used();
        ++counts.hits;
        return &entry;
    }

    template <class Q>
    Found find(const KeyProbe<Q>& probe, Instant now) {
        const At at = entries_.find(probe);
        if (at == entries_.end()) {
            return {at, false, Held::nothing, now};
        }
        const Held held = !at->second.live(now)          ? Held::nothing
                          : now < at->second.fresh_until ? Held::fresh
                                                         : Held::stale;
        return {at, true, held, now};
    }

    /// A refresh that went without a word is not under way any more.
    void check_refresh(Entry& entry) const { entry.refreshing = slots.refreshing(entry.key->key); }

    /// Unlists an entry, if there is one, and moves it to where it is destroyed without the lock.
    void remove(Found& found, RemovalCause cause, Gone& gone) {
        if (found.there) {
            remove(found.at, cause, gone);
            found.there = false;
        }
    }

    /// A write begins: the value goes, its place stays for the one that the write may leave.
    ///
    /// @param gone  empty as yet: in there the first takes no memory
    void vacate(Found& found, const K& key, Gone& gone) noexcept {
        if constexpr (keeps_place) {
            if (found.there) {
                Entry& entry = found.at->second;
                gone.add(key, std::exchange(entry.value, std::nullopt), RemovalCause::erased);
                entry.marks.reset();
                entry.fresh_until = Entry::never;
                entry.grace = {};
                gone.room().free_weight(std::exchange(entry.weight, 0));
            }
        } else {
            remove(found, RemovalCause::erased, gone);
        }
    }

    /// Puts a value where the slot's last one was, or lists it; false if there is no room here.
    /// Whatever is thrown is thrown before the value is there.
    bool place(Found& found, const KeyProbe<K>& probe, Offer<V>& offer, Gone& gone) {
        if (!make_place(found, probe, offer, gone)) {
            return false;
        }
        Entry& entry = found.at->second;
        entry.fresh_until = later(found.now, offer.life.fresh);
        entry.life = offer.life.fresh;
        entry.grace = offer.life.grace;
        entry.marks = std::move(offer.marks);
        entry.refreshing = false;
        return true;
    }

    /// Evicts one entry; false if there is none here.
    bool evict_one(Instant now, Gone& gone) {
        gone.reserve_one();
        Entry* const entry =
            eviction_.evict([](const Entry& listed) noexcept { return listed.key->hash; });
        if (entry == nullptr) {
            return false;
        }
        const bool expired = !entry->live(now);
        if (!entry->vacant()) {
            ++(expired ? counts.expirations : counts.evictions);
        }
        gone.add(entries_.extract(entries_.find(SameKey<K>{*entry->key})),
                 expired ? RemovalCause::expired : RemovalCause::evicted);
        return true;
    }

    /// A few of the table's buckets at each store: what has expired goes in time, without a stall.
    void sweep(Instant now, Gone& gone) noexcept {
        try {
            for (int steps = 0; steps < 2; ++steps) {
                sweep_bucket(now, gone);
            }
        } catch (...) {}  // there is no memory: another time
    }

    /// Lets go of every entry, and gives back its room.
    Table clear(Room& room) {
        Table gone;
        gone.swap(entries_);
        eviction_.forget();
        for (const auto& [key, entry] : gone) {
            room.free(entry.weight);
        }
        return gone;
    }

    /// Why an entry goes, if it is not that its time had come.
    static RemovalCause why(const Found& found, RemovalCause cause) noexcept {
        const bool expired =
            found.there && found.held == Held::nothing && !found.at->second.vacant();
        return expired ? RemovalCause::expired : cause;
    }

    std::mutex mutex{};
    Slots slots{};
    ShardCounts counts{};

private:
    void remove(At at, RemovalCause cause, Gone& gone) {
        gone.reserve_one();
        Entry& entry = at->second;
        eviction_.remove(entry);
        if (!entry.vacant()) {
            counts.expirations += cause == RemovalCause::expired ? 1U : 0U;
            counts.evictions += cause == RemovalCause::evicted ? 1U : 0U;
        }
        gone.add(entries_.extract(at), cause);
    }

    bool make_place(Found& found, const KeyProbe<K>& probe, Offer<V>& offer, Gone& gone) {
        const RemovalCause cause = why(found, RemovalCause::replaced);
        if constexpr (keeps_place) {
            if (found.there && cause == RemovalCause::replaced &&
                found.at->second.weight == offer.weight) {
                gone.add(probe.key, std::exchange(found.at->second.value, std::move(offer.value)),
                         cause);
                return true;
            }
        }
        remove(found, cause, gone);
        bool room = gone.room().reserve(offer.weight);
        while (!room && evict_one(found.now, gone)) {
            room = gone.room().reserve(offer.weight);
        }
        if (room) {
            found.at = list(probe, offer, gone.room());
            found.there = true;
        }
        return room;
    }

    // A new entry in room already reserved, which is given back if this throws.
    At list(const KeyProbe<K>& probe, Offer<V>& offer, Room& room) {
        try {
            const At at = entries_.try_emplace(HashedKey<K>{probe.key, probe.hash}).first;
            try {
                at->second.value = std::move(offer.value);
            } catch (...) {
                entries_.erase(at);
                throw;
            }
            at->second.key = &at->first;
            at->second.weight = offer.weight;
            eviction_.insert(at->second, probe.hash);
            return at;
        } catch (...) {
            room.free(offer.weight);
            throw;
        }
    }

    void sweep_bucket(Instant now, Gone& gone) {
        sweep_at_ = (sweep_at_ + 1) % entries_.bucket_count();
        for (auto in = entries_.begin(sweep_at_); in != entries_.end(sweep_at_); ++in) {
            if (!in->second.live(now)) {
                remove(entries_.find(SameKey<K>{in->first}), RemovalCause::expired, gone);
                return;  // the bucket has changed
            }
        }
    }

    Table entries_{};
    Eviction<Entry> eviction_{};
    std::size_t sweep_at_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SHARD_HPP
