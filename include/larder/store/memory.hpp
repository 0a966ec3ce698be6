// SPDX-License-Identifier: MIT

/// @file
/// MemoryStore: typed copies in this process, bounded.

#ifndef LARDER_STORE_MEMORY_HPP
#define LARDER_STORE_MEMORY_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/memory/key_probe.hpp>
#include <larder/detail/memory/shard_step.hpp>
#include <larder/detail/memory/shards.hpp>
#include <larder/detail/memory/slot_change.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/detail/slot/begun_writes.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/fwd.hpp>
#include <larder/hash.hpp>
#include <larder/stats.hpp>
#include <larder/store/eviction/adaptive_clock.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// A bounded store of typed copies in this process: no serialization, no thread of its own.
///
/// A cheap handle: copies share the entries. Keeps the whole slot protocol, tags included.
///
/// ```cpp
/// larder::MemoryStore<int, Product> store{{.capacity = 10'000}};
/// store.put(42, product, {.fresh = 10min});
/// if (auto entry = store.find(42)) use(entry->value);
/// ```
///
/// Thread safety: all members may run concurrently; operations on one key are linearizable.
/// Exceptions: what a copy or move, a hash, a comparison, `weigh` or the clock throws passes through;
/// the entry is then as it was, or absent.
///
/// A key that does not equal itself, such as a NaN, is never kept.
///
/// Where the key is a number, an enumeration or an array of such, compared by ==, and the value is
/// trivially copyable and no pointer, both of at most 128 bytes together, reads take no lock, and `visit`
/// shows a copy: what a member of it points to may have left meanwhile.
///
/// @tparam C         where the time comes from. An expiry is as exact as its `now`, to the microsecond;
///                   a hit takes `recent`, where the clock has that: of SteadyClock, less than a
///                   millisecond old
/// @tparam KeyHash   a hash of well-mixed bits; lookups by other types need it transparent
/// @tparam KeyEqual  likewise
/// @tparam Eviction  what goes when there is no room (`EvictionPolicy`): `AdaptiveClock`, `Lru`
template <class K, class V, class C, class KeyHash, class KeyEqual, class Eviction>
class MemoryStore {
    using Shards = detail::Shards<K, V, C, KeyHash, KeyEqual, Eviction>;
    using Shard = typename Shards::Shard;
    using Gone = typename Shards::Gone;
    using Step = detail::ShardStep<Shards>;
    using Create = typename Shards::Create;
    using Instant = typename Shards::Instant;
    using Remaining = detail::Remaining;
    using SlotChange = detail::SlotChange;

public:
    using key_type = K;
    using value_type = V;
    using clock_type = C;
    using Query = detail::NoQuery;
    using Opening = detail::Opening<V>;

    static constexpr bool keeps_tags = true;
    static constexpr bool shared = false;  // seen by this process alone
    static constexpr bool fallible = false;

    /// @throws std::invalid_argument  naming the option that makes no sense, and its value
    explicit MemoryStore(MemoryStoreOptions<K, V> options = {}, C clock = {})
        : shards_{std::make_shared<Shards>(std::move(options), std::move(clock))} {}

    // ---- the plain Store ----

    /// The copy, fresh or stale within its grace.
    template <class Q = K>
        requires std::copy_constructible<V>
    [[nodiscard]] std::optional<Entry<V>> find(const Q& key) const {
        std::optional<Entry<V>> entry;
        shards_->query(key, [&](const V* value, Remaining remaining, Ttl, bool) {
            entry.emplace();
            if (value != nullptr) {
                entry->value.emplace(*value);
            }
            entry->remaining = detail::whole(remaining);
        });
        return entry;
    }

    /// Stores a value, or with an empty one a known absence; a life of zero or less erases. While a
    /// write of the key is in flight nothing is stored.
    void put(const K& key, std::optional<V> value, Lifetime life) {
        if (life.fresh <= Ttl::zero()) {
            erase(key);
            return;
        }
        shards_->change(key, std::move(value), life, nullptr, {SlotChange::By::put});
    }

    /// Erases the copy; true if there was one. Loads in flight will not fill, writes in flight will
    /// leave nothing.
    template <class Q = K>
    bool erase(const Q& key) {
        return shards_->erase(key);
    }

