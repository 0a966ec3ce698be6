// SPDX-License-Identifier: MIT

// Until when replies are waited for.

#include "support/catch.hpp"

#include <larder/redis/detail/client/reply_deadline.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

using larder::redis::detail::never;
using larder::redis::detail::ReplyDeadline;
using larder::redis::detail::time_point;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t mib = 1024 * 1024;
constexpr time_point start{1h};
constexpr time_point deadline = start + 100ms;

}  // namespace

TEST_CASE("small replies have the time of a command", "[redis]") {
    ReplyDeadline replies{deadline, 100ms};
    CHECK(replies.until() == deadline);
    replies.arrived(ReplyDeadline::large);
    replies.seen(start + 99ms);
    CHECK_FALSE(replies.is_large());
    CHECK(replies.until() == deadline);
    CHECK_FALSE(replies.flows(start + 99ms));
}

TEST_CASE("a large reply has one time-out more for every MiB that has come", "[redis]") {
    ReplyDeadline replies{deadline, 100ms};
    replies.arrived(mib);
    replies.seen(deadline - 1ms);
    // But no longer than one after its last byte.
    CHECK(replies.until() == deadline + 99ms);
    CHECK(replies.next(start) == deadline);
    CHECK(replies.next(deadline) == deadline + 99ms);
    replies.seen(deadline + 99ms);
    CHECK(replies.until() == deadline + 100ms);
    replies.arrived(mib / 2);
    replies.seen(deadline + 100ms);
    CHECK(replies.until() == deadline + 150ms);
    // What came long before the deadline makes it no earlier.
    ReplyDeadline early{deadline, 100ms};
    early.arrived(50 * mib);
    early.seen(start - 50ms);
    CHECK(early.until() == deadline);
}

TEST_CASE("it flows while something came lately", "[redis]") {
    ReplyDeadline replies{deadline, 100ms};
    replies.arrived(ReplyDeadline::large + 1);
    replies.seen(start);
    CHECK(replies.flows(start + 49ms));
    CHECK_FALSE(replies.flows(start + 50ms));
}

TEST_CASE("no time is too long to be reckoned with", "[redis]") {
    ReplyDeadline endless{never, 24h};
    endless.arrived(mib);
    endless.seen(start);
    CHECK(endless.until() == never);
    ReplyDeadline most{start + 24h * 366 * 10, 24h};
    most.arrived((std::numeric_limits<std::size_t>::max)() / 2);
    most.seen(start + 24h * 366 * 10);
    CHECK(most.until() == start + 24h * 366 * 10 + 24h);
    ReplyDeadline none{deadline, 0ms};
    none.arrived(mib);
    none.seen(deadline);
    CHECK(none.until() == deadline);
}
