// SPDX-License-Identifier: MIT

/// @file
/// What happened: counters, load times, events.

#ifndef LARDER_STATS_HPP
#define LARDER_STATS_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

/// How long loads took: bucket i counts those of less than 2^i microseconds, and not less than half.
struct LoadTimes {
    static constexpr std::size_t size = 32;

    std::array<std::uint64_t, size> buckets{};
    std::uint64_t count{0};
    std::chrono::microseconds total{0};

    /// An upper bound, within a factor of two, for the time that a share of the loads took at most.
    ///
    /// @param share  0.99 for the 99th percentile
    [[nodiscard]] std::chrono::microseconds quantile(double share) const noexcept {
        std::uint64_t seen = 0;
        std::uint64_t bound = 0;
        for (std::size_t i = 0; i < size; ++i) {
            if (seen > 0 && static_cast<double>(seen) >= share * static_cast<double>(count)) {
                break;
            }
            seen += buckets[i];
            bound = buckets[i] > 0 ? std::uint64_t{1} << i : bound;
        }
        return std::chrono::microseconds{bound};
    }
};

/// Whether a store that failed is being asked.
enum class Breaker : std::uint8_t {
    closed,     ///< it is asked
    open,       ///< it is not: it failed a moment ago
    half_open,  ///< one caller is trying it
};

/// How near copies hear of changes.
enum class NearMode : std::uint8_t {
    none,      ///< they do not, as yet, and are not served; or there are none
    tracking,  ///< the server tells of each
    ttl,       ///< nobody tells: a near copy is as old as its ttl at most
    channel,   ///< those who have near copies tell each other of what they change
};

/// Why all near copies were dropped at once.
enum class NearFlush : std::uint8_t {
    start,         ///< the first word of the server
    cut,           ///< the connection that tells of changes was lost
    silence,       ///< it said nothing for too long
    server_flush,  ///< the server was emptied
    topology,      ///< other servers own the keys now
    overflow,      ///< a change could not be told, or too many
};

/// What a policy and its store have counted since they were made.
struct Stats {
    std::uint64_t hits{0};              ///< reads that a fresh copy answered
    std::uint64_t near_hits{0};         ///< of these, from a near copy
    std::uint64_t stale_hits{0};        ///< reads that a copy within its grace answered
    std::uint64_t misses{0};            ///< reads that found no fresh copy
    std::uint64_t loads{0};             ///< keys that a loader was asked for
    std::uint64_t load_failures{0};     ///< loads that threw
    std::uint64_t joined{0};            ///< reads that waited for another's load
    std::uint64_t bypassed{0};          ///< reads past the cache: a write in flight, a store down
    std::uint64_t fenced_fills{0};      ///< loads that were not kept: the key was written meanwhile
    std::uint64_t lost_tickets{0};      ///< writes that outlived their ticket
    std::uint64_t refreshes{0};         ///< background reloads begun
    std::uint64_t refresh_failures{0};  ///< of these, failed
    std::uint64_t evictions{0};         ///< copies that went for lack of room
    std::uint64_t expirations{0};       ///< copies that went at the end of their life
    std::uint64_t store_errors{0};      ///< operations that the store failed
    std::uint64_t undecodable{0};       ///< copies that did not decode
    std::uint64_t oversized{0};         ///< values too large to be kept
    std::uint64_t queued_invalidations{0};  ///< that the store has missed and not caught up
    Breaker breaker{Breaker::closed};
    LoadTimes load_times{};

    NearMode near_mode{NearMode::none};    ///< how near copies hear of changes
    std::uint64_t near_invalidations{0};   ///< changes that they were told of
    std::uint64_t near_cuts{0};            ///< times that all were dropped: a connection was lost,
    std::uint64_t near_silences{0};        ///< it fell silent,
    std::uint64_t near_server_flushes{0};  ///< the server was emptied,
    std::uint64_t near_topology_changes{0};  ///< other servers own the keys,
    std::uint64_t near_overflows{0};         ///< a change could not be told

    std::uint64_t entries{0};   ///< what a store in memory holds,
    std::uint64_t weight{0};    ///< where entries are weighed: their weight,
    std::uint64_t capacity{0};  ///< and the most that it may hold: entries, or weight

