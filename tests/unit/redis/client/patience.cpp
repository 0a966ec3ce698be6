// SPDX-License-Identifier: MIT

// Until when replies are waited for, and how long together a command's attempts may take.

#include "support/catch.hpp"

#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/patience.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

using larder::redis::detail::CallTime;
using larder::redis::detail::never;
using larder::redis::detail::Patience;
using larder::redis::detail::time_point;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1024 * 1024;
constexpr time_point start{1h};
constexpr time_point deadline = start + 100ms;

}  // namespace

TEST_CASE("small replies have the time of a command", "[redis]") {
    Patience patience{deadline, 100ms};
    CHECK(patience.until() == deadline);
    patience.arrived(Patience::large);
    patience.seen(start + 99ms);
    CHECK_FALSE(patience.is_large());
    CHECK(patience.until() == deadline);
    CHECK_FALSE(patience.flows(start + 99ms));
}

TEST_CASE("a large reply has one time-out more for every MiB that has come", "[redis]") {
    Patience patience{deadline, 100ms};
    patience.arrived(mib);
    patience.seen(deadline - 1ms);
    // But no longer than one after its last byte.
    CHECK(patience.until() == deadline + 99ms);
    CHECK(patience.next(start) == deadline);
    CHECK(patience.next(deadline) == deadline + 99ms);
    patience.seen(deadline + 99ms);
    CHECK(patience.until() == deadline + 100ms);
    patience.arrived(mib / 2);
    patience.seen(deadline + 100ms);
    CHECK(patience.until() == deadline + 150ms);
    // What came long before the deadline makes it no earlier.
    Patience early{deadline, 100ms};
    early.arrived(50 * mib);
    early.seen(start - 50ms);
    CHECK(early.until() == deadline);
}

TEST_CASE("it flows while something came lately", "[redis]") {
    Patience patience{deadline, 100ms};
    patience.arrived(Patience::large + 1);
    patience.seen(start);
    CHECK(patience.flows(start + 49ms));
    CHECK_FALSE(patience.flows(start + 50ms));
}

TEST_CASE("no time is too long to be reckoned with", "[redis]") {
    Patience endless{never, 24h};
    endless.arrived(mib);
    endless.seen(start);
    CHECK(endless.until() == never);
    Patience most{start + 24h * 366 * 10, 24h};
    most.arrived((std::numeric_limits<std::size_t>::max)() / 2);
    most.seen(start + 24h * 366 * 10);
    CHECK(most.until() == start + 24h * 366 * 10 + 24h);
    Patience none{deadline, 0ms};
    none.arrived(mib);
    none.seen(deadline);
    CHECK(none.until() == deadline);
}

TEST_CASE("connections put a deadline off, and all together so far", "[redis]") {
    CallTime time{.start = start, .deadline = deadline, .latest = deadline + 50ms};
    time.put_off(30ms);
    CHECK(time.deadline == deadline + 30ms);
    time.put_off(30ms);
    CHECK(time.deadline == deadline + 50ms);
    CallTime endless{};
    endless.put_off(1h);
    CHECK(endless.deadline == never);
}
