// SPDX-License-Identifier: MIT

/// @file
/// The one read path: hit, or lead, join or bypass a load.

#ifndef LARDER_DETAIL_READ_READ_PATH_HPP
#define LARDER_DETAIL_READ_READ_PATH_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/flight/queued_load.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
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
    E* core;
    static constexpr bool outlives_call = true;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        if constexpr (requires { core->loader.load_sourced(key); }) {
            return core->loader.load_sourced(key);
        } else {
            return {load_one<typename E::Value>(core->loader, key)};
        }
    }
};

/// Loads with a loader that the caller lent for the call: `[&]` is safe, since only the calling
/// thread runs it.
template <class E, class F>
struct LentLoad {
    E* core;
    F* load;
    static constexpr bool outlives_call = false;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        return load_one_covered<typename E::Value>(core->loader, *load, key);
    }
};

/// Loads with a loader that the caller gave away with `detached`.
template <class E, class F>
struct GivenLoad {
    E* core;
    std::shared_ptr<F> load;
    static constexpr bool outlives_call = true;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        return load_one_covered<typename E::Value>(core->loader, *load, key);
    }
};

/// How a wait for another process' load ended, for one who waited.
enum class Remote : std::uint8_t {
    ended,  ///< its lease is gone
    died,   ///< its lease has run out: the holder has not renewed it
    lasts,  ///< it takes longer than `Options::wait`, or cannot be watched
    timed_out,
    cancelled,
};

/// Its loader holds back changes that a copy may be older than.
template <class E>
inline constexpr bool before_copies = requires { requires E::Loader::before_copies; };

/// The reads of one policy. A thin view: make one where it is needed.
template <class E>
class ReadPath {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;
    using Query = typename E::Store::Query;

    explicit ReadPath(E& core) noexcept : core_{core} {}

    /// What one read has found so far.
    struct Lookup {
        /// What the store is asked, and, where asking twice costs more, what it has answered.
        Query query{};

        /// The copy that may be served when a load fails or is late.
        std::optional<Copy<Value>> stale{};

        /// Where what was taken came from.
        Source source = Source::hit;
    };

    /// The value of a fresh copy goes to `take`, by reference; false if there is none. A pending change
    /// that other processes cannot know of comes before any copy, and has no time left.
    ///
    /// Everything that a hit costs is here.
    template <class Q, class Take>
    bool hit(const Q& key, Lookup& lookup, Take&& take) {
        if constexpr (before_copies<E>) {
            if (const auto change = core_.loader.pending(key)) {
                lookup.source = Source::pending;
                take(change->value ? std::addressof(*change->value) : nullptr, Remaining{}, Ttl{});
                core_.count(Count::hits);
                return true;
            }
        }
        bool fresh = false;
        bool due = false;
        core_.store.peek(
            key,
            [&](const Value* value, Remaining remaining, Ttl life, bool refreshing) {
                if (remaining > Remaining::zero()) {
                    take(value, remaining, life);
                    fresh = true;
                    due = !refreshing && is_due(remaining, life);
                } else if (value != nullptr && core_.options.grace > Ttl::zero()) {
                    lookup.stale.emplace(Copy<Value>{{*value, whole(remaining)}, life, refreshing});
                }
            },
            lookup.query);
        if (fresh) {
            core_.count(Count::hits);
            if (due) [[unlikely]] {
                refresh_soon(key);
            }
        }
        return fresh;
    }

    /// A copy that is near its end is reloaded in the background, once, while it is still served.
    [[nodiscard]] bool is_due(Remaining remaining, Ttl life) const noexcept {
        if (core_.refresh_below <= 0) {
            return false;
        }
        using Seconds = std::chrono::duration<double>;
        const Ttl whole_life = life > Ttl::zero() ? life : core_.options.ttl;
        return Seconds{remaining} < core_.refresh_below * Seconds{whole_life};
    }

