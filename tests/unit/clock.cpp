// SPDX-License-Identifier: MIT

// The clock of the machine, and the one that a test moves.

#include "support/catch.hpp"

#include <larder/clock.hpp>

#include <chrono>
#include <latch>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::ManualClock;

TEST_CASE("a manual clock stands still until it is moved", "[clock]") {
    ManualClock clock;
    const auto start = clock.now();
    CHECK(start.time_since_epoch() > 0s);  // zero means "never" in many a program
    CHECK(clock.now() == start);
    clock.advance(10s);
    CHECK(clock.now() == start + 10s);
    clock.advance(1ns);
    CHECK(clock.now() == start + 10s + 1ns);
}

TEST_CASE("a manual clock never goes back", "[clock]") {
    ManualClock clock;
    clock.advance(1s);
    const auto then = clock.now();
    clock.advance(-1s);
    CHECK(clock.now() == then);
    clock.advance(0s);
    CHECK(clock.now() == then);
}

TEST_CASE("a manual clock stops at the end of time", "[clock]") {
    ManualClock clock;
    clock.advance((ManualClock::duration::max)());
    CHECK(clock.now() == (std::chrono::steady_clock::time_point::max)());
    clock.advance(1s);
    CHECK(clock.now() == (std::chrono::steady_clock::time_point::max)());
    clock.advance((ManualClock::duration::min)());
    CHECK(clock.now() == (std::chrono::steady_clock::time_point::max)());
}

TEST_CASE("a recent reading is less than a millisecond old, and never ahead", "[clock]") {
    const larder::SteadyClock clock;
    bool cached = false;
    auto last = clock.recent();
    for (int i = 0; i < 200'000; ++i) {
        const auto before = clock.now();
        const auto recent = clock.recent();
        REQUIRE(recent <= clock.now());
        REQUIRE(recent >= last);
        REQUIRE(before - recent < 1ms);
        cached = cached || recent < before;
        last = recent;
    }
    // Where there is a counter of cycles, most of them are not read anew.
    CHECK(cached == (LARDER_HAS_CYCLE_COUNTER != 0));
}

TEST_CASE("copies of a manual clock tell the same time, others do not", "[clock]") {
    ManualClock one;
    ManualClock copy = one;
    const ManualClock other;
    copy.advance(5s);
    CHECK(one.now() == copy.now());
    one.advance(5s);
    CHECK(copy.now() == one.now());
    CHECK(other.now() == one.now() - 10s);
}

TEST_CASE("threads move one manual clock, and each sees it grow", "[clock]") {
    constexpr int threads = 4;
    constexpr int steps = 1000;
    ManualClock clock;
    const auto start = clock.now();
    std::latch together{threads};
    std::vector<std::jthread> movers;
    std::vector<int> backwards(threads, 0);
    for (std::size_t t = 0; t < threads; ++t) {
        movers.emplace_back([&, t, handle = clock]() mutable {
            together.arrive_and_wait();
            auto seen = handle.now();
            for (int i = 0; i < steps; ++i) {
                handle.advance(1us);
                const auto now = handle.now();
                backwards[t] += now <= seen ? 1 : 0;
                seen = now;
            }
        });
    }
    movers.clear();
    CHECK(clock.now() == start + threads * steps * 1us);
    CHECK(backwards == std::vector<int>(threads, 0));
}

TEST_CASE("the steady clock is the machine's", "[clock]") {
    const auto before = std::chrono::steady_clock::now();
    const auto now = larder::SteadyClock{}.now();
    CHECK(before <= now);
    CHECK(now <= std::chrono::steady_clock::now());
}
