// SPDX-License-Identifier: MIT

/// @file
/// Moments that do not overflow.

#ifndef LARDER_DETAIL_SUPPORT_SATURATING_TIME_HPP
#define LARDER_DETAIL_SUPPORT_SATURATING_TIME_HPP

#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>

LARDER_NS_BEGIN

namespace detail {

/// Time that a copy has left, as exact as the clock; zero or less: stale.
using Remaining = std::chrono::steady_clock::duration;

/// An endless life is this long: what every store and every clock can hold, grace included.
inline constexpr Ttl longest_life = std::chrono::hours{24 * 365 * 100};

/// A life, or what is left of one, as long as stores take it. Rule S18.
[[nodiscard]] constexpr Ttl cut(Ttl life) noexcept {
    return life > longest_life ? longest_life : life < -longest_life ? -longest_life : life;
}
[[nodiscard]] constexpr Lifetime cut(const Lifetime& life) noexcept {
    return {cut(life.fresh), cut(life.grace)};
}

/// `from + by`, or the end of time where that lies beyond it.
[[nodiscard]] constexpr std::chrono::steady_clock::time_point later(
    std::chrono::steady_clock::time_point from, Ttl by) noexcept {
    using Instant = std::chrono::steady_clock::time_point;
    const Remaining step = cut(by);
    return step > Remaining::zero()
               ? from > (Instant::max)() - step ? (Instant::max)() : from + step
           : from < (Instant::min)() - step ? (Instant::min)()
                                            : from + step;
}

/// `until - now`, or all the time there is.
[[nodiscard]] constexpr Remaining left(std::chrono::steady_clock::time_point until,
                                       std::chrono::steady_clock::time_point now) noexcept {
    const Remaining at = until.time_since_epoch();
    const Remaining from = now.time_since_epoch();
    if (from < Remaining::zero()) {
        return at > (Remaining::max)() + from ? (Remaining::max)() : at - from;
    }
    return at < (Remaining::min)() + from ? (Remaining::min)() : at - from;
}

/// In whole milliseconds, rounded up: what has not ended has some time left.
[[nodiscard]] constexpr Ttl whole(Remaining remaining) noexcept {
    return std::chrono::ceil<Ttl>(remaining);
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_SATURATING_TIME_HPP
