// SPDX-License-Identifier: MIT

/// @file
/// What the handles of one MemoryStore share.

#ifndef LARDER_DETAIL_MEMORY_SHARDS_HPP
#define LARDER_DETAIL_MEMORY_SHARDS_HPP

#include <larder/clock.hpp>
#include <larder/detail/memory/bounds.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/key_probe.hpp>
#include <larder/detail/memory/room.hpp>
#include <larder/detail/memory/shard.hpp>
#include <larder/detail/memory/shard_step.hpp>
#include <larder/detail/memory/slot_change.hpp>
#include <larder/detail/memory/store_time.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/detail/memory/tag_versions.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/thread_counters.hpp>
#include <larder/entry.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Carries out a step of the store by itself.
struct Alone {
    template <class Act>
    bool operator()(const Act& act) const {
        return act();
    }
};

/// The shards, and what they share: their room, the clock, the tags.
///
/// Lock order: one shard at a time, and no other lock meanwhile but that of the tags.
///
/// Thread safety: all members may run concurrently; a shard only under its lock.
template <class K, class V, class C, class KeyHash, class KeyEqual, class Eviction>
class Shards {
public:
    using Key = K;
    using Shard = detail::Shard<K, V, KeyHash, KeyEqual, Eviction>;
    using Instant = typename Shard::Instant;
    using Gone = typename Shard::Gone;
    using Found = typename Shard::Found;
    using Handle = typename Shard::Slots::Handle;
    using Create = typename Shard::Slots::Create;

    /// @throws std::invalid_argument  naming the option that makes no sense, and its value
    Shards(MemoryStoreOptions<K, V> options, C clock_given)
        : Shards{Bounds{options}, std::move(options), std::move(clock_given)} {}

