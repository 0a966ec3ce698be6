// SPDX-License-Identifier: MIT

// Random walks of the stores in memory beside the model.

#include "slot_walk.hpp"
#include "support/catch.hpp"
#include "support/flaky_store.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <concepts>
#include <cstdint>
#include <string>

using larder_test::Walk;

namespace {

constexpr int walks = 400;
constexpr int steps = 600;

using Memory = larder::MemoryStore<int, int, larder::ManualClock>;
static_assert(std::invocable<Memory::AtOnce>);  // so that a walk has it among its steps

// Takes a copy away by filling the store with others.
struct Crowd {
    Memory store;
    int next = 1000;
    bool evict(int key) {
        if (!store.find(key)) {
            return false;
        }
        for (int i = 0; i < 16 && store.find(key); ++i) {
            store.put(next++, 0, {std::chrono::hours{1}});
        }
        return !store.find(key);
    }
};

// Takes a copy away behind the coordinator's back, as a server that evicts does.
struct Behind {
    larder_test::FlakyStore plain;
    bool evict(int key) const { return plain.erase(key); }
};

}  // namespace

TEST_CASE("MemoryStore walks as the model does", "[model]") {
    long kept = 0;
    long lost = 0;
    for (std::uint64_t seed = 1; seed <= walks; ++seed) {
        larder::ManualClock clock;
        Memory store{{.capacity = 3}, clock};
        Walk walk{seed, store, Crowd{store}, [&](larder::Ttl by) { clock.advance(by); }};
        const std::string difference = walk.run(steps);
        INFO("seed " << seed << ": " << difference);
        REQUIRE(difference.empty());
        kept += walk.kept;
        lost += walk.lost;
    }
    // The walks have been where it matters.
    CHECK(kept > walks);
    CHECK(lost > walks);
}

TEST_CASE("Coordinated walks as the model does", "[model]") {
    for (std::uint64_t seed = 1; seed <= walks; ++seed) {
        larder_test::FlakyStore plain;
        Walk walk{seed, larder::Coordinated{plain}, Behind{plain},
                  [clock = plain.clock()](larder::Ttl by) mutable { clock.advance(by); }};
        const std::string difference = walk.run(steps);
        INFO("seed " << seed << ": " << difference);
        REQUIRE(difference.empty());
    }
}
