// SPDX-License-Identifier: MIT

// A load that waits for the executor: begun once, by whoever comes first.

#include "support/catch.hpp"

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/queued_load.hpp>
#include <larder/entry.hpp>

#include <memory>

using larder::detail::as_flight_of;
using larder::detail::Lead;
using larder::detail::QueuedLoad;
using larder::detail::QueuedWaiter;
using Row = larder::Fetched<int>;
using Flight = larder::detail::Flight<int>;

TEST_CASE("a queued load is begun once, or dropped", "[flight]") {
    struct Queued final : QueuedLoad {
        Queued() : QueuedLoad{std::make_shared<Flight>()} {}
        void carry_out() noexcept override {
            Lead<Row>{take_lead()}.complete({5, larder::Source::loaded, {}, {}});
        }
    };
    auto load = std::make_shared<Queued>();
    CHECK_FALSE(load->awaited());
    {
        const QueuedWaiter waiter{load};
        CHECK(load->awaited());
    }
    CHECK_FALSE(load->awaited());
    SECTION("carried out") {
        REQUIRE(load->begin());
        CHECK_FALSE(load->begin());
        load->abandon();
        CHECK_FALSE(load->abandoned());
        load->carry_out();
        REQUIRE(load->flight()->brought());
        CHECK(as_flight_of<Row>(*load->flight()).result()->value == 5);
    }
    SECTION("dropped") {
        load->abandon();
        CHECK(load->abandoned());
        CHECK_FALSE(load->begin());
        CHECK(load->flight()->over());
    }
}
