// SPDX-License-Identifier: MIT

/// @file
/// A part of the tour: what a cache tells about itself.

#ifndef LARDER_EXAMPLES_TOUR_STATISTICS_HPP
#define LARDER_EXAMPLES_TOUR_STATISTICS_HPP

#include "support/iso_codes.hpp"
#include "tour.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace examples {

using namespace std::chrono_literals;

template <class Stores>
void statistics(Tour<Stores>& tour) {
    const std::vector<std::string> codes = Subdivisions{tour.db}.codes();
    larder::CacheAside places{
        tour.template memory<Subdivision>(1'000), Subdivisions{tour.db}, {.ttl = 1h}};
    // Few are asked for often, many seldom.
    std::mt19937 random{42};
    std::exponential_distribution<double> rank{1.0 / 400.0};
    constexpr std::uint64_t reads = 50'000;
    tour.step(times(reads, "read", "reads") + ", room for 1,000 rows", [&] {
        for (std::uint64_t i = 0; i < reads; ++i) {
            (void)places.get(codes[static_cast<std::size_t>(rank(random)) * 7919 % codes.size()]);
        }
        return Outcome{"mixed", "of " + times(codes.size(), "row", "rows")};
    });
    const larder::Stats stats = places.stats();
    tour.note(times(stats.hits, "hit", "hits") + " (" + std::to_string(stats.hits * 100 / reads) +
              " %), " + times(stats.loads, "load", "loads") + ", " +
              times(stats.evictions, "eviction", "evictions") +
              "; half of the loads took at most " +
              std::to_string(stats.load_times.quantile(0.5).count()) + " µs");
    tour.note(to_json(stats).substr(0, 78) + "…");
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_STATISTICS_HPP
