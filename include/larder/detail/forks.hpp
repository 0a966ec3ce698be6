// SPDX-License-Identifier: MIT

/// @file
/// Tells a process from its parent, without a system call each time.

#ifndef LARDER_DETAIL_FORKS_HPP
#define LARDER_DETAIL_FORKS_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstdint>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <unistd.h>
#endif

LARDER_NS_BEGIN

namespace detail {

inline std::atomic<std::uint64_t>& fork_count() noexcept {
    static std::atomic<std::uint64_t> count{0};
    return count;
}

/// How many forks lie between this process and the first that called this.
[[nodiscard]] inline std::uint64_t forks() noexcept {
#if defined(__unix__) || defined(__APPLE__)
    [[maybe_unused]] static const int registered = ::pthread_atfork(
        nullptr, nullptr, [] { fork_count().fetch_add(1, std::memory_order_relaxed); });
#endif
    return fork_count().load(std::memory_order_relaxed);
}

/// The number of this process, where it has one.
[[nodiscard]] inline std::uint64_t process_number() noexcept {
#if defined(__unix__) || defined(__APPLE__)
    return static_cast<std::uint64_t>(::getpid());
#else
    return 0;
#endif
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FORKS_HPP
