// SPDX-License-Identifier: MIT

/// @file
/// Whether callers should wait for one another.

#ifndef LARDER_REDIS_DETAIL_CLIENT_BATCH_PACE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_BATCH_PACE_HPP

#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>

LARDER_NS_BEGIN

namespace redis::detail {

/// How quickly batches come back. Who waits for the next one to be sent waits for up to a round trip.
/// That pays where what round trips cost is work, on this machine or in the same data centre; not
/// where they are spent in a network. There all are slow; elsewhere some are, beside threads that
/// compute. Many slow ones in a row stop the sharing for a while, and a few after that do so again.
///
/// Thread safety: all members may run concurrently.
class BatchPace {
public:
    using duration = std::chrono::steady_clock::duration;

    /// A batch that takes longer is slow.
    [[nodiscard]] static constexpr duration longest(std::size_t commands) noexcept {
        return std::chrono::milliseconds{1} +
               static_cast<duration::rep>(commands) * std::chrono::microseconds{2};
    }

    /// Whether callers should share batches.
    [[nodiscard]] bool quick(time_point now) const noexcept {
        return now.time_since_epoch().count() >= resumes_.load(std::memory_order_relaxed);
    }

    /// Notes how long a batch took.
    void took(time_point sent, time_point answered, std::size_t commands) noexcept {
        if (answered - sent <= longest(commands)) {
            if (slow_.load(std::memory_order_relaxed) != 0) {
                slow_.store(0, std::memory_order_relaxed);
            }
        } else if (slow_.fetch_add(1, std::memory_order_relaxed) + 1 == in_a_row) {
            slow_.store(in_a_row - again, std::memory_order_relaxed);
            resumes_.store((answered + pause).time_since_epoch().count(),
                           std::memory_order_relaxed);
        }
    }

private:
    static constexpr std::size_t in_a_row = 16;
    static constexpr std::size_t again = 4;
    static constexpr std::chrono::milliseconds pause{500};

    std::atomic<std::size_t> slow_{0};
    std::atomic<duration::rep> resumes_{(duration::min)().count()};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_BATCH_PACE_HPP
