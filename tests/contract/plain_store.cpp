// SPDX-License-Identifier: MIT

// The store contract over what a user writes, as it is and under a coordinator.

#include "support/plain_store.hpp"
#include "store_contract.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <functional>
#include <string>

using larder::Coordinated;
using larder_test::BatchingStore;
using larder_test::PlainStore;
using larder_test::Rig;

namespace {

template <class Plain, class S>
Rig<S> rig_of(const Plain& plain, S store) {
    return {std::move(store), [clock = plain.clock()](auto by) mutable { clock.advance(by); }};
}

using Strings = PlainStore<std::string, std::string>;
using Numbers = PlainStore<int, int>;
using Batches = BatchingStore<std::string, std::string>;

static_assert(!larder::BatchStore<Strings> && larder::BatchStore<Batches>);
static_assert(!larder::CoherentStore<Batches>);
static_assert(larder::BatchStore<Coordinated<Strings>>);

}  // namespace

TEST_CASE("a user's own store keeps the store contract", "[contract]") {
    Strings plain;
    auto rig = rig_of(plain, plain);
    larder_test::store_contract(rig);
}

TEST_CASE("a user's own store with batches keeps the store contract", "[contract]") {
    Batches plain;
    auto rig = rig_of(plain, plain);
    larder_test::store_contract(rig);
}

TEST_CASE("Coordinated keeps the store contract", "[contract]") {
    Strings plain;
    auto rig = rig_of(plain, Coordinated{plain});
    larder_test::store_contract(rig);
}

TEST_CASE("Coordinated keeps the slot protocol", "[contract]") {
    Strings plain;
    auto rig = rig_of(plain, Coordinated{plain});
    larder_test::slot_contract(rig);
}

TEST_CASE("Coordinated keeps the contract over a store it only refers to", "[contract]") {
    Numbers plain;
    auto rig = rig_of(plain, Coordinated{std::ref(plain)});
    larder_test::store_contract(rig);
}

TEST_CASE("Coordinated keeps the contract over a store with batches", "[contract]") {
    Batches plain;
    auto rig = rig_of(plain, Coordinated{plain});
    larder_test::store_contract(rig);
}

TEST_CASE("Coordinated keeps the slot protocol over a store with batches", "[contract]") {
    Batches plain;
    auto rig = rig_of(plain, Coordinated{plain});
    larder_test::slot_contract(rig);
}
