// SPDX-License-Identifier: MIT

/// @file
/// The workload of the comparison: a few pages are asked for often, and now and then one is edited.

#ifndef LARDER_EXAMPLES_TOUR_COMPARISON_VISITOR_HPP
#define LARDER_EXAMPLES_TOUR_COMPARISON_VISITOR_HPP

#include "contestant.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

namespace examples {

constexpr std::size_t popular_pages = 300;
constexpr std::size_t visitors = 4;
constexpr double share_of_edits = 0.01;
constexpr int saves_of_an_edit = 3;  // one after the other, as an editor that saves by itself does

/// The id of the page of a rank; the most popular has rank 0.
constexpr int page_of(std::size_t rank) {
    return 1 + static_cast<int>(rank * 7'919 % 5'000);
}

/// The last revision of each page whose write has returned.
using Acknowledged = std::vector<std::atomic<std::uint64_t>>;

/// What a visitor has seen.
struct Sightings {
    std::vector<double> read_times{};   ///< in microseconds
    std::vector<double> write_times{};  ///< likewise
    std::uint64_t waited{0};            ///< reads that loaded
    std::uint64_t stale{0};  ///< reads older than what was acknowledged before they began
};

/// One thread's share of the requests, the same in each run.
///
/// Thread safety: a visitor belongs to one thread; visitors of other numbers may run beside it.
class Visitor {
public:
    Visitor(std::size_t number, Contestant& pages, Acknowledged& acknowledged)
        : number_{number}, pages_{pages}, acknowledged_{acknowledged}, random_{1 + number} {
        // Zipf: the page of rank r is asked for in proportion to 1 / (r + 1).
        std::vector<double> weights;
        for (std::size_t rank = 0; rank < popular_pages; ++rank) {
            weights.push_back(1.0 / static_cast<double>(rank + 1));
        }
        rank_ = std::discrete_distribution<std::size_t>(weights.begin(), weights.end());
    }

    /// One request: a read; or an edit, which is a read and some writes.
    ///
    /// @param acknowledge  told `(rank, revision)` when a write has returned
    template <class Acknowledge>
    void request(Acknowledge&& acknowledge) {
        std::size_t rank = rank_(random_);
        const bool edits = edit_(random_);
        if (edits) {
            // Each page has one editor, so that its revisions have an order.
            rank = (std::min)(rank - rank % visitors + number_, popular_pages - 1);
            rank -= rank % visitors == number_ ? 0 : visitors;
        }
        pages_.pass();
        Page page = read(rank);
        for (int save = 0; edits && save < saves_of_an_edit; ++save) {
            page.revision = acknowledged_[rank] + 1;
            const auto begin = std::chrono::steady_clock::now();
            pages_.put(page_of(rank), page);
            seen_.write_times.push_back(microseconds_since(begin));
            acknowledged_[rank] = page.revision;
            acknowledge(rank, page.revision);
        }
    }

    [[nodiscard]] const Sightings& seen() const noexcept { return seen_; }

private:
    Page read(std::size_t rank) {
        const std::uint64_t known = acknowledged_[rank];
        const std::uint64_t loads = Pages::loads_of_this_thread();
        const auto begin = std::chrono::steady_clock::now();
        Page page = pages_.get(page_of(rank)).value();
        seen_.read_times.push_back(microseconds_since(begin));
        seen_.waited += Pages::loads_of_this_thread() - loads;
        seen_.stale += page.revision < known ? 1 : 0;
        return page;
    }

    static double microseconds_since(std::chrono::steady_clock::time_point begin) {
        return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin)
            .count();
    }

    std::size_t number_;
    Contestant& pages_;
    Acknowledged& acknowledged_;
    std::mt19937_64 random_;
    std::discrete_distribution<std::size_t> rank_;
    std::bernoulli_distribution edit_{share_of_edits};
    Sightings seen_;
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_COMPARISON_VISITOR_HPP