    /// The answer for a key that had no fresh copy when `hit` looked.
    template <class Load>
    Fetched<Value> miss(const Key& key, Lookup& lookup, const Read& how, const Load& load) {
        core_.count(Count::misses);
        if (lookup.stale && core_.loads().backs_off(key, core_.now())) {
            return serve_stale(*lookup.stale);
        }
        const Patience patience = patience_of(how);
        if (Load::outlives_call &&
            (!patience.endless() || (lookup.stale && core_.options.load_timeout))) {
            return resolve_aside(key, patience, load, lookup.stale);
        }
        return resolve(key, lookup.query, patience, load);
    }

    /// Loads now, never satisfied by a load that began earlier.
    template <class Load>
    Fetched<Value> reload(const Key& key, const Read& how, const Load& load) {
        static_cast<void>(must_load_alone(key));
        const Patience patience = patience_of(how);
        if (Load::outlives_call && !patience.endless()) {
            auto aside =
                std::make_shared<ExecutorLoad>(core_, key, [load](ReadPath path, const Key& k) {
                    return path.resolve_anew(k, Patience{}, load);
                });
            const Wish<Value> wish{aside};
            submit(std::move(aside));
            const WaitEnd joined = await(wish.load(), patience);
            if (joined != WaitEnd::deadlock && !left_alone(joined, *wish->flight())) {
                return answer(key, joined, *wish->flight(), std::nullopt);
            }
        }
        return resolve_anew(key, patience, load);
    }

    /// Starts the background reload of a key, unless one is on its way, the key rests after a
    /// failure, or too many others are being refreshed. A hit does not wait for it, nor does it load
    /// by itself: without an executor that takes the task, the key rests.
    template <class Q>
    void refresh_soon(const Q& asked) noexcept {
        try {
            const Key key(asked);
            const auto now = core_.now();
            auto place = core_.loads().begin_refresh(key, core_.options.refresh_concurrency, now,
                                                     later(now, core_.options.refresh_backoff));
            if (!place) {
                return;
            }
            E* const core = &core_;
            static_cast<void>(core_.executor.submit(
                [core, background = core_.background, key, place = std::move(place)]() mutable {
                    const TaskScope::Pass pass{background->scope};
                    if (pass) {
                        place->begin();
                        ReadPath{*core}.refresh_in_background(key);
                    }
                    place.reset();
                    tidy(*background, key);
                }));
        } catch (...) {
            // No room for the task: a later hit will try.
        }
    }

    /// Opens the slot and does what it says, in this thread.
    template <class Load>
    Fetched<Value> resolve(const Key& key, Query& query, const Patience& patience,
                           const Load& load) {
        if (must_load_alone(key)) {
            return load_alone(key, load);
        }
        bool waited = false;
        for (;;) {
            Opening<Value> opening = open(key, query);
            switch (opening.slot) {
                case Slot::hit:
                    return as_fetched(std::move(*opening.copy),
                                      waited ? Source::joined : Source::hit);
                case Slot::lead:
                    return LeasedLoad{*this, key, std::move(opening), Kind::miss}(load);
                case Slot::join: {
                    core_.count(Count::joined);
                    const WaitEnd joined = wait_for(*opening.flight, patience);
                    if (left_alone(joined, *opening.flight)) {
                        continue;
                    }
                    if (joined == WaitEnd::deadlock) {
                        return load_alone(key, load);
                    }
                    return answer(key, joined, *opening.flight, opening.copy);
                }
                case Slot::remote:
                    if (!waited) {
                        core_.count(Count::joined);
                        switch (await_remote(key, opening.lease, patience)) {
                            case Remote::ended: waited = true; continue;
                            case Remote::died: continue;
                            case Remote::lasts: break;
                            case Remote::timed_out:
                                return late(key, WaitEnd::timed_out, opening.copy);
                            case Remote::cancelled:
                                return late(key, WaitEnd::cancelled, opening.copy);
                        }
                    }
                    return bypass(key, patience, load);
                case Slot::bypass: return bypass(key, patience, load);
            }
        }
    }

