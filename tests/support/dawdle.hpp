// SPDX-License-Identifier: MIT

/// @file
/// Chance for threads that do at random what callers do.

#ifndef LARDER_TESTS_SUPPORT_DAWDLE_HPP
#define LARDER_TESTS_SUPPORT_DAWDLE_HPP

#include <atomic>
#include <random>
#include <thread>

namespace larder_test {

/// The calling thread's own.
inline std::mt19937& engine() {
    static std::atomic<unsigned> seeds{1};
    thread_local std::mt19937 random{seeds.fetch_add(1)};
    return random;
}

/// True once in `of` times.
inline bool chance(unsigned of) {
    return engine()() % of == 0;
}

/// Lets others run, fewer than `most` times.
inline void dawdle(unsigned most = 32) {
    for (auto i = engine()() % most; i > 0; --i) {
        std::this_thread::yield();
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_DAWDLE_HPP
