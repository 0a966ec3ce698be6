// SPDX-License-Identifier: MIT

/// @file
/// The one read path: hit, or lead, join or bypass a load.

#ifndef LARDER_DETAIL_READ_PATH_HPP
#define LARDER_DETAIL_READ_PATH_HPP

#include <larder/detail/call.hpp>
#include <larder/detail/engine.hpp>
#include <larder/detail/flight.hpp>
#include <larder/detail/later.hpp>
#include <larder/detail/slot.hpp>
#include <larder/detail/waiting.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Loads with the policy's own loader.
template <class E>
struct OwnLoad {
    E* engine;
    static constexpr bool outlives_call = true;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        if constexpr (requires { engine->loader.load_sourced(key); }) {
            return engine->loader.load_sourced(key);
        } else {
            return {load_one<typename E::Value>(engine->loader, key)};
        }
    }
};

/// Loads with a loader that the caller lent for the call: `[&]` is safe, since only the calling
/// thread runs it.
template <class E, class F>
struct LentLoad {
    E* engine;
    F* load;
    static constexpr bool outlives_call = false;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        return load_one_covered<typename E::Value>(engine->loader, *load, key);
    }
};

/// Loads with a loader that the caller gave away with `detached`.
template <class E, class F>
struct GivenLoad {
    E* engine;
    std::shared_ptr<F> load;
    static constexpr bool outlives_call = true;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        return load_one_covered<typename E::Value>(engine->loader, *load, key);
    }
};

/// How a wait for another process' load ended.
enum class Abroad : std::uint8_t {
    ended,  ///< its lease is gone
    died,   ///< its lease has run out: the holder has not renewed it
    lasts,  ///< it takes longer than `Options::wait`, or cannot be watched
    timed_out,
    cancelled,
};

/// The reads of one policy. A thin view: make one where it is needed.
template <class E>
class ReadPath {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;
    using Plane = typename E::Plane;

    using Look = typename E::Store::Look;

    explicit ReadPath(const std::shared_ptr<E>& engine) noexcept : engine_{engine}, e_{*engine} {}

    /// What one read has found so far.
    struct Sight {
        /// What the store is asked, and, where asking twice costs more, what it has answered.
        Look look{};

        /// The copy that may be served when a load fails or is late.
        std::optional<Copy<Value>> stale{};
    };

    /// The value of a fresh copy goes to `take`, by reference; false if there is none.
    ///
    /// Everything that a hit costs is here.
    template <class Q, class Take>
    bool hit(const Q& key, Sight& sight, Take&& take) {
        bool fresh = false;
        bool due = false;
        e_.store.peek(
            key,
            [&](const Value* value, Remaining remaining, Ttl life, bool refreshing) {
                if (remaining > Remaining::zero()) {
                    take(value, remaining, life);
                    fresh = true;
                    due = !refreshing && is_due(remaining, life);
                } else if (value != nullptr && e_.options.grace > Ttl::zero()) {
                    sight.stale.emplace(Copy<Value>{{*value, whole(remaining)}, life, refreshing});
                }
            },
            sight.look);
        if (fresh) {
            e_.count(Count::hits);
            if (due) [[unlikely]] {
                refresh_soon(Key(key));
            }
        }
        return fresh;
    }

    /// A copy that is near its end is reloaded in the background, once, while it is still served.
    [[nodiscard]] bool is_due(Remaining remaining, Ttl life) const noexcept {
        if (e_.refresh_below <= 0) {
            return false;
        }
        using Seconds = std::chrono::duration<double>;
        const Ttl whole_life = life > Ttl::zero() ? life : e_.options.ttl;
        return Seconds{remaining} < e_.refresh_below * Seconds{whole_life};
    }

    /// The answer for a key that had no fresh copy when `hit` looked.
    template <class Load>
    Fetched<Value> miss(const Key& key, Sight& sight, const Read& how, const Load& load) {
        e_.count(Count::misses);
        if (sight.stale && e_.traffic.rests(key, e_.now())) {
            return serve_stale(*sight.stale);
        }
        const Patience patience = patience_of(how);
        if (Load::outlives_call &&
            (how.timeout || how.stop.stop_possible() || e_.options.load_timeout)) {
            return wait_aboard(key, patience, load, sight.stale);
        }
        return travel(key, sight.look, patience, load);
    }

