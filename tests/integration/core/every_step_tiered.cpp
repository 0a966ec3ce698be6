// SPDX-License-Identifier: MIT

// Every step of every verb fails, over near copies in front of a store that tells what has changed.

#include "support/failing_new.hpp"
#include "support/policy_steps.hpp"
#include "support/watched_store.hpp"

using larder_test::brittle_tags;
using larder_test::BrittleBatches;
using larder_test::BrittleMemory;
using larder_test::fail_every_step;
using BrittleTiers = larder::TieredStore<BrittleMemory, larder_test::WatchedStore<BrittleMemory>>;

template <>
BrittleTiers larder_test::brittle_store<BrittleTiers>() {
    using namespace std::chrono_literals;
    const auto far = brittle_store<BrittleMemory>();
    return BrittleTiers{BrittleMemory{{}, far.clock()}, WatchedStore{far}, {.silence = 24h}};
}

// Rule S13.
TEST_CASE("a Tagged CacheAside over near copies of which any step fails", "[steps]") {
    using Policy = larder::Tagged<larder::CacheAside<BrittleTiers, BrittleBatches>>;
    fail_every_step<Policy>([](auto& t) {
        return Policy{{t.store, t.table, t.options}, brittle_tags};
    });
}
