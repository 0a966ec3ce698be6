// SPDX-License-Identifier: MIT

// Who waits for whom: what could never end is refused.

#include "support/catch.hpp"

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/flight/waiting.hpp>

#include <chrono>
#include <cstddef>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

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

}  // namespace

// Rule S12.
TEST_CASE("a load that waits for its own thread is refused", "[flight]") {
    auto load = std::make_shared<Load>();
    const Lead<int> lead{load};
    CHECK(wait_for(*load, {}) == WaitEnd::recursive);
    load->among_others(true);
    CHECK(wait_for(*load, {}) == WaitEnd::deadlock);
}

TEST_CASE("a circle of loads through threads is refused, where it closes", "[flight]") {
    const bool batch = GENERATE(false, true);
    CAPTURE(batch);
    constexpr int length = 4;
    std::vector<std::shared_ptr<Load>> loads;
    for (int i = 0; i < length; ++i) {
        loads.push_back(std::make_shared<Load>());
    }
    std::latch carried{length};
    std::latch let_go{1};
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i + 1 < length; ++i) {
        threads.emplace_back([&, i] {
            Lead<int> lead{loads[i]};
            loads[i]->among_others(batch && i == 1);
            carried.count_down();
            let_go.wait();
            CHECK(wait_for(*loads[i + 1], soon()) == WaitEnd::over);
        });
    }
    WaitEnd last{};
    std::thread closes{[&] {
        Lead<int> lead{loads[length - 1]};
        carried.count_down();
        let_go.wait();
        while (WaitGraph::count().waits != length - 1) {
            std::this_thread::yield();
        }
        last = wait_for(*loads[0], soon());
        lead.complete(1);
    }};
    carried.wait();
    let_go.count_down();
    closes.join();
    CHECK(last == (batch ? WaitEnd::deadlock : WaitEnd::recursive));
    threads.clear();
    CHECK(WaitGraph::count().carried == 0);
    CHECK(WaitGraph::count().waits == 0);
}

TEST_CASE("a mere chain of loads is no circle", "[flight]") {
    auto first = std::make_shared<Load>();
    auto second = std::make_shared<Load>();
    std::latch carried{1};
    std::latch waits{1};
    std::jthread other{[&] {
        Lead<int> lead{second};
        carried.count_down();
        waits.wait();
        lead.complete(2);
    }};
    carried.wait();
    Lead<int> mine{first};
    std::jthread waiter{[&] { CHECK(wait_for(*first, soon()) == WaitEnd::over); }};
    waits.count_down();
    CHECK(wait_for(*second, soon()) == WaitEnd::over);
    mine.complete(1);
}
