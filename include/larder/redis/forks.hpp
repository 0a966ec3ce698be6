// SPDX-License-Identifier: MIT

/// @file
/// Tells a process from its parent, without a system call each time.

#ifndef LARDER_REDIS_FORKS_HPP
#define LARDER_REDIS_FORKS_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstdint>

#include <pthread.h>

LARDER_NS_BEGIN

namespace redis::detail {

inline std::atomic<std::uint64_t>& fork_count() noexcept {
    static std::atomic<std::uint64_t> count{0};
    return count;
}

/// How many forks lie between this process and the first that called this.
[[nodiscard]] inline std::uint64_t forks() noexcept {
    [[maybe_unused]] static const int registered = ::pthread_atfork(
        nullptr, nullptr, [] { fork_count().fetch_add(1, std::memory_order_relaxed); });
    return fork_count().load(std::memory_order_relaxed);
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_FORKS_HPP