    /// Loads now, never satisfied by a load that began earlier.
    template <class Load>
    Fetched<Value> reload(const Key& key, const Read& how, const Load& load) {
        if (Load::outlives_call && (how.timeout || how.stop.stop_possible())) {
            auto flight = std::make_shared<Flight<Value>>();
            submit(key, flight,
                   [load](ReadPath path, const Key& k) { return path.travel_anew(k, load); });
            return arrive(key, *flight, patience_of(how), std::nullopt);
        }
        return travel_anew(key, load);
    }

    /// Starts the background reload of a key, unless one is on its way, the key rests after a
    /// failure, or too many others are being refreshed.
    void refresh_soon(const Key& key) {
        if (!e_.traffic.begin_refresh(key, e_.now())) {
            return;
        }
        if (e_.refreshing.fetch_add(1) >= e_.options.refresh_concurrency) {
            stop_refreshing(key);
            return;
        }
        const auto engine = engine_;
        const bool accepted = e_.executor.submit([engine, key] {
            const Custody::Pass pass{engine->custody};
            ReadPath path{engine};
            if (pass) {
                path.refresh_in_background(key);
            }
            path.stop_refreshing(key);
        });
        if (!accepted) {
            // A hit does not load by itself: the copy is still fresh.
            rest(key);
            stop_refreshing(key);
        }
    }

    /// Opens the slot and does what it says, in this thread.
    template <class Load>
    Fetched<Value> travel(const Key& key, Look& look, const Patience& patience, const Load& load) {
        bool waited = false;
        for (;;) {
            Opening<Value> opening = open(key, look);
            switch (opening.slot) {
                case Slot::hit:
                    return as_fetched(std::move(*opening.copy),
                                      waited ? Source::joined : Source::hit);
                case Slot::lead: return lead(key, opening, load);
                case Slot::join: {
                    e_.count(Count::joined);
                    const Joined joined = join(*opening.flight, patience);
                    if (joined == Joined::landed && opening.flight->outcome().spoilt) {
                        continue;
                    }
                    return answer(key, joined, *opening.flight, opening.copy);
                }
                case Slot::foreign:
                    if (!waited) {
                        e_.count(Count::joined);
                        switch (await_foreign(key, opening.lease, patience)) {
                            case Abroad::ended: waited = true; continue;
                            case Abroad::died: continue;
                            case Abroad::lasts: break;
                            case Abroad::timed_out:
                                return late(key, Joined::timed_out, opening.copy);
                            case Abroad::cancelled:
                                return late(key, Joined::cancelled, opening.copy);
                        }
                    }
                    return bypass(key, patience, load);
                case Slot::bypass: return bypass(key, patience, load);
            }
        }
    }

    /// Loads with a lease in hand, fills, and tells whoever has joined.
    template <class Load>
    Fetched<Value> lead(const Key& key, Opening<Value>& opening, const Load& load,
                        bool forced = false) {
        return settle(
            key, opening,
            [&](const Key& k) {
                const Carrying carrying{*opening.flight};
                return timed(k, load);
            },
            forced);
    }

    /// The half of `lead` that deals with the lease; `load` has its own time and frame.
    template <class Load>
    Fetched<Value> settle(const Key& key, Opening<Value>& opening, const Load& load, bool forced) {
        std::optional<Row> row;
        try {
            row.emplace(take_in(key, load(key)));
        } catch (...) {
            return fail(key, opening, std::current_exception(), forced);
        }
        const Filled filled = fill(key, opening.lease, *row, forced);
        return land(opening, std::move(*row), filled);
    }

    /// What a load brought, and how it is to be kept.
    struct Row {
        std::optional<Value> value{};
        Source source{};
        Keeping keeping{};
    };
    Row take_in(const Key& key, Sourced<Value> sourced) const {
        Loaded<Value>& loaded = sourced.loaded;
        Keeping keeping = e_.keeping(key, loaded.value, loaded.ttl, std::move(loaded.tags));
        return {std::move(loaded.value), sourced.source, std::move(keeping)};
    }

    /// The load of a lease failed: the stale copy, if there is one, stands in for it.
    ///
    /// @throws whatever `failure` is
    Fetched<Value> fail(const Key& key, Opening<Value>& opening, const std::exception_ptr& failure,
                        bool forced) {
        e_.count(Count::load_failures);
        release(key, opening.lease);
        opening.flight->crash(failure);
        if (!opening.copy || forced) {
            std::rethrow_exception(failure);
        }
        rest(key);
        e_.tell(EventKind::load_failed, key, failure);
        return serve_stale(*opening.copy);
    }