    /// What a load brought, and how it is to be kept.
    struct Row {
        std::optional<Value> value{};
        Source source{};
        CopyTerms terms{};
    };
    Row take_in(const Key& key, Sourced<Value> sourced) const {
        Loaded<Value>& loaded = sourced.loaded;
        CopyTerms terms = core_.copy_terms(key, loaded.value, loaded.ttl, std::move(loaded.tags));
        return {std::move(loaded.value), sourced.source, std::move(terms)};
    }

    /// What a lease is for.
    enum class Kind : std::uint8_t {
        miss,
        refresh,  ///< in the background, of a copy that is still served
        forced,   ///< by name: no older copy may be served once it has returned
    };

    /// A lease in hand, until it is filled, withdrawn or given back.
    class LeasedLoad {
    public:
        LeasedLoad(ReadPath path, const Key& key, Opening<Value>&& opening, Kind kind)
            : path_{path}, key_{key}, kind_{kind}, opening_{std::move(opening)} {}
        LeasedLoad(const LeasedLoad&) = delete;
        LeasedLoad& operator=(const LeasedLoad&) = delete;
        ~LeasedLoad() {
            if (!settled_) {
                path_.release(key_, opening_.lease);
            }
        }

        /// Loads, fills, and tells whoever has joined.
        template <class Load>
        Fetched<Value> operator()(const Load& load) {
            const KeyFrame<Key> frame{&path_.core_,
                                      key_};  // a store's listener is called in a fill
            std::optional<Row> row;
            try {
                row.emplace(path_.take_in(key_, path_.timed(key_, load)));
            } catch (...) {
                return fail(std::current_exception());
            }
            settled_ = true;
            const Filled filled =
                path_.fill(key_, opening_.lease, *row, kind_, opening_.copy.has_value());
            return path_.complete(opening_.lead, std::move(*row), filled);
        }

    private:
        // The stale copy, if there is one, stands in for it.
        Fetched<Value> fail(const std::exception_ptr& failure) {
            path_.release(key_, opening_.lease);
            settled_ = true;
            if (kind_ != Kind::miss) {
                opening_.copy.reset();  // it stands, but is no answer
            }
            return path_.failed(key_, opening_, failure);
        }

        ReadPath path_;
        const Key& key_;
        const Kind kind_;
        Opening<Value> opening_;
        bool settled_ = false;
    };

    /// The load of a lease, which has been given back, failed: whoever has joined is told. The stale
    /// copy, if there is one, stands in for it, and the key rests.
    ///
    /// @throws whatever `failure` is
    Fetched<Value> failed(const Key& key, Opening<Value>& opening,
                          const std::exception_ptr& failure) {
        core_.count(Count::load_failures);
        opening.lead.fail(failure);
        if (!opening.copy) {
            std::rethrow_exception(failure);
        }
        rest(key);
        core_.tell(EventKind::load_failed, key, failure);
        return serve_stale(*opening.copy);
    }

    /// Tells whoever has joined what a lease has brought.
    ///
    /// @throws whatever kept it from the store, where an older copy is still served: nobody is told
    ///         what the next read may contradict
    Fetched<Value> complete(Lead<Fetched<Value>>& lead, Row&& row, const Filled& filled) const {
        if (filled.outlived) {
            lead.fail(filled.failure);
            std::rethrow_exception(filled.failure);
        }
        Fetched<Value> fetched{std::move(row.value), row.source, Ttl::zero(),
                               filled.kept ? row.terms.life.fresh : Ttl::zero()};
        // The slot has let go of the flight: only those who joined still hold it. What carries a tag
        // that was invalidated meanwhile is not for them: they are sent on.
        if (filled.tags_stand && lead.awaited()) {
            try {
                Fetched<Value> shared = fetched;
                shared.source = row.source == Source::loaded ? Source::joined : row.source;
                lead.complete(std::move(shared));
            } catch (...) {
                lead.fail(std::current_exception());  // a copy constructor that throws
            }
        }
        return fetched;
    }

