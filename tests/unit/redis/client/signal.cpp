// SPDX-License-Identifier: MIT

// What one thread waits for until another has it go on. Has threads: std::jthread.

#include "support/catch.hpp"

#include <larder/redis/detail/client/signal.hpp>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>

using larder::redis::detail::Signal;

TEST_CASE("a signal that is set before needs no waiting for", "[redis]") {
    Signal signal;
    CHECK_FALSE(signal.try_wait());
    signal.set();
    CHECK(signal.try_wait());
    CHECK_FALSE(signal.try_wait());
    signal.set();
    signal.wait();
    CHECK_FALSE(signal.try_wait());
}

TEST_CASE("what was written before a signal is seen behind it, and it may be gone at once",
          "[redis]") {
    struct Waiting {
        int value{0};
        Signal signal{};
    };
    for (int i = 0; i < 2000; ++i) {
        auto waiting = std::make_unique<Waiting>();
        std::latch both{2};
        const std::jthread sets{[&both, of = waiting.get()] {
            both.arrive_and_wait();
            of->value = 1;
            of->signal.set();
        }};
        both.arrive_and_wait();
        if (i % 2 == 0) {
            waiting->signal.wait();
        } else {
            while (!waiting->signal.try_wait()) {
                std::this_thread::yield();
            }
        }
        const int value = waiting->value;
        waiting.reset();
        REQUIRE(value == 1);
    }
}