    /// Tells whoever has joined.
    Fetched<Value> land(Opening<Value>& opening, Row&& row, const Filled& filled) const {
        Flight<Value>& flight = *opening.flight;
        try {
            Fetched<Value> fetched{std::move(row.value), row.source, Ttl::zero(),
                                   filled.kept ? row.keeping.life.fresh : Ttl::zero()};
            // The slot has let go of the flight: only those who joined still hold it.
            if (opening.flight.use_count() > 1) {
                Fetched<Value> shared = fetched;
                shared.source = row.source == Source::loaded ? Source::joined : row.source;
                flight.land(std::move(shared), !filled.tags_stand);
            }
            return fetched;
        } catch (...) {
            flight.crash(std::current_exception());  // a copy constructor that throws
            throw;
        }
    }

    /// Loads without a lease: nothing is filled, and only those share it who came before it began.
    template <class Load>
    Fetched<Value> bypass(const Key& key, const Patience& patience, const Load& load) {
        e_.count(Count::bypassed);
        for (;;) {
            const auto seat = e_.traffic.board(key);
            if (seat.pilot) {
                return pilot(key, seat, patience, load);
            }
            const Joined joined = join(*seat.flight, patience);
            if (joined != Joined::landed || !seat.flight->outcome().spoilt) {
                return answer(key, joined, *seat.flight, std::nullopt);
            }
        }
    }

    /// The user's loader, counted and timed.
    template <class Load>
    Sourced<Value> timed(const Key& key, const Load& load) {
        e_.count(Count::loads);
        const auto began = std::chrono::steady_clock::now();
        Sourced<Value> sourced = load(key);
        e_.load_times.record(std::chrono::steady_clock::now() - began);
        refuse_tags(key, sourced.loaded);
        return sourced;
    }

    /// The policy's own loader for a batch, counted and timed as one load a key.
    std::vector<Loaded<Value>> timed_many(std::span<const Key> keys) {
        return timed_batch(keys, [&] { return load_many<Value>(e_.loader, keys); });
    }

    /// The same with a loader for one call.
    template <class F>
    std::vector<Loaded<Value>> timed_many(std::span<const Key> keys, F& given) {
        return timed_batch(keys, [&] { return load_many_covered<Value>(e_.loader, given, keys); });
    }