    /// Loads without a lease: nothing is filled, and only those share it who came before it began.
    template <class Load>
    Fetched<Value> bypass(const Key& key, const Patience& patience, const Load& load) {
        core_.count(Count::bypassed);
        for (;;) {
            auto share = core_.loads().join(key);
            const auto& awaited = share.leads() ? share.after() : share.load();
            if (awaited) {
                const WaitEnd joined = wait_for(*awaited, patience);
                if (joined == WaitEnd::deadlock) {
                    return load_only(key, load);
                }
                if (!share.leads()) {
                    if (left_alone(joined, *awaited)) {
                        continue;
                    }
                    return answer(key, joined, *awaited, std::nullopt);
                }
                throw_unless_over(key,
                                  joined);  // nothing was loaded: whoever is aboard boards anew
                share.begin();
            }
            try {
                Fetched<Value> fetched = load_only(key, load);
                share.complete(fetched);
                return fetched;
            } catch (...) {
                share.fail(std::current_exception());
                throw;
            }
        }
    }

    /// The user's loader, counted and timed.
    template <class Load>
    Sourced<Value> timed(const Key& key, const Load& load) {
        core_.count(Count::loads);
        const auto began = std::chrono::steady_clock::now();
        Sourced<Value> sourced = load(key);
        core_.load_times.record(std::chrono::steady_clock::now() - began);
        refuse_tags(key, sourced.loaded);
        return sourced;
    }

    /// The policy's own loader for a batch, counted and timed as one load a key.
    std::vector<Loaded<Value>> timed_many(std::span<const Key> keys) {
        if constexpr (requires { core_.loader.repository(); }) {
            return timed_many(keys, core_.loader.repository());
        } else {
            return timed_batch(keys,
                               [&] { return load_many<Value>(core_.loader, keys, each_framed()); });
        }
    }

    /// The same with a loader for one call.
    template <class F>
    std::vector<Loaded<Value>> timed_many(std::span<const Key> keys, F& given) {
        return timed_batch(keys, [&] {
            return load_many_covered<Value>(core_.loader, given, keys, each_framed());
        });
    }

    template <class Load>
    std::vector<Loaded<Value>> timed_batch(std::span<const Key> keys, const Load& load) {
        for (std::size_t i = 0; i < keys.size(); ++i) {
            core_.count(Count::loads);
        }
        const KeysFrame<Key> frame{&core_, keys};
        const auto began = std::chrono::steady_clock::now();
        std::vector<Loaded<Value>> loaded = load();
        core_.load_times.record(std::chrono::steady_clock::now() - began);
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
    ///
    /// @param covers  an older copy is served until then
    Filled fill(const Key& key, const Lease& lease, const Row& row, Kind kind,
                bool covers) noexcept {
        core_.wake(key);
        Filled filled{};
        try {
            // Whether the tags of what is not kept stand is asked all the same: it may be shared.
            if (row.terms.kept() || !row.terms.tags.empty()) {
                filled = core_.store.fill(key, lease, row.value, row.terms);
                count_fenced(row.terms, filled);
            } else {
                core_.store.withdraw(key, lease);
            }
            if (kind == Kind::forced && !filled.kept) {
                core_.store.close_refresh(key, lease);
            }
        } catch (...) {
            filled = {false, row.terms.tags.empty(), std::current_exception()};
            filled.outlived = !unkept(key, lease, filled.failure, covers || kind != Kind::miss);
        }
        return filled;
    }

    /// The same for the rows of a batch, in one round trip where the store can.
    ///
    /// @param covers  of each row, whether an older copy is served until then
    std::vector<Filled> fill_many(std::span<const FillRequest<Key, Value>> rows,
                                  const std::vector<bool>& covers) {
        std::vector<Filled> all(rows.size());
        try {
            for (const auto& row : rows) {
                core_.wake(*row.key);
            }
            std::vector<Filled> filled = core_.store.fill_many(rows);
            all = std::move(filled);
        } catch (...) {
            for (Filled& filled : all) {
                filled.failure = std::current_exception();
            }
        }
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (all[i].failure) {
                all[i].tags_stand = rows[i].terms->tags.empty();
                all[i].outlived = !unkept(*rows[i].key, rows[i].lease, all[i].failure, covers[i]);
            } else {
                count_fenced(*rows[i].terms, all[i]);
            }
        }
        return all;
    }

