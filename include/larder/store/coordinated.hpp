// SPDX-License-Identifier: MIT

/// @file
/// Coordinated: the slot protocol around a user's own three-function store.

#ifndef LARDER_STORE_COORDINATED_HPP
#define LARDER_STORE_COORDINATED_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/slot/invalidation_replay.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/slot_table.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/diagnostics.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/hash.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The store's own clock, where it has one.
template <class S>
struct ClockOf {
    using type = SteadyClock;
};
template <class S>
    requires requires(const S& s) {
        { s.clock() } -> Clock;
    }
struct ClockOf<S> {
    using type = std::remove_cvref_t<decltype(std::declval<const S&>().clock())>;
};

}  // namespace detail

/// Gives a plain Store what policies need, within this process: leases, write tickets, and the queue
/// of invalidations that the store has missed. Policies wrap a plain store by themselves; several
/// over one store must share one handle:
///
/// ```cpp
/// larder::Coordinated shared{FileStore{"/var/cache/shop"}};
/// larder::CacheAside products{shared, load_product};
/// larder::CacheAside also_products{shared, load_product_slowly};
/// ```
///
/// What the plain store has missed it is told by a timer of the library's own, within a second after
/// it is back. Where one could not even be remembered, for want of memory, no copy is served until
/// the plain store's `clear()` has returned, and none any more if it has no such function.
///
/// A cheap handle: copies share everything. Processes that share the backend behind it are not
/// coordinated with each other. Tags are not kept, nor is a key that does not equal itself, such as a
/// NaN.
///
/// Thread safety: all members may run concurrently; operations on one key are atomic. A hit asks the
/// store without a lock; whatever changes a slot holds a lock on a part of the keys meanwhile.
/// @throws StoreError  whatever the store threw, with its text
///
/// @tparam S  a plain Store, or a std::reference_wrapper of one
template <class S>
class Coordinated : detail::RequiresStore<S> {
    using Plain = detail::Unwrapped<S>;

public:
    using key_type = typename Plain::key_type;
    using value_type = typename Plain::value_type;
    using clock_type = typename detail::ClockOf<Plain>::type;
    using Query = detail::NoQuery;
    using Opening = detail::Opening<value_type>;

    static constexpr bool keeps_tags = false;
    static constexpr bool shared = false;  // seen by this process alone
    static constexpr bool fallible = true;

    explicit Coordinated(S store) : state_{std::make_shared<State>(std::move(store))} {}

    // ---- the plain Store ----

    /// The copy; none while an invalidation that the store missed is queued.
    [[nodiscard]] std::optional<Entry<value_type>> find(const key_type& key) const {
        if (queued(key)) {
            return {};
        }
        return ask(key, [&] { return plain().find(key); });
    }

    /// Stores, unless a write of the key is in flight; a life of zero or less erases.
    void put(const key_type& key, std::optional<value_type> value, Lifetime life) {
        if (life.fresh <= Ttl::zero()) {
            erase(key);
            return;
        }
        Step step{*state_, key, Create::no};
        if (detail::equals_itself(key) && step.slot->put() == detail::Effect::store) {
            step.store(std::move(value), life);
            state_->queue.forget(key);  // what was to go has gone
        }
    }

    bool erase(const key_type& key) {
        Step step{*state_, key, Create::no};
        step.slot->erase();
        const bool had = ask(key, [&] { return plain().erase(key); });
        state_->queue.forget(key);
        return had;
    }

