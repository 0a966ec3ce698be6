// SPDX-License-Identifier: MIT

/// @file
/// Random bits for jitter and for ids that must not meet: cheap, not for secrets.

#ifndef LARDER_DETAIL_SUPPORT_RANDOM_HPP
#define LARDER_DETAIL_SUPPORT_RANDOM_HPP

#include <larder/detail/support/mix.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// The next number of this thread's own sequence (SplitMix64).
[[nodiscard]] inline std::uint64_t random_bits() noexcept {
    // The count differs between threads, time and number between processes, and so does the address
    // where the system lays them out at random.
    static std::atomic<std::uint64_t> threads{0};
    const auto seed = [] {
        return mix_bits(threads.fetch_add(1, std::memory_order_relaxed)) ^
               mix_bits(static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(&threads))) ^
               mix_bits(~process_number()) ^
               static_cast<std::uint64_t>(
                   std::chrono::steady_clock::now().time_since_epoch().count());
    };
    thread_local std::uint64_t forked = forks();
    thread_local std::uint64_t state = seed();
    if (const std::uint64_t now = forks(); now != forked) [[unlikely]] {
        // A child's thread would go on with the numbers of its parent's.
        forked = now;
        state = seed();
    }
    state += 0x9e3779b97f4a7c15U;
    return mix_bits(state);
}

/// A number in [0, 1).
[[nodiscard]] inline double random_fraction() noexcept {
    return static_cast<double>(random_bits() >> 11U) * 0x1.0p-53;
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_RANDOM_HPP