    void release(const Key& key, const Lease& lease) noexcept {
        try {
            core_.store.release(key, lease);
        } catch (...) {
            core_.count(Count::store_errors);
        }
    }

    [[nodiscard]] Fetched<Value> as_fetched(Copy<Value>&& copy, Source source) const {
        const Ttl whole_life = copy.fresh > Ttl::zero() ? copy.fresh : core_.options.ttl;
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
        core_.count(Count::stale_hits);
        return as_fetched(Copy<Value>{copy}, Source::stale);
    }

    /// The read of this key that the executor has not begun yet, and whether it is this caller's.
    template <class Load>
    std::pair<Wish<Value>, bool> queue(const Key& key, const Load& load) {
        std::shared_ptr<ExecutorLoad> made;
        auto queued = core_.loads().queue(key, [&] {
            made = std::make_shared<ExecutorLoad>(core_, key, [load](ReadPath path, const Key& k) {
                Query query = path.core_.query();
                return path.resolve(k, query, Patience{}, load);
            });
            return made;
        });
        if (queued.second) {
            submit(std::move(made));
        } else {
            core_.count(Count::joined);
        }
        return queued;
    }

    /// Waits for a load that the executor is to carry out. A thread that has a load in hand keeps
    /// others waiting, maybe the executor itself: it gives the executor a moment to begin, and then
    /// carries the load out by itself.
    static WaitEnd await(QueuedLoad<Value>& load, const Patience& patience) {
        if (this_waiting_thread().carries.load(std::memory_order_relaxed) != 0) {
            const auto moment = std::chrono::steady_clock::now() + std::chrono::milliseconds{10};
            if (!patience.deadline || moment < *patience.deadline) {
                const WaitEnd joined = wait_for(*load.flight(), Patience{moment, patience.stop});
                if (joined != WaitEnd::timed_out) {
                    return joined;
                }
                if (load.begin()) {
                    load.carry_out();
                }
            }
        }
        return wait_for(*load.flight(), patience);
    }

    /// True if a wait ended without an answer, and whoever waited is to look again.
    static bool left_alone(WaitEnd joined, const Flight<Value>& flight) noexcept {
        return joined == WaitEnd::over && flight.result() == nullptr && !flight.failure();
    }

    /// What a wait brought: the load's result, else the stale copy, else the reason.
    Fetched<Value> answer(const Key& key, WaitEnd joined, const Flight<Value>& flight,
                          const std::optional<Copy<Value>>& stale) {
        if (joined == WaitEnd::over) {
            if (const Fetched<Value>* const result = flight.result()) {
                return *result;
            }
            if (!stale) {
                std::rethrow_exception(flight.failure());
            }
        }
        return late(key, joined, stale);
    }