    template <class Load>
    std::vector<Loaded<Value>> timed_batch(std::span<const Key> keys, const Load& load) {
        for (std::size_t i = 0; i < keys.size(); ++i) {
            e_.count(Count::loads);
        }
        const auto began = std::chrono::steady_clock::now();
        std::vector<Loaded<Value>> loaded = load();
        e_.load_times.record(std::chrono::steady_clock::now() - began);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            refuse_tags(keys[i], loaded[i]);
        }
        return loaded;
    }

    /// Tags that the store cannot keep would be a promise broken in silence.
    void refuse_tags(const Key& key, const Loaded<Value>& loaded) const {
        if constexpr (!E::Store::keeps_tags) {
            if (!loaded.tags.empty()) {
                throw Error{Errc::tags_unsupported, "the loader tagged key " + key_text(key) +
                                                        ", but this store cannot keep tags"};
            }
        }
    }

    /// Fills the slot if the lease still stands. Never throws: the value is there all the same.
    Filled fill(const Key& key, const Lease& lease, const Row& row, bool forced) noexcept {
        e_.traffic.wake(key);
        Filled filled{};
        try {
            // What is not to be kept may be shared by those who joined, while its tags stand.
            if (row.keeping.kept() || !row.keeping.tags.empty()) {
                filled = e_.store.fill(key, lease, row.value, row.keeping);
                count_fenced(row.keeping, filled);
            } else {
                e_.store.release(key, lease);
            }
            if (forced && !filled.kept) {
                e_.store.close_refresh(key, lease);
            }
        } catch (...) {
            filled = {false, row.keeping.tags.empty(), std::current_exception()};
            unkept(key, lease, filled.failure, forced);
        }
        return filled;
    }

    /// The same for the rows of a batch, in one round trip where the store can.
    std::vector<Filled> fill_many(std::span<const Filling<Key, Value>> rows) noexcept {
        std::vector<Filled> all(rows.size());
        try {
            for (const auto& row : rows) {
                e_.traffic.wake(*row.key);
            }
            all = e_.store.fill_many(rows);
        } catch (...) {
            for (Filled& filled : all) {
                filled.failure = std::current_exception();
            }
        }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (all[i].failure) {
                all[i].tags_stand = rows[i].keeping->tags.empty();
                unkept(*rows[i].key, rows[i].lease, all[i].failure, false);
            } else {
                count_fenced(*rows[i].keeping, all[i]);
            }
        }
        return all;
    }

    void count_fenced(const Keeping& keeping, const Filled& filled) noexcept {
        if (keeping.kept() && !filled.kept) {
            e_.count(Count::fenced_fills);
        }
    }

    void release(const Key& key, const Lease& lease) noexcept {
        try {
            e_.store.release(key, lease);
        } catch (...) {
            e_.count(Count::store_errors);
        }
    }

    [[nodiscard]] Fetched<Value> as_fetched(Copy<Value>&& copy, Source source) const {
        const Ttl whole_life = copy.fresh > Ttl::zero() ? copy.fresh : e_.options.ttl;
        const Ttl age = (std::max)(whole_life - copy.entry.remaining, Ttl::zero());
        return {std::move(copy.entry.value), source, age, copy.entry.remaining};
    }

    [[nodiscard]] static Patience patience_of(const Read& how) {
        Patience patience{std::nullopt, how.stop};
        if (how.timeout) {
            patience.deadline = later(std::chrono::steady_clock::now(), *how.timeout);
        }
        return patience;
    }

    Fetched<Value> serve_stale(const Copy<Value>& copy) {
        e_.count(Count::stale_hits);
        return as_fetched(Copy<Value>{copy}, Source::stale);
    }

    /// Waits, in this thread, for a load that the executor carries out.
    template <class Load>
    Fetched<Value> wait_aboard(const Key& key, Patience patience, const Load& load,
                               const std::optional<Copy<Value>>& stale) {
        if (stale && e_.options.load_timeout) {
            const auto soon = later(std::chrono::steady_clock::now(), *e_.options.load_timeout);
            patience.deadline = patience.deadline ? (std::min)(*patience.deadline, soon) : soon;
        }
        for (;;) {
            bool mine = false;
            Plane flight = e_.store.underway(key);
            if (!flight) {
                const auto seat = queue(key, load);
                flight = seat.flight;
                mine = seat.pilot;
            }
            if (!mine) {
                e_.count(Count::joined);
            }
            const Joined joined = join(*flight, patience);
            if (joined == Joined::landed && flight->outcome().spoilt) {
                continue;
            }
            Fetched<Value> fetched = answer(key, joined, *flight, stale);
            if (!mine && fetched.source == Source::loaded) {
                fetched.source = Source::joined;
            }
            return fetched;
        }
    }

    /// The read of this key that the executor has not begun yet; queues one if there is none.
    template <class Load>
    auto queue(const Key& key, const Load& load) {
        auto seat = e_.traffic.queue(key);
        if (seat.pilot) {
            submit(key, seat.flight, [load](ReadPath path, const Key& k) {
                Look look = path.e_.look();
                return path.travel(k, look, Patience{}, load);
            });
        }
        return seat;
    }

    /// What a wait brought: the load's result, else the stale copy, else the reason.
    Fetched<Value> answer(const Key& key, Joined joined, const Flight<Value>& flight,
                          const std::optional<Copy<Value>>& stale) {
        const bool landed = joined == Joined::landed;
        if (landed && !flight.outcome().failure) {
            return flight.outcome().fetched;
        }
        if (landed && !stale) {
            std::rethrow_exception(flight.outcome().failure);
        }
        return late(key, joined, stale);
    }

    /// Waits until a load elsewhere has ended, `Options::wait` at most. One thread of this process
    /// asks the store; what it learns, the others take for a reason to look again.
    Abroad await_foreign(const Key& key, const Lease& lease, const Patience& patience) {
        if constexpr (requires { e_.store.foreign(key, lease); }) {
            const auto bound = later(std::chrono::steady_clock::now(), e_.options.wait);
            Patience mine{patience.deadline ? (std::min)(*patience.deadline, bound) : bound,
                          patience.stop};
            for (;;) {
                const auto seat = e_.traffic.watch(key, lease.id);
                Abroad how = Abroad::lasts;
                if (seat.pilot) {
                    how = keep_watch(key, lease, mine, *seat.flight);
                    e_.traffic.unwatch(key, seat.flight);
                    const bool told = how == Abroad::ended || how == Abroad::died;
                    if (told) {
                        seat.flight->land({}, how == Abroad::died);
                    } else {
                        seat.flight->crash(std::make_exception_ptr(how));  // another must watch
                    }
                } else {
                    switch (join(*seat.flight, mine)) {
                        case Joined::landed:
                            if (seat.flight->outcome().failure) {
                                continue;
                            }
                            how = seat.flight->outcome().spoilt ? Abroad::died : Abroad::ended;
                            break;
                        case Joined::cancelled: how = Abroad::cancelled; break;
                        case Joined::timed_out: how = Abroad::timed_out; break;
                        case Joined::recursive: how = Abroad::lasts; break;
                    }
                }
                const bool only_bound = !patience.deadline || *patience.deadline > bound;
                return how == Abroad::timed_out && only_bound ? Abroad::lasts : how;
            }
        } else {
            return Abroad::lasts;
        }
    }

