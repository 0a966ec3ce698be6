// SPDX-License-Identifier: MIT

// The store contract over TieredStore and a store in memory behind it.

#include "store_contract.hpp"
#include "support/catch.hpp"
#include "support/watched_store.hpp"

#include <larder/larder.hpp>

#include <chrono>

using larder::ManualClock;
using larder_test::Channel;
using larder_test::Rig;

namespace {

using Memory = larder::MemoryStore<int, int, ManualClock>;
using Far = larder_test::WatchedStore<Memory>;
using Tiered = larder::TieredStore<Memory, Far>;

static_assert(larder::CoherentStore<Tiered>);
static_assert(larder::BatchStore<Tiered>);
static_assert(larder::TaggingStore<Tiered>);

// Changes are told at once, or never: what this process does itself shows at once either way.
Rig<Tiered> rig(bool told) {
    ManualClock clock;
    Tiered store{Memory{{.capacity = 50, .shards = 4}, clock},
                 Far{Memory{{}, clock}},
                 {.silence = std::chrono::hours{24}}};
    store.far().channel().delay(!told);
    return {store, [clock](auto by) mutable { clock.advance(by); }};
}

}  // namespace

TEST_CASE("TieredStore keeps the store contract", "[contract]") {
    auto tiers = rig(GENERATE(true, false));
    larder_test::store_contract(tiers);
}

TEST_CASE("TieredStore keeps the slot protocol", "[contract]") {
    auto tiers = rig(GENERATE(true, false));
    larder_test::slot_contract(tiers);
}
