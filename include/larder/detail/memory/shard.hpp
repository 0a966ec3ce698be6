// SPDX-License-Identifier: MIT

/// @file
/// One part of a MemoryStore: the entries and slots behind one lock.

#ifndef LARDER_DETAIL_MEMORY_SHARD_HPP
#define LARDER_DETAIL_MEMORY_SHARD_HPP

#include <larder/detail/memory/cell.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/entry_slab.hpp>
#include <larder/detail/memory/extras.hpp>
#include <larder/detail/memory/hash_index.hpp>
#include <larder/detail/memory/key_probe.hpp>
#include <larder/detail/memory/listed_entries.hpp>
#include <larder/detail/memory/packed_life.hpp>
#include <larder/detail/memory/removals.hpp>
#include <larder/detail/memory/sequence_lock.hpp>
#include <larder/detail/memory/store_time.hpp>
#include <larder/detail/memory/stored_entry.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/detail/slot/slot_table.hpp>
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
#include <memory>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a shard counts.
struct ShardCounts {
    std::uint64_t evictions = 0;
    std::uint64_t expirations = 0;
    std::uint64_t oversized = 0;
};

/// A value that is to get in.
template <class V>
struct Offer {
    std::optional<Kept<V>> value;
    Lifetime life;
    std::unique_ptr<TagMarks> marks;
    std::size_t weight;
    bool keepable;    ///< it lives, and could be found again
    bool never_fits;  ///< it is heavier than the store
};

/// What a look without the lock has found.
enum class Look : std::uint8_t {
    hit,
    miss,
    unsettled,  ///< it met a writer, or there is more to it: take the lock
};

/// Thread safety: none of its own, but for `look`. Hold `lock` for every other call.
template <class K, class V, class KeyHash, class KeyEqual, class Eviction>
class alignas(64) Shard {
    static_assert(
        EvictionPolicy<Eviction>,
        "larder: an eviction policy of a MemoryStore needs most_uses, sees_hits, insert, "
        "remove, evict and clear, none of which throws: see larder/store/eviction/policy.hpp");

public:
    using Instant = std::chrono::steady_clock::time_point;
    using Entry = StoredEntry<K, V, KeyHash>;
    using Slots = SlotTable<K, KeyHash, KeyEqual>;
    using Gone = Removals<K, V>;

    /// Readers do without the lock: entries are plain bytes, and hits need not be told one by one.
    static constexpr bool reads_freely = Entry::by_words && !Eviction::sees_hits;

    /// A slot as a step finds it.
    struct Found {
        EntryId id;  // 0: there is no entry; else one, live or not
        Held held;
        Instant now;
        Micros at;

        [[nodiscard]] bool there() const noexcept { return id != 0; }
    };

    Shard() = default;
    Shard(const Shard&) = delete;
    Shard& operator=(const Shard&) = delete;
    ~Shard() {
        for (EntryId id = 1; id < slab_.end(); ++id) {
            if (entry(id).state().listed()) {
                (void)take_value(entry(id));
                (void)entry(id).key.take();
            }
        }
    }

    /// Says how many entries it may come to hold, before it holds any.
    void expect(std::size_t share) noexcept { slab_.expect(share); }

    /// Looks for a fresh copy, and calls `see(value or null, remaining, life)` with it.
    template <class Q, class See>
    Look look(const KeyProbe<Q>& probe, Micros now, See&& see) const {
        const std::uint64_t since = lock.begin();
        if (since % 2 != 0) {
            return Look::unsettled;
        }
        HashIndex::Alike alike = index_.alike_unlocked(probe.hash);
        while (const EntryId id = alike.next()) {
            Entry& entry = this->entry(id);
            const auto key = entry.key.read();
            const EntryState state = entry.state();
            const std::uint64_t life = entry.packed_life();
            const auto value = entry.value.read();
            if (!lock.undisturbed(since)) {
                return Look::unsettled;
            }
            if (!KeyEqual{}(Cell<K, true>::make(key), probe.key)) [[unlikely]] {
                continue;
            }
            if (!state.fresh(now) || state.needs_lock()) [[unlikely]] {
                return Look::unsettled;
            }
            entry.used(state, Eviction::most_uses);
            const Remaining remaining = StoreTime::remaining(state.fresh_until(), now);
            if (state.has_value()) [[likely]] {
                const V copy = Cell<V, true>::make(value);
                see(std::addressof(copy), remaining, PackedLife::unpack(life));
            } else {
                see(nullptr, remaining, PackedLife::unpack(life));
            }
            return Look::hit;
        }
        return alike.complete() && lock.undisturbed(since) ? Look::miss : Look::unsettled;
    }

