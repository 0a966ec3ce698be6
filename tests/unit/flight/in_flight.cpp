// SPDX-License-Identifier: MIT

// What is in flight, and the duty to end it.

#include "support/catch.hpp"

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/waiting.hpp>

#include <chrono>
#include <exception>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <utility>

using namespace std::chrono_literals;
using larder::detail::InFlight;
using larder::detail::Lead;
using larder::detail::Patience;
using larder::detail::wait_for;
using larder::detail::WaitEnd;
using larder::detail::WaitGraph;

namespace {

using Load = InFlight<int>;

Patience soon() {
    return {std::chrono::steady_clock::now() + 30s, {}};
}

bool left_alone(const Load& load) {
    return load.over() && load.result() == nullptr && !load.failure();
}

// A number that cannot be moved twice.
struct Fragile {
    Fragile() = default;
    Fragile(const Fragile&) { throw std::runtime_error{"no copy"}; }
    Fragile& operator=(const Fragile&) = delete;
};

}  // namespace

TEST_CASE("who waits gets what the leader brings", "[flight]") {
    auto load = std::make_shared<Load>();
    auto lead = Lead<int>::of_nobody(load);
    std::jthread other{[load, lead = std::move(lead)]() mutable { lead.complete(7); }};
    REQUIRE(wait_for(*load, soon()) == WaitEnd::over);
    REQUIRE(load->result() != nullptr);
    CHECK(*load->result() == 7);
}

TEST_CASE("a duty that is forgotten sends on who waits", "[flight]") {
    auto load = std::make_shared<Load>();
    std::latch waits{1};
    std::jthread waiter{[&] {
        waits.count_down();
        CHECK(wait_for(*load, soon()) == WaitEnd::over);
    }};
    waits.wait();
    SECTION("its leader goes") {
        const Lead<int> lead{load};
    }
    SECTION("its leader takes up another") {
        Lead<int> lead{load};
        lead = Lead<int>{std::make_shared<Load>()};
    }
    SECTION("nobody has begun it") {
        const auto lead = Lead<int>::of_nobody(load);
    }
    waiter.join();
    CHECK(left_alone(*load));
    CHECK(WaitGraph::count().carried == 0);
}

TEST_CASE("a result that cannot be moved in is a failure", "[flight]") {
    auto load = std::make_shared<InFlight<std::optional<Fragile>>>();
    Lead<std::optional<Fragile>> lead{load};
    lead.complete(std::optional<Fragile>{std::in_place});
    CHECK(load->over());
    CHECK(load->failure());
}

TEST_CASE("a wait ends with its deadline or a stop, and leaves the graph", "[flight]") {
    auto load = std::make_shared<Load>();
    const Lead<int> mine{std::make_shared<Load>()};  // in hand: so the wait is in the graph
    CHECK(wait_for(*load, {std::chrono::steady_clock::now(), {}}) == WaitEnd::timed_out);
    std::stop_source stop;
    stop.request_stop();
    CHECK(wait_for(*load, {std::nullopt, stop.get_token()}) == WaitEnd::cancelled);
    CHECK(WaitGraph::count().waits == 0);
}
