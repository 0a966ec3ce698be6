// SPDX-License-Identifier: MIT

/// @file
/// Where the time comes from: the machine's steady clock, or a test's hand.

#ifndef LARDER_CLOCK_HPP
#define LARDER_CLOCK_HPP

#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <memory>

#if defined(__x86_64__) && defined(__GNUC__)
#define LARDER_HAS_CYCLE_COUNTER 1
#include <cpuid.h>
#else
#define LARDER_HAS_CYCLE_COUNTER 0
#endif

LARDER_NS_BEGIN

/// A monotonic source of time. Copies of one clock tell the same time.
///
/// Thread safety: `now` may be called concurrently. It must not throw.
template <class C>
concept Clock = std::copy_constructible<C> && requires(const C& clock) {
    { clock.now() } -> std::same_as<std::chrono::steady_clock::time_point>;
};

namespace detail {

/// A steady_clock that a thread need not ask again while its processor's counter of cycles has hardly
/// moved on: asking costs more than a hit, the counter a third of that.
class CycleCounter {
public:
    /// The time, or what it was less than a millisecond ago.
    [[nodiscard]] static std::chrono::steady_clock::time_point recent() noexcept {
#if LARDER_HAS_CYCLE_COUNTER
        // Of a processor at 500 MHz or more, less than a millisecond. A count that goes back, on another
        // core, is a long time.
        constexpr std::uint64_t window = 500'000;
        struct Reading {
            std::uint64_t cycles;
            std::chrono::steady_clock::time_point at;
        };
        thread_local constinit Reading last{};
        const std::uint64_t cycles = __builtin_ia32_rdtsc();
        if (cycles - last.cycles < window && counts_time) [[likely]] {
            return last.at;
        }
        last.at = std::chrono::steady_clock::now();
        last.cycles = cycles;
        return last.at;
#else
        return std::chrono::steady_clock::now();
#endif
    }

private:
#if LARDER_HAS_CYCLE_COUNTER
    // The counter goes on at one pace, whatever the processor does (AMD64 manual 2, section 13.2.4; Intel
    // SDM 3B, section 18.17.1).
    [[nodiscard]] static bool is_invariant() noexcept {
        unsigned a = 0;
        unsigned b = 0;
        unsigned c = 0;
        unsigned d = 0;
        return __get_cpuid(0x80000007U, &a, &b, &c, &d) != 0 && (d & (1U << 8U)) != 0;
    }
    static inline const bool counts_time = is_invariant();
#endif
};

}  // namespace detail

/// The machine's monotonic clock.
struct SteadyClock {
    /// The time since an arbitrary start, the same for the whole machine.
    [[nodiscard]] std::chrono::steady_clock::time_point now() const noexcept {
        return std::chrono::steady_clock::now();
    }
    /// The same, or what it was less than a millisecond ago: for a hit, which takes less time than `now`.
    [[nodiscard]] std::chrono::steady_clock::time_point recent() const noexcept {
        return detail::CycleCounter::recent();
    }
};

/// A clock that moves only when it is told to: time in tests, without sleeping.
///
/// ```cpp
/// larder::ManualClock clock;
/// larder::MemoryStore<int, int, larder::ManualClock> store{{}, clock};
/// clock.advance(10s);
/// ```
///
/// Thread safety: all members may run concurrently.
class ManualClock {
public:
    using duration = std::chrono::steady_clock::duration;

    /// The sum of all steps so far; copies of a clock show the same time.
    [[nodiscard]] std::chrono::steady_clock::time_point now() const noexcept {
        return std::chrono::steady_clock::time_point{
            duration{since_start_->load(std::memory_order_acquire)}};
    }

    /// Moves this clock and all its copies on, to the end of time at most. A negative step is
    /// ignored: the clock is monotonic.
    void advance(duration by) noexcept {
        duration::rep now = since_start_->load(std::memory_order_acquire);
        const auto after = [by](duration::rep from) {
            const duration::rep most = (duration::max)().count() - from;
            return from + (by.count() < 0 ? 0 : by.count() < most ? by.count() : most);
        };
        while (!since_start_->compare_exchange_weak(now, after(now), std::memory_order_acq_rel)) {}
    }

private:
    // Not zero: a time-point of zero means "never" in many a program.
    static constexpr duration start = std::chrono::hours{1};

    std::shared_ptr<std::atomic<duration::rep>> since_start_ =
        std::make_shared<std::atomic<duration::rep>>(start.count());
};

LARDER_NS_END

#endif  // LARDER_CLOCK_HPP
