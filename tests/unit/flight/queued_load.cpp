// SPDX-License-Identifier: MIT

// A load that waits for the executor: begun once, by whoever comes first.

#include "support/catch.hpp"

#include <larder/detail/flight/queued_load.hpp>
#include <larder/entry.hpp>

#include <memory>

using larder::detail::QueuedLoad;
using larder::detail::QueuedWaiter;

TEST_CASE("a queued load is begun once, or dropped", "[flight]") {
    struct Queued final : QueuedLoad<int> {
        void carry_out() noexcept override {
            take_lead().complete(larder::Fetched<int>{5, larder::Source::loaded, {}, {}});
        }
    };
    auto load = std::make_shared<Queued>();
    CHECK_FALSE(load->awaited());
    {
        const QueuedWaiter<int> waiter{load};
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
