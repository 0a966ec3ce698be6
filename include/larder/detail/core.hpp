// SPDX-License-Identifier: MIT

/// @file
/// What the read path and the write path of one policy share: store, loader, options, counters.

#ifndef LARDER_DETAIL_CORE_HPP
#define LARDER_DETAIL_CORE_HPP

#include <larder/concepts.hpp>
#include <larder/detail/flight/background_work.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/policy_in_hand.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/event_sink.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/latency_histogram.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/random.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/executor.hpp>
#include <larder/options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

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
    using Background = BackgroundWork<Key>;

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
    PolicyCounters counters{};
    EventSink events{options.observer};
    LatencyHistogram load_times{};

    /// What a Tagged policy adds to each entry; empty function: nothing. Set before any load.
    std::function<Tags(const Key&, const std::optional<Value>&)> tags_of{};

    [[nodiscard]] SingleFlight<Key>& loads() const { return background->loads.get(); }

    /// The load of a key has failed: for a while no other is tried where there is a stale copy.
    void back_off(const Key& key) const noexcept {
        try {
            const Instant moment = now();
            loads().back_off(key, later(moment, options.refresh_backoff), moment);
        } catch (...) {
            // A clock that throws.
        }
    }

    /// The key was loaded, written or invalidated: the next load need not wait.
    void end_back_off(const Key& key) const noexcept {
        if (auto* const mine = background->loads.find()) {
            mine->end_back_off(key);
        }
    }

    void count(Count what) noexcept { counters.add(what); }

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

    /// Tells the observer of what has befallen a key.
    void report(EventKind kind, const Key& key, std::exception_ptr error = {}) noexcept {
        events.report(
            kind, [&] { return key_text(key); }, std::move(error));
    }

    /// Tells the observer of what concerns no single key.
    void report_all(EventKind kind, std::exception_ptr error) noexcept {
        events.report(
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
            for (std::string& tag : tags_of(key, value)) {
                tags.push_back(std::move(tag));
            }
        }
        // A known absence has no stale form: there is nothing to serve.
        return {{fresh, value ? options.grace : Ttl::zero()}, std::move(tags), own_ttl.has_value()};
    }

    /// Makes sure that nobody is served this key's copy, now or when the store is back.
    ///
    /// @return false if that cannot be: a hash or a comparison keeps throwing
    bool invalidate(const Key& key) noexcept {
        try {
            store.erase(key);
            return true;
        } catch (...) {
            count(Count::store_errors);
            return queue_invalidation(key, {.force = true});
        }
    }

    /// Remembers an invalidation that the store missed.
    ///
    /// @return false if the queue is full and it may not be forced, or if the store has none, since it
    ///         misses nothing
    bool queue_invalidation(const Key& key, const MissedInvalidation& missed) noexcept {
        if constexpr (S::fallible) {
            try {
                const bool queued =
                    store.queue_invalidation(key, options.max_queued_invalidations, missed);
                if (queued) {
                    report(EventKind::invalidation_queued, key);
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
        counters.add_to(all);
        all.load_times = load_times.read();
        return all;
    }

    [[nodiscard]] PolicyInHand in_hand() const {
        return {store.in_hand(), loads().busy(), loads().refreshing(), background->scope.running()};
    }

private:
    // Endless lives are cut once, here, to what every store and clock can hold.
    static Options within_bounds(Options options) {
        validate(options);
        for (Ttl* const life : {&options.ttl, &options.negative_ttl, &options.grace}) {
            *life = cut(*life);
        }
        return options;
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_CORE_HPP
