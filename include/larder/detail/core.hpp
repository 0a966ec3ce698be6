// SPDX-License-Identifier: MIT

/// @file
/// What the read path and the write path of one policy share: store, loader, options, counters.

#ifndef LARDER_DETAIL_CORE_HPP
#define LARDER_DETAIL_CORE_HPP

#include <larder/concepts.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/policy_in_hand.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/event_coalescer.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/latency_histogram.hpp>
#include <larder/detail/support/observer_call.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/random.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/detail/support/thread_counters.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/executor.hpp>
#include <larder/options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a policy counts itself; everything else in Stats is its store's.
enum class Count : std::uint8_t {
    hits,
    stale_hits,
    misses,
    loads,
    load_failures,
    joined,
    bypassed,
    fenced_fills,
    lost_tickets,
    refreshes,
    refresh_failures,
    store_errors,
    how_many,
};

/// What a policy has under way; its tasks hold it, and it may outlive the policy. A forked child
/// begins with nothing under way.
template <class K, class V>
struct BackgroundWork {
    TaskScope scope{};
    ForkLocal<SingleFlight<K, V>> loads{};
};

/// The heart of a policy, on the heap, so that it outlives a move. Tasks touch it only with a pass of
/// its scope: the policy's destructor waits for those, and then loader, observer and store handle go.
///
/// @tparam S  a CoherentStore's handle
/// @tparam L  the loader or repository, as the user passed it
template <class S, class L>
struct Core {
    using Store = S;
    using Loader = L;
    using Key = typename S::key_type;
    using Value = typename S::value_type;
    using Instant = std::chrono::steady_clock::time_point;
    using Background = BackgroundWork<Key, Value>;

    Core(S store_handle, L loader_given, Options options_given)
        : store{std::move(store_handle)},
          loader{std::move(loader_given)},
          options{within_bounds(std::move(options_given))},
          executor{options.executor.bound()},
          refresh_below{options.refresh_below.value_or(0.0)} {}

    S store;
    L loader;
    const Options options;
    const Executor executor;
    const double refresh_below;
    const std::shared_ptr<Background> background = std::make_shared<Background>();
    ThreadCounters<static_cast<std::size_t>(Count::how_many)> counters{};
    LatencyHistogram load_times{};

    /// What a Tagged policy adds to each entry; empty function: nothing. Set before any load.
    std::function<Tags(const Key&, const std::optional<Value>&)> tags_of{};

    [[nodiscard]] SingleFlight<Key, Value>& loads() const { return background->loads.get(); }

    /// The load of a key has failed: for a while no other is tried where there is a stale copy.
    void back_off(const Key& key) const noexcept {
        try {
            const Instant moment = now();
            loads().rest(key, later(moment, options.refresh_backoff), moment);
        } catch (...) {
            // A clock that throws.
        }
    }
    /// The key was loaded or written: it need not rest.
    void wake(const Key& key) const noexcept {
        if (auto* const mine = background->loads.find()) {
            mine->wake(key);
        }
    }

    void count(Count what) noexcept { counters.add(static_cast<std::size_t>(what)); }

    /// What this policy's reads ask of a store.
    ///
    /// @param remaining  the caller wants to know how long the copy has left
    [[nodiscard]] auto query(bool remaining = false) const {
        using Query = typename S::Query;
        if constexpr (std::is_empty_v<Query>) {
            return Query{};
        } else {
            Query query;
            query.remaining = remaining || refresh_below > 0 || options.grace > Ttl::zero();
            query.tagged = static_cast<bool>(tags_of);
            query.usual = options.ttl;
            return query;
        }
    }

    [[nodiscard]] Instant now() const { return store.clock().now(); }

    /// Tells the observer, whose own failures concern nobody.
    void tell(EventKind kind, const Key& key, std::exception_ptr error = {}) noexcept {
        tell_of(
            kind, [&] { return key_text(key); }, std::move(error));
    }

    /// Tells the observer of what concerns no single key.
    void tell_all(EventKind kind, std::exception_ptr error) noexcept {
        tell_of(
            kind, [] { return std::string{}; }, std::move(error));
    }

