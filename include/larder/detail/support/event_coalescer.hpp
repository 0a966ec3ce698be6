// SPDX-License-Identifier: MIT

/// @file
/// Events that come by the thousand, told of once a second.

#ifndef LARDER_DETAIL_SUPPORT_EVENT_COALESCER_HPP
#define LARDER_DETAIL_SUPPORT_EVENT_COALESCER_HPP

#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <limits>

LARDER_NS_BEGIN

namespace detail {

/// The first of many is told of at once, those that follow together, at most once a second.
///
/// Thread safety: all members may run concurrently.
class EventCoalescer {
public:
    using Instant = std::chrono::steady_clock::time_point;

    /// One more.
    ///
    /// @return how many there were since it was told of last, if it is to be told of now; else 0
    [[nodiscard]] std::uint64_t add(Instant now) noexcept {
        untold_.fetch_add(1, std::memory_order_relaxed);
        Rep next = next_.load(std::memory_order_relaxed);
        const Rep time = now.time_since_epoch().count();
        const bool due = time >= next && next_.compare_exchange_strong(next, time + pause.count());
        return due ? rest() : 0;
    }

    /// How many were not told of, at the end.
    [[nodiscard]] std::uint64_t rest() noexcept {
        return untold_.exchange(0, std::memory_order_relaxed);
    }

private:
    using Rep = Instant::rep;
    static constexpr Instant::duration pause = std::chrono::seconds{1};

    std::atomic<std::uint64_t> untold_{0};
    std::atomic<Rep> next_{(std::numeric_limits<Rep>::min)()};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_EVENT_COALESCER_HPP