    /// Waits until a load elsewhere has ended, `Options::wait` at most. One thread of this process
    /// asks the store; what it learns, the others take for a reason to look again.
    Remote await_remote(const Key& key, const Lease& lease, const Patience& patience) {
        if constexpr (requires { core_.store.remote_lease(key, lease); }) {
            const auto bound = later(std::chrono::steady_clock::now(), core_.options.wait);
            const Patience mine{patience.deadline ? (std::min)(*patience.deadline, bound) : bound,
                                patience.stop};
            const bool only_bound = !patience.deadline || *patience.deadline > bound;
            for (;;) {
                auto [watch, lead] = core_.loads().watch(key, lease.id);
                Remote how = Remote::lasts;
                if (lead) {
                    how = keep_watch(key, lease, mine, *watch);
                    core_.loads().unwatch(key, watch);
                    if (how == Remote::ended || how == Remote::died) {
                        lead.complete(how == Remote::died ? RemoteEnd::died : RemoteEnd::ended);
                    }  // else another must watch
                } else {
                    switch (wait_for(*watch, mine)) {
                        case WaitEnd::over:
                            if (watch->result() == nullptr) {
                                continue;
                            }
                            how =
                                *watch->result() == RemoteEnd::died ? Remote::died : Remote::ended;
                            break;
                        case WaitEnd::cancelled: how = Remote::cancelled; break;
                        case WaitEnd::timed_out: how = Remote::timed_out; break;
                        case WaitEnd::recursive:
                        case WaitEnd::deadlock: how = Remote::lasts; break;
                    }
                }
                return how == Remote::timed_out && only_bound ? Remote::lasts : how;
            }
        } else {
            return Remote::lasts;
        }
    }

    /// True if this thread is to load the key past what is in flight, since that, or the load that
    /// asks, is in its own hands.
    ///
    /// @throws Error  `recursive_load`: the load asks for what it loads
    [[nodiscard]] bool must_load_alone(const Key& key) const {
        if (!LoadFrame::any()) [[likely]] {
            return false;
        }
        const MayWait may = LoadFrame::ask(&core_, key);
        if (may == MayWait::recursive) {
            throw_unless_over(key, WaitEnd::recursive);
        }
        return may == MayWait::deadlock;
    }

    /// Loads past what is in flight: nothing is filled, and nobody shares it.
    template <class Load>
    Fetched<Value> load_alone(const Key& key, const Load& load) {
        core_.count(Count::bypassed);
        return load_only(key, load);
    }

private:
    // Makes room sooner than the next touch of the key would.
    static void tidy(typename E::Background& background, const Key& key) noexcept {
        if (auto* const loads = background.loads.find()) {
            loads->tidy(key);
        }
    }

    // A load for the executor. Its flight ends whatever becomes of the task: run, refused, or thrown
    // away.
    class ExecutorLoad final : public QueuedLoad<Value> {
    public:
        using Go = std::function<Fetched<Value>(ReadPath, const Key&)>;

        ExecutorLoad(E& core, Key key, Go go)
            : core_{core}, background_{core.background}, key_{std::move(key)}, go_{std::move(go)} {}

        // As a task: only with a pass, and if somebody still wishes for it.
        void run() noexcept {
            try {
                const TaskScope::Pass pass{background_->scope};
                if (!pass) {
                    if (this->begin()) {
                        this->take_lead().fail(closed());
                    }
                } else if (!background_->loads.get().dequeue(key_, *this)) {
                    this->abandon();
                } else if (this->begin()) {
                    carry_out();
                }
            } catch (...) {
                this->abandon();
            }
        }

        // The executor lets go of it, whether it has run or not.
        void leave() noexcept {
            this->abandon();
            tidy(*background_, key_);
        }

        void carry_out() noexcept override {
            Lead<Fetched<Value>> lead = this->take_lead();
            try {
                lead.carry();
                lead.complete(go_(ReadPath{core_}, key_));
            } catch (...) {
                lead.fail(std::current_exception());
            }
        }

    private:
        [[nodiscard]] std::exception_ptr closed() const {
            return std::make_exception_ptr(Error{
                Errc::closed, "the load of key " + key_text(key_) + " was never carried out"});
        }

        E& core_;
        const std::shared_ptr<typename E::Background> background_;
        const Key key_;
        const Go go_;
    };

    // What the executor holds: a task that is destroyed unrun counts as refused.
    class ExecutorTask {
    public:
        explicit ExecutorTask(std::shared_ptr<ExecutorLoad> load) noexcept
            : load_{std::move(load)} {}
        ExecutorTask(const ExecutorTask&) = delete;
        ExecutorTask& operator=(const ExecutorTask&) = delete;
        ~ExecutorTask() { load_->leave(); }

