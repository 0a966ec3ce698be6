// SPDX-License-Identifier: MIT

// A semaphore whose permits are given back, however they end.

#include "support/catch.hpp"

#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/semaphore.hpp>

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>
#include <utility>

using larder::redis::detail::never;
using larder::redis::detail::Semaphore;
using larder::redis::detail::time_point;

TEST_CASE("a permit is given back at its end, however it ends", "[redis]") {
    Semaphore semaphore{2};
    CHECK(semaphore.acquired() == 0);
    {
        const Semaphore::Permit none;
        CHECK_FALSE(none);
        Semaphore::Permit one = semaphore.acquire(never);
        const Semaphore::Permit two = semaphore.acquire(never);
        CHECK(one);
        CHECK(two);
        CHECK(semaphore.acquired() == 2);
        CHECK_FALSE(semaphore.acquire(time_point{}));
        const Semaphore::Permit moved = std::move(one);
        CHECK(moved);
        CHECK(semaphore.acquired() == 2);
    }
    CHECK(semaphore.acquired() == 0);
    CHECK(semaphore.acquire(time_point{}));
}

TEST_CASE("who waits for a permit gets the next", "[redis]") {
    Semaphore semaphore{1};
    std::optional<Semaphore::Permit> first{semaphore.acquire(never)};
    std::atomic<bool> got{false};
    std::jthread waits{[&] { got = static_cast<bool>(semaphore.acquire(never)); }};
    CHECK_FALSE(got);
    first.reset();
    waits.join();
    CHECK(got);
    CHECK(semaphore.acquired() == 0);
}
