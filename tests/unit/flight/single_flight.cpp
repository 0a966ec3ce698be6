// SPDX-License-Identifier: MIT

// What is under way on a key outside of its slot: who leads, who waits, and that nothing stays.

#include "support/catch.hpp"

#include <larder/detail/flight/queued_load.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/entry.hpp>

#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

using namespace std::chrono_literals;
using larder::Fetched;
using larder::Source;
using larder::detail::as_flight_of;
using larder::detail::Lead;
using larder::detail::QueuedLoad;
using larder::detail::RemoteEnd;

namespace {

using Flight = larder::detail::Flight<int>;
using Flights = larder::detail::SingleFlight<int>;

constexpr Flights::Instant now{1h};

// Keys, which outlive what refers to them.
constexpr int one = 1;
constexpr int two = 2;

Fetched<int> row(int value) {
    return {value, Source::bypassed, {}, {}};
}

struct Queued final : QueuedLoad {
    Queued() : QueuedLoad{std::make_shared<Flight>()} {}
    void carry_out() noexcept override { Lead<Fetched<int>>{take_lead()}.complete(row(5)); }
};

}  // namespace

TEST_CASE("who comes while a load without a lease runs shares the next", "[flight]") {
    Flights flights;
    {
        auto first = flights.join_bypass(one, std::make_shared<Flight>());
        REQUIRE(first.leads());
        CHECK(first.predecessor() == nullptr);
        auto second = flights.join_bypass(one, std::make_shared<Flight>());
        REQUIRE(second.leads());
        CHECK(second.predecessor() == first.flight());
        auto third = flights.join_bypass(one, std::make_shared<Flight>());
        CHECK_FALSE(third.leads());
        CHECK(third.flight() == second.flight());
        CHECK(flights.join_bypass(two, std::make_shared<Flight>()).leads());

        first.complete(row(1));
        second.begin();
        const auto fourth = flights.join_bypass(one, std::make_shared<Flight>());
        CHECK(fourth.predecessor() == second.flight());

        SECTION("and gets what it brings") {
            second.complete(row(2));
            REQUIRE(third.flight()->brought());
            CHECK(as_flight_of<Fetched<int>>(*third.flight()).result()->value == 2);
        }
        SECTION("and its failure") {
            second.fail(std::make_exception_ptr(std::runtime_error{"no row"}));
            CHECK(third.flight()->failure());
        }
    }
    CHECK(flights.size() == 0);
}

TEST_CASE("a leader that goes sends its waiters on", "[flight]") {
    Flights flights;
    std::optional<Flights::Bypass> first{flights.join_bypass(one, std::make_shared<Flight>())};
    std::optional<Flights::Bypass> second{flights.join_bypass(one, std::make_shared<Flight>())};
    const auto third = flights.join_bypass(one, std::make_shared<Flight>());
    second.reset();
    CHECK(third.flight()->over());
    CHECK_FALSE(third.flight()->brought());
    CHECK_FALSE(third.flight()->failure());
    CHECK(flights.join_bypass(one, std::make_shared<Flight>()).predecessor() == first->flight());
    first.reset();
    CHECK(flights.size() == 0);
}

TEST_CASE("a batch leads only what nobody loads", "[flight]") {
    Flights flights;
    {
        const auto mine = flights.join_idle_bypass(one, std::make_shared<Flight>());
        CHECK(mine.leads());
        CHECK_FALSE(flights.join_idle_bypass(one, std::make_shared<Flight>()).leads());
        CHECK(flights.busy() == 1);
    }
    CHECK(flights.join_idle_bypass(one, std::make_shared<Flight>()).leads());
    CHECK(flights.size() == 0);
}

TEST_CASE("who leads only what nobody loads waits for the next, or for what runs", "[flight]") {
    Flights flights;
    CHECK(flights.bypass_underway(one) == nullptr);
    auto runs = flights.join_bypass(one, std::make_shared<Flight>());
    CHECK(flights.bypass_underway(one) == runs.flight());
    {
        const auto mine = flights.join_idle_bypass(one, std::make_shared<Flight>());
        CHECK_FALSE(mine.leads());
        CHECK(mine.flight() == nullptr);
        CHECK(mine.predecessor() == runs.flight());
    }
    auto next = flights.join_bypass(one, std::make_shared<Flight>());
    REQUIRE(next.leads());
    const auto mine = flights.join_idle_bypass(one, std::make_shared<Flight>());
    CHECK_FALSE(mine.leads());
    CHECK(mine.flight() == next.flight());
    CHECK(mine.predecessor() == nullptr);
    runs.complete(row(1));
    CHECK(flights.bypass_underway(one) == next.flight());  // about to begin
    next.begin();
    CHECK(flights.bypass_underway(one) == next.flight());
    next.complete(row(2));
    CHECK(mine.flight()->brought());
    CHECK(flights.bypass_underway(one) == nullptr);
    CHECK(flights.size() == 0);
}

