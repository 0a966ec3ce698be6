// SPDX-License-Identifier: MIT

// Every step of every verb fails, over a MemoryStore.

#include "support/failing_new.hpp"
#include "support/policy_steps.hpp"

using larder_test::BrittleBatches;
using larder_test::BrittleMemory;
using larder_test::BrittleTable;
using larder_test::fail_every_step;

// Rule S13.
TEST_CASE("a CacheAside of which any step fails", "[steps]") {
    using Policy = larder::CacheAside<BrittleMemory, BrittleBatches>;
    fail_every_step<Policy>([](auto& t) { return Policy{t.store, t.table, t.options}; });
}

TEST_CASE("a RefreshAhead of which any step fails", "[steps]") {
    using Policy = larder::RefreshAhead<BrittleMemory, BrittleBatches>;
    fail_every_step<Policy>([](auto& t) { return Policy{t.store, t.table, t.options}; });
}

TEST_CASE("a WriteThrough of which any step fails", "[steps]") {
    using Policy = larder::WriteThrough<BrittleMemory, BrittleTable>;
    fail_every_step<Policy>([](auto& t) { return Policy{t.store, t.table, t.options}; });
}