        void run() noexcept { load_->run(); }

    private:
        std::shared_ptr<ExecutorLoad> load_;
    };

    void submit(std::shared_ptr<ExecutorLoad> load) noexcept {
        try {
            const auto task = std::make_shared<ExecutorTask>(load);
            static_cast<void>(core_.executor.submit([task] { task->run(); }));
        } catch (...) {
            load->abandon();  // no room for a task
        }
    }

    // Waits, in this thread, for a load that the executor carries out.
    template <class Load>
    Fetched<Value> resolve_aside(const Key& key, const Patience& patience, const Load& load,
                                 const std::optional<Copy<Value>>& stale) {
        if (must_load_alone(key)) {
            return load_alone(key, load);
        }
        Patience mine = patience;
        if (stale && core_.options.load_timeout) {
            const auto soon = later(std::chrono::steady_clock::now(), *core_.options.load_timeout);
            mine.deadline = mine.deadline ? (std::min)(*mine.deadline, soon) : soon;
        }
        for (;;) {
            if (const auto flight = core_.store.underway(key)) {
                core_.count(Count::joined);
                const WaitEnd joined = wait_for(*flight, mine);
                if (joined == WaitEnd::deadlock) {
                    return load_alone(key, load);
                }
                if (!left_alone(joined, *flight)) {
                    return as_joined(answer(key, joined, *flight, stale));
                }
                continue;
            }
            auto [wish, made] = queue(key, load);
            const WaitEnd joined = await(wish.load(), mine);
            if (joined == WaitEnd::deadlock) {
                return load_alone(key, load);
            }
            if (!left_alone(joined, *wish->flight())) {
                if (joined == WaitEnd::timed_out && stale) {
                    wish.leave_it_wished();  // for the next
                }
                Fetched<Value> fetched = answer(key, joined, *wish->flight(), stale);
                return made ? fetched : as_joined(std::move(fetched));
            }
            if (wish->abandoned()) {  // refused: then by this thread
                Query query = core_.query();
                return resolve(key, query, mine, load);
            }
        }
    }

    static Fetched<Value> as_joined(Fetched<Value>&& fetched) {
        if (fetched.source == Source::loaded) {
            fetched.source = Source::joined;
        }
        return std::move(fetched);
    }

    // A frame for each of the keys that a loader of one is asked for in turn.
    [[nodiscard]] auto each_framed() const {
        return [core = &core_](const Key& key) { return KeyFrame<Key>{core, key}; };
    }

    template <class Load>
    Fetched<Value> load_only(const Key& key, const Load& load) {
        static_cast<void>(must_load_alone(key));
        try {
            const KeyFrame<Key> frame{&core_, key};
            return {std::move(timed(key, load).loaded.value), Source::bypassed, {}, {}};
        } catch (...) {
            core_.count(Count::load_failures);
            throw;
        }
    }

    // Polls a lease that another process holds: soon at first, then at an eighth of the time that it
    // has taken.
    Remote keep_watch(const Key& key, const Lease& lease, const Patience& patience,
                      const InFlight<RemoteEnd>& nap) {
        using namespace std::chrono;
        const auto began = steady_clock::now();
        auto end_of_lease = (steady_clock::time_point::max)();
        try {
            for (auto now = began;; now = steady_clock::now()) {
                const auto pause = std::clamp<steady_clock::duration>(
                    (now - began) / 8, microseconds{500}, milliseconds{20});
                const auto until = (std::min)(now + pause, *patience.deadline);
                if (nap.wait(until, patience.stop) == Arrival::cancelled) {
                    return Remote::cancelled;
                }
                now = steady_clock::now();
                const std::optional<Ttl> left = core_.store.remote_lease(key, lease);
                if (!left) {
                    // A holder that lives renews its lease long before.
                    return now >= end_of_lease ? Remote::died : Remote::ended;
                }
                if (now >= *patience.deadline) {
                    return Remote::timed_out;
                }
                end_of_lease = later(now, *left);
            }
        } catch (const StoreError&) {
            core_.count(Count::store_errors);
            return Remote::lasts;
        }
    }

