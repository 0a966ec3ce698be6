// SPDX-License-Identifier: MIT

/// @file
/// One part of a MemoryStore, whatever its keys and values.

#ifndef LARDER_DETAIL_MEMORY_SHARD_CORE_HPP
#define LARDER_DETAIL_MEMORY_SHARD_CORE_HPP

#include <larder/detail/memory/any_offer.hpp>
#include <larder/detail/memory/any_removals.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/entry_slab.hpp>
#include <larder/detail/memory/extras.hpp>
#include <larder/detail/memory/hash_index.hpp>
#include <larder/detail/memory/listed_entries.hpp>
#include <larder/detail/memory/sequence_lock.hpp>
#include <larder/detail/memory/store_time.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/store/eviction/policy.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a shard counts.
struct ShardCounts {
    std::uint64_t evictions = 0;
    std::uint64_t expirations = 0;
    std::uint64_t oversized = 0;
};

/// Which entries there are, how long they live, and which of them go: all that asks neither key nor value,
/// and so is compiled once, however many types are stored. What is long is kept out of its callers, which are
/// compiled once a type.
///
/// Thread safety: none of its own. Hold `lock`.
template <class Eviction>
class alignas(64) ShardCore {
    static_assert(
        EvictionPolicy<Eviction>,
        "larder: an eviction policy of a MemoryStore needs most_uses, sees_hits, insert, "
        "remove, evict and clear, none of which throws: see larder/store/eviction/policy.hpp");

public:
    using Instant = std::chrono::steady_clock::time_point;

    /// A slot as a step finds it.
    struct Found {
        EntryId id;  // 0: there is no entry; else one, live or not
        Held held;
        Instant now;
        Micros at;

        [[nodiscard]] bool there() const noexcept { return id != 0; }
    };

    ShardCore(const ShardCore&) = delete;
    ShardCore& operator=(const ShardCore&) = delete;

    /// Says how many entries it may come to hold, before it holds any.
    void expect(std::size_t share) noexcept { slab_.expect(share); }

    /// How much longer that lives which it is a copy of.
    [[nodiscard]] Ttl beyond(const Found& found) const noexcept {
        const Extra* const extra = extras_.find(found.id);
        return extra != nullptr ? extra->beyond : Ttl::zero();
    }
    /// It carries tags.
    [[nodiscard]] bool marked(const Found& found) const noexcept {
        return slab_.head(found.id).state().marked();
    }

    void set_refreshing(const Found& found, bool is) noexcept {
        if (found.there()) {
            EntryHead& entry = slab_.head(found.id);
            entry.set(entry.state().with_refreshing(is));
        }
    }

    /// Unlists an entry, if there is one, and moves it to where it is destroyed without the lock.
    ///
    /// @throws std::bad_alloc  in which case it is still there
    [[gnu::noinline]] void remove(Found& found, RemovalCause cause, AnyRemovals& gone) {
        if (found.there()) {
            remove(found.id, cause, gone);
            found.id = 0;
        }
    }

    /// Evicts one entry; false if there is none here.
    [[gnu::noinline]] bool evict_one(Micros now, AnyRemovals& gone) {
        gone.reserve();
        ListedEntries listed{slab_};
        const EntryId id = eviction_.evict(listed);
        if (id == 0) {
            return false;
        }
        drop(id, live(id, now) ? RemovalCause::evicted : RemovalCause::expired, gone);
        return true;
    }

    /// Looks at two entries, in turn, at each store: what has expired goes in time, without a stall.
    [[gnu::noinline]] void sweep(Micros now, AnyRemovals& gone) noexcept {
        for (int steps = 0; steps < 2; ++steps) {
            sweep_at_ = sweep_at_ + 1 < slab_.end() ? sweep_at_ + 1 : 1;
            if (sweep_at_ < slab_.end() && slab_.head(sweep_at_).state().listed() &&
                !live(sweep_at_, now)) {
                try {
                    remove(sweep_at_, RemovalCause::expired, gone);
                } catch (...) {}  // there is no memory: another time
            }
        }
    }

    /// Lets go of entries, from this one on, as many as are well done in one go.
    ///
    /// @returns where to go on; 0: all are gone
    EntryId clear(EntryId from, AnyRemovals& gone) noexcept {
        if (size_ == 0) {
            eviction_.clear();
            return 0;
        }
        std::size_t room = gone.reserve_some((std::min)(size_, std::size_t{1024}));
        for (EntryId id = from; id < slab_.end(); ++id) {
            if (!slab_.head(id).state().listed()) {
                continue;
            }
            if (room == 0) {
                return id;
            }
            --room;
            ListedEntries listed{slab_};
            eviction_.remove(listed, id);
            drop(id, RemovalCause::cleared, gone);
        }
        if (size_ == 0) {
            eviction_.clear();
        }
        return 0;
    }

    /// Why an entry goes, if it is not that its time had come.
    [[nodiscard]] RemovalCause why(const Found& found, RemovalCause cause) const noexcept {
        const bool expired =
            found.there() && found.held == Held::nothing && !slab_.head(found.id).state().vacant();
        return expired ? RemovalCause::expired : cause;
    }

    SequenceLock lock{};

protected:
    explicit ShardCore(const EntryType& type) noexcept : slab_{type} {}
    ~ShardCore() = default;

    // What a look without the lock needs comes first, beside the lock.
    HashIndex index_{};
    EntrySlab slab_;

