// SPDX-License-Identifier: MIT

// Every step of every verb fails, with a journal in front of the database.

#include "support/failing_new.hpp"
#include "support/policy_steps.hpp"

using larder_test::brittle_tags;
using larder_test::BrittleCoordinated;
using larder_test::BrittleMemory;
using larder_test::BrittleTable;
using larder_test::fail_every_step;

TEST_CASE("a WriteBehind of which any step fails", "[steps]") {
    using Policy = larder::Tagged<larder::WriteBehind<BrittleMemory, BrittleTable>>;
    fail_every_step<Policy>([](auto& t) {
        return Policy{{t.store, t.table, t.options}, brittle_tags};
    });
}

TEST_CASE("a WriteBehind over a plain store of which any step fails", "[steps]") {
    using Policy = larder::WriteBehind<BrittleCoordinated, BrittleTable>;
    fail_every_step<Policy>([](auto& t) { return Policy{t.store, t.table, t.options}; });
}