    // Rule S17.
    [[nodiscard]] std::vector<std::optional<Entry<value_type>>> find_many(
        std::span<const key_type> keys) const {
        std::vector<std::optional<Entry<value_type>>> entries;
        if constexpr (finds_many) {
            if (!keys.empty()) {
                // Asked for first: a copy read now may be one whose invalidation is replayed meanwhile.
                const std::vector<bool> distrusted = queued_of(keys);
                entries = ask_many(keys);
                for (std::size_t i = 0; i < distrusted.size(); ++i) {
                    if (distrusted[i]) {
                        entries[i].reset();
                    }
                }
            }
        } else {
            entries.reserve(keys.size());
            for (const key_type& key : keys) {
                entries.push_back(find(key));
            }
        }
        return entries;
    }
    void put_many(std::span<const std::pair<key_type, std::optional<value_type>>> pairs,
                  Lifetime life) {
        if constexpr (puts_many) {
            if (life.fresh > Ttl::zero()) {
                put_batch(pairs, life);
                return;
            }
        }
        for (const auto& [key, value] : pairs) {
            put(key, value, life);
        }
    }
    std::size_t erase_many(std::span<const key_type> keys) {
        std::size_t had = 0;
        if constexpr (erases_many) {
            if (!keys.empty()) {
                const Batch batch{*state_, keys};
                batch.each(Create::no, [](std::size_t, Handle& slot) { slot->erase(); });
                had = ask(keys.front(),
                          [&] { return static_cast<std::size_t>(plain().erase_many(keys)); });
                for (const key_type& key : keys) {
                    state_->queue.forget(key);
                }
            }
        } else {
            for (const key_type& key : keys) {
                had += erase(key) ? 1U : 0U;
            }
        }
        return had;
    }

    [[nodiscard]] const clock_type& clock() const noexcept { return state_->clock; }

    /// The invalidations that are queued, reads that the plain store failed, and what it counts
    /// itself, if it has `stats()`.
    [[nodiscard]] Stats stats() const {
        Stats stats;
        if constexpr (requires {
                          { plain().stats() } -> std::same_as<Stats>;
                      }) {
            stats = plain().stats();
        }
        stats.queued_invalidations = state_->queue.size();
        stats.store_errors += state_->failures.load(std::memory_order_relaxed);
        return stats;
    }

