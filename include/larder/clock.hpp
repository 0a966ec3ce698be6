// SPDX-License-Identifier: MIT

/// @file
/// Where the time comes from: the machine's steady clock, or a test's hand.

#ifndef LARDER_CLOCK_HPP
#define LARDER_CLOCK_HPP

#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <memory>

LARDER_NS_BEGIN

/// A monotonic source of time. Copies of one clock tell the same time.
///
/// Thread safety: `now` may be called concurrently. It must not throw.
template <class C>
concept Clock = std::copy_constructible<C> && requires(const C& clock) {
    { clock.now() } -> std::same_as<std::chrono::steady_clock::time_point>;
};

/// The machine's monotonic clock.
struct SteadyClock {
    /// The time since an arbitrary start, the same for the whole machine.
    [[nodiscard]] std::chrono::steady_clock::time_point now() const noexcept {
        return std::chrono::steady_clock::now();
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
