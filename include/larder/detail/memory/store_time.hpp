// SPDX-License-Identifier: MIT

/// @file
/// Moments of a MemoryStore.

#ifndef LARDER_DETAIL_MEMORY_STORE_TIME_HPP
#define LARDER_DETAIL_MEMORY_STORE_TIME_HPP

#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// What a clock says, or, where it has such, a cheaper reading that is a little old.
template <class C>
[[nodiscard]] std::chrono::steady_clock::time_point recent(const C& clock) {
    if constexpr (requires { clock.recent(); }) {
        return clock.recent();
    } else {
        return clock.now();
    }
}

/// Counts microseconds from when the store was made: the start of one that has begun is the moment, so
/// a copy ends less than a microsecond early, and never late.
class StoreTime {
public:
    using Instant = std::chrono::steady_clock::time_point;

    explicit StoreTime(Instant start) noexcept : start_{start.time_since_epoch().count()} {}

    /// A reading from just before the store was made is taken for that moment.
    [[nodiscard]] Micros at(Instant now) const noexcept {
        static_assert(Instant::period::den == 1'000'000'000);
        const Instant::rep count = now.time_since_epoch().count();
        // Unsigned: the difference holds, wherever a clock begins to count.
        return count < start_
                   ? 0
                   : (static_cast<std::uint64_t>(count) - static_cast<std::uint64_t>(start_)) /
                         1000U;
    }
    [[nodiscard]] static Micros later(Micros from, Ttl by) noexcept {
        const Micros step = static_cast<Micros>(cut(by).count()) * 1000U;
        return (std::min)(from + step, EntryState::end_of_time);
    }
    /// What is left of a life; never more than all of it, though a reading of the clock may be from just
    /// before it began.
    [[nodiscard]] static Remaining remaining(Micros until, Micros now, Ttl life) noexcept {
        const std::chrono::microseconds left{static_cast<std::int64_t>(until) -
                                             static_cast<std::int64_t>(now)};
        return (std::min)(left, std::chrono::microseconds{life});
    }

private:
    Instant::rep start_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_STORE_TIME_HPP