    template <class Q>
    Found find(const KeyProbe<Q>& probe, Instant now, Micros at) const {
        HashIndex::Alike alike = index_.alike(probe.hash);
        while (const EntryId id = alike.next()) {
            if (KeyEqual{}(key(id), probe.key)) {
                return {id, held(id, at), now, at};
            }
        }
        return {0, Held::nothing, now, at};
    }

    /// Counts a hit of a live entry, and calls `see(value or null, remaining, life, refreshing)`.
    template <class See>
    void show(const Found& found, See&& see) {
        const Entry& entry = this->entry(found.id);
        const EntryState state = entry.state();
        if constexpr (Eviction::sees_hits) {
            ListedEntries listed{slab_};
            eviction_.hit(listed, found.id);
        } else if constexpr (Eviction::most_uses > 0) {
            this->entry(found.id).used(state, Eviction::most_uses);
        }
        const bool refreshing = state.refreshing() && check_refresh(found.id);
        const Remaining remaining = StoreTime::remaining(state.fresh_until(), found.at);
        if (state.has_value()) {
            const auto& value = entry.value.get();
            see(std::addressof(value), remaining, entry.life(), refreshing);
        } else {
            see(nullptr, remaining, entry.life(), refreshing);
        }
    }

    /// The key of an entry, by reference where it is not plain bytes.
    [[nodiscard]] decltype(auto) key(EntryId id) const noexcept { return entry(id).key.get(); }
    [[nodiscard]] Entry& entry(EntryId id) const noexcept { return slab_.template as<Entry>(id); }

    void set_refreshing(const Found& found, bool is) noexcept {
        if (found.there()) {
            Entry& entry = this->entry(found.id);
            entry.set(entry.state().with_refreshing(is));
        }
    }

    /// Unlists an entry, if there is one, and moves it to where it is destroyed without the lock.
    ///
    /// @throws std::bad_alloc  in which case it is still there
    void remove(Found& found, RemovalCause cause, Gone& gone) {
        if (found.there()) {
            remove(found.id, cause, gone);
            found.id = 0;
        }
    }

    /// A write begins: the value goes, its place stays for the one that the write may leave.
    ///
    /// @param gone  empty as yet: in there the first takes no memory
    void vacate(const Found& found, const K& key, Gone& gone) noexcept {
        if (!found.there()) {
            return;
        }
        Entry& entry = this->entry(found.id);
        gone.add(key, take_value(entry), RemovalCause::erased);
        gone.room.add(0, drop_extra(found.id));
        entry.set(
            entry.state().with_value(false).with_marked(false).with_graced(false).with_fresh_until(
                0));
    }

    /// Puts a value where the slot's last one was, or lists it; false if there is no room here.
    /// Whatever is thrown is thrown before the value is there.
    bool place(Found& found, const KeyProbe<K>& probe, Offer<V>& offer, Gone& gone) {
        const bool has_extra = offer.marks || offer.life.grace > Ttl::zero() || offer.weight != 0;
        const RemovalCause cause = why(found, RemovalCause::replaced);
        if (found.there() && cause == RemovalCause::replaced && weight(found.id) == offer.weight) {
            if (has_extra) {
                extras_.reserve(found.id);
            }
            gone.add(probe.key, take_value(entry(found.id)), cause);
        } else {
            remove(found, cause, gone);
            while (slab_.full() || !gone.room.take(offer.weight)) {
                if (!evict_one(found.at, gone)) {
                    return false;
                }
            }
            list(found, probe, offer.weight, has_extra, gone);
        }
        fill(found, offer, has_extra);
        return true;
    }

