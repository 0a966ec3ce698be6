// SPDX-License-Identifier: MIT

/// @file
/// Counts what is under way.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SCOPED_COUNT_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SCOPED_COUNT_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstddef>

LARDER_NS_BEGIN

namespace redis::detail {

/// Counts one while it lives.
class ScopedCount {
public:
    explicit ScopedCount(std::atomic<std::size_t>& of) noexcept
        : of_{of}, count_{of.fetch_add(1, std::memory_order_relaxed) + 1} {}
    ScopedCount(const ScopedCount&) = delete;
    ScopedCount& operator=(const ScopedCount&) = delete;
    ~ScopedCount() { of_.fetch_sub(1, std::memory_order_relaxed); }

    /// With this one, when it came.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    std::atomic<std::size_t>& of_;
    std::size_t count_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_SCOPED_COUNT_HPP