    std::uint64_t pending{0};             ///< write-behind: changes not yet in the database
    std::chrono::milliseconds oldest{0};  ///< the age of the first of them
    std::uint64_t retries{0};             ///< writes that were tried again
    std::uint64_t refused{0};             ///< changes older than their row
    std::uint64_t buried{0};              ///< changes that became dead letters
    std::uint64_t discarded{0};           ///< dead letters that were forgotten
    std::uint64_t dead_letters{0};        ///< those that there are
    std::uint64_t batches{0};             ///< batches that were claimed,
    std::uint64_t batched{0};             ///< and the changes in them
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(Breaker breaker) noexcept {
    switch (breaker) {
        case Breaker::closed: return "closed";
        case Breaker::open: return "open";
        case Breaker::half_open: return "half_open";
    }
    return "unknown";
}

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(NearMode mode) noexcept {
    switch (mode) {
        case NearMode::none: return "none";
        case NearMode::tracking: return "tracking";
        case NearMode::ttl: return "ttl";
        case NearMode::channel: return "channel";
    }
    return "unknown";
}

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(NearFlush why) noexcept {
    switch (why) {
        case NearFlush::start: return "start";
        case NearFlush::cut: return "cut";
        case NearFlush::silence: return "silence";
        case NearFlush::server_flush: return "server_flush";
        case NearFlush::topology: return "topology";
        case NearFlush::overflow: return "overflow";
    }
    return "unknown";
}

/// The statistics of one of several caches, and its name.
struct NamedStats {
    std::string name{};
    Stats stats{};
};

namespace detail {

/// A number of Stats, and what it is.
struct Metric {
    const char* name;
    const char* help;
    std::uint64_t Stats::*value;
};

inline constexpr Metric counters[] = {
    {"hits", "Reads that a fresh copy answered.", &Stats::hits},
    {"near_hits", "Hits that a near copy answered.", &Stats::near_hits},
    {"stale_hits", "Reads that a copy within its grace answered.", &Stats::stale_hits},
    {"misses", "Reads that found no fresh copy.", &Stats::misses},
    {"loads", "Keys that a loader was asked for.", &Stats::loads},
    {"load_failures", "Loads that threw.", &Stats::load_failures},
    {"joined", "Reads that waited for the load of another.", &Stats::joined},
    {"bypassed", "Reads past the cache: a write in flight, a store down.", &Stats::bypassed},
    {"fenced_fills", "Loads not kept: the key was written meanwhile.", &Stats::fenced_fills},
    {"lost_tickets", "Writes that outlived their ticket.", &Stats::lost_tickets},
    {"refreshes", "Background reloads begun.", &Stats::refreshes},
    {"refresh_failures", "Background reloads that failed.", &Stats::refresh_failures},
    {"evictions", "Copies that went for lack of room.", &Stats::evictions},
    {"expirations", "Copies that went at the end of their life.", &Stats::expirations},
    {"store_errors", "Operations that the store failed.", &Stats::store_errors},
    {"undecodable", "Copies that did not decode.", &Stats::undecodable},
    {"oversized", "Values too large to be kept.", &Stats::oversized},
    {"retries", "Writes to the database that were tried again.", &Stats::retries},
    {"refused", "Changes older than their row.", &Stats::refused},
    {"buried", "Changes that became dead letters.", &Stats::buried},
    {"discarded", "Dead letters that were forgotten.", &Stats::discarded},
    {"batches", "Batches that a flusher has claimed.", &Stats::batches},
    {"batched", "Changes in these batches.", &Stats::batched},
    {"near_invalidations", "Changes that near copies were told of.", &Stats::near_invalidations},
    {"near_cuts", "Times that all near copies were dropped: a connection was lost.",
     &Stats::near_cuts},
    {"near_silences", "Times that all near copies were dropped: a connection fell silent.",
     &Stats::near_silences},
    {"near_server_flushes", "Times that all near copies were dropped: the server was emptied.",
     &Stats::near_server_flushes},
    {"near_topology_changes",
     "Times that all near copies were dropped: other servers own the keys.",
     &Stats::near_topology_changes},
    {"near_overflows", "Times that all near copies were dropped: a change could not be told.",
     &Stats::near_overflows},
};

/// What goes up and down, in every store.
inline constexpr Metric gauges[] = {
    {"queued_invalidations", "Invalidations that the store has missed.",
     &Stats::queued_invalidations},
    {"pending", "Changes not yet in the database.", &Stats::pending},
    {"dead_letters", "Changes that the database would not take.", &Stats::dead_letters},
};

/// What a store knows that has a bound.
inline constexpr Metric room_gauges[] = {
    {"entries", "Copies that the store holds.", &Stats::entries},
    {"weight", "What these copies weigh.", &Stats::weight},
    {"capacity", "The most that the store holds: entries, or weight where it is weighed.",
     &Stats::capacity},
};

/// `1.048576`: Prometheus has base units.
[[nodiscard]] inline std::string in_seconds(std::chrono::microseconds time) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(time);
    const std::string rest = std::to_string((time - whole).count());
    return std::to_string(whole.count()) + '.' + std::string(6 - rest.size(), '0') + rest;
}

[[nodiscard]] inline std::string cache_label(std::string_view name) {
    std::string label = "cache=\"";
    for (const char c : name) {
        switch (c) {
            case '\\': label += "\\\\"; break;
            case '"': label += "\\\""; break;
            case '\n': label += "\\n"; break;
            default: label += c;
        }
    }
    return label + '"';
}

/// The text format of Prometheus, metric by metric: each is described once, whatever the number of
/// caches.
///
/// A template, as what uses it: who includes this and asks for no text need not compile it.
template <std::same_as<NamedStats> Named>
class Exposition {
public:
    explicit Exposition(std::span<const Named> caches) : caches_{caches} {}

