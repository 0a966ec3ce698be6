// SPDX-License-Identifier: MIT

// When a server that failed is asked again.

#include "support/catch.hpp"

#include <larder/redis/detail/client/circuit_breaker.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <latch>
#include <thread>
#include <utility>
#include <vector>

using larder::Breaker;
using larder::redis::detail::CircuitBreaker;
using Permit = CircuitBreaker::Permit;
using namespace std::chrono_literals;

namespace {

constexpr double middle = 0.5;
const CircuitBreaker::time_point start{1h};

bool asks(CircuitBreaker& circuit, CircuitBreaker::time_point now) {
    const Permit permit = circuit.ask(now);
    return permit.granted() && !permit.probes();
}
bool refuses(CircuitBreaker& circuit, CircuitBreaker::time_point now) {
    return !circuit.ask(now).granted();
}

}  // namespace

TEST_CASE("a failure opens it for a window, and one caller probes", "[redis]") {
    CircuitBreaker circuit{100ms, 300ms};
    CHECK(circuit.state() == Breaker::closed);
    CHECK(asks(circuit, start));
    circuit.failed(circuit.era(), start, middle, {"why", false});
    CHECK(circuit.state() == Breaker::open);
    CHECK(circuit.refusal()->why == "why");
    CHECK(refuses(circuit, start));
    CHECK(refuses(circuit, start + 99ms));
    Permit probe = circuit.ask(start + 100ms);
    CHECK(probe.probes());
    CHECK(probe.granted());
    CHECK(circuit.state() == Breaker::half_open);
    CHECK(circuit.probes() == 1);
    CHECK(refuses(circuit, start + 100ms));
    CHECK(refuses(circuit, start + 1h));
    probe.succeeded();
    CHECK(circuit.state() == Breaker::closed);
    CHECK(circuit.probes() == 0);
    CHECK(asks(circuit, start + 100ms));
}

TEST_CASE("the window doubles up to its longest, and starts again after a success", "[redis]") {
    CircuitBreaker circuit{100ms, 300ms};
    auto now = start;
    circuit.failed(circuit.era(), now, middle, {});
    for (const auto window : {100ms, 200ms, 300ms, 300ms}) {
        CAPTURE(window.count());
        CHECK(refuses(circuit, now + window - 1ms));
        now += window;
        const Permit probe = circuit.ask(now);
        REQUIRE(probe.probes());
        circuit.failed(circuit.era(), now, middle, {});
        CHECK(circuit.state() == Breaker::open);
    }
    now += 300ms;
    circuit.ask(now).succeeded();
    CHECK(circuit.state() == Breaker::closed);
    circuit.failed(circuit.era(), now, middle, {});
    CHECK(refuses(circuit, now + 99ms));
    CHECK(circuit.ask(now + 100ms).probes());
}

TEST_CASE("a lot makes the window a quarter shorter or longer", "[redis]") {
    for (const auto& [lot, window] : {std::pair{0.0, 75ms}, std::pair{1.0, 125ms}}) {
        CircuitBreaker circuit{100ms, 300ms};
        circuit.failed(circuit.era(), start, lot, {});
        CHECK(refuses(circuit, start + window - 1ms));
        CHECK(circuit.ask(start + window).probes());
    }
}

TEST_CASE("failures of an earlier time do not open it again", "[redis]") {
    CircuitBreaker circuit{100ms, 300ms};
    const std::uint64_t before = circuit.era();
    circuit.failed(before, start, middle, {});
    // Others that saw the same failure do not make the window longer.
    circuit.failed(before, start + 50ms, middle, {});
    Permit probe = circuit.ask(start + 100ms);
    CHECK(probe.probes());
    // Nor does one that comes while another probes, or after that has succeeded.
    circuit.failed(before, start + 100ms, middle, {});
    CHECK(circuit.state() == Breaker::half_open);
    probe.succeeded();
    circuit.failed(before, start + 100ms, middle, {});
    CHECK(circuit.state() == Breaker::closed);
}

TEST_CASE("a probe that ends without a reply leaves its turn to the next", "[redis]") {
    CircuitBreaker circuit{100ms, 300ms};
    circuit.failed(circuit.era(), start, middle, {});
    {
        Permit probe = circuit.ask(start + 100ms);
        REQUIRE(probe.probes());
        const Permit moved = std::move(probe);
        CHECK(moved.probes());
        CHECK(circuit.probes() == 1);
    }
    CHECK(circuit.probes() == 0);
    CHECK(circuit.state() == Breaker::open);
    Permit probe = circuit.ask(start + 100ms);
    CHECK(probe.probes());
    probe = Permit{};  // another way to end
    CHECK(circuit.state() == Breaker::open);
    CHECK(circuit.ask(start + 100ms).probes());
}

TEST_CASE("a turn that a failure took away is not given up twice", "[redis]") {
    CircuitBreaker circuit{100ms, 300ms};
    circuit.failed(circuit.era(), start, middle, {});
    Permit late = circuit.ask(start + 100ms);
    REQUIRE(late.probes());
    circuit.failed(circuit.era(), start + 100ms, middle, {});
    Permit probe = circuit.ask(start + 300ms);
    REQUIRE(probe.probes());
    CHECK(circuit.probes() == 2);
    SECTION("at its end") {
        late = Permit{};
    }
    SECTION("nor by a reply to an earlier one") {
        late.succeeded();
    }
    CHECK(circuit.state() == Breaker::half_open);
    CHECK(refuses(circuit, start + 300ms));
    probe.succeeded();
    CHECK(circuit.state() == Breaker::closed);
}

TEST_CASE("a server that changes its role begins an era, at most one a window", "[redis]") {
    CircuitBreaker circuit{100ms, 300ms};
    const std::uint64_t before = circuit.era();
    circuit.changed_role(start);
    circuit.changed_role(start + 99ms);
    CHECK(circuit.era() == before + 1);
    CHECK(circuit.state() == Breaker::closed);
    circuit.changed_role(start + 100ms);
    CHECK(circuit.era() == before + 2);
    // A probe that is under way is none of its business.
    circuit.failed(circuit.era(), start + 100ms, middle, {});
    {
        const Permit probe = circuit.ask(start + 200ms);
        circuit.changed_role(start + 200ms);
        CHECK(circuit.state() == Breaker::half_open);
    }
    CHECK(circuit.ask(start + 200ms).probes());
}

TEST_CASE("of many threads one probes", "[redis]") {
    CircuitBreaker circuit{100ms, 300ms};
    circuit.failed(circuit.era(), start, middle, {});
    std::atomic<int> probes{0};
    std::latch ready{8};
    std::latch asked{8};
    {
        std::vector<std::jthread> all;
        for (int t = 0; t < 8; ++t) {
            all.emplace_back([&] {
                ready.arrive_and_wait();
                const Permit permit = circuit.ask(start + 1s);
                probes += permit.probes() ? 1 : 0;
                asked.arrive_and_wait();
            });
        }
    }
    CHECK(probes == 1);
}
