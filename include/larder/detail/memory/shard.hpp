// SPDX-License-Identifier: MIT

/// @file
/// One part of a MemoryStore: the entries and slots behind one lock.

#ifndef LARDER_DETAIL_MEMORY_SHARD_HPP
#define LARDER_DETAIL_MEMORY_SHARD_HPP

#include <larder/detail/memory/any_offer.hpp>
#include <larder/detail/memory/cell.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/entry_slab.hpp>
#include <larder/detail/memory/hash_index.hpp>
#include <larder/detail/memory/key_probe.hpp>
#include <larder/detail/memory/listed_entries.hpp>
#include <larder/detail/memory/packed_life.hpp>
#include <larder/detail/memory/removals.hpp>
#include <larder/detail/memory/shard_core.hpp>
#include <larder/detail/memory/store_time.hpp>
#include <larder/detail/memory/stored_entry.hpp>
#include <larder/detail/slot/slot_table.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// A value that is to get in, or a known absence.
template <class V>
struct Offer : AnyOffer {
    std::optional<Kept<V>> value{};
};

/// What a look without the lock has found.
enum class Look : std::uint8_t {
    hit,
    miss,
    unsettled,  ///< it met a writer: again, or take the lock
    intricate,  ///< there is more to it: take the lock
};

/// Thread safety: none of its own, but for `look`. Hold `lock` for every other call.
template <class K, class V, class KeyHash, class KeyEqual, class Eviction>
class Shard : public ShardCore<Eviction> {
    using Base = ShardCore<Eviction>;
    using Base::eviction_;
    using Base::index_;
    using Base::slab_;

public:
    using Found = typename Base::Found;
    using Instant = typename Base::Instant;
    using Entry = StoredEntry<K, V, KeyHash, KeyEqual>;
    using Slots = SlotTable<K, KeyHash, KeyEqual>;
    using Gone = Removals<Entry>;
    using Base::lock;

    /// Readers do without the lock: entries are plain bytes, and hits need not be told one by one.
    static constexpr bool reads_freely = Entry::by_words && !Eviction::sees_hits;

    Shard() noexcept : Base{EntryType::of<Entry>()} {}

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
                return Look::intricate;
            }
            entry.used(state, Eviction::most_uses);
            const Ttl whole_life = PackedLife::unpack(life);
            const Remaining remaining = StoreTime::remaining(state.fresh_until(), now, whole_life);
            if (state.has_value()) [[likely]] {
                const V copy = Cell<V, true>::make(value);
                see(std::addressof(copy), remaining, whole_life);
            } else {
                see(nullptr, remaining, whole_life);
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
                return {id, this->held(entry(id), id, at), now, at};
            }
        }
        return {0, Held::nothing, now, at};
    }

    /// Counts a hit of a live entry, and calls `see(value or null, remaining, life, refreshing)`.
    template <class See>
    [[gnu::always_inline]] void show(const Found& found, See&& see) {
        const Entry& entry = this->entry(found.id);
        const EntryState state = entry.state();
        if constexpr (Eviction::sees_hits) {
            ListedEntries listed{slab_};
            eviction_.hit(listed, found.id);
        } else if constexpr (Eviction::most_uses > 0) {
            this->entry(found.id).used(state, Eviction::most_uses);
        }
        const bool refreshing = state.refreshing() && check_refresh(found);
        const Ttl life = entry.life();
        const Remaining remaining = StoreTime::remaining(state.fresh_until(), found.at, life);
        if (state.has_value()) {
            const auto& value = entry.value.get();
            see(std::addressof(value), remaining, life, refreshing);
        } else {
            see(nullptr, remaining, life, refreshing);
        }
    }

    /// The key of an entry, by reference where it is not plain bytes.
    [[nodiscard]] decltype(auto) key(EntryId id) const noexcept { return entry(id).key.get(); }
    [[nodiscard]] Entry& entry(EntryId id) const noexcept { return slab_.template as<Entry>(id); }

    /// A write begins: the value goes, its place stays for the one that the write may leave.
    ///
    /// @param gone  empty as yet
    void vacate(const Found& found, const K& key, Gone& gone) noexcept {
        if (found.there()) {
            gone.add_value(key, entry(found.id), RemovalCause::erased);
            Base::vacate(found, gone);
        }
    }

    /// Puts a value where the slot's last one was, or lists it; false if there is no room here.
    /// Whatever is thrown is thrown before the value is there.
    bool place(Found& found, const KeyProbe<K>& probe, Offer<V>& offer, Gone& gone) {
        if (this->may_replace(found, offer)) {
            gone.add_value(probe.key, entry(found.id), RemovalCause::replaced);
        } else {
            Kept<K> key = keep<K>(probe.key);
            if (!this->make_place(found, offer, gone)) {
                return false;
            }
            entry(found.id).key.put(std::move(key));
            entry(found.id).set_hash(probe.hash);
            this->list(found, probe.hash);
        }
        if (offer.value) {
            entry(found.id).value.put(std::move(*offer.value));
        }
        this->fill(found, offer, offer.value.has_value());
        return true;
    }

    Slots slots{};

private:
    // A refresh that went without a word is not under way any more.
    [[gnu::noinline]] bool check_refresh(const Found& found) {
        const bool is = slots.refreshing(key(found.id));
        this->set_refreshing(found, is);
        return is;
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SHARD_HPP
