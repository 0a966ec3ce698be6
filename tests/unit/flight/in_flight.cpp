// SPDX-License-Identifier: MIT

// What is in flight, the duty to end it, who waits for whom, and what a thread is loading.

#include "support/catch.hpp"

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/flight/queued_load.hpp>
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
#include <vector>

using namespace std::chrono_literals;
using larder::detail::InFlight;
using larder::detail::KeyFrame;
using larder::detail::KeysFrame;
using larder::detail::Lead;
using larder::detail::LoadFrame;
using larder::detail::MayWait;
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

TEST_CASE("a load that waits for its own thread is refused", "[flight]") {
    auto load = std::make_shared<Load>();
    const Lead<int> lead{load};
    CHECK(wait_for(*load, {}) == WaitEnd::recursive);
    load->among_others(true);
    CHECK(wait_for(*load, {}) == WaitEnd::deadlock);
}

// Rule S12.
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

TEST_CASE("a queued load is begun once, or dropped", "[flight]") {
    struct Queued final : larder::detail::QueuedLoad<int> {
        void carry_out() noexcept override {
            take_lead().complete(larder::Fetched<int>{5, larder::Source::loaded, {}, {}});
        }
    };
    auto load = std::make_shared<Queued>();
    CHECK_FALSE(load->awaited());
    {
        const larder::detail::QueuedWaiter<int> waiter{load};
        CHECK(load->awaited());
    }
    CHECK_FALSE(load->awaited());
    SECTION("carried out") {
        REQUIRE(load->begin());
        CHECK_FALSE(load->begin());
        load->abandon();
        CHECK_FALSE(load->abandoned());
        load->carry_out();
        REQUIRE(load->flight()->result() != nullptr);
        CHECK(load->flight()->result()->value == 5);
    }
    SECTION("dropped") {
        load->abandon();
        CHECK(load->abandoned());
        CHECK_FALSE(load->begin());
        CHECK(load->flight()->over());
    }
}

TEST_CASE("a thread may not load what it is loading", "[flight]") {
    const int engine = 0;
    const int other_engine = 0;
    CHECK_FALSE(LoadFrame::any());
    const int one = 1;
    const KeyFrame<int> single{&engine, one};
    CHECK(LoadFrame::any());
    CHECK(LoadFrame::ask(&engine, 1) == MayWait::recursive);
    CHECK(LoadFrame::ask(&engine, 2) == MayWait::yes);
    CHECK(LoadFrame::ask(&other_engine, 1) == MayWait::yes);
    const std::vector<int> keys{5, 6, 7};
    const KeysFrame<int> batch{&engine, keys};
    CHECK(LoadFrame::ask(&engine, 6) == MayWait::recursive);  // it would be asked for it again
    CHECK(LoadFrame::ask(&engine, 1) == MayWait::recursive);
    {
        const KeyFrame<int> one_of_them{&engine, keys[0]};
        CHECK(LoadFrame::ask(&engine, 5) == MayWait::recursive);
        CHECK(LoadFrame::ask(&engine, 6) == MayWait::deadlock);  // for the sake of another
    }
    std::jthread{[&] { CHECK_FALSE(LoadFrame::any()); }}.join();
}
