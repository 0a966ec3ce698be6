// SPDX-License-Identifier: MIT

// Events that come by the thousand.

#include "support/catch.hpp"

#include <larder/detail/support/event_coalescer.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::detail::EventCoalescer;

TEST_CASE("the first is told of at once, the others together", "[coalesced]") {
    EventCoalescer events;
    const EventCoalescer::Instant start{};
    CHECK(events.add(start) == 1);
    for (int i = 0; i < 1000; ++i) {
        CHECK(events.add(start + 1s - 1ns) == 0);
    }
    CHECK(events.add(start + 1s) == 1001);
    CHECK(events.add(start + 1s) == 0);
    CHECK(events.add(start + 1h) == 2);
    CHECK(events.rest() == 0);
    CHECK(events.add(start + 1h) == 0);
    CHECK(events.rest() == 1);
}

TEST_CASE("none is told of twice, or forgotten", "[coalesced]") {
    EventCoalescer events;
    std::atomic<std::uint64_t> told{0};
    {
        std::vector<std::jthread> crowd;
        for (int who = 0; who < 4; ++who) {
            crowd.emplace_back([&] {
                for (int i = 0; i < 2000; ++i) {
                    told += events.add(EventCoalescer::Instant{} + i * 10ms);
                }
            });
        }
    }
    CHECK(told + events.rest() == 8000);
}
