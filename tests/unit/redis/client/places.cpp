// SPDX-License-Identifier: MIT

// Places of which there are only so many.

#include "support/catch.hpp"

#include <larder/redis/detail/client/in_hand.hpp>
#include <larder/redis/detail/client/patience.hpp>
#include <larder/redis/detail/client/places.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <thread>
#include <utility>

using larder::redis::detail::Counted;
using larder::redis::detail::never;
using larder::redis::detail::Places;
using larder::redis::detail::time_point;

TEST_CASE("a place is given back at its end, however it ends", "[redis]") {
    Places places{2};
    CHECK(places.taken() == 0);
    {
        const Places::Place none;
        CHECK_FALSE(none);
        Places::Place one = places.take(never);
        const Places::Place two = places.take(never);
        CHECK(one);
        CHECK(two);
        CHECK(places.taken() == 2);
        CHECK_FALSE(places.take(time_point{}));
        const Places::Place moved = std::move(one);
        CHECK(moved);
        CHECK(places.taken() == 2);
    }
    CHECK(places.taken() == 0);
    CHECK(places.take(time_point{}));
}

TEST_CASE("who waits for a place gets the next", "[redis]") {
    Places places{1};
    std::optional<Places::Place> first{places.take(never)};
    std::atomic<bool> got{false};
    std::jthread waits{[&] { got = static_cast<bool>(places.take(never)); }};
    CHECK_FALSE(got);
    first.reset();
    waits.join();
    CHECK(got);
    CHECK(places.taken() == 0);
}

TEST_CASE("what is counted is counted off", "[redis]") {
    std::atomic<std::size_t> of{0};
    {
        const Counted one{of};
        const Counted two{of};
        CHECK(one.count() == 1);
        CHECK(two.count() == 2);
    }
    CHECK(of == 0);
}