    template <class Q>
    [[nodiscard]] static KeyProbe<Q> probe(const Q& key) {
        return {key, hash_bits<KeyHash>(key)};
    }
    /// The highest bits choose the shard: its index takes the others.
    [[nodiscard]] Shard& of(std::uint64_t hash) noexcept { return shards_[(hash >> 48U) & mask_]; }
    [[nodiscard]] Instant now() const { return clock.now(); }
    [[nodiscard]] Micros micros(Instant time) const noexcept { return time_.at(time); }
    [[nodiscard]] std::uint64_t next_id() noexcept {
        return ids_.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    /// Where what leaves goes to.
    [[nodiscard]] Gone removals() noexcept { return Gone{options_, room_}; }
    [[nodiscard]] const Room& room() const noexcept { return room_; }

    [[nodiscard]] std::uint64_t hits() const noexcept { return looks_.sum(0); }
    [[nodiscard]] std::uint64_t misses() const noexcept { return looks_.sum(1); }

    /// Calls `step(shard)` for one shard after the other, under its lock.
    template <class Step>
    void each(Step&& step) {
        for (Shard& shard : shards_) {
            const std::scoped_lock lock{shard.lock};
            step(shard);
        }
    }

    /// The one look-up of reads: calls `see(value or null, remaining, life, refreshing)`; false if there
    /// is no copy. What a hit costs is here.
    template <class Q, class See>
    bool query(const Q& key, See&& see) {
        return query(key, see, recent(clock));
    }
    /// The same as of a moment that the caller knows.
    template <class Q, class See>
    bool query(const Q& key, See&& see, Instant time) {
        const KeyProbe<Q> at = probe(key);
        Shard& shard = of(at.hash);
        if constexpr (Shard::reads_freely) {
            const Micros now = time_.at(time);
            Look look = Look::unsettled;
            for (int tries = 0; tries < 2 && look == Look::unsettled; ++tries) {
                look = shard.look(at, now, [&](const V* value, Remaining remaining, Ttl life) {
                    see(value, remaining, life, false);
                });
            }
            if (look == Look::hit || look == Look::miss) [[likely]] {
                looks_.add(look == Look::hit ? 0 : 1);
                return look == Look::hit;
            }
        }
        return query_locked(shard, at, time, see);
    }
    /// The same, as `see(value or null, remaining, life, beyond, tagged)`.
    template <class Q, class See>
    bool examine(const Q& key, See&& see, Instant time) {
        const KeyProbe<Q> at = probe(key);
        Shard& shard = of(at.hash);
        const std::scoped_lock lock{shard.lock};
        const Found found = shard.find(at, time, time_.at(time));
        looks_.add(found.held != Held::nothing ? 0 : 1);
        if (found.held == Held::nothing) {
            return false;
        }
        const Ttl beyond = shard.beyond(found);
        const bool tagged = shard.marked(found);
        shard.show(found, [&](const V* value, Remaining remaining, Ttl life, bool) {
            see(value, remaining, life, beyond, tagged);
        });
        return true;
    }

    /// Erases an entry, and the slot that somebody has in hand; true if there was a copy.
    template <class Q>
    bool erase(const Q& key) {
        Gone gone = removals();
        const KeyProbe<Q> at = probe(key);
        Shard& shard = of(at.hash);
        const std::scoped_lock lock{shard.lock};
        Found found = find(shard, at);
        const bool had = found.held != Held::nothing;
        if (!shard.slots.empty()) {
            const K whole = found.there() ? K(shard.key(found.id)) : K(key);
            Handle slot{shard.slots, whole, found.held, found.now, Create::no};
            slot->erase();
        }
        shard.remove(found, had ? RemovalCause::erased : RemovalCause::expired, gone);
        return had;
    }

    /// Erases every entry, and every slot that somebody has in hand.
    void clear() noexcept {
        each([](Shard& shard) { shard.slots.each([](SlotState& state) { state.erase(); }); });
        for (Shard& shard : shards_) {
            for (EntryId from = 1; from != 0;) {
                Gone gone = removals();
                const std::scoped_lock lock{shard.lock};
                from = shard.clear(from, gone);
            }
        }
    }

    /// Ends a lease whose load's answer is not kept: no older copy may hide it.
    void withdraw(const K& key, std::uint64_t lease) {
        Gone gone = removals();
        ShardStep<Shards> step{*this, key, Create::no};
        if (step->withdraw(lease) == Effect::erase) {
            step.shard().remove(step.found(), RemovalCause::erased, gone);
        }
    }

    /// Ends a write whose slot cannot be found, with nothing.
    void give_back(const Ticket& ticket) noexcept {
        each([&](Shard& shard) { shard.slots.give_back(ticket); });
    }

    /// How a value fared.
    struct Changed {
        bool taken = true;  ///< the step was
        bool stored = false;
        bool stood = true;       ///< a write's ticket was still there
        bool tags_stand = true;  ///< none of the tags was invalidated

        /// What there was before, if it had to make room.
        Held had = Held::nothing;
    };

    /// The one way a value gets in.
    ///
    /// @param within  calls what it is given, once, or not at all; false: there was no room as yet, and
    ///                no step was taken
    /// @throws anything  before the step was taken
    template <class Within = Alone>
    Changed change(const K& key, std::optional<V> value, const Lifetime& life,
                   std::unique_ptr<TagMarks> marks, SlotChange step, const Within& within = {}) {
        const KeyProbe<K> at = probe(key);
        Shard& shard = of(at.hash);
        const std::size_t weight = weigh(key, value);
        Offer<V> offer{
            {cut(life), cut(step.age), cut(step.beyond),
             step.since ? std::optional{time_.at(*step.since)} : std::nullopt, std::move(marks),
             weight, life.fresh > Ttl::zero() && equals_itself<KeyEqual>(key),
             room_.never_fits(weight)},
            {}};
        if (value) {
            offer.value.emplace(keep<V>(std::move(*value)));
        }
        Changed changed{};
        for (;;) {
            Gone gone = removals();
            bool room = true;
            changed.taken = within([&] {
                room = attempt(shard, at, offer, step, gone, changed);
                return room;
            });
            if (room) {
                return changed;
            }
            gone.room.give_back();  // it may be all that is missing
            evict_elsewhere(shard);
        }
    }

    /// The end of a load or of a write. A value that could not be stored leaves nothing.
    Changed settle(const K& key, std::optional<V> value, const CopyTerms& terms, const Epoch& since,
                   const SlotChange& step) {
        try {
            return change(key, std::move(value), terms.life, tags.mark(terms.tags, since), step);
        } catch (...) {
            abandon(key, step);
            throw;
        }
    }

    const C clock;
    TagVersions<> tags{};

private:
    Shards(const Bounds& bounds, MemoryStoreOptions<K, V> options, C clock_given)
        : clock{std::move(clock_given)},
          options_{std::move(options)},
          room_{bounds.capacity(), bounds.max_weight()},
          time_{clock.now()},
          shards_(bounds.shards()),
          mask_{shards_.size() - 1} {
        for (Shard& shard : shards_) {
            shard.expect(room_.capacity() / shards_.size());
        }
    }

    [[gnu::noinline]] void abandon(const K& key, const SlotChange& step) noexcept {
        if (step.by == SlotChange::By::write) {
            give_back({step.id, {}});
            return;
        }
        try {
            withdraw(key, step.id);
        } catch (...) {}  // it ends with its load
    }

    template <class Q>
    Found find(Shard& shard, const KeyProbe<Q>& at) const {
        const Instant time = now();
        return shard.find(at, time, time_.at(time));
    }

    template <class Q, class See>
    bool query_locked(Shard& shard, const KeyProbe<Q>& at, Instant time, See& see) {
        const std::scoped_lock lock{shard.lock};
        const Found found = shard.find(at, time, time_.at(time));
        looks_.add(found.held != Held::nothing ? 0 : 1);
        if (found.held == Held::nothing) {
            return false;
        }
        shard.show(found, see);
        return true;
    }

    // False if there is no room, in which case no step was taken. What may throw comes before the step.
    bool attempt(Shard& shard, const KeyProbe<K>& at, Offer<V>& offer, const SlotChange& change,
                 Gone& gone, Changed& changed) {
        const std::scoped_lock lock{shard.lock};
        Found found = find(shard, at);
        // A reload of what left to make room for what it brought is one of a value still.
        changed.had = (std::max)(changed.had, found.held);
        Handle slot{shard.slots, at.key, changed.had, found.now, Create::no};
        changed.tags_stand = !offer.marks || offer.marks->stand();
        const bool stores = changed.tags_stand && offer.keepable && !offer.never_fits &&
                            change.stores(slot.state());
        if (stores && !shard.place(found, at, offer, gone)) {
            return false;
        }
        const SlotChange::Taken taken = change.take(slot.state());
        changed.stood = taken.stood;
        changed.stored = stores;
        if (stores) {
            shard.sweep(found.at, gone);
        } else if (taken.effect != Effect::keep) {
            shard.counts.oversized += offer.never_fits ? 1U : 0U;
            shard.remove(found, shard.why(found, RemovalCause::erased), gone);
        }
        return true;
    }

    // Makes room in some other shard, when the one that needs it has nothing to give.
    [[gnu::noinline]] void evict_elsewhere(const Shard& full) {
        const auto from = static_cast<std::size_t>(&full - shards_.data());
        for (std::size_t n = 1; n <= mask_; ++n) {
            Shard& shard = shards_[(from + n) & mask_];
            Gone gone = removals();
            const Instant time = now();
            const std::scoped_lock lock{shard.lock};
            if (shard.evict_one(time_.at(time), gone)) {
                return;
            }
        }
        std::this_thread::yield();  // all room is taken by entries about to be stored
    }

    [[nodiscard]] std::size_t weigh(const K& key, const std::optional<V>& value) const {
        if (!options_.weigh) {
            return 0;
        }
        return value ? (std::max)(options_.weigh(key, *value), std::size_t{1}) : std::size_t{1};
    }

    const MemoryStoreOptions<K, V> options_;
    Room room_;
    const StoreTime time_;
    std::vector<Shard> shards_;
    std::size_t mask_;
    std::atomic<std::uint64_t> ids_{0};
    ThreadCounters<2> looks_{};  // hits, misses
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SHARDS_HPP
