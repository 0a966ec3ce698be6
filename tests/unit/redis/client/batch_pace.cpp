// SPDX-License-Identifier: MIT

// Many slow batches in a row stop the sharing for a while.

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

TEST_CASE("many slow batches in a row stop the sharing for a while, and then a few", "[redis]") {
    BatchPace pace;
    const time_point ended = time_point{} + 2ms;
    take(pace, 15, 2ms);
    CHECK(pace.quick(ended));
    take(pace, 1, 2ms);
    CHECK_FALSE(pace.quick(ended));
    CHECK_FALSE(pace.quick(ended + 499ms));
    CHECK(pace.quick(ended + 500ms));
    time_point later = ended + 1s;
    for (int i = 0; i < 4; ++i) {
        CHECK(pace.quick(later));
        pace.took(later - 2ms, later, 10);
    }
    CHECK_FALSE(pace.quick(later));
    // One quick one, and it takes many again.
    later += 1s;
    take(pace, 1, 100us);
    for (int i = 0; i < 16; ++i) {
        CHECK(pace.quick(later));
        pace.took(later - 2ms, later, 10);
    }
    CHECK_FALSE(pace.quick(later));
}

TEST_CASE("a quick batch among slow ones lets the sharing go on", "[redis]") {
    BatchPace pace;
    for (int i = 0; i < 5; ++i) {
        take(pace, 15, 2ms);
        take(pace, 1, 100us);
    }
    CHECK(pace.quick(time_point{}));
}

TEST_CASE("a larger batch may take longer", "[redis]") {
    CHECK(BatchPace::longest(1) < BatchPace::longest(100));
    BatchPace pace;
    for (int i = 0; i < 32; ++i) {
        pace.took(time_point{}, time_point{} + 2ms, 1000);
    }
    CHECK(pace.quick(time_point{}));
}