    // ---- the slot protocol, for policies ----

    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query = {}) const {
        std::optional<Entry<value_type>> entry;
        try {
            if constexpr (std::same_as<Q, key_type>) {
                entry = find(key);
            } else {
                entry = find(key_type(key));
            }
        } catch (const StoreError&) {
            failed();
            return false;  // `open` will say so
        }
        return show(entry, see);
    }
    template <class See>
    void peek_many(std::span<const key_type> keys, See&& see, Query = {}) const {
        std::vector<std::optional<Entry<value_type>>> entries;
        try {
            entries = find_many(keys);
        } catch (const StoreError&) {
            failed();
            return;
        }
        for (std::size_t i = 0; i < entries.size(); ++i) {
            show(entries[i], [&](const value_type* value, detail::Remaining remaining, Ttl life,
                                 bool refreshing) { see(i, value, remaining, life, refreshing); });
        }
    }

    [[nodiscard]] std::shared_ptr<detail::Flight<value_type>> underway(const key_type& key) {
        if (queued(key)) {
            return nullptr;
        }
        Step step{*state_, key, Create::no};
        try {
            step.expire_refresh();
        } catch (const StoreError&) {
            failed();
            return nullptr;
        }
        return step.slot.flight();
    }

    [[nodiscard]] Opening open(const key_type& key, Query = {}) {
        return lease_out(key, [](detail::SlotState& state, detail::Held held, std::uint64_t id) {
            return state.open(held, id);
        });
    }
    /// A key that the store fails for is a bypass.
    [[nodiscard]] std::vector<Opening> open_many(std::span<const key_type> keys, Query = {}) {
        std::vector<Opening> openings;
        openings.reserve(keys.size());
        if constexpr (finds_many) {
            open_batch(keys, openings);
        } else {
            for (const key_type& key : keys) {
                try {
                    openings.push_back(open(key));
                } catch (const StoreError&) {
                    failed();
                    openings.emplace_back();
                }
            }
        }
        return openings;
    }
    [[nodiscard]] Opening open_refresh(const key_type& key, bool force) {
        return lease_out(
            key, [force](detail::SlotState& state, detail::Held held, std::uint64_t id) {
                return force ? state.force_refresh(held, id) : state.open_refresh(held, id);
            });
    }

    /// A value that could not be stored is withdrawn.
    detail::Filled fill(const key_type& key, const detail::Lease& lease,
                        std::optional<value_type> value, detail::CopyTerms terms) {
        try {
            if (!terms.tags.empty()) {
                throw Error{Errc::tags_unsupported, "key " + detail::key_text(key) +
                                                        " has tags, but this store keeps none"};
            }
            Step step{*state_, key, Create::no};
            step.expire_refresh();
            if (step.slot->fill(lease.id) != detail::Effect::store) {
                return {};
            }
            if (!terms.kept()) {
                step.erase_or_queue();
                return {};
            }
            step.store(std::move(value), terms.life);
            return {true, true};
        } catch (...) {
            try {
                withdraw(key, lease);
            } catch (...) {}  // it ends with its load
            throw;
        }
    }
    void release(const key_type& key, const detail::Lease& lease) {
        Step step{*state_, key, Create::no};
        step.slot->release(lease.id);
    }
    /// A copy that cannot be erased now is not trusted until it is.
    void withdraw(const key_type& key, const detail::Lease& lease) {
        Step step{*state_, key, Create::no};
        if (step.slot->withdraw(lease.id) == detail::Effect::erase) {
            step.erase_or_queue();
        }
    }
    void close_refresh(const key_type& key, const detail::Lease& lease) {
        Step step{*state_, key, Create::no};
        const detail::Held held = step.find() ? detail::Held::fresh : detail::Held::nothing;
        step.slot->expire(held, state_->clock.now());
        if (step.slot->close_refresh(lease.id, held) == detail::Effect::erase) {
            step.erase();
        }
    }

    /// The plain store's copy goes before the database is touched: it may outlive this process.
    /// Rule S14.
    [[nodiscard]] detail::Ticket begin_write(const key_type& key, Ttl life) {
        const detail::Ticket ticket{state_->next_id(), {}};
        const auto deadline = detail::later(state_->clock.now(), life);
        Step step{*state_, key, Create::yes};
        step.slot->begin_write(ticket.id, deadline);
        try {
            step.erase();
        } catch (...) {
            step.slot->finish_write(ticket.id, false);
            throw;
        }
        return ticket;
    }
    [[nodiscard]] std::vector<detail::Ticket> begin_write_many(std::span<const key_type> keys,
                                                               Ttl life) {
        std::vector<detail::Ticket> tickets;
        tickets.reserve(keys.size());
        try {
            if constexpr (erases_many) {
                begin_batch(keys, life, tickets);
            } else {
                for (const key_type& key : keys) {
                    tickets.push_back(begin_write(key, life));
                }
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
    bool finish_write(const key_type& key, const detail::Ticket& ticket, detail::Finish how,
                      std::optional<value_type> value, detail::CopyTerms terms) {
        try {
            Step step{*state_, key, Create::no};
            // A copy without its tags would outlive them.
            const bool leaves = how == detail::Finish::value && terms.kept() && terms.tags.empty();
            const auto finished = step.slot->finish_write(ticket.id, leaves);
            if (finished.effect == detail::Effect::store) {
                step.store(std::move(value), terms.life);
            } else if (!finished.found) {
                step.erase_or_queue();
            }
            return finished.found || !detail::equals_itself(key);
        } catch (...) {
            give_back(ticket);
            throw;
        }
    }

    /// Remembers an invalidation that the plain store missed. Loads in flight will not fill. One that is forced
    /// is never lost: where it cannot be remembered, no copy is trusted until the plain store was
    /// cleared; for good, if it has no `clear()`.
    bool queue_invalidation(const key_type& key, std::size_t most,
                            const detail::MissedInvalidation& missed) {
        try {
            Step step{*state_, key, Create::no};
            if (!state_->queue.add(key, most, missed)) {
                return false;
            }
            step.slot->erase();
        } catch (...) {
            if (!missed.force) {
                throw;
            }
            state_->queue.lose();
        }
        return true;
    }
    [[nodiscard]] std::size_t queued_invalidations() const noexcept { return state_->queue.size(); }

    /// Leases and tickets that are out.
    [[nodiscard]] detail::InHand in_hand() const {
        detail::InHand all;
        for (Stripe& stripe : state_->stripes) {
            const std::scoped_lock lock{stripe.mutex};
            const detail::InHand some = stripe.slots.in_hand(state_->clock.now());
            all += some;
        }
        return all;
    }

private:
    using KeyHash = Hash<key_type>;
    using SlotTable = detail::SlotTable<key_type, value_type, KeyHash, std::equal_to<>>;
    using Handle = typename SlotTable::Handle;
    using Create = typename SlotTable::Create;

    // What the plain store does for many keys in one round trip.
    static constexpr bool finds_many = requires(Plain& plain, std::span<const key_type> keys) {
        { plain.find_many(keys) } -> std::same_as<std::vector<std::optional<Entry<value_type>>>>;
    };
    using Pair = std::pair<key_type, std::optional<value_type>>;
    static constexpr bool puts_many = requires(Plain& plain, std::span<const Pair> pairs,
                                               Lifetime life) { plain.put_many(pairs, life); };
    static constexpr bool erases_many = requires(Plain& plain, std::span<const key_type> keys) {
        { plain.erase_many(keys) } -> std::convertible_to<std::size_t>;
    };

    struct Stripe {
        std::mutex mutex{};
        SlotTable slots{};
    };

    using Replay = detail::InvalidationReplay<key_type, KeyHash, clock_type>;

    struct State {
        explicit State(S given) : store{std::move(given)}, clock{clock_of(store)} {}

        static clock_type clock_of(S& store) {
            auto& plain = static_cast<Plain&>(store);
            if constexpr (requires {
                              { plain.clock() } -> Clock;
                          }) {
                return plain.clock();
            } else {
                return clock_type{};
            }
        }
        [[nodiscard]] Plain& plain() noexcept { return static_cast<Plain&>(store); }
        [[nodiscard]] std::uint64_t next_id() noexcept {
            return ids.fetch_add(1, std::memory_order_relaxed) + 1;
        }

        [[nodiscard]] static std::size_t place(const key_type& key) {
            return KeyHash{}(key) % std::tuple_size_v<decltype(stripes)>;
        }

        void erase(const key_type& key) {
            ask(key, [&] { return plain().erase(key); });
        }
        void erase_or_queue(const key_type& key) noexcept {
            try {
                erase(key);
            } catch (...) {
                queue.add(key, 0, {.force = true});
            }
        }

        // What the plain store has missed.
        void tell(const typename Replay::Invalidation& missed) {
            Step step{*this, missed.key, Create::no};
            for (const detail::Ticket& ticket : missed.tickets) {
                step.slot->finish_write(ticket.id, false);
            }
            step.erase();
        }
        void clear() {
            std::array<std::unique_lock<std::mutex>, std::tuple_size_v<decltype(stripes)>> locks;
            for (std::size_t i = 0; i < locks.size(); ++i) {
                locks[i] = std::unique_lock{stripes[i].mutex};
                stripes[i].slots.each([](detail::SlotState& state) { state.erase(); });
            }
            if constexpr (requires { plain().clear(); }) {
                plain().clear();
            } else {
                throw StoreError{"it cannot be cleared"};
            }
        }

        S store;
        clock_type clock;
        std::array<Stripe, 64> stripes{};
        std::atomic<std::uint64_t> ids{0};
        std::atomic<std::uint64_t> failures{0};
        // Owns no part of this, and ends first.
        Replay queue{clock,
                     {.tell = [this](auto missed) { tell(missed.front()); },
                      .at_once = 1,
                      .clear = [this] { clear(); }}};
    };

    // One step of one slot, under its stripe's lock: its state and the plain store change together.
    struct Step {
        Step(State& all, const key_type& k, Create create)
            : state{all},
              key{k},
              stripe{all.stripes[State::place(k)]},
              lock{stripe.mutex},
              // What the plain store holds is asked for only where it matters.
              slot{stripe.slots, k, detail::Held::fresh, all.clock.now(), create} {}

        std::optional<Entry<value_type>> find() {
            return ask(key, [&] { return state.plain().find(key); });
        }

        // A refresh ends with the value that it was to replace, which the plain store may have lost.
        void expire_refresh() {
            if (slot->refreshing() && !find()) {
                slot->expire(detail::Held::nothing, state.clock.now());
            }
        }

        // The lease or ticket is gone by now. A put that throws leaves what nobody knows: then the copy goes,
        // or is distrusted until it has gone.
        void store(std::optional<value_type> value, const Lifetime& life) {
            try {
                ask(key, [&] {
                    state.plain().put(key, std::move(value), detail::cut(life));
                    return true;
                });
            } catch (...) {
                erase_or_queue();
                throw;
            }
        }
        void erase() { state.erase(key); }
        void erase_or_queue() noexcept { state.erase_or_queue(key); }

        State& state;
        const key_type& key;
        Stripe& stripe;
        std::unique_lock<std::mutex> lock;
        Handle slot;
    };

    // One step of many slots: their stripes are locked in one order.
    struct Batch {
        Batch(State& all, std::span<const key_type> ks) : state{all}, keys{ks} {
            std::vector<std::size_t> places;
            places.reserve(keys.size());
            for (const key_type& key : keys) {
                places.push_back(State::place(key));
            }
            std::sort(places.begin(), places.end());
            places.erase(std::unique(places.begin(), places.end()), places.end());
            locks.reserve(places.size());
            for (const std::size_t place : places) {
                locks.emplace_back(state.stripes[place].mutex);
            }
        }

        template <class Each>
        void each(Create create, Each&& visit) const {
            for (std::size_t i = 0; i < keys.size(); ++i) {
                Handle slot{state.stripes[State::place(keys[i])].slots, keys[i],
                            detail::Held::fresh, state.clock.now(), create};
                visit(i, slot);
            }
        }

        State& state;
        std::span<const key_type> keys;
        std::vector<std::unique_lock<std::mutex>> locks{};
    };

    [[nodiscard]] Plain& plain() const noexcept { return state_->plain(); }
    void failed() const noexcept { state_->failures.fetch_add(1, std::memory_order_relaxed); }

    // Carries out an operation of the plain store; whatever it throws becomes a StoreError.
    template <class Operation>
    static auto ask(const key_type& key, Operation&& operation) {
        try {
            return operation();
        } catch (const StoreError&) {
            throw;
        } catch (const std::exception& error) {
            std::throw_with_nested(
                StoreError{"key " + detail::key_text(key) + ": " + error.what()});
        } catch (...) {
            std::throw_with_nested(StoreError{"key " + detail::key_text(key)});
        }
    }

    [[nodiscard]] std::vector<std::optional<Entry<value_type>>> ask_many(
        std::span<const key_type> keys) const {
        auto entries = ask(keys.front(), [&] { return plain().find_many(keys); });
        if (entries.size() != keys.size()) {
            throw StoreError{Errc::bad_batch,
                             "the store was asked for " + std::to_string(keys.size()) +
                                 " keys and answered for " + std::to_string(entries.size())};
        }
        return entries;
    }

    template <class Ask>
    Opening lease_out(const key_type& key, Ask&& ask_slot) {
        if (queued(key)) {
            return {};
        }
        Step step{*state_, key, Create::yes};
        if (state_->queue.contains(key)) {
            return {};  // since we asked: they are queued under the lock
        }
        std::optional<Entry<value_type>> entry;
        if (!step.slot->writing()) {
            entry = step.find();
        }
        return lease_out(step.slot, std::move(entry), ask_slot);
    }

    // What a slot answers beside what the plain store holds.
    template <class Ask>
    Opening lease_out(Handle& slot, std::optional<Entry<value_type>>&& entry, Ask&& ask_slot) {
        detail::Lead<Fetched<value_type>> lead{std::make_shared<detail::Flight<value_type>>()};
        const detail::Held held = !entry                           ? detail::Held::nothing
                                  : entry->remaining > Ttl::zero() ? detail::Held::fresh
                                                                   : detail::Held::stale;
        slot->expire(held, state_->clock.now());
        Opening opening;
        if (entry) {
            entry->remaining = detail::cut(entry->remaining);
            opening.copy.emplace(
                detail::Copy<value_type>{std::move(*entry), Ttl::zero(), slot->refreshing()});
        }
        slot.hand_out(held, detail::Lease{state_->next_id()}, std::move(lead), ask_slot, opening);
        return opening;
    }

    void open_batch(std::span<const key_type> keys, std::vector<Opening>& openings) {
        if (keys.empty()) {
            return;
        }
        const std::vector<bool> distrusted = queued_of(keys);
        const Batch batch{*state_, keys};
        std::vector<std::optional<Entry<value_type>>> entries;
        try {
            entries = ask_many(keys);
        } catch (const StoreError&) {
            failed();
            openings.resize(keys.size());
            return;
        }
        batch.each(Create::yes, [&](std::size_t i, Handle& slot) {
            if ((!distrusted.empty() && distrusted[i]) || state_->queue.contains(keys[i])) {
                openings.emplace_back();
                return;
            }
            if (slot->writing()) {
                entries[i].reset();
            }
            openings.push_back(lease_out(slot, std::move(entries[i]),
                                         [](detail::SlotState& state, detail::Held held,
                                            std::uint64_t id) { return state.open(held, id); }));
        });
    }

    // As begin_write: on a throw `tickets` are those to be given back.
    void begin_batch(std::span<const key_type> keys, Ttl life,
                     std::vector<detail::Ticket>& tickets) {
        if (keys.empty()) {
            return;
        }
        const auto deadline = detail::later(state_->clock.now(), life);
        const Batch batch{*state_, keys};
        batch.each(Create::yes, [&](std::size_t, Handle& slot) {
            const detail::Ticket ticket{state_->next_id(), {}};
            slot->begin_write(ticket.id, deadline);
            tickets.push_back(ticket);
        });
        ask(keys.front(), [&] { return static_cast<std::size_t>(plain().erase_many(keys)); });
    }

    void put_batch(std::span<const Pair> pairs, Lifetime life) {
        std::vector<key_type> keys;
        keys.reserve(pairs.size());
        for (const Pair& pair : pairs) {
            keys.push_back(pair.first);
        }
        const Batch batch{*state_, keys};
        std::vector<Pair> stored;
        stored.reserve(pairs.size());
        batch.each(Create::no, [&](std::size_t i, Handle& slot) {
            if (detail::equals_itself(keys[i]) && slot->put() == detail::Effect::store) {
                stored.push_back(pairs[i]);
            }
        });
        if (stored.empty()) {
            return;
        }
        try {
            ask(stored.front().first, [&] {
                plain().put_many(std::span<const Pair>{stored}, detail::cut(life));
                return true;
            });
        } catch (...) {
            for (const Pair& pair : stored) {
                state_->erase_or_queue(pair.first);
            }
            throw;
        }
        for (const Pair& pair : stored) {
            state_->queue.forget(pair.first);
        }
    }

    void give_back(const detail::Ticket& ticket) noexcept {
        for (Stripe& stripe : state_->stripes) {
            const std::scoped_lock lock{stripe.mutex};
            stripe.slots.give_back(ticket);
        }
    }

    template <class See>
    static bool show(const std::optional<Entry<value_type>>& entry, See&& see) {
        if (!entry) {
            return false;
        }
        const value_type* const value = entry->value ? std::addressof(*entry->value) : nullptr;
        see(value, detail::Remaining{detail::cut(entry->remaining)}, Ttl::zero(), false);
        return true;
    }

    // True while the store has not been told of an invalidation; tries to tell it first.
    bool queued(const key_type& key) const {
        if (state_->queue.empty()) {
            return false;
        }
        state_->queue.help();
        return state_->queue.contains(key);
    }
    // The same for many; empty where nothing is queued at all.
    [[nodiscard]] std::vector<bool> queued_of(std::span<const key_type> keys) const {
        std::vector<bool> queued;
        if (!state_->queue.empty()) {
            state_->queue.help();
            queued.reserve(keys.size());
            for (const key_type& key : keys) {
                queued.push_back(state_->queue.contains(key));
            }
        }
        return queued;
    }

    std::shared_ptr<State> state_;
};

LARDER_NS_END

#endif  // LARDER_STORE_COORDINATED_HPP
