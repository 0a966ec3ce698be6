// SPDX-License-Identifier: MIT

// Every step of every verb of a policy whose entries carry tags fails.

#include "support/failing_new.hpp"
#include "support/policy_steps.hpp"

using larder_test::brittle_tags;
using larder_test::BrittleBatches;
using larder_test::BrittleMemory;
using larder_test::BrittleTable;
using larder_test::fail_every_step;

TEST_CASE("a Tagged RefreshAhead of which any step fails", "[steps]") {
    using Policy = larder::Tagged<larder::RefreshAhead<BrittleMemory, BrittleBatches>>;
    fail_every_step<Policy>([](auto& t) {
        return Policy{{t.store, t.table, t.options}, brittle_tags};
    });
}

TEST_CASE("a Tagged WriteThrough of which any step fails", "[steps]") {
    using Policy = larder::Tagged<larder::WriteThrough<BrittleMemory, BrittleTable>>;
    fail_every_step<Policy>([](auto& t) {
        return Policy{{t.store, t.table, t.options}, brittle_tags};
    });
}
