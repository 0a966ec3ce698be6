// SPDX-License-Identifier: MIT

/// @file
/// What other threads bring about.

#ifndef LARDER_TESTS_SUPPORT_EVENTUALLY_HPP
#define LARDER_TESTS_SUPPORT_EVENTUALLY_HPP

#include <chrono>
#include <functional>
#include <thread>

namespace larder_test {

/// Until it is true; false if that takes too long.
[[nodiscard]] inline bool eventually(const std::function<bool()>& what) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    while (!what()) {
        if (std::chrono::steady_clock::now() > end) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_EVENTUALLY_HPP