    [[nodiscard]] std::string text() {
        for (const Metric& metric : counters) {
            family(std::string{metric.name} + "_total", metric.help, "counter", metric.value);
        }
        for (const Metric& metric : gauges) {
            family(metric.name, metric.help, "gauge", metric.value);
        }
        describe("breaker", "Whether the store is asked: 0 it is, 1 not, 2 one caller tries it.",
                 "gauge");
        for (const Named& cache : caches_) {
            sample("breaker", cache, std::to_string(static_cast<int>(cache.stats.breaker)));
        }
        describe("near_mode",
                 "How near copies hear of changes: 0 not, 1 tracking, 2 by ttl alone, 3 a channel.",
                 "gauge");
        for (const Named& cache : caches_) {
            sample("near_mode", cache, std::to_string(static_cast<int>(cache.stats.near_mode)));
        }
        describe("oldest_pending_seconds", "The age of the first change not yet in the database.",
                 "gauge");
        for (const Named& cache : caches_) {
            sample("oldest_pending_seconds", cache, in_seconds(cache.stats.oldest));
        }
        if (std::any_of(caches_.begin(), caches_.end(), bounded)) {
            for (const Metric& metric : room_gauges) {
                family(metric.name, metric.help, "gauge", metric.value, bounded);
            }
        }
        describe("load_seconds", "How long loads took.", "histogram");
        for (const Named& cache : caches_) {
            histogram(cache);
        }
        return std::move(text_);
    }

private:
    static bool bounded(const Named& cache) { return cache.stats.capacity > 0; }
    static bool any(const Named&) { return true; }

    void describe(const std::string& name, const char* help, const char* type) {
        text_ +=
            "# HELP larder_" + name + ' ' + help + "\n# TYPE larder_" + name + ' ' + type + '\n';
    }
    void sample(const std::string& name, const Named& cache, const std::string& value,
                const std::string& label = {}) {
        text_ += "larder_" + name + '{' + cache_label(cache.name) + label + "} " + value + '\n';
    }

    void family(const std::string& name, const char* help, const char* type,
                std::uint64_t Stats::*value, bool (*has)(const Named&) = any) {
        describe(name, help, type);
        for (const Named& cache : caches_) {
            if (has(cache)) {
                sample(name, cache, std::to_string(cache.stats.*value));
            }
        }
    }

    void histogram(const Named& cache) {
        const LoadTimes& times = cache.stats.load_times;
        const auto bucket = [&](const std::string& bound, std::uint64_t below) {
            sample("load_seconds_bucket", cache, std::to_string(below), ",le=\"" + bound + '"');
        };
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < LoadTimes::size; ++i) {
            below += times.buckets[i];
            bucket(in_seconds(std::chrono::microseconds{std::int64_t{1} << i}), below);
        }
        bucket("+Inf", times.count);
        sample("load_seconds_sum", cache, in_seconds(times.total));
        sample("load_seconds_count", cache, std::to_string(times.count));
    }