    /// Lifetime and tags for a copy of `value`; `own_ttl` is the loader's wish.
    [[nodiscard]] CopyTerms copy_terms(const Key& key, const std::optional<Value>& value,
                                       const std::optional<Ttl>& own_ttl, Tags tags) const {
        Ttl fresh = cut(own_ttl.value_or(value ? options.ttl : options.negative_ttl));
        if (options.jitter > 0 && fresh > Ttl::zero()) {
            const double early = options.jitter * random_fraction();
            fresh -= Ttl{static_cast<Ttl::rep>(static_cast<double>(fresh.count()) * early)};
            fresh = (std::max)(fresh, Ttl{1});
        }
        if (tags_of) {
            Tags more = tags_of(key, value);
            tags.insert(tags.end(), std::make_move_iterator(more.begin()),
                        std::make_move_iterator(more.end()));
        }
        // A known absence has no stale form: there is nothing to serve.
        return {{fresh, value ? options.grace : Ttl::zero()}, std::move(tags), own_ttl.has_value()};
    }

    /// Makes sure that nobody is served this key's copy, now or when the store is back.
    ///
    /// @return false if that cannot be: a hash or a comparison keeps throwing
    bool drop(const Key& key) noexcept {
        try {
            store.erase(key);
            return true;
        } catch (...) {
            count(Count::store_errors);
            return queue_invalidation(key, {.force = true});
        }
    }

    /// Remembers a drop that the store missed; false if the queue is full and it may not be forced, or
    /// if the store, which cannot miss any, has none.
    bool queue_invalidation(const Key& key, const MissedInvalidation& missed) noexcept {
        if constexpr (S::fallible) {
            try {
                const bool queued =
                    store.queue_invalidation(key, options.max_queued_invalidations, missed);
                if (queued) {
                    tell(EventKind::invalidation_queued, key);
                }
                return queued;
            } catch (...) {
                return false;
            }
        } else {
            return false;
        }
    }

    [[nodiscard]] Stats stats() const {
        Stats all = store.stats();
        const auto of = [this](Count what) { return counters.sum(static_cast<std::size_t>(what)); };
        all.hits = of(Count::hits);
        all.stale_hits = of(Count::stale_hits);
        all.misses = of(Count::misses);
        all.loads = of(Count::loads);
        all.load_failures = of(Count::load_failures);
        all.joined = of(Count::joined);
        all.bypassed = of(Count::bypassed);
        all.fenced_fills = of(Count::fenced_fills);
        all.lost_tickets = of(Count::lost_tickets);
        all.refreshes = of(Count::refreshes);
        all.refresh_failures = of(Count::refresh_failures);
        all.store_errors += of(Count::store_errors);
        all.load_times = load_times.read();
        return all;
    }

    [[nodiscard]] PolicyInHand in_hand() const {
        return {store.in_hand(), loads().busy(), loads().refreshing(), background->scope.running()};
    }

    /// At the end: what was kept back of events that come by the thousand.
    void tell_rest() noexcept {
        for (const EventKind kind :
             {EventKind::store_failed, EventKind::invalidation_queued, EventKind::fill_failed}) {
            if (const std::uint64_t count = frequent(kind)->rest(); count > 0) {
                hand_over(
                    kind, [] { return std::string{}; }, {}, count);
            }
        }
    }

private:
    template <class Text>
    void tell_of(EventKind kind, const Text& text, std::exception_ptr error) noexcept {
        if (!options.observer) {
            return;
        }
        EventCoalescer* const many = frequent(kind);
        if (const std::uint64_t count =
                many == nullptr ? 1 : many->add(std::chrono::steady_clock::now());
            count > 0) {
            hand_over(kind, text, std::move(error), count);
        }
    }

    template <class Text>
    void hand_over(EventKind kind, const Text& text, std::exception_ptr error,
                   std::uint64_t count) noexcept {
        const ObserverCall telling{this};
        if (options.observer && telling) {
            try {
                options.observer(Event{kind, text(), std::move(error), count});
            } catch (...) {}
        }
    }

    // Those that come with every call while a store is away; of the others none is like another.
    [[nodiscard]] EventCoalescer* frequent(EventKind kind) noexcept {
        switch (kind) {
            case EventKind::store_failed: return &store_failures_;
            case EventKind::invalidation_queued: return &queued_invalidations_;
            case EventKind::fill_failed: return &failed_fills_;
            default: return nullptr;
        }
    }

    // Endless lives are cut once, here, to what every store and clock can hold.
    static Options within_bounds(Options options) {
        validate(options);
        for (Ttl* const life : {&options.ttl, &options.negative_ttl, &options.grace}) {
            *life = cut(*life);
        }
        return options;
    }

    EventCoalescer store_failures_{};
    EventCoalescer queued_invalidations_{};
    EventCoalescer failed_fills_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_CORE_HPP
