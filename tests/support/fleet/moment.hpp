// SPDX-License-Identifier: MIT

/// @file
/// A clock that all processes of this machine agree on.

#ifndef LARDER_TESTS_SUPPORT_FLEET_MOMENT_HPP
#define LARDER_TESTS_SUPPORT_FLEET_MOMENT_HPP

#include <chrono>
#include <cstdint>

namespace larder_test {

using Moment = std::uint64_t;

/// Nanoseconds of CLOCK_MONOTONIC: on Linux, steady_clock; the same in every process.
inline Moment moment() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<Moment>(std::chrono::nanoseconds{now}.count());
}

inline Moment moments(std::chrono::nanoseconds length) {
    return static_cast<Moment>(length.count());
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_MOMENT_HPP
