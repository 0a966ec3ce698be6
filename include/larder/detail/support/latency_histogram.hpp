// SPDX-License-Identifier: MIT

/// @file
/// The histogram of load times while it grows.

#ifndef LARDER_DETAIL_SUPPORT_LATENCY_HISTOGRAM_HPP
#define LARDER_DETAIL_SUPPORT_LATENCY_HISTOGRAM_HPP

#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// Thread safety: all members may run concurrently.
class LatencyHistogram {
public:
    void record(std::chrono::nanoseconds took) noexcept {
        const auto micros = static_cast<std::uint64_t>((std::max)(
            std::chrono::duration_cast<std::chrono::microseconds>(took).count(), std::int64_t{0}));
        const auto bucket =
            (std::min)(static_cast<std::size_t>(std::bit_width(micros)), LoadTimes::size - 1);
        buckets_[bucket].fetch_add(1, std::memory_order_relaxed);
        total_.fetch_add(micros, std::memory_order_relaxed);
    }

    [[nodiscard]] LoadTimes read() const noexcept {
        LoadTimes times;
        for (std::size_t i = 0; i < LoadTimes::size; ++i) {
            times.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
            times.count += times.buckets[i];
        }
        times.total = std::chrono::microseconds{total_.load(std::memory_order_relaxed)};
        return times;
    }

private:
    std::array<std::atomic<std::uint64_t>, LoadTimes::size> buckets_{};
    std::atomic<std::uint64_t> total_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_LATENCY_HISTOGRAM_HPP