    Fetched<Value> late(const Key& key, WaitEnd joined, const std::optional<Copy<Value>>& stale) {
        if (stale && joined != WaitEnd::recursive) {
            return serve_stale(*stale);
        }
        throw_unless_over(key, joined);
        return {};
    }

    Opening<Value> open(const Key& key, Query& query) {
        try {
            return core_.store.open(key, query);
        } catch (const StoreError&) {
            core_.count(Count::store_errors);
            core_.tell(EventKind::store_failed, key, std::current_exception());
            return {};
        }
    }

    template <class Load>
    Fetched<Value> resolve_anew(const Key& key, const Patience& patience, const Load& load) {
        static_cast<void>(must_load_alone(key));  // it takes the lease from whoever has it
        Opening<Value> opening;
        try {
            opening = core_.store.open_refresh(key, true);
        } catch (const StoreError&) {
            // The copy there is older than what this call returns.
            core_.count(Count::store_errors);
            core_.queue_invalidation(key, {.force = true});
        }
        return opening.slot == Slot::lead
                   ? LeasedLoad{*this, key, std::move(opening), Kind::forced}(load)
                   : bypass(key, patience, load);
    }

    void refresh_in_background(const Key& key) noexcept {
        try {
            if (LoadFrame::any() && LoadFrame::ask(&core_, key) != MayWait::yes) {
                return;  // the executor runs tasks at once: it is being loaded
            }
            Opening<Value> opening = core_.store.open_refresh(key, false);
            if (opening.slot != Slot::lead) {
                return;
            }
            const bool due = !opening.copy ||
                             is_due(Remaining{opening.copy->entry.remaining}, opening.copy->fresh);
            LeasedLoad leased{*this, key, std::move(opening), Kind::refresh};
            if (due) {  // else somebody has refreshed it since it was looked at
                core_.count(Count::refreshes);
                static_cast<void>(leased(OwnLoad<E>{&core_}));
            }
        } catch (...) {
            core_.count(Count::refresh_failures);
            rest(key);
            core_.tell(EventKind::refresh_failed, key, std::current_exception());
        }
    }

    void rest(const Key& key) noexcept {
        try {
            const auto now = core_.now();
            core_.loads().rest(key, later(now, core_.options.refresh_backoff), now);
        } catch (...) {
            // A clock that throws.
        }
    }

    void count_fenced(const CopyTerms& terms, const Filled& filled) noexcept {
        if (terms.kept() && !filled.kept) {
            core_.count(Count::fenced_fills);
        }
    }

    // What a load brought could not be stored. An older copy that is still served goes: the source
    // has said what is true. False if it cannot be made to.
    bool unkept(const Key& key, const Lease& lease, const std::exception_ptr& failure,
                bool covers) noexcept {
        try {
            std::rethrow_exception(failure);
        } catch (const StoreError&) {
            core_.count(Count::store_errors);
        } catch (...) {
            // A codec, a copy constructor: the store is well.
        }
        release(key, lease);
        core_.tell(EventKind::fill_failed, key, failure);
        return !covers || core_.drop(key);
    }

    static void throw_unless_over(const Key& key, WaitEnd joined) {
        switch (joined) {
            case WaitEnd::over: return;
            case WaitEnd::timed_out:
                throw Error{Errc::timed_out, "waiting for the load of key " + key_text(key)};
            case WaitEnd::cancelled:
                throw Error{Errc::cancelled, "waiting for the load of key " + key_text(key)};
            case WaitEnd::recursive:
            case WaitEnd::deadlock:
                throw Error{Errc::recursive_load,
                            "the load of key " + key_text(key) + " waits for itself"};
        }
    }

    E& core_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_PATH_HPP
