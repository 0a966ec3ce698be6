// SPDX-License-Identifier: MIT

// How long all attempts of a command together may take.

#include "support/catch.hpp"

#include <larder/redis/detail/client/call_time.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>

#include <chrono>

using larder::redis::detail::CallTime;
using larder::redis::detail::never;
using larder::redis::detail::time_point;
using namespace std::chrono_literals;

namespace {

constexpr time_point start{1h};
constexpr time_point deadline = start + 100ms;

}  // namespace

TEST_CASE("connections extend a deadline, and all together so far", "[redis]") {
    CallTime time{.start = start, .deadline = deadline, .latest = deadline + 50ms};
    time.extend(30ms);
    CHECK(time.deadline == deadline + 30ms);
    time.extend(30ms);
    CHECK(time.deadline == deadline + 50ms);
    CallTime endless{};
    endless.extend(1h);
    CHECK(endless.deadline == never);
}
