// SPDX-License-Identifier: MIT

/// @file
/// What happened: counters, load times, events.

#ifndef LARDER_STATS_HPP
#define LARDER_STATS_HPP

#include <larder/version.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <string>
#include <string_view>

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
    std::uint64_t queued_invalidations{0};  ///< drops that the store has missed and not caught up
    Breaker breaker{Breaker::closed};
    LoadTimes load_times{};

    std::size_t entries{0};   ///< what a store in memory holds,
    std::size_t weight{0};    ///< where entries are weighed: their weight,
    std::size_t capacity{0};  ///< and the most entries that it may hold

    std::uint64_t pending{0};             ///< write-behind: changes not yet in the database
    std::chrono::milliseconds oldest{0};  ///< the age of the first of them
    std::uint64_t retries{0};             ///< writes that were tried again
    std::uint64_t refused{0};             ///< changes older than their row
    std::uint64_t buried{0};              ///< changes that became dead letters
};

namespace detail {

/// Calls `see(name, value)` for every counter.
template <class See>
void each_counter(const Stats& s, See&& see) {
    see("hits", s.hits);
    see("near_hits", s.near_hits);
    see("stale_hits", s.stale_hits);
    see("misses", s.misses);
    see("loads", s.loads);
    see("load_failures", s.load_failures);
    see("joined", s.joined);
    see("bypassed", s.bypassed);
    see("fenced_fills", s.fenced_fills);
    see("lost_tickets", s.lost_tickets);
    see("refreshes", s.refreshes);
    see("refresh_failures", s.refresh_failures);
    see("evictions", s.evictions);
    see("expirations", s.expirations);
    see("store_errors", s.store_errors);
    see("undecodable", s.undecodable);
    see("oversized", s.oversized);
    see("retries", s.retries);
    see("refused", s.refused);
    see("buried", s.buried);
}

/// Calls `see(name, value)` for everything that goes up and down.
template <class See>
void each_gauge(const Stats& s, See&& see) {
    see("queued_invalidations", s.queued_invalidations);
    see("breaker", static_cast<std::uint64_t>(s.breaker));
    see("pending", s.pending);
    see("oldest_milliseconds", static_cast<std::uint64_t>(s.oldest.count()));
}

}  // namespace detail

/// One JSON object, its names those of Stats, followed by the unit if any; load times as count, total and percentiles in
/// microseconds.
template <std::same_as<Stats> S>
[[nodiscard]] std::string to_json(const S& stats) {
    std::string text = "{";
    const auto see = [&](const char* name, std::uint64_t value) {
        text += '"';
        text += name;
        text += "\":" + std::to_string(value) + ',';
    };
    detail::each_counter(stats, see);
    detail::each_gauge(stats, see);
    const LoadTimes& times = stats.load_times;
    text += "\"load_times\":{\"count\":" + std::to_string(times.count) +
            ",\"total\":" + std::to_string(times.total.count()) +
            ",\"p50\":" + std::to_string(times.quantile(0.5).count()) +
            ",\"p99\":" + std::to_string(times.quantile(0.99).count()) + "}}";
    return text;
}

/// The text format of Prometheus, every metric named `larder_…` and labelled with the cache's name.
template <std::same_as<Stats> S>
[[nodiscard]] std::string to_prometheus(std::string_view name, const S& stats) {
    std::string label = "{cache=\"";
    for (const char c : name) {
        switch (c) {
            case '\\': label += "\\\\"; break;
            case '"': label += "\\\""; break;
            case '\n': label += "\\n"; break;
            default: label += c;
        }
    }
    label += '"';
    std::string text;
    const auto metric = [&](const char* what, const char* suffix, const char* type,
                            std::uint64_t value) {
        const std::string full = std::string{"larder_"} + what + suffix;
        text += "# TYPE " + full + ' ' + type + '\n' + full + label + "} " + std::to_string(value) +
                '\n';
    };
    detail::each_counter(stats, [&](const char* what, std::uint64_t value) {
        metric(what, "_total", "counter", value);
    });
    detail::each_gauge(
        stats, [&](const char* what, std::uint64_t value) { metric(what, "", "gauge", value); });
    text += "# TYPE larder_load_microseconds histogram\n";
    std::uint64_t below = 0;
    for (std::size_t i = 0; i < LoadTimes::size; ++i) {
        below += stats.load_times.buckets[i];
        text += "larder_load_microseconds_bucket" + label + ",le=\"" +
                std::to_string(std::uint64_t{1} << i) + "\"} " + std::to_string(below) + '\n';
    }
    text += "larder_load_microseconds_bucket" + label + ",le=\"+Inf\"} " +
            std::to_string(stats.load_times.count) + '\n';
    text += "larder_load_microseconds_sum" + label + "} " +
            std::to_string(stats.load_times.total.count()) + '\n';
    text += "larder_load_microseconds_count" + label + "} " +
            std::to_string(stats.load_times.count) + '\n';
    return text;
}

/// What an observer is told of.
enum class EventKind : std::uint8_t {
    load_failed,     ///< a load failed; a stale copy was served in its place
    refresh_failed,  ///< a background reload failed
    store_failed,    ///< the store failed; the call went on without it
    fill_failed,     ///< a value could not be kept
    drop_queued,     ///< the store missed an invalidation, which is queued
    lost_ticket,     ///< a write outlived its ticket; the copy was dropped
    buried,          ///< a change became a dead letter
    not_drained,     ///< changes were left when a write-behind policy went away
};

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

/// Called off the hot path, from any thread. What it throws is ignored.
using Observer = std::function<void(const Event&)>;

LARDER_NS_END

#endif  // LARDER_STATS_HPP
