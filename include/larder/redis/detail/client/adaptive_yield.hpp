// SPDX-License-Identifier: MIT

/// @file
/// Giving way to other threads, where that does not cost more than it brings.

#ifndef LARDER_REDIS_DETAIL_CLIENT_ADAPTIVE_YIELD_HPP
#define LARDER_REDIS_DETAIL_CLIENT_ADAPTIVE_YIELD_HPP

#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <thread>

LARDER_NS_BEGIN

namespace redis::detail {

/// Yields to threads of a crowd, which go on for microseconds each. A thread that computes uses up its
/// time slice before we are back, some milliseconds: a yield that takes so long stops all for a while.
///
/// Thread safety: all members may run concurrently.
class AdaptiveYield {
public:
    using duration = std::chrono::steady_clock::duration;

    /// Whether yields are quick, as far as is known.
    [[nodiscard]] bool quick(time_point now) const noexcept {
        return now.time_since_epoch().count() >= resumes_.load(std::memory_order_relaxed);
    }

    /// Yields, unless that has taken long lately. False: it did not.
    ///
    /// @param crowd  how many threads may go on meanwhile. 0: it does not
    bool operator()(std::size_t crowd) noexcept {
        if (crowd == 0) {
            return false;
        }
        const time_point began = std::chrono::steady_clock::now();
        if (!quick(began)) {
            return false;
        }
        std::this_thread::yield();
        took(began, std::chrono::steady_clock::now(), crowd);
        return true;
    }

    /// Notes how long a yield took.
    void took(time_point began, time_point ended, std::size_t crowd) noexcept {
        if (ended - began >= slice + crowd * turn) {
            resumes_.store((ended + pause).time_since_epoch().count(), std::memory_order_relaxed);
        }
    }

private:
    static constexpr std::chrono::milliseconds slice{1};
    static constexpr std::chrono::microseconds turn{20};  // of one of the crowd
    static constexpr std::chrono::milliseconds pause{200};

    std::atomic<duration::rep> resumes_{(duration::min)().count()};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_ADAPTIVE_YIELD_HPP
