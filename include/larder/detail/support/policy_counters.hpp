// SPDX-License-Identifier: MIT

/// @file
/// What a policy counts itself; everything else in Stats is its store's.

#ifndef LARDER_DETAIL_SUPPORT_POLICY_COUNTERS_HPP
#define LARDER_DETAIL_SUPPORT_POLICY_COUNTERS_HPP

#include <larder/detail/support/thread_counters.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

enum class Count : std::uint8_t {
    hits,
    near_hits,
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

/// Thread safety: all members may run concurrently.
class PolicyCounters {
public:
    void add(Count what) noexcept { all_.add(static_cast<std::size_t>(what)); }

    /// Errors are added to those that the store has counted.
    void add_to(Stats& stats) const {
        const auto of = [this](Count what) { return all_.sum(static_cast<std::size_t>(what)); };
        stats.near_hits = of(Count::near_hits);
        stats.hits = of(Count::hits) + stats.near_hits;
        stats.stale_hits = of(Count::stale_hits);
        stats.misses = of(Count::misses);
        stats.loads = of(Count::loads);
        stats.load_failures = of(Count::load_failures);
        stats.joined = of(Count::joined);
        stats.bypassed = of(Count::bypassed);
        stats.fenced_fills = of(Count::fenced_fills);
        stats.lost_tickets = of(Count::lost_tickets);
        stats.refreshes = of(Count::refreshes);
        stats.refresh_failures = of(Count::refresh_failures);
        stats.store_errors += of(Count::store_errors);
    }

private:
    ThreadCounters<static_cast<std::size_t>(Count::how_many)> all_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_POLICY_COUNTERS_HPP
