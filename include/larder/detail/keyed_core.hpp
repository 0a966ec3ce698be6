// SPDX-License-Identifier: MIT

/// @file
/// What the paths of one policy share as long as its values do not matter.

#ifndef LARDER_DETAIL_KEYED_CORE_HPP
#define LARDER_DETAIL_KEYED_CORE_HPP

#include <larder/detail/flight/background_work.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/event_sink.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/latency_histogram.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/random.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/executor.hpp>
#include <larder/options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The part of a Core that knows neither values nor loader: options, counters, what is under way, and
/// the store's slots by key. What is written against it is compiled once for all policies whose keys
/// are of one type.
///
/// Thread safety: all members may run concurrently.
template <class K>
class KeyedCore {
public:
    using Key = K;
    using Instant = std::chrono::steady_clock::time_point;
    using Background = BackgroundWork<K>;

    KeyedCore(const KeyedCore&) = delete;
    KeyedCore& operator=(const KeyedCore&) = delete;

    // ---- the store, by key ----

    /// The time of its clock.
    [[nodiscard]] virtual Instant now() const = 0;

    /// The flight of a load in this process, if the slot shows its lease.
    [[nodiscard]] virtual std::shared_ptr<AnyFlight> underway(const K& key) = 0;

    /// The load of a lease has failed.
    virtual void release(const K& key, const Lease& lease) = 0;

    /// How long a lease of another process has left; nothing where the store cannot say.
    [[nodiscard]] virtual std::optional<std::optional<Ttl>> remote_lease(const K& key,
                                                                         const Lease& lease) = 0;

    /// Drops the copy.
    virtual void erase(const K& key) = 0;

    /// Remembers an invalidation, where the store may miss any.
    ///
    /// @return false if the queue is full, or there is none
    virtual bool remember(const K& key, const MissedInvalidation& missed) = 0;

    // ---- what is under way ----

    [[nodiscard]] SingleFlight<K>& loads() const { return background->loads.get(); }

    /// The load of a key has failed: for a while no other is tried where there is a stale copy.
    void back_off(const K& key) const noexcept {
        try {
            const Instant moment = now();
            loads().back_off(key, later(moment, options.refresh_backoff), moment);
        } catch (...) {
            // A clock that throws.
        }
    }

    /// The key was loaded, written or invalidated: the next load need not wait.
    void end_back_off(const K& key) const noexcept {
        if (auto* const mine = background->loads.find()) {
            mine->end_back_off(key);
        }
    }

    // ---- what is told ----

    void count(Count what) noexcept { counters.add(what); }

    /// Tells the observer of what has befallen a key.
    void report(EventKind kind, const K& key, std::exception_ptr error = {}) noexcept {
        events.report(
            kind, [&] { return key_text(key); }, std::move(error));
    }

    /// Tells the observer of what concerns no single key.
    void report_all(EventKind kind, std::exception_ptr error) noexcept {
        events.report(
            kind, [] { return std::string{}; }, std::move(error));
    }

    // ---- invalidations ----

    /// Makes sure that nobody is served this key's copy, now or when the store is back.
    ///
    /// @return false if that cannot be: a hash or a comparison keeps throwing
    bool invalidate(const K& key) noexcept {
        try {
            erase(key);
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
    bool queue_invalidation(const K& key, const MissedInvalidation& missed) noexcept {
        try {
            const bool queued = remember(key, missed);
            if (queued) {
                report(EventKind::invalidation_queued, key);
            }
            return queued;
        } catch (...) {
            return false;
        }
    }

    const Options options;
    const Executor executor;
    const double refresh_below;
    const std::shared_ptr<Background> background = std::make_shared<Background>();
    PolicyCounters counters{};
    EventSink events{options.observer};
    LatencyHistogram load_times{};

protected:
    explicit KeyedCore(Options given)
        : options{within_bounds(std::move(given))},
          executor{options.executor.bound()},
          refresh_below{options.refresh_below.value_or(0.0)} {}
    ~KeyedCore() = default;

    /// Lifetime and tags of a copy.
    ///
    /// @param known    it has a value, and is not a known absence
    /// @param own_ttl  the loader's wish
    [[nodiscard]] CopyTerms terms_of(bool known, const std::optional<Ttl>& own_ttl,
                                     Tags tags) const {
        Ttl fresh = cut(own_ttl.value_or(known ? options.ttl : options.negative_ttl));
        if (options.jitter > 0 && fresh > Ttl::zero()) {
            const double early = options.jitter * random_fraction();
            fresh -= Ttl{static_cast<Ttl::rep>(static_cast<double>(fresh.count()) * early)};
            fresh = (std::max)(fresh, Ttl{1});
        }
        // A known absence has no stale form: there is nothing to serve.
        return {{fresh, known ? options.grace : Ttl::zero()}, std::move(tags), own_ttl.has_value()};
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

#endif  // LARDER_DETAIL_KEYED_CORE_HPP