TEST_CASE("a queued read is told what whoever joins it will not wait for", "[flight]") {
    Flights flights;
    const auto load = std::make_shared<Queued>();
    const auto waiter = flights.queue(one, load);
    (void)flights.queue(one, std::make_shared<Queued>());
    CHECK_FALSE(load->past_remote());
    const auto late = std::make_shared<Queued>();
    late->pass_remote();
    (void)flights.queue(one, late);
    CHECK(load->past_remote());
}

TEST_CASE("a read is queued once until it begins", "[flight]") {
    Flights flights;
    const auto load = std::make_shared<Queued>();
    {
        const auto [waiter, own] = flights.queue(one, load);
        CHECK(own);
        const auto [other, not_own] = flights.queue(one, std::make_shared<Queued>());
        CHECK_FALSE(not_own);
        CHECK(&other.load() == load.get());
        SECTION("somebody waits for it") {
            CHECK(flights.dequeue(one, *load));
            CHECK(flights.queue(one, std::make_shared<Queued>()).second);
        }
        SECTION("it begins in the hands of a waiter") {
            REQUIRE(load->begin());
            CHECK(flights.queue(one, std::make_shared<Queued>()).second);
            load->carry_out();
        }
    }
    CHECK_FALSE(flights.dequeue(one, *load));
    flights.tidy(one);
    CHECK(flights.size() == 0);
}

TEST_CASE("one watches a lease elsewhere, for all", "[flight]") {
    Flights flights;
    std::optional<Flights::Watch> leader{flights.watch_remote(one, 42)};
    REQUIRE(leader->leads());
    const auto waiter = flights.watch_remote(one, 42);
    CHECK_FALSE(waiter.leads());
    SECTION("and tells what it has learnt") {
        leader->complete(RemoteEnd::died);
        REQUIRE(waiter.flight().result() != nullptr);
        CHECK(*waiter.flight().result() == RemoteEnd::died);
    }
    SECTION("another lease is another's to watch") {
        CHECK(flights.watch_remote(one, 43).leads());
    }
    SECTION("and if it goes, another must") {
        leader.reset();
        CHECK(waiter.flight().over());
        CHECK(waiter.flight().result() == nullptr);
        CHECK(flights.watch_remote(one, 42).leads());
    }
    leader.reset();
    flights.tidy(one);
    CHECK(flights.size() == 0);
}

TEST_CASE("a key backs off for its time, or until it is loaded", "[flight]") {
    Flights flights;
    CHECK_FALSE(flights.backs_off(one, now));
    flights.back_off(one, now + 1s, now);
    CHECK(flights.backs_off(one, now + 999ms));
    CHECK_FALSE(flights.backs_off(one, now + 1s));
    CHECK_FALSE(flights.backs_off(two, now));
    CHECK_FALSE(flights.begin_refresh(one, 1, now, now + 1s));
    flights.end_back_off(one);
    CHECK_FALSE(flights.backs_off(one, now));
    CHECK(flights.size() == 0);
}

TEST_CASE("keys that have backed off and are not asked for again do not pile up", "[flight]") {
    Flights flights;
    for (int key = 0; key < 100'000; ++key) {
        flights.back_off(key, now + key * 1ms + 1ms, now + key * 1ms);
    }
    CHECK(flights.size() < 16 * 130);
}

TEST_CASE("a refresh that never began makes its key back off", "[flight]") {
    Flights flights;
    auto place = flights.begin_refresh(one, 2, now, now + 1s);
    REQUIRE(place);
    CHECK_FALSE(flights.begin_refresh(one, 2, now, now + 1s));
    SECTION("thrown away") {
        place.reset();
        CHECK(flights.backs_off(one, now));
    }
    SECTION("begun") {
        place->begin();
        place.reset();
        CHECK_FALSE(flights.backs_off(one, now));
        CHECK(flights.begin_refresh(one, 2, now, now + 1s));
    }
    CHECK(flights.refreshing() == 0);
}
