// SPDX-License-Identifier: MIT

/// @file
/// MemoryStore: typed copies in this process, bounded.

#ifndef LARDER_STORE_MEMORY_HPP
#define LARDER_STORE_MEMORY_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/memory/eviction.hpp>
#include <larder/detail/memory/tag_versions.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/slot_table.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/hash.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// Why a copy left a MemoryStore.
enum class RemovalCause : std::uint8_t {
    replaced,  ///< another value took its place: `put`, a load that filled, a write that finished
    erased,    ///< `erase`, an invalidation, a write that began
    expired,   ///< its life and its grace had passed, or one of its tags was invalidated
    evicted,   ///< there was no room
    cleared,   ///< `clear`
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(RemovalCause cause) noexcept {
    switch (cause) {
        case RemovalCause::replaced: return "replaced";
        case RemovalCause::erased: return "erased";
        case RemovalCause::expired: return "expired";
        case RemovalCause::evicted: return "evicted";
        case RemovalCause::cleared: return "cleared";
    }
    return "unknown";
}

/// Tuning of a MemoryStore, written with designated initialisers: `{.capacity = 10'000}`.
template <class K, class V>
struct MemoryStoreOptions {
    /// The most entries, a hard bound. Unset: 100,000, or no bound where `max_weight` is set.
    std::optional<std::size_t> capacity{};

    /// The most weight, as `weigh` counts it; 0: weight does not count.
    std::size_t max_weight{0};

    /// The weight of an entry, at least 1, asked once when it is stored. Must be pure.
    std::function<std::size_t(const K&, const V&)> weigh{};

    /// How many parts with a lock each; 0: by the number of cores and the capacity.
    std::size_t shards{0};

    /// Told of each value that left, after it has left, without a lock held: it may call the store.
    /// What it throws is ignored.
    std::function<void(const K&, const V&, RemovalCause)> on_removal{};
};

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
/// @tparam C         where the time comes from; an expiry is as exact as its `now`
/// @tparam KeyHash   a hash of well-mixed bits; lookups by other types need it transparent
/// @tparam KeyEqual  likewise
template <class K, class V, class C = SteadyClock, class KeyHash = Hash<K>,
          class KeyEqual = std::equal_to<>>
class MemoryStore {
    struct State;
    struct Shard;
    using Remaining = detail::Remaining;

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
        : state_{std::make_shared<State>(std::move(options), std::move(clock))} {}

    // ---- the plain Store ----

