// SPDX-License-Identifier: MIT

/// @file
/// Moments that do not overflow.

#ifndef LARDER_DETAIL_LATER_HPP
#define LARDER_DETAIL_LATER_HPP

#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>

LARDER_NS_BEGIN

namespace detail {

/// `from + by`, or the end of time where that lies beyond it: an endless lifetime is one.
[[nodiscard]] inline std::chrono::steady_clock::time_point later(
    std::chrono::steady_clock::time_point from, Ttl by) noexcept {
    constexpr auto end = (std::chrono::steady_clock::time_point::max)();
    return by >= std::chrono::duration_cast<Ttl>(end - from) ? end : from + by;
}

/// A life as every store and clock can hold it: a hundred years stand for all that is longer.
[[nodiscard]] constexpr Ttl cut(Ttl life) noexcept {
    constexpr Ttl longest = std::chrono::hours{24 * 365 * 100};
    return life < longest ? life : longest;
}

/// Time that a copy has left, as exact as the clock; zero or less: stale.
using Remaining = std::chrono::steady_clock::duration;

/// In whole milliseconds, rounded up: what has not ended has some time left.
[[nodiscard]] constexpr Ttl whole(Remaining remaining) noexcept {
    return std::chrono::ceil<Ttl>(remaining);
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_LATER_HPP
