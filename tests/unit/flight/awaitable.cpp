// SPDX-License-Identifier: MIT

// Those who wait for something: a list of what goes on when it is over, threads among them.

#include "support/catch.hpp"
#include "support/failing_new.hpp"

#include <larder/detail/flight/awaitable.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/waiting.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <memory>
#include <optional>
#include <stop_token>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::detail::BlockedThread;
using larder::detail::InFlight;
using larder::detail::Lead;
using larder::detail::pause_until;
using larder::detail::wait_for;
using larder::detail::WaitEnd;
using larder::detail::Waiter;

namespace {

using Load = InFlight<int>;

// Notes when it goes on.
class Noting final : public Waiter {
public:
    Noting(std::vector<int>& noted, int name) : noted_{noted}, name_{name} {}

private:
    void resume() noexcept override { noted_.push_back(name_); }

    std::vector<int>& noted_;
    int name_;
};

}  // namespace

TEST_CASE("whoever waits goes on once, in the order of coming", "[flight]") {
    std::vector<int> noted;
    noted.reserve(8);
    Noting first{noted, 1};
    Noting second{noted, 2};
    Noting third{noted, 3};
    const auto load = std::make_shared<Load>();
    Lead<int> lead{load};
    REQUIRE(load->attach(first));
    REQUIRE(load->attach(second));
    REQUIRE(load->attach(third));
    SECTION("with a result") {
        lead.complete(7);
        CHECK(noted == std::vector{1, 2, 3});
    }
    SECTION("with none") {
        { const Lead<int> gone{std::move(lead)}; }
        CHECK(noted == std::vector{1, 2, 3});
    }
    SECTION("less the first, who has given up") {
        CHECK(load->detach(first));
        lead.complete(7);
        CHECK(noted == std::vector{2, 3});
    }
    SECTION("less the second") {
        CHECK(load->detach(second));
        lead.complete(7);
        CHECK(noted == std::vector{1, 3});
    }
    SECTION("less the last, who comes again") {
        CHECK(load->detach(third));
        CHECK(load->detach(first));
        CHECK(load->attach(third));
        lead.complete(7);
        CHECK(noted == std::vector{2, 3});
    }
    SECTION("less all") {
        CHECK(load->detach(second));
        CHECK(load->detach(third));
        CHECK(load->detach(first));
        lead.complete(7);
        CHECK(noted.empty());
    }
}

TEST_CASE("who comes late or gives up late is told", "[flight]") {
    std::vector<int> noted;
    Noting early{noted, 1};
    Noting late{noted, 2};
    const auto load = std::make_shared<Load>();
    Lead<int> lead{load};
    REQUIRE(load->attach(early));
    lead.complete(7);
    CHECK_FALSE(load->detach(early));
    CHECK_FALSE(load->attach(late));
    CHECK(noted == std::vector{1});
}

TEST_CASE("threads give up while what they wait for ends", "[flight]") {
    for (int round = 0; round < 300; ++round) {
        const auto load = std::make_shared<Load>();
        Lead<int> lead{load};
        std::stop_source stop;
        std::atomic<int> over{0};
        std::atomic<int> gave_up{0};
        std::latch ready{5};
        {
            std::vector<std::jthread> threads;
            for (int i = 0; i < 4; ++i) {
                threads.emplace_back([&, i] {
                    ready.arrive_and_wait();
                    const auto until = std::chrono::steady_clock::now() + i * 20us;
                    const WaitEnd end = i == 0 ? wait_for(*load, {std::nullopt, stop.get_token()})
                                               : wait_for(*load, {until, {}});
                    ++(end == WaitEnd::over ? over : gave_up);
                });
            }
            ready.arrive_and_wait();
            std::jthread stopper{[&] { stop.request_stop(); }};
            lead.complete(int{round});
        }
        CHECK(over + gave_up == 4);
    }
}

TEST_CASE("a thread that gives up too late stays until it has been resumed", "[flight]") {
    // Is resumed ahead of the thread, and holds the ending up: as long as it takes to see it go too soon.
    class Ahead final : public Waiter {
    public:
        std::latch ending{1};
        std::atomic<bool> gone{false};
        std::atomic<bool> too_soon{false};

    private:
        void resume() noexcept override {
            ending.count_down();
            const auto until = std::chrono::steady_clock::now() + 50ms;
            while (!gone && std::chrono::steady_clock::now() < until) {
                std::this_thread::yield();
            }
            too_soon = gone.load();
        }
    };
    Ahead ahead;
    const auto load = std::make_shared<Load>();
    auto lead = Lead<int>::of_nobody(load);
    REQUIRE(load->attach(ahead));
    std::stop_source stop;
    std::latch attached{1};
    std::jthread waiter{[&] {
        {
            BlockedThread thread{*load};
            attached.count_down();
            CHECK(thread.wait({std::nullopt, stop.get_token()}));
        }
        ahead.gone = true;
    }};
    attached.wait();
    std::jthread leader{[&] { lead.complete(7); }};
    ahead.ending.wait();
    stop.request_stop();
    waiter.join();
    leader.join();
    CHECK_FALSE(ahead.too_soon);
}

TEST_CASE("a blocked thread allocates nothing", "[flight]") {
    const auto load = std::make_shared<Load>();
    static_cast<void>(larder::detail::this_waiting_thread());  // made once a thread
    const larder_test::Failing none{larder_test::Fault::allocation, 1,
                                    larder_test::Failing::Times::from_then_on};
    const WaitEnd late = wait_for(*load, {std::chrono::steady_clock::now() + 1ms, {}});
    const bool allocated = none.hit();
    CHECK((late == WaitEnd::timed_out && !allocated));
}

TEST_CASE("a pause ends in time, or with a stop", "[flight]") {
    const auto until = std::chrono::steady_clock::now() + 2ms;
    CHECK(pause_until(until, {}));
    CHECK(std::chrono::steady_clock::now() >= until);
    std::stop_source stop;
    std::jthread stopper{[&] { stop.request_stop(); }};
    CHECK_FALSE(pause_until(std::chrono::steady_clock::now() + 1h, stop.get_token()));
}