    /// Evicts one entry; false if there is none here.
    bool evict_one(Micros now, Gone& gone) {
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
    void sweep(Micros now, Gone& gone) noexcept {
        for (int steps = 0; steps < 2; ++steps) {
            sweep_at_ = sweep_at_ + 1 < slab_.end() ? sweep_at_ + 1 : 1;
            if (sweep_at_ < slab_.end() && entry(sweep_at_).state().listed() &&
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
    EntryId clear(EntryId from, Gone& gone) noexcept {
        std::size_t room = gone.reserve_some((std::min)(size_, std::size_t{1024}));
        for (EntryId id = from; id < slab_.end(); ++id) {
            if (!entry(id).state().listed()) {
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
            found.there() && found.held == Held::nothing && !entry(found.id).state().vacant();
        return expired ? RemovalCause::expired : cause;
    }

    SequenceLock lock{};

private:
    // What a look without the lock needs comes first, beside the lock.
    HashIndex index_{};
    EntrySlab slab_{EntryType::of<Entry>()};

public:
    Slots slots{};
    ShardCounts counts{};

private:
    [[nodiscard]] Held held(EntryId id, Micros now) const noexcept {
        return !live(id, now)                 ? Held::nothing
               : entry(id).state().fresh(now) ? Held::fresh
                                              : Held::stale;
    }
    // Within its life or grace, and its tags stand.
    [[nodiscard]] bool live(EntryId id, Micros now) const noexcept {
        const EntryState state = entry(id).state();
        if (state.fresh(now) && !state.marked()) [[likely]] {
            return true;
        }
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
    // A refresh that went without a word is not under way any more.
    bool check_refresh(EntryId id) {
        const bool is = slots.refreshing(key(id));
        Entry& entry = this->entry(id);
        entry.set(entry.state().with_refreshing(is));
        return is;
    }

    std::optional<Kept<V>> take_value(Entry& entry) noexcept {
        if (!entry.state().has_value()) {
            return {};
        }
        return entry.value.take();
    }
    // The weight that is free now.
    std::size_t drop_extra(EntryId id) noexcept {
        Extra* const extra = extras_.find(id);
        return extra != nullptr ? std::exchange(*extra, Extra{}).weight : 0;
    }

    void remove(EntryId id, RemovalCause cause, Gone& gone) {
        gone.reserve();
        ListedEntries listed{slab_};
        eviction_.remove(listed, id);
        drop(id, cause, gone);
    }
    // An entry that its queue has forgotten goes, into room that is reserved.
    void drop(EntryId id, RemovalCause cause, Gone& gone) noexcept {
        if (!index_.erase(entry(id).hash_of_key(), id)) {
            index_.erase_anywhere(id);
        }
        if (!entry(id).state().vacant()) {
            counts.expirations += cause == RemovalCause::expired ? 1U : 0U;
            counts.evictions += cause == RemovalCause::evicted ? 1U : 0U;
        }
        take(id, cause, gone);
    }
    void take(EntryId id, RemovalCause cause, Gone& gone) noexcept {
        Entry& entry = this->entry(id);
        gone.room.add(1, drop_extra(id));
        std::optional<Kept<V>> value = take_value(entry);
        gone.add(entry.key.take(), std::move(value), cause);
        slab_.free(id);
        --size_;
    }

    // A new entry, as yet without a value, in room already taken, which is given back if this throws.
    void list(Found& found, const KeyProbe<K>& probe, std::size_t weight, bool has_extra,
              Gone& gone) {
        EntryId id = 0;
        try {
            id = slab_.allocate();
            index_.reserve_one();
            if (has_extra) {
                extras_.reserve(id);
            }
            Entry& entry = this->entry(id);
            entry.key.put(keep<K>(probe.key));
            entry.set_hash(probe.hash);
        } catch (...) {
            if (id != 0) {
                slab_.free(id);
            }
            gone.room.add(1, weight);
            throw;
        }
        entry(id).set(EntryState{}.with_listed(true));
        ListedEntries listed{slab_};
        eviction_.insert(listed, id, probe.hash);
        index_.insert(probe.hash, id, [this](EntryId of) { return slab_.hash(of); });
        ++size_;
        found.id = id;
    }
    void fill(const Found& found, Offer<V>& offer, bool has_extra) noexcept {
        Entry& entry = this->entry(found.id);
        EntryState state = entry.state()
                               .with_fresh_until(StoreTime::later(found.at, offer.life.fresh))
                               .with_value(offer.value.has_value())
                               .with_refreshing(false)
                               .with_marked(offer.marks != nullptr)
                               .with_graced(offer.life.grace > Ttl::zero());
        if (has_extra) {
            extras_.at(found.id) = {std::move(offer.marks), offer.life.grace, offer.weight};
        } else {
            drop_extra(found.id);
        }
        if (offer.value) {
            entry.value.put(std::move(*offer.value));
        }
        entry.set_life(offer.life.fresh);
        entry.set(state);
    }

    Extras extras_{};
    Eviction eviction_{};
    std::size_t size_ = 0;
    EntryId sweep_at_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SHARD_HPP