    /// `find` of each.
    [[nodiscard]] std::vector<std::optional<Entry<V>>> find_many(std::span<const K> keys) const {
        std::vector<std::optional<Entry<V>>> entries;
        entries.reserve(keys.size());
        for (const K& key : keys) {
            entries.push_back(find(key));
        }
        return entries;
    }
    /// `put` of each; those before one that throws are stored.
    void put_many(std::span<const std::pair<K, std::optional<V>>> pairs, Lifetime life) {
        for (const auto& [key, value] : pairs) {
            put(key, value, life);
        }
    }
    /// `erase` of each: how many there were.
    std::size_t erase_many(std::span<const K> keys) {
        std::size_t had = 0;
        for (const K& key : keys) {
            had += erase(key) ? 1U : 0U;
        }
        return had;
    }

    // ---- beyond the plain Store ----

    /// Calls `f(const V&)` with the value of a fresh copy, without copying it; false if there is
    /// none. `f` must not call the store, nor a policy or journal over it, and keeps others from a part
    /// of it: be brief.
    template <class Q = K, class F>
    bool visit(const Q& key, F&& f) const {
        bool seen = false;
        shards_->query(key, [&](const V* value, Remaining remaining, Ttl, bool) {
            if (value != nullptr && remaining > Remaining::zero()) {
                std::invoke(f, *value);
                seen = true;
            }
        });
        return seen;
    }

    /// Erases every key that is there, or that somebody has in hand.
    void clear() noexcept { shards_->clear(); }

    /// Entries, known absences and not yet swept expired ones included; never over the capacity.
    [[nodiscard]] std::size_t size() const noexcept { return shards_->room().entries(); }
    /// Their weight, where entries are weighed.
    [[nodiscard]] std::size_t weight() const noexcept { return shards_->room().weight(); }
    /// The most entries that there may be.
    [[nodiscard]] std::size_t capacity() const noexcept { return shards_->room().capacity(); }
    /// Where the time comes from.
    [[nodiscard]] const C& clock() const noexcept { return shards_->clock; }

    /// Makes every copy that carries one of these tags a miss, in time that does not depend on how
    /// many there are. A load or a write in flight will not leave a value that carries one.
    void invalidate_tags(std::span<const std::string> tags) { shards_->tags.invalidate(tags); }

    /// Hits and misses of `find`, `visit` and policies' reads; evictions, expirations, values
    /// heavier than the store; entries, their weight, and the most of either that there may be.
    [[nodiscard]] Stats stats() const {
        Stats stats;
        stats.entries = size();
        stats.weight = weight();
        stats.capacity = shards_->room().most();
        stats.hits = shards_->hits();
        stats.misses = shards_->misses();
        shards_->each([&](const Shard& shard) {
            stats.evictions += shard.counts.evictions;
            stats.expirations += shard.counts.expirations;
            stats.oversized += shard.counts.oversized;
        });
        return stats;
    }

    // ---- the slot protocol, for policies ----

