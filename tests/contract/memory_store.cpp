// SPDX-License-Identifier: MIT

// The store contract over MemoryStore.

#include "store_contract.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <cstddef>
#include <string>
#include <vector>

using larder::ManualClock;
using larder_test::Rig;

namespace {

template <class T>
using Memory = larder::MemoryStore<T, T, ManualClock>;

template <class T>
Rig<Memory<T>> rig_of(larder::MemoryStoreOptions<T, T> options) {
    ManualClock clock;
    return {Memory<T>{std::move(options), clock}, [clock](auto by) mutable { clock.advance(by); }};
}

// Room for what the contract keeps, and no more: what is swept or evicted is not missed.
Rig<Memory<int>> tight() {
    return rig_of<int>({.capacity = 50, .shards = 4});
}

Rig<Memory<std::string>> of_strings(int shape) {
    switch (shape) {
        case 0: return rig_of<std::string>({});
        case 1: return rig_of<std::string>({.shards = 1});
        case 2:
            return rig_of<std::string>(
                {.max_weight = 10'000,
                 .weigh = [](const std::string& key, const std::string& value) {
                     return key.size() + value.size();
                 }});
        default:
            return rig_of<std::string>({.on_removal = [](const std::string&, const std::string&,
                                                         larder::RemovalCause) {}});
    }
}

}  // namespace

TEST_CASE("MemoryStore keeps the store contract", "[contract]") {
    auto rig = of_strings(GENERATE(0, 1, 2, 3));
    larder_test::store_contract(rig);
}

TEST_CASE("MemoryStore keeps the slot protocol", "[contract]") {
    auto rig = of_strings(GENERATE(0, 1, 2, 3));
    larder_test::slot_contract(rig);
}

TEST_CASE("a MemoryStore with hardly any room keeps the store contract", "[contract]") {
    auto rig = tight();
    larder_test::store_contract(rig);
}

// Rule S19.
TEST_CASE("a MemoryStore with hardly any room keeps the slot protocol", "[contract]") {
    auto rig = tight();
    larder_test::slot_contract(rig);
}
