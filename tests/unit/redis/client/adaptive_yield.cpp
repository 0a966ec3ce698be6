// SPDX-License-Identifier: MIT

// Yields stop for a while when one has taken as long as a time slice.

#include "support/catch.hpp"

#include <larder/redis/detail/client/adaptive_yield.hpp>

#include <chrono>

using larder::redis::detail::AdaptiveYield;
using larder::redis::detail::time_point;
using namespace std::chrono_literals;

TEST_CASE("a yield as long as a time slice stops all for a while", "[redis]") {
    const time_point began{};
    AdaptiveYield yield;
    CHECK(yield.quick(began));
    yield.took(began, began + 1ms, 1);
    CHECK(yield.quick(began));
    yield.took(began, began + 2ms, 1);
    CHECK_FALSE(yield.quick(began + 2ms));
    CHECK_FALSE(yield.quick(began + 201ms));
    CHECK(yield.quick(began + 202ms));
}

TEST_CASE("a crowd's turns are no time slice", "[redis]") {
    const time_point began{};
    AdaptiveYield yield;
    yield.took(began, began + 2ms, 64);
    CHECK(yield.quick(began + 2ms));
    yield.took(began, began + 3ms, 64);
    CHECK_FALSE(yield.quick(began + 3ms));
}

TEST_CASE("it yields in a crowd, while yields are quick", "[redis]") {
    AdaptiveYield yield;
    CHECK_FALSE(yield(0));
    CHECK(yield(1));
    const time_point now = std::chrono::steady_clock::now();
    yield.took(now, now + 1h, 1);
    CHECK_FALSE(yield(1));
}