private:
    // Lands its flight whatever becomes of the task: run, refused, or thrown away by the executor.
    template <class Go>
    struct Journey {
        std::shared_ptr<E> engine;
        Key key;
        Plane flight;
        Go go;
        std::atomic<bool> begun{false};

        Journey(std::shared_ptr<E> e, Key k, Plane f, Go g)
            : engine{std::move(e)}, key{std::move(k)}, flight{std::move(f)}, go{std::move(g)} {}
        Journey(const Journey&) = delete;
        Journey& operator=(const Journey&) = delete;

        void run() {
            if (begun.exchange(true)) {
                return;  // an executor that refused what it had accepted
            }
            ReadPath path{engine};
            engine->traffic.dequeued(key, flight);
            const Custody::Pass pass{engine->custody};
            if (!pass) {
                flight->crash(closed(key));
                return;
            }
            try {
                std::optional<Fetched<Value>> fetched;
                {
                    const Carrying carrying{*flight};
                    fetched.emplace(go(path, key));
                }
                flight->land(std::move(*fetched), false);
            } catch (...) {
                flight->crash(std::current_exception());
            }
        }

        ~Journey() {
            if (!begun) {
                engine->traffic.dequeued(key, flight);
                flight->crash(closed(key));
            }
        }

        static std::exception_ptr closed(const Key& key) {
            return std::make_exception_ptr(
                Error{Errc::closed, "the load of key " + key_text(key) + " was never carried out"});
        }
    };

    template <class Go>
    void submit(const Key& key, const Plane& flight, Go go) {
        const auto journey = std::make_shared<Journey<Go>>(engine_, key, flight, std::move(go));
        if (!e_.executor.submit([journey] { journey->run(); })) {
            journey->run();
        }
    }

    template <class Seat, class Load>
    Fetched<Value> pilot(const Key& key, const Seat& seat, const Patience& patience,
                         const Load& load) {
        const Plane& flight = seat.flight;
        if (seat.after) {
            const Joined joined = join(*seat.after, patience);
            if (joined != Joined::landed) {
                // Nothing was loaded: whoever is aboard boards anew.
                e_.traffic.landed(key, flight);
                flight->land({}, true);
                throw_unless_landed(key, joined);
            }
            e_.traffic.take_off(key, flight);
        }
        try {
            std::optional<Fetched<Value>> fetched;
            {
                const Carrying carrying{*flight};
                fetched.emplace(
                    Fetched<Value>{timed(key, load).loaded.value, Source::bypassed, {}, {}});
            }
            e_.traffic.landed(key, flight);
            flight->land(*fetched, false);
            return std::move(*fetched);
        } catch (...) {
            e_.count(Count::load_failures);
            e_.traffic.landed(key, flight);
            flight->crash(std::current_exception());
            throw;
        }
    }

    // Polls a lease that another process holds: soon at first, then at an eighth of the time that it
    // has taken.
    Abroad keep_watch(const Key& key, const Lease& lease, const Patience& patience,
                      const Flight<Value>& nap) {
        using namespace std::chrono;
        const auto began = steady_clock::now();
        auto end_of_lease = (steady_clock::time_point::max)();
        try {
            for (auto now = began;; now = steady_clock::now()) {
                const auto pause = std::clamp<steady_clock::duration>(
                    (now - began) / 8, microseconds{500}, milliseconds{20});
                const auto until = (std::min)(now + pause, *patience.deadline);
                if (nap.wait(until, patience.stop) == Arrival::cancelled) {
                    return Abroad::cancelled;
                }
                now = steady_clock::now();
                const std::optional<Ttl> left = e_.store.foreign(key, lease);
                if (!left) {
                    // A holder that lives renews its lease long before.
                    return now >= end_of_lease ? Abroad::died : Abroad::ended;
                }
                if (now >= *patience.deadline) {
                    return Abroad::timed_out;
                }
                end_of_lease = now + *left;
            }
        } catch (const StoreError&) {
            e_.count(Count::store_errors);
            return Abroad::lasts;
        }
    }

    Fetched<Value> late(const Key& key, Joined joined, const std::optional<Copy<Value>>& stale) {
        if (stale && joined != Joined::recursive) {
            return serve_stale(*stale);
        }
        throw_unless_landed(key, joined);
        return {};
    }

    Opening<Value> open(const Key& key, Look& look) {
        try {
            return e_.store.open(key, look);
        } catch (const StoreError& error) {
            e_.count(Count::store_errors);
            e_.tell(EventKind::store_failed, key, std::current_exception());
            return {};
        }
    }

    template <class Load>
    Fetched<Value> travel_anew(const Key& key, const Load& load) {
        Opening<Value> opening;
        try {
            opening = e_.store.open_refresh(key, true);
        } catch (const StoreError&) {
            // The copy there is older than what this call returns.
            e_.count(Count::store_errors);
            e_.queue_drop(key, true);
        }
        return opening.slot == Slot::lead ? lead(key, opening, load, true)
                                          : bypass(key, Patience{}, load);
    }

    void refresh_in_background(const Key& key) {
        try {
            Opening<Value> opening = e_.store.open_refresh(key, false);
            if (opening.slot != Slot::lead) {
                return;
            }
            if (opening.copy &&
                !is_due(Remaining{opening.copy->entry.remaining}, opening.copy->fresh)) {
                // Somebody has refreshed it since it was looked at.
                release(key, opening.lease);
                opening.flight->land(as_fetched(std::move(*opening.copy), Source::hit), false);
                return;
            }
            e_.count(Count::refreshes);
            opening.copy.reset();
            lead(key, opening, OwnLoad<E>{&e_});
        } catch (...) {
            e_.count(Count::refresh_failures);
            rest(key);
            e_.tell(EventKind::refresh_failed, key, std::current_exception());
        }
    }

    void stop_refreshing(const Key& key) {
        e_.refreshing.fetch_sub(1);
        e_.traffic.end_refresh(key);
    }

    void rest(const Key& key) {
        const auto now = e_.now();
        e_.traffic.rest(key, later(now, e_.options.refresh_backoff), now);
    }

    void unkept(const Key& key, const Lease& lease, const std::exception_ptr& failure,
                bool forced) noexcept {
        try {
            std::rethrow_exception(failure);
        } catch (const StoreError&) {
            e_.count(Count::store_errors);
        } catch (...) {
            // A codec, a copy constructor: the store is well.
        }
        release(key, lease);
        e_.tell(EventKind::fill_failed, key, failure);
        if (forced) {
            e_.drop(key);
        }
    }

    static void throw_unless_landed(const Key& key, Joined joined) {
        switch (joined) {
            case Joined::landed: return;
            case Joined::timed_out:
                throw Error{Errc::timed_out, "waiting for the load of key " + key_text(key)};
            case Joined::cancelled:
                throw Error{Errc::cancelled, "waiting for the load of key " + key_text(key)};
            case Joined::recursive:
                throw Error{Errc::recursive_load,
                            "the load of key " + key_text(key) + " waits for itself"};
        }
    }

    Fetched<Value> arrive(const Key& key, const Flight<Value>& flight, const Patience& patience,
                          const std::optional<Copy<Value>>& stale) {
        return answer(key, join(flight, patience), flight, stale);
    }

    const std::shared_ptr<E>& engine_;
    E& e_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_PATH_HPP