    /// The copy, fresh or stale within its grace.
    template <class Q = K>
        requires std::copy_constructible<V>
    [[nodiscard]] std::optional<Entry<V>> find(const Q& key) const {
        std::optional<Entry<V>> entry;
        query(key, [&](const V* value, Remaining remaining, Ttl, bool) {
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
        change(
            key, std::move(value), life, nullptr,
            [](const detail::SlotState& state) { return !state.writing(); },
            [](detail::SlotState& state) { return state.put(); });
    }

    /// Erases the copy; true if there was one. Loads in flight will not fill, writes in flight will
    /// leave nothing.
    template <class Q = K>
    bool erase(const Q& key) {
        Gone gone{*state_};
        const Probe<Q> probe{key, state_->hash(key)};
        Shard& shard = state_->shard(probe.hash);
        const std::scoped_lock lock{shard.mutex};
        const Instant now = state_->now();
        const auto at = shard.entries.find(probe);
        const bool had = at != shard.entries.end() && shard.live(at->second, now);
        if (!shard.slots.empty()) {
            const K& whole = at != shard.entries.end() ? at->first.key : K(key);
            Handle slot{shard.slots, whole, held(had), now, Create::no};
            slot->erase();
        }
        if (at != shard.entries.end()) {
            take_out(shard, at, had ? RemovalCause::erased : RemovalCause::expired, gone);
        }
        return had;
    }

    [[nodiscard]] std::vector<std::optional<Entry<V>>> find_many(std::span<const K> keys) const {
        std::vector<std::optional<Entry<V>>> entries;
        entries.reserve(keys.size());
        for (const K& key : keys) {
            entries.push_back(find(key));
        }
        return entries;
    }
    void put_many(std::span<const std::pair<K, std::optional<V>>> pairs, Lifetime life) {
        for (const auto& [key, value] : pairs) {
            put(key, value, life);
        }
    }
    std::size_t erase_many(std::span<const K> keys) {
        std::size_t had = 0;
        for (const K& key : keys) {
            had += erase(key) ? 1U : 0U;
        }
        return had;
    }

    // ---- beyond the plain Store ----

    /// Calls `f(const V&)` with the value of a fresh copy, without copying it; false if there is
    /// none. `f` must not call the store, and keeps others from a part of it: be brief.
    template <class Q = K, class F>
    bool visit(const Q& key, F&& f) const {
        bool seen = false;
        query(key, [&](const V* value, Remaining remaining, Ttl, bool) {
            if (value != nullptr && remaining > Remaining::zero()) {
                std::invoke(f, *value);
                seen = true;
            }
        });
        return seen;
    }

    /// Erases every key that is there, or that somebody has in hand.
    void clear() {
        for (Shard& shard : state_->shards) {
            Entries gone;
            {
                const std::scoped_lock lock{shard.mutex};
                shard.slots.each([](detail::SlotState& state) { state.erase(); });
                gone.swap(shard.entries);
                shard.eviction.forget();
                for (const auto& [key, entry] : gone) {
                    release_room(entry.weight);
                }
            }
            for (const auto& [key, entry] : gone) {
                state_->report(key.key, entry.value, RemovalCause::cleared);
            }
        }
    }

    /// Entries, known absences and not yet swept expired ones included; never over the capacity.
    [[nodiscard]] std::size_t size() const noexcept {
        return state_->entries.load(std::memory_order_relaxed);
    }
    /// Their weight, where entries are weighed.
    [[nodiscard]] std::size_t weight() const noexcept {
        return state_->weight.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::size_t capacity() const noexcept { return state_->most_entries; }
    [[nodiscard]] const C& clock() const noexcept { return state_->clock; }

    /// Makes every copy that carries one of these tags a miss, in time that does not depend on how
    /// many there are. A load or a write in flight will not leave a value that carries one.
    void invalidate_tags(std::span<const std::string> tags) { state_->tags.invalidate(tags); }

    /// Hits and misses of `find`, `visit` and policies' reads; evictions, expirations, values
    /// heavier than the store; entries, their weight, and the most of either that there may be.
    [[nodiscard]] Stats stats() const {
        Stats stats;
        stats.entries = size();
        stats.weight = weight();
        stats.capacity = state_->options.max_weight != 0 ? state_->options.max_weight : capacity();
        for (Shard& shard : state_->shards) {
            const std::scoped_lock lock{shard.mutex};
            stats.hits += shard.counts.hits;
            stats.misses += shard.counts.misses;
            stats.evictions += shard.counts.evictions;
            stats.expirations += shard.counts.expirations;
            stats.oversized += shard.counts.oversized;
        }
        return stats;
    }

    // ---- the slot protocol, for policies ----

    /// Calls `see(value or null, remaining, life, refreshing)` with the copy; false if there is none.
    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query = {}) const {
        return query(key, std::forward<See>(see));
    }
    template <class See>
    void peek_many(std::span<const K> keys, See&& see, Query = {}) const {
        for (std::size_t i = 0; i < keys.size(); ++i) {
            query(keys[i], [&](const V* value, Remaining remaining, Ttl life, bool refreshing) {
                see(i, value, remaining, life, refreshing);
            });
        }
    }

    [[nodiscard]] std::shared_ptr<detail::Flight<V>> underway(const K& key) {
        return with_slot(key, Create::no, [](Handle& slot, const Found&) { return slot.flight(); });
    }

    [[nodiscard]] Opening open(const K& key, Query = {}) {
        return lease_out(key, true,
                         [](detail::SlotState& state, detail::Held held, std::uint64_t id) {
                             return state.open(held, id);
                         });
    }
    [[nodiscard]] std::vector<Opening> open_many(std::span<const K> keys, Query = {}) {
        std::vector<Opening> openings;
        openings.reserve(keys.size());
        for (const K& key : keys) {
            openings.push_back(open(key));
        }
        return openings;
    }
    [[nodiscard]] Opening open_refresh(const K& key, bool force) {
        return lease_out(
            key, false, [force](detail::SlotState& state, detail::Held held, std::uint64_t id) {
                return force ? state.force_refresh(held, id) : state.open_refresh(held, id);
            });
    }

    /// A value that could not be stored is withdrawn.
    detail::Filled fill(const K& key, const detail::Lease& lease, std::optional<V> value,
                        detail::CopyTerms terms) {
        try {
            std::unique_ptr<detail::TagMarks> marks = state_->tags.mark(terms.tags, lease.epoch);
            detail::Filled filled{};
            filled.kept = change(
                key, std::move(value), terms.life, std::move(marks),
                [&](const detail::SlotState& state) { return state.stands(lease.id); },
                [&](detail::SlotState& state) { return state.fill(lease.id); }, &filled.tags_stand);
            return filled;
        } catch (...) {
            try {
                withdraw(key, lease);
            } catch (...) {}  // it ends with its load
            throw;
        }
    }
    void release(const K& key, const detail::Lease& lease) {
        with_slot(key, Create::no, [&](Handle& slot, const Found&) { slot->release(lease.id); });
    }
    void withdraw(const K& key, const detail::Lease& lease) {
        Gone gone{*state_};
        with_slot(key, Create::no, [&](Handle& slot, Found& found) {
            if (slot->withdraw(lease.id) == detail::Effect::erase) {
                take_out(found, RemovalCause::erased, gone);
            }
        });
    }
    void close_refresh(const K& key, const detail::Lease& lease) {
        Gone gone{*state_};
        with_slot(key, Create::no, [&](Handle& slot, Found& found) {
            if (slot->close_refresh(lease.id, found.held) == detail::Effect::erase) {
                take_out(found, RemovalCause::erased, gone);
            }
        });
    }

    [[nodiscard]] detail::Ticket begin_write(const K& key, Ttl life) {
        const detail::Ticket ticket{state_->next_id(), state_->tags.now()};
        Gone gone{*state_};
        with_slot(key, Create::yes, [&](Handle& slot, Found& found) {
            slot->begin_write(ticket.id, detail::later(found.now, life));
            vacate(found, key, gone);
        });
        return ticket;
    }
    [[nodiscard]] std::vector<detail::Ticket> begin_write_many(std::span<const K> keys, Ttl life) {
        std::vector<detail::Ticket> tickets;
        tickets.reserve(keys.size());
        try {
            for (const K& key : keys) {
                tickets.push_back(begin_write(key, life));
            }
        } catch (...) {
            for (const detail::Ticket& ticket : tickets) {
                give_back(ticket);
            }
            throw;
        }
        return tickets;
    }
    /// A value that could not be stored leaves nothing.
    bool finish_write(const K& key, const detail::Ticket& ticket, detail::Finish how,
                      std::optional<V> value, detail::CopyTerms terms) {
        try {
            std::unique_ptr<detail::TagMarks> marks = state_->tags.mark(terms.tags, ticket.epoch);
            const bool leaves = how == detail::Finish::value && terms.kept();
            return finish(key, ticket, leaves, std::move(value), terms.life, std::move(marks));
        } catch (...) {
            give_back(ticket);
            throw;
        }
    }

    /// Leases and tickets that are out.
    [[nodiscard]] detail::InHand in_hand() const {
        detail::InHand all;
        for (Shard& shard : state_->shards) {
            const std::scoped_lock lock{shard.mutex};
            const detail::InHand some = shard.slots.in_hand(state_->now());
            all += some;
        }
        return all;
    }

private:
    using Instant = std::chrono::steady_clock::time_point;

    // A key beside its hash, so that it is hashed once an operation.
    struct Keyed {
        K key;
        std::size_t hash;
    };
    template <class Q>
    struct Probe {
        const Q& key;
        std::size_t hash;
    };
    // Finds an entry by where it is: the user's comparison is not asked.
    struct Itself {
        const Keyed& key;
        std::size_t hash = key.hash;
    };
    struct KeyedHash {
        using is_transparent = void;
        template <class P>
        std::size_t operator()(const P& probe) const noexcept {
            return probe.hash;
        }
    };
    struct KeyedEqual {
        using is_transparent = void;
        template <class A, class B>
        bool operator()(const A& a, const B& b) const {
            return a.hash == b.hash && KeyEqual{}(a.key, b.key);
        }
        bool operator()(const Itself& a, const Keyed& b) const noexcept { return &a.key == &b; }
        bool operator()(const Keyed& a, const Itself& b) const noexcept { return &a == &b.key; }
    };

    // What a hit reads comes first, beside the key.
    struct Item : detail::Evictable {
        Instant fresh_until{};
        std::unique_ptr<detail::TagMarks> marks{};
        std::optional<V> value{};
        Ttl life{};
        Ttl grace{};
        const Keyed* key = nullptr;
        std::size_t weight = 0;

        static constexpr Instant never = (Instant::min)();

        /// Without a value: a write in flight has taken it.
        [[nodiscard]] bool vacant() const noexcept { return fresh_until == never; }
    };
    // A place may change its value: that cannot fail in the middle.
    static constexpr bool keeps_place =
        std::is_nothrow_move_constructible_v<V> && std::is_nothrow_move_assignable_v<V>;
    using Entries = std::unordered_map<Keyed, Item, KeyedHash, KeyedEqual>;
    using At = typename Entries::iterator;
    using SlotTable = detail::SlotTable<K, V, KeyHash, KeyEqual>;
    using Handle = typename SlotTable::Handle;
    using Create = typename SlotTable::Create;

    struct Counts {
        std::uint64_t hits = 0, misses = 0, evictions = 0, expirations = 0, oversized = 0;
    };

    struct alignas(64) Shard {
        std::mutex mutex{};
        Entries entries{};
        SlotTable slots{};
        detail::Eviction<Item> eviction{};
        Counts counts{};
        std::size_t sweep_at = 0;

        // Within its life or grace, and its tags stand.
        [[nodiscard]] static bool live(const Item& entry, Instant now) noexcept {
            return (now < entry.fresh_until ||
                    now < detail::later(entry.fresh_until, entry.grace)) &&
                   (!entry.marks || entry.marks->stand());
        }
    };

    struct State {
        State(MemoryStoreOptions<K, V> given, C clock_given)
            : options{std::move(given)},
              clock{std::move(clock_given)},
              most_entries{bound(options)},
              shards(shard_count(options, most_entries)),
              mask{shards.size() - 1} {}

        MemoryStoreOptions<K, V> options;
        C clock;
        std::size_t most_entries;
        mutable std::vector<Shard> shards;
        std::size_t mask;
        detail::TagVersions<> tags{};
        std::atomic<std::size_t> entries{0};
        std::atomic<std::size_t> weight{0};
        std::atomic<std::uint64_t> ids{0};

        [[nodiscard]] Instant now() const { return clock.now(); }
        [[nodiscard]] std::uint64_t next_id() noexcept {
            return ids.fetch_add(1, std::memory_order_relaxed) + 1;
        }
        template <class Q>
        [[nodiscard]] static std::size_t hash(const Q& key) {
            return KeyHash{}(key);
        }
        void report(const K& key, const std::optional<V>& value, RemovalCause cause) noexcept {
            if (value && options.on_removal) {
                try {
                    options.on_removal(key, *value, cause);
                } catch (...) {}
            }
        }
        // The high bits choose the shard: the table takes the low ones.
        [[nodiscard]] Shard& shard(std::size_t hash) const noexcept {
            return shards[(hash >> (sizeof(std::size_t) * 4)) & mask];
        }

        static std::size_t bound(const MemoryStoreOptions<K, V>& options) {
            if (options.capacity == std::size_t{0}) {
                throw std::invalid_argument{
                    "larder: MemoryStoreOptions::capacity must be positive, but is 0"};
            }
            if ((options.max_weight != 0) != static_cast<bool>(options.weigh)) {
                throw std::invalid_argument{
                    options.weigh
                        ? "larder: MemoryStoreOptions::max_weight must be positive where weigh is set, but is 0"
                        : "larder: MemoryStoreOptions::weigh must be set where max_weight is, which is " +
                              std::to_string(options.max_weight)};
            }
            return options.capacity.value_or(options.max_weight != 0 ? static_cast<std::size_t>(-1)
                                                                     : std::size_t{100'000});
        }
        // A shard that is tiny evicts badly, and more shards than threads can use are a waste.
        static std::size_t shard_count(const MemoryStoreOptions<K, V>& options,
                                       std::size_t entries) {
            constexpr std::size_t most = 1024;
            if (options.shards > most) {
                throw std::invalid_argument{
                    "larder: MemoryStoreOptions::shards must be at most 1024, but is " +
                    std::to_string(options.shards)};
            }
            if (options.shards != 0) {
                return std::bit_ceil(options.shards);
            }
            const std::size_t threads = (std::max)(std::thread::hardware_concurrency(), 1U);
            return std::bit_floor(
                std::clamp<std::size_t>(entries / 1024, 1, (std::min)(8 * threads, most)));
        }
    };

    // What has left, destroyed and reported when the lock is no longer held.
    class Gone {
    public:
        explicit Gone(State& state) noexcept : state_{state} {}
        Gone(const Gone&) = delete;
        Gone& operator=(const Gone&) = delete;
        ~Gone() {
            report(first_);
            for (const Left& left : more_) {
                report(left);
            }
            if (key_ != nullptr) {
                state_.report(*key_, value_, cause_);
            }
        }
        /// Room for an entry; for the first there always is.
        void reserve_one() {
            if (first_.node) {
                more_.reserve(more_.size() + 1);
            }
        }
        /// An entry that left the table, in room that is reserved.
        void add(typename Entries::node_type node, RemovalCause cause) noexcept {
            if (!first_.node) {
                first_ = {std::move(node), cause};
            } else {
                more_.push_back({std::move(node), cause});
            }
        }
        /// A value whose entry stays.
        void add(const K& key, std::optional<V> value, RemovalCause cause) noexcept {
            key_ = &key;
            cause_ = cause;
            value_ = std::move(value);
        }

    private:
        struct Left {
            typename Entries::node_type node{};
            RemovalCause cause{};
        };

        void report(const Left& left) noexcept {
            if (left.node) {
                state_.report(left.node.key().key, left.node.mapped().value, left.cause);
            }
        }

        State& state_;
        Left first_{};  // most often the only one
        std::vector<Left> more_{};
        const K* key_ = nullptr;
        RemovalCause cause_{};
        std::optional<V> value_{};
    };

    static detail::Held held(bool fresh_or_stale) noexcept {
        return fresh_or_stale ? detail::Held::fresh : detail::Held::nothing;
    }

    // The one look-up: what a hit costs is here.
    template <class Q, class See>
    bool query(const Q& key, See&& see) const {
        const Probe<Q> probe{key, State::hash(key)};
        Shard& shard = state_->shard(probe.hash);
        const Instant now = state_->now();
        const std::scoped_lock lock{shard.mutex};
        const auto at = shard.entries.find(probe);
        if (at == shard.entries.end() || !Shard::live(at->second, now)) {
            ++shard.counts.misses;
            return false;
        }
        Item& entry = at->second;
        entry.used();
        ++shard.counts.hits;
        const V* const value = entry.value ? std::addressof(*entry.value) : nullptr;
        // What lives is within a cut life of now: the difference holds.
        see(value, entry.fresh_until - now, entry.life, entry.refreshing);
        return true;
    }

    // A slot as a step finds it under its lock.
    struct Found {
        Shard* shard;
        At at;
        bool there;  // an entry, live or not
        detail::Held held;
        Instant now;
    };
    Found find_slot(Shard& shard, const Probe<K>& probe, Instant now) const {
        const At at = shard.entries.find(probe);
        if (at == shard.entries.end()) {
            return {&shard, at, false, detail::Held::nothing, now};
        }
        const detail::Held held = !Shard::live(at->second, now)  ? detail::Held::nothing
                                  : now < at->second.fresh_until ? detail::Held::fresh
                                                                 : detail::Held::stale;
        return {&shard, at, true, held, now};
    }

    template <class Step>
    decltype(auto) with_slot(const K& key, Create create, Step&& step) {
        const Probe<K> probe{key, State::hash(key)};
        Shard& shard = state_->shard(probe.hash);
        const Instant now = state_->now();
        const std::scoped_lock lock{shard.mutex};
        Found found = find_slot(shard, probe, now);
        Handle slot{shard.slots, key, found.held, now, create};
        // The entry shows what its slot says, whatever the step does.
        struct Mirror {
            const Found& found;
            Handle& slot;
            ~Mirror() {
                if (found.there) {
                    found.at->second.refreshing = slot->refreshing();
                }
            }
        } const mirror{found, slot};
        return step(slot, found);
    }

    template <class Ask>
    Opening lease_out(const K& key, bool with_value, Ask&& ask) {
        detail::Lead<Fetched<V>> lead{std::make_shared<detail::Flight<V>>()};
        const detail::Lease lease{state_->next_id(), state_->tags.now()};
        Gone gone{*state_};
        return with_slot(key, Create::yes, [&](Handle& slot, Found& found) {
            const detail::Held held = found.held;
            Opening opening;
            if (held != detail::Held::nothing) {
                show(found, with_value, opening.copy.emplace());
            }
            slot.hand_out(held, lease, std::move(lead), ask, opening);
            if (held == detail::Held::nothing) {
                take_out(found, RemovalCause::expired, gone);
            }
            return opening;
        });
    }
    static void show(const Found& found, bool with_value, detail::Copy<V>& copy) {
        const Item& entry = found.at->second;
        if (with_value && entry.value) {
            copy.entry.value.emplace(*entry.value);
        }
        copy.entry.remaining = detail::whole(entry.fresh_until - found.now);
        copy.fresh = entry.life;
        copy.refreshing = entry.refreshing;
    }

    bool finish(const K& key, const detail::Ticket& ticket, bool leaves, std::optional<V> value,
                const Lifetime& life, std::unique_ptr<detail::TagMarks> marks) {
        bool stood = false;
        change(
            key, std::move(value), life, std::move(marks),
            [&](const detail::SlotState& state) { return leaves && state.may_leave(ticket.id); },
            [&](detail::SlotState& state) {
                const auto finished = state.finish_write(ticket.id, leaves);
                stood = finished.found;
                return finished.effect;
            });
        return stood || !detail::equals_itself<KeyEqual>(key);
    }
    void give_back(const detail::Ticket& ticket) noexcept {
        for (Shard& shard : state_->shards) {
            const std::scoped_lock lock{shard.mutex};
            shard.slots.give_back(ticket);
        }
    }

    // A write begins: the value goes, its place stays for the one that the write may leave.
    void vacate(Found& found, const K& key, Gone& gone) noexcept {
        if constexpr (keeps_place) {
            if (found.there) {
                Item& entry = found.at->second;
                gone.add(key, std::exchange(entry.value, std::nullopt), RemovalCause::erased);
                entry.marks.reset();
                entry.fresh_until = Item::never;
                entry.grace = {};
                release_weight(std::exchange(entry.weight, 0));
            }
        } else {
            take_out(found, RemovalCause::erased, gone);
        }
    }

    void take_out(Found& found, RemovalCause cause, Gone& gone) {
        if (found.there) {
            take_out(*found.shard, found.at, cause, gone);
            found.there = false;
        }
    }
    // Unlists an entry and moves it to where it is destroyed without the lock.
    void take_out(Shard& shard, At at, RemovalCause cause, Gone& gone) {
        gone.reserve_one();
        Item& entry = at->second;
        shard.eviction.remove(entry);
        release_room(entry.weight);
        if (!entry.vacant()) {
            shard.counts.expirations += cause == RemovalCause::expired ? 1U : 0U;
            shard.counts.evictions += cause == RemovalCause::evicted ? 1U : 0U;
        }
        gone.add(shard.entries.extract(at), cause);
    }
    void release_room(std::size_t weight) noexcept {
        state_->entries.fetch_sub(1, std::memory_order_relaxed);
        release_weight(weight);
    }
    void release_weight(std::size_t weight) noexcept {
        if (weight != 0) {
            state_->weight.fetch_sub(weight, std::memory_order_relaxed);
        }
    }

    // Evicts one entry; false if there is none here.
    bool evict_one(Shard& shard, Instant now, Gone& gone) {
        gone.reserve_one();
        Item* const entry =
            shard.eviction.evict([](const Item& item) noexcept { return item.key->hash; });
        if (entry == nullptr) {
            return false;
        }
        release_room(entry->weight);
        const bool expired = !Shard::live(*entry, now);
        if (!entry->vacant()) {
            ++(expired ? shard.counts.expirations : shard.counts.evictions);
        }
        gone.add(shard.entries.extract(shard.entries.find(Itself{*entry->key})),
                 expired ? RemovalCause::expired : RemovalCause::evicted);
        return true;
    }

    // Room for one entry of this weight, taken if there is any. Counting before storing keeps the
    // bounds hard however many threads store.
    bool take_room(std::size_t weight) noexcept {
        const auto take = [](std::atomic<std::size_t>& used, std::size_t most, std::size_t more) {
            std::size_t now = used.load(std::memory_order_relaxed);
            do {
                if (more > most || now > most - more) {
                    return false;
                }
            } while (!used.compare_exchange_weak(now, now + more, std::memory_order_relaxed));
            return true;
        };
        if (!take(state_->entries, state_->most_entries, 1)) {
            return false;
        }
        if (state_->options.max_weight != 0 &&
            !take(state_->weight, state_->options.max_weight, weight)) {
            state_->entries.fetch_sub(1, std::memory_order_relaxed);
            return false;
        }
        return true;
    }

    // Makes room in some other shard, when the one that needs it has nothing to give.
    void evict_elsewhere(const Shard& full) {
        for (Shard& shard : state_->shards) {
            if (&shard != &full) {
                Gone gone{*state_};
                const std::scoped_lock lock{shard.mutex};
                if (evict_one(shard, state_->now(), gone)) {
                    return;
                }
            }
        }
        std::this_thread::yield();  // all room is taken by entries about to be stored
    }

    // A value that is to get in.
    struct Offer {
        std::optional<V> value;
        Lifetime life;
        std::unique_ptr<detail::TagMarks> marks;
        std::size_t weight;
        bool keepable;  // it lives, and could be found again
        bool oversized;
    };

    // The one way a value gets in. `stores` says whether the step would store it, if it is fit to be
    // kept: nothing makes room for a value that is thrown away. `step` takes the step.
    template <class Stores, class Step>
    bool change(const K& key, std::optional<V> value, const Lifetime& life,
                std::unique_ptr<detail::TagMarks> marks, Stores&& stores, Step&& step,
                bool* tags_stand = nullptr) {
        const Probe<K> probe{key, State::hash(key)};
        Shard& shard = state_->shard(probe.hash);
        const std::size_t weight = weigh(key, value);
        Offer offer{std::move(value),
                    detail::cut(life),
                    std::move(marks),
                    weight,
                    life.fresh > Ttl::zero() && detail::equals_itself<KeyEqual>(key),
                    state_->options.max_weight != 0 && weight > state_->options.max_weight};
        for (;;) {
            const std::optional<bool> stored =
                try_change(shard, probe, offer, stores, step, tags_stand);
            if (stored) {
                return *stored;
            }
            evict_elsewhere(shard);
        }
    }

    // Nothing if there is no room, in which case no step was taken. What may throw comes before the
    // step.
    template <class Stores, class Step>
    std::optional<bool> try_change(Shard& shard, const Probe<K>& probe, Offer& offer,
                                   Stores& stores, Step& step, bool* tags_stand) {
        Gone gone{*state_};
        const std::scoped_lock lock{shard.mutex};
        const Instant now = state_->now();
        Found found = find_slot(shard, probe, now);
        Handle slot{shard.slots, probe.key, found.held, now, Create::no};
        const bool stand = !offer.marks || offer.marks->stand();
        if (tags_stand != nullptr) {
            *tags_stand = stand;
        }
        if (!stand || !offer.keepable || offer.oversized || !stores(std::as_const(slot.state()))) {
            if (step(slot.state()) != detail::Effect::keep) {
                shard.counts.oversized += offer.oversized ? 1U : 0U;
                take_out(found, why(found, RemovalCause::erased), gone);
            }
            return false;
        }
        if (!place(found, probe, offer, gone)) {
            return {};
        }
        Item& entry = found.at->second;
        entry.fresh_until = detail::later(now, offer.life.fresh);
        entry.life = offer.life.fresh;
        entry.grace = offer.life.grace;
        entry.marks = std::move(offer.marks);
        entry.refreshing = false;
        step(slot.state());
        sweep(shard, now, gone);
        return true;
    }

    static RemovalCause why(const Found& found, RemovalCause cause) noexcept {
        const bool expired =
            found.there && found.held == detail::Held::nothing && !found.at->second.vacant();
        return expired ? RemovalCause::expired : cause;
    }

    // Puts a value where the slot's last one was, or lists it; false if there is no room here.
    bool place(Found& found, const Probe<K>& probe, Offer& offer, Gone& gone) {
        const RemovalCause cause = why(found, RemovalCause::replaced);
        if constexpr (keeps_place) {
            if (found.there && cause == RemovalCause::replaced &&
                found.at->second.weight == offer.weight) {
                gone.add(probe.key, std::exchange(found.at->second.value, std::move(offer.value)),
                         cause);
                return true;
            }
        }
        take_out(found, cause, gone);
        bool room = take_room(offer.weight);
        while (!room && evict_one(*found.shard, found.now, gone)) {
            room = take_room(offer.weight);
        }
        if (room) {
            found.at = list(*found.shard, probe, offer);
        }
        return room;
    }

    [[nodiscard]] std::size_t weigh(const K& key, const std::optional<V>& value) const {
        if (!state_->options.weigh) {
            return 0;
        }
        return value ? (std::max)(state_->options.weigh(key, *value), std::size_t{1})
                     : std::size_t{1};
    }

    // A new entry in room already taken, which is given back if this throws.
    At list(Shard& shard, const Probe<K>& probe, Offer& offer) {
        try {
            const At at = shard.entries.try_emplace(Keyed{probe.key, probe.hash}).first;
            try {
                at->second.value = std::move(offer.value);
            } catch (...) {
                shard.entries.erase(at);
                throw;
            }
            at->second.key = &at->first;
            at->second.weight = offer.weight;
            shard.eviction.insert(at->second, probe.hash);
            return at;
        } catch (...) {
            release_room(offer.weight);
            throw;
        }
    }

    // A few of the table's buckets at each store: what has expired goes in time, without a stall.
    void sweep(Shard& shard, Instant now, Gone& gone) noexcept {
        try {
            for (int steps = 0; steps < 2; ++steps) {
                sweep_bucket(shard, now, gone);
            }
        } catch (...) {}  // there is no memory: another time
    }
    void sweep_bucket(Shard& shard, Instant now, Gone& gone) {
        shard.sweep_at = (shard.sweep_at + 1) % shard.entries.bucket_count();
        for (auto in = shard.entries.begin(shard.sweep_at); in != shard.entries.end(shard.sweep_at);
             ++in) {
            if (!Shard::live(in->second, now)) {
                take_out(shard, shard.entries.find(Itself{in->first}), RemovalCause::expired, gone);
                return;  // the bucket has changed
            }
        }
    }

    std::shared_ptr<State> state_;
};

LARDER_NS_END

#endif  // LARDER_STORE_MEMORY_HPP