    std::span<const Named> caches_;
    std::string text_{};
};

}  // namespace detail

/// One JSON object, its names those of Stats, followed by the unit if any; load times as count, total
/// and percentiles in microseconds.
template <std::same_as<Stats> S>
[[nodiscard]] std::string to_json(const S& stats) {
    std::string text = "{";
    const auto see = [&](const char* name, std::uint64_t value) {
        text += '"';
        text += name;
        text += "\":" + std::to_string(value) + ',';
    };
    const auto see_all = [&](std::span<const detail::Metric> metrics) {
        for (const detail::Metric& metric : metrics) {
            see(metric.name, stats.*metric.value);
        }
    };
    see_all(detail::counters);
    see_all(detail::gauges);
    see_all(detail::room_gauges);
    see("breaker", static_cast<std::uint64_t>(stats.breaker));
    see("near_mode", static_cast<std::uint64_t>(stats.near_mode));
    see("oldest_milliseconds", static_cast<std::uint64_t>(stats.oldest.count()));
    const LoadTimes& times = stats.load_times;
    text += "\"load_times\":{\"count\":" + std::to_string(times.count) +
            ",\"total\":" + std::to_string(times.total.count()) +
            ",\"p50\":" + std::to_string(times.quantile(0.5).count()) +
            ",\"p99\":" + std::to_string(times.quantile(0.99).count()) + "}}";
    return text;
}

/// The text format of Prometheus for any number of caches, whose names differ: every metric is named
/// `larder_…`, is described once, and has a label `cache`.
///
/// ```cpp
/// larder::to_prometheus({{"users", users.stats()}, {"pages", pages.stats()}})
/// ```
///
/// Times are in seconds. `larder_entries`, `larder_weight` and `larder_capacity` are there for stores
/// that have a bound.
template <class = void>
[[nodiscard]] std::string to_prometheus(std::span<const NamedStats> caches) {
    return detail::Exposition<NamedStats>{caches}.text();
}
/// @copydoc to_prometheus
template <class = void>
[[nodiscard]] std::string to_prometheus(std::initializer_list<NamedStats> caches) {
    return to_prometheus(std::span<const NamedStats>{caches.begin(), caches.size()});
}

/// The same for one cache: the texts of two, one after the other, are none.
template <std::same_as<Stats> S>
[[nodiscard]] std::string to_prometheus(std::string_view name, const S& stats) {
    return to_prometheus({{std::string{name}, stats}});
}

/// What an observer is told of.
enum class EventKind : std::uint8_t {
    load_failed,          ///< a load failed; a stale copy was served in its place
    refresh_failed,       ///< a background reload failed
    store_failed,         ///< the store failed; the call went on without it
    fill_failed,          ///< a value could not be kept
    invalidation_queued,  ///< the store missed an invalidation, which is queued
    lost_ticket,          ///< a write outlived its ticket; the copy was dropped
    buried,               ///< a change became a dead letter
    not_drained,          ///< changes were left when a write-behind policy went away
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(EventKind kind) noexcept {
    switch (kind) {
        case EventKind::load_failed: return "load_failed";
        case EventKind::refresh_failed: return "refresh_failed";
        case EventKind::store_failed: return "store_failed";
        case EventKind::fill_failed: return "fill_failed";
        case EventKind::invalidation_queued: return "invalidation_queued";
        case EventKind::lost_ticket: return "lost_ticket";
        case EventKind::buried: return "buried";
        case EventKind::not_drained: return "not_drained";
    }
    return "unknown";
}

/// Something that no caller was told of.
struct Event {
    EventKind kind{};

    /// The key as text.
    std::string key{};

    /// The cause, where there is one.
    std::exception_ptr error{};

    /// Of those that come by the thousand: how many there were since the last one, this included.
    std::uint64_t count{1};
};

/// Called off the hot path, from any thread. What it throws is ignored, and of what its own calls to the
/// policy cause it is not told.
using Observer = std::function<void(const Event&)>;

LARDER_NS_END

#endif  // LARDER_STATS_HPP
