// SPDX-License-Identifier: MIT

// Some slow batches in a row stop the sharing for a while.

#include "support/catch.hpp"

#include <larder/redis/detail/client/batch_pace.hpp>

#include <chrono>

using larder::redis::detail::BatchPace;
using larder::redis::detail::time_point;
using namespace std::chrono_literals;

namespace {

void take(BatchPace& pace, int times, std::chrono::microseconds time) {
    for (int i = 0; i < times; ++i) {
        pace.took(time_point{}, time_point{} + time, 10);
    }
}

}  // namespace

TEST_CASE("slow batches in a row stop the sharing for a while", "[redis]") {
    BatchPace pace;
    const time_point ended = time_point{} + 1ms;
    take(pace, 3, 1ms);
    CHECK(pace.quick(ended));
    take(pace, 1, 1ms);
    CHECK_FALSE(pace.quick(ended));
    CHECK_FALSE(pace.quick(ended + 499ms));
    CHECK(pace.quick(ended + 500ms));
    // And anew.
    const time_point later = ended + 1s;
    for (int i = 0; i < 4; ++i) {
        CHECK(pace.quick(later));
        pace.took(later - 1ms, later, 10);
    }
    CHECK_FALSE(pace.quick(later));
}

TEST_CASE("a slow batch between quick ones stops nothing", "[redis]") {
    BatchPace pace;
    for (int i = 0; i < 5; ++i) {
        take(pace, 3, 1ms);
        take(pace, 1, 100us);
    }
    CHECK(pace.quick(time_point{}));
}

TEST_CASE("a larger batch may take longer", "[redis]") {
    CHECK(BatchPace::longest(1) < BatchPace::longest(100));
    BatchPace pace;
    for (int i = 0; i < 8; ++i) {
        pace.took(time_point{}, time_point{} + 1ms, 1000);
    }
    CHECK(pace.quick(time_point{}));
}
