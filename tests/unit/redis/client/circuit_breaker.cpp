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
using Permission = CircuitBreaker::Permission;
using namespace std::chrono_literals;

namespace {

constexpr double middle = 0.5;
const CircuitBreaker::time_point start{1h};

bool asks(CircuitBreaker& breaker, CircuitBreaker::time_point now) {
    const Permission permission = breaker.request(now);
    return permission.granted() && !permission.is_probe();
}
bool refuses(CircuitBreaker& breaker, CircuitBreaker::time_point now) {
    return !breaker.request(now).granted();
}

}  // namespace

TEST_CASE("a failure opens it for a window, and one caller probes", "[redis]") {
    CircuitBreaker breaker{100ms, 300ms};
    CHECK(breaker.state() == Breaker::closed);
    CHECK(asks(breaker, start));
    breaker.trip(breaker.era(), start, middle, {"why", false});
    CHECK(breaker.state() == Breaker::open);
    CHECK(breaker.reason()->text == "why");
    CHECK(refuses(breaker, start));
    CHECK(refuses(breaker, start + 99ms));
    Permission probe = breaker.request(start + 100ms);
    CHECK(probe.is_probe());
    CHECK(probe.granted());
    CHECK(breaker.state() == Breaker::half_open);
    CHECK(breaker.probes() == 1);
    CHECK(refuses(breaker, start + 100ms));
    CHECK(refuses(breaker, start + 1h));
    probe.succeeded();
    CHECK(breaker.state() == Breaker::closed);
    CHECK(breaker.probes() == 0);
    CHECK(asks(breaker, start + 100ms));
}

TEST_CASE("the window doubles up to its longest, and starts again after a success", "[redis]") {
    CircuitBreaker breaker{100ms, 300ms};
    auto now = start;
    breaker.trip(breaker.era(), now, middle, {});
    for (const auto window : {100ms, 200ms, 300ms, 300ms}) {
        CAPTURE(window.count());
        CHECK(refuses(breaker, now + window - 1ms));
        now += window;
        const Permission probe = breaker.request(now);
        REQUIRE(probe.is_probe());
        breaker.trip(breaker.era(), now, middle, {});
        CHECK(breaker.state() == Breaker::open);
    }
    now += 300ms;
    breaker.request(now).succeeded();
    CHECK(breaker.state() == Breaker::closed);
    breaker.trip(breaker.era(), now, middle, {});
    CHECK(refuses(breaker, now + 99ms));
    CHECK(breaker.request(now + 100ms).is_probe());
}

TEST_CASE("a lot makes the window a quarter shorter or longer", "[redis]") {
    for (const auto& [lot, window] : {std::pair{0.0, 75ms}, std::pair{1.0, 125ms}}) {
        CircuitBreaker breaker{100ms, 300ms};
        breaker.trip(breaker.era(), start, lot, {});
        CHECK(refuses(breaker, start + window - 1ms));
        CHECK(breaker.request(start + window).is_probe());
    }
}

TEST_CASE("failures of an earlier time do not open it again", "[redis]") {
    CircuitBreaker breaker{100ms, 300ms};
    const std::uint64_t before = breaker.era();
    breaker.trip(before, start, middle, {});
    // Others that saw the same failure do not make the window longer.
    breaker.trip(before, start + 50ms, middle, {});
    Permission probe = breaker.request(start + 100ms);
    CHECK(probe.is_probe());
    // Nor does one that comes while another probes, or after that has succeeded.
    breaker.trip(before, start + 100ms, middle, {});
    CHECK(breaker.state() == Breaker::half_open);
    probe.succeeded();
    breaker.trip(before, start + 100ms, middle, {});
    CHECK(breaker.state() == Breaker::closed);
}

TEST_CASE("a probe that ends without a reply leaves its turn to the next", "[redis]") {
    CircuitBreaker breaker{100ms, 300ms};
    breaker.trip(breaker.era(), start, middle, {});
    {
        Permission probe = breaker.request(start + 100ms);
        REQUIRE(probe.is_probe());
        const Permission moved = std::move(probe);
        CHECK(moved.is_probe());
        CHECK(breaker.probes() == 1);
    }
    CHECK(breaker.probes() == 0);
    CHECK(breaker.state() == Breaker::open);
    Permission probe = breaker.request(start + 100ms);
    CHECK(probe.is_probe());
    probe = Permission{};  // another way to end
    CHECK(breaker.state() == Breaker::open);
    CHECK(breaker.request(start + 100ms).is_probe());
}

TEST_CASE("a turn that a failure took away is not given up twice", "[redis]") {
    CircuitBreaker breaker{100ms, 300ms};
    breaker.trip(breaker.era(), start, middle, {});
    Permission late = breaker.request(start + 100ms);
    REQUIRE(late.is_probe());
    breaker.trip(breaker.era(), start + 100ms, middle, {});
    Permission probe = breaker.request(start + 300ms);
    REQUIRE(probe.is_probe());
    CHECK(breaker.probes() == 2);
    SECTION("at its end") {
        late = Permission{};
    }
    SECTION("nor by a reply to an earlier one") {
        late.succeeded();
    }
    CHECK(breaker.state() == Breaker::half_open);
    CHECK(refuses(breaker, start + 300ms));
    probe.succeeded();
    CHECK(breaker.state() == Breaker::closed);
}

// Rule R8.
TEST_CASE("a server that changes its role begins an era, at most one a window", "[redis]") {
    CircuitBreaker breaker{100ms, 300ms};
    const std::uint64_t before = breaker.era();
    breaker.role_changed(start);
    breaker.role_changed(start + 99ms);
    CHECK(breaker.era() == before + 1);
    CHECK(breaker.role_changes() == 1);
    CHECK(breaker.state() == Breaker::closed);
    breaker.role_changed(start + 100ms);
    CHECK(breaker.era() == before + 2);
    // A probe that is under way is none of its business.
    breaker.trip(breaker.era(), start + 100ms, middle, {});
    {
        const Permission probe = breaker.request(start + 200ms);
        breaker.role_changed(start + 200ms);
        CHECK(breaker.state() == Breaker::half_open);
    }
    CHECK(breaker.request(start + 200ms).is_probe());
}

TEST_CASE("of many threads one probes", "[redis]") {
    CircuitBreaker breaker{100ms, 300ms};
    breaker.trip(breaker.era(), start, middle, {});
    std::atomic<int> probes{0};
    std::latch ready{8};
    std::latch asked{8};
    {
        std::vector<std::jthread> all;
        for (int t = 0; t < 8; ++t) {
            all.emplace_back([&] {
                ready.arrive_and_wait();
                const Permission permission = breaker.request(start + 1s);
                probes += permission.is_probe() ? 1 : 0;
                asked.arrive_and_wait();
            });
        }
    }
    CHECK(probes == 1);
}
