// SPDX-License-Identifier: MIT

// Every step of every verb fails, over a user's own three-function store.

#include "support/failing_new.hpp"
#include "support/policy_steps.hpp"

using larder_test::BrittleBatches;
using larder_test::BrittleCoordinated;
using larder_test::BrittleTable;
using larder_test::fail_every_step;

TEST_CASE("a CacheAside over a plain store of which any step fails", "[steps]") {
    using Policy = larder::CacheAside<BrittleCoordinated, BrittleBatches>;
    fail_every_step<Policy>([](auto& t) { return Policy{t.store, t.table, t.options}; });
}

TEST_CASE("a RefreshAhead over a plain store of which any step fails", "[steps]") {
    using Policy = larder::RefreshAhead<BrittleCoordinated, BrittleBatches>;
    fail_every_step<Policy>([](auto& t) { return Policy{t.store, t.table, t.options}; });
}

TEST_CASE("a WriteThrough over a plain store of which any step fails", "[steps]") {
    using Policy = larder::WriteThrough<BrittleCoordinated, BrittleTable>;
    fail_every_step<Policy>([](auto& t) { return Policy{t.store, t.table, t.options}; });
}
