// SPDX-License-Identifier: MIT

// When a server that failed is asked again.

#include "support/catch.hpp"

#include <larder/redis/circuit.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

using larder::Breaker;
using larder::redis::detail::Circuit;
using Answer = Circuit::Answer;
using namespace std::chrono_literals;

namespace {

constexpr double middle = 0.5;
const Circuit::time_point start{1h};

}  // namespace

TEST_CASE("a failure opens it for a window, and one caller probes", "[redis]") {
    Circuit circuit{100ms, 300ms};
    CHECK(circuit.state() == Breaker::closed);
    CHECK(circuit.ask(start) == Answer::ask);
    circuit.failed(circuit.era(), start, middle, {"why", false});
    CHECK(circuit.state() == Breaker::open);
    CHECK(circuit.refusal()->why == "why");
    CHECK(circuit.ask(start) == Answer::refuse);
    CHECK(circuit.ask(start + 99ms) == Answer::refuse);
    CHECK(circuit.ask(start + 100ms) == Answer::probe);
    CHECK(circuit.state() == Breaker::half_open);
    CHECK(circuit.ask(start + 100ms) == Answer::refuse);
    CHECK(circuit.ask(start + 1h) == Answer::refuse);
    circuit.succeeded();
    CHECK(circuit.state() == Breaker::closed);
    CHECK(circuit.ask(start + 100ms) == Answer::ask);
}

TEST_CASE("the window doubles up to its longest, and starts again after a success", "[redis]") {
    Circuit circuit{100ms, 300ms};
    auto now = start;
    circuit.failed(circuit.era(), now, middle, {});
    for (const auto window : {100ms, 200ms, 300ms, 300ms}) {
        CAPTURE(window.count());
        CHECK(circuit.ask(now + window - 1ms) == Answer::refuse);
        now += window;
        REQUIRE(circuit.ask(now) == Answer::probe);
        circuit.failed(circuit.era(), now, middle, {});
        CHECK(circuit.state() == Breaker::open);
    }
    now += 300ms;
    REQUIRE(circuit.ask(now) == Answer::probe);
    circuit.succeeded();
    circuit.failed(circuit.era(), now, middle, {});
    CHECK(circuit.ask(now + 99ms) == Answer::refuse);
    CHECK(circuit.ask(now + 100ms) == Answer::probe);
}

TEST_CASE("a lot makes the window a quarter shorter or longer", "[redis]") {
    for (const auto& [lot, window] : {std::pair{0.0, 75ms}, std::pair{1.0, 125ms}}) {
        Circuit circuit{100ms, 300ms};
        circuit.failed(circuit.era(), start, lot, {});
        CHECK(circuit.ask(start + window - 1ms) == Answer::refuse);
        CHECK(circuit.ask(start + window) == Answer::probe);
    }
}

TEST_CASE("failures of an earlier time do not open it again", "[redis]") {
    Circuit circuit{100ms, 300ms};
    const std::uint64_t before = circuit.era();
    circuit.failed(before, start, middle, {});
    // Others that saw the same failure do not make the window longer.
    circuit.failed(before, start + 50ms, middle, {});
    CHECK(circuit.ask(start + 100ms) == Answer::probe);
    // Nor does one that comes while another probes, or after that has succeeded.
    circuit.failed(before, start + 100ms, middle, {});
    CHECK(circuit.state() == Breaker::half_open);
    circuit.succeeded();
    circuit.failed(before, start + 100ms, middle, {});
    CHECK(circuit.state() == Breaker::closed);
}

TEST_CASE("a probe that gave up leaves its turn to the next", "[redis]") {
    Circuit circuit{100ms, 300ms};
    circuit.failed(circuit.era(), start, middle, {});
    REQUIRE(circuit.ask(start + 100ms) == Answer::probe);
    circuit.gave_up();
    CHECK(circuit.state() == Breaker::open);
    CHECK(circuit.ask(start + 100ms) == Answer::probe);
    circuit.succeeded();
    circuit.gave_up();
    circuit.succeeded();
    CHECK(circuit.state() == Breaker::closed);
}

TEST_CASE("of many threads one probes", "[redis]") {
    Circuit circuit{100ms, 300ms};
    circuit.failed(circuit.era(), start, middle, {});
    std::atomic<int> probes{0};
    std::latch ready{8};
    {
        std::vector<std::jthread> all;
        for (int t = 0; t < 8; ++t) {
            all.emplace_back([&] {
                ready.arrive_and_wait();
                probes += circuit.ask(start + 1s) == Answer::probe ? 1 : 0;
            });
        }
    }
    CHECK(probes == 1);
}