    /// Calls `see(value or null, remaining, life, refreshing)` with the copy; false if there is none.
    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query = {}) const {
        return shards_->query(key, see);
    }
    /// The same as of a moment that the caller has just read.
    template <class Q, class See>
    bool peek(const Q& key, See&& see, Instant now) const {
        return shards_->query(key, see, now);
    }
    /// The same, as `see(value or null, remaining, life, beyond, tagged)`.
    template <class Q, class See>
    bool examine(const Q& key, See&& see, Instant now) const {
        return shards_->examine(key, see, now);
    }
    /// The same for many, as `see(index, …)`.
    template <class See>
    void peek_many(std::span<const K> keys, See&& see, Query = {}) const {
        for (std::size_t i = 0; i < keys.size(); ++i) {
            shards_->query(keys[i],
                           [&](const V* value, Remaining remaining, Ttl life, bool refreshing) {
                               see(i, value, remaining, life, refreshing);
                           });
        }
    }

    /// The load that the slot waits for; null if there is none.
    [[nodiscard]] std::shared_ptr<detail::Flight<V>> underway(const K& key) {
        Step step{*shards_, key, Create::no};
        return std::static_pointer_cast<detail::Flight<V>>(step.slot().flight());
    }

    /// What a reader that found no fresh copy is to do.
    [[nodiscard]] Opening open(const K& key, Query = {}) {
        return lease_out(key, true, &detail::SlotState::open);
    }
    /// `open` of each.
    [[nodiscard]] std::vector<Opening> open_many(std::span<const K> keys, Query = {}) {
        std::vector<Opening> openings;
        openings.reserve(keys.size());
        for (const K& key : keys) {
            openings.push_back(open(key));
        }
        return openings;
    }
    /// A lease beside a copy: `force` takes it from whoever has it.
    [[nodiscard]] Opening open_refresh(const K& key, bool force) {
        return lease_out(
            key, false,
            force ? &detail::SlotState::force_refresh : &detail::SlotState::open_refresh);
    }

    /// A value that could not be stored is withdrawn.
    detail::Filled fill(const K& key, const detail::Lease& lease, std::optional<V> value,
                        const detail::CopyTerms& terms) {
        const auto changed = shards_->settle(key, std::move(value), terms, lease.epoch,
                                             {.by = SlotChange::By::load,
                                              .id = lease.id,
                                              .age = terms.age,
                                              .beyond = terms.beyond,
                                              .since = terms.since});
        return {changed.stored, changed.tags_stand};
    }
    /// The load failed: whatever copy there is stays.
    void release(const K& key, const detail::Lease& lease) {
        Step step{*shards_, key, Create::no};
        step->release(lease.id);
    }
    /// The load answered, and its answer is not kept: no older copy may hide it.
    void withdraw(const K& key, const detail::Lease& lease) { shards_->withdraw(key, lease.id); }
    /// A writer begins: whatever copy there is goes.
    [[nodiscard]] detail::Ticket begin_write(const K& key, Ttl life) {
        const detail::Ticket ticket{shards_->next_id(), shards_->tags.now()};
        Gone gone = shards_->removals();
        Step step{*shards_, key, Create::yes};
        step->begin_write(ticket.id, detail::later(step.found().now, life));
        step.shard().vacate(step.found(), key, gone);
        return ticket;
    }
    /// `begin_write` of each, or of none if one throws.
    [[nodiscard]] std::vector<detail::Ticket> begin_write_many(std::span<const K> keys, Ttl life) {
        detail::BegunWrites begun{keys.size(),
                                  [this](const auto& ticket) { shards_->give_back(ticket); }};
        for (const K& key : keys) {
            begun.add(begin_write(key, life));
        }
        return std::move(begun).tickets();
    }
    /// A value that could not be stored leaves nothing.
    bool finish_write(const K& key, const detail::Ticket& ticket, detail::Finish how,
                      std::optional<V> value, const detail::CopyTerms& terms) {
        const bool leaves = how == detail::Finish::value && terms.kept();
        return shards_
                   ->settle(key, std::move(value), terms, ticket.epoch,
                            {SlotChange::By::write, ticket.id, leaves})
                   .stood ||
               !detail::equals_itself<KeyEqual>(key);
    }

    /// What `write_at_once` hands to `record`: carries out its part of the step.
    using AtOnce = bool (*)();

    /// A whole write in one step, where the database answers at once: `record(step)` decides, and calls
    /// `step()` where nothing but that can fail. While the write of another is in flight nothing is
    /// stored, and that one leaves nothing. Rule W11.
    ///
    /// @param record  is given a step that is false where there is no room as yet: then nothing is
    ///                recorded, and it is called again
    /// @return what `record` gave
    /// @throws anything  before anything was recorded
    template <class Record>
    bool write_at_once(const K& key, std::optional<V> value, const detail::CopyTerms& terms,
                       const Record& record) {
        std::unique_ptr<detail::TagMarks> marks =
            shards_->tags.mark(terms.tags, shards_->tags.now());
        return shards_
            ->change(key, std::move(value), terms.life, std::move(marks), {.leaves = terms.kept()},
                     record)
            .taken;
    }

    /// Leases and tickets that are out.
    [[nodiscard]] detail::InHand in_hand() const {
        detail::InHand all;
        shards_->each([&](Shard& shard) { all += shard.slots.in_hand(shards_->now()); });
        return all;
    }

private:
    Opening lease_out(const K& key, bool with_value, detail::SlotState::Ask ask) {
        detail::Lead<Fetched<V>> lead{std::make_shared<detail::Flight<V>>()};
        const detail::Lease lease{shards_->next_id(), shards_->tags.now()};
        Gone gone = shards_->removals();
        Step step{*shards_, key, Create::yes};
        const detail::Held held = step.found().held;
        Opening opening;
        if (held != detail::Held::nothing) {
            detail::Copy<V>& copy = opening.copy.emplace();
            step.shard().show(step.found(),
                              [&](const V* value, Remaining remaining, Ttl life, bool) {
                                  if (with_value && value != nullptr) {
                                      copy.entry.value.emplace(*value);
                                  }
                                  copy.entry.remaining = detail::whole(remaining);
                                  copy.fresh = life;
                              });
            copy.refreshing = step->refreshing();
        }
        step.slot().hand_out(held, lease, std::move(lead), ask, opening);
        if (held == detail::Held::nothing) {
            step.shard().remove(step.found(), RemovalCause::expired, gone);
        }
        return opening;
    }

    std::shared_ptr<Shards> shards_;
};

LARDER_NS_END

#endif  // LARDER_STORE_MEMORY_HPP