    [[nodiscard]] Held held(const EntryHead& entry, EntryId id, Micros now) const noexcept {
        const EntryState state = entry.state();
        return !live(state, id, now) ? Held::nothing : state.fresh(now) ? Held::fresh : Held::stale;
    }

    // A write begins: the value has gone, its place stays.
    void vacate(const Found& found, AnyRemovals& gone) noexcept {
        EntryHead& entry = slab_.head(found.id);
        gone.room.add(0, drop_extra(found.id));
        entry.set(
            entry.state().with_value(false).with_marked(false).with_graced(false).with_fresh_until(
                0));
    }

    // True if the offer may take the place of what was found.
    //
    // @throws std::bad_alloc  in which case nothing has changed
    bool may_replace(const Found& found, const AnyOffer& offer) {
        if (!found.there() || why(found, RemovalCause::replaced) != RemovalCause::replaced ||
            weight(found.id) != offer.weight) {
            return false;
        }
        if (offer.has_extra()) {
            extras_.reserve(found.id);
        }
        return true;
    }
    // A place for an entry more, once what was found has gone; false if there is no room here.
    [[gnu::noinline]] bool make_place(Found& found, const AnyOffer& offer, AnyRemovals& gone) {
        remove(found, why(found, RemovalCause::replaced), gone);
        while (slab_.full() || !gone.room.take(offer.weight)) {
            if (!evict_one(found.at, gone)) {
                return false;
            }
        }
        EntryId id = 0;
        try {
            id = slab_.allocate();
            index_.reserve_one();
            if (offer.has_extra()) {
                extras_.reserve(id);
            }
        } catch (...) {
            if (id != 0) {
                slab_.free(id);
            }
            gone.room.add(1, offer.weight);
            throw;
        }
        found.id = id;
        return true;
    }
    // Lists an entry that has its key, in the place that was made.
    [[gnu::noinline]] void list(const Found& found, std::uint64_t hash) noexcept {
        slab_.head(found.id).set(EntryState{}.with_listed(true));
        ListedEntries listed{slab_};
        eviction_.insert(listed, found.id, hash);
        index_.insert(hash, found.id, [this](EntryId of) { return slab_.hash(of); });
        ++size_;
    }
    // What an entry is to know of the value that it has got.
    [[gnu::noinline]] void fill(const Found& found, AnyOffer& offer, bool has_value) noexcept {
        EntryHead& entry = slab_.head(found.id);
        const EntryState state = entry.state()
                                     .with_fresh_until(StoreTime::later(
                                         offer.since.value_or(found.at), offer.life.fresh))
                                     .with_value(has_value)
                                     .with_refreshing(false)
                                     .with_marked(offer.marks != nullptr)
                                     .with_graced(offer.life.grace > Ttl::zero());
        if (offer.has_extra()) {
            extras_.at(found.id) = {std::move(offer.marks), offer.life.grace, offer.beyond,
                                    offer.weight};
        } else {
            drop_extra(found.id);
        }
        entry.set_life(cut(offer.life.fresh + offer.age));
        entry.set(state);
    }

private:
    // Within its life or grace, and its tags stand.
    [[nodiscard]] bool live(EntryState state, EntryId id, Micros now) const noexcept {
        return (state.fresh(now) && !state.marked()) || lives_on(state, id, now);
    }
    [[nodiscard]] bool live(EntryId id, Micros now) const noexcept {
        return live(slab_.head(id).state(), id, now);
    }
    [[nodiscard, gnu::noinline]] bool lives_on(EntryState state, EntryId id,
                                               Micros now) const noexcept {
        if (state.vacant() || (!state.fresh(now) && !state.graced())) {
            return false;
        }
        const Extra& extra = extras_.at(id);
        return now < StoreTime::later(state.fresh_until(), extra.grace) &&
               (!extra.marks || extra.marks->stand());
    }
    [[nodiscard]] std::size_t weight(EntryId id) const noexcept {
        const Extra* const extra = extras_.find(id);
        return extra != nullptr ? extra->weight : 0;
    }
    // The weight that is free now.
    std::size_t drop_extra(EntryId id) noexcept {
        Extra* const extra = extras_.find(id);
        return extra != nullptr ? std::exchange(*extra, Extra{}).weight : 0;
    }

    void remove(EntryId id, RemovalCause cause, AnyRemovals& gone) {
        gone.reserve();
        ListedEntries listed{slab_};
        eviction_.remove(listed, id);
        drop(id, cause, gone);
    }
    // An entry that its queue has forgotten goes, into room that is reserved.
    void drop(EntryId id, RemovalCause cause, AnyRemovals& gone) noexcept {
        EntryHead& entry = slab_.head(id);
        if (!index_.erase(slab_.hash(id), id)) {
            index_.erase_anywhere(id);
        }
        if (!entry.state().vacant()) {
            counts.expirations += cause == RemovalCause::expired ? 1U : 0U;
            counts.evictions += cause == RemovalCause::evicted ? 1U : 0U;
        }
        gone.room.add(1, drop_extra(id));
        gone.add(entry, cause);
        slab_.free(id);
        --size_;
    }

    Extras extras_{};

protected:
    Eviction eviction_{};

private:
    std::size_t size_ = 0;
    EntryId sweep_at_ = 0;

public:
    ShardCounts counts{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SHARD_CORE_HPP
