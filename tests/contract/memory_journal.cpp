// SPDX-License-Identifier: MIT

// The contract of journals over MemoryJournal.

#include "journal_contract.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <string>

using larder::ManualClock;
using larder_test::JournalRig;

namespace {

template <class K, class V>
auto rig_of() {
    using Journal = larder::MemoryJournal<K, V, ManualClock>;
    ManualClock clock;
    return JournalRig<Journal>{Journal{clock}, [clock](auto by) mutable { clock.advance(by); }};
}

}  // namespace

TEST_CASE("MemoryJournal keeps the contract of journals", "[contract]") {
    auto rig = rig_of<int, int>();
    larder_test::journal_contract(rig);
}

TEST_CASE("MemoryJournal of strings keeps the contract of journals", "[contract]") {
    auto rig = rig_of<std::string, std::string>();
    larder_test::journal_contract(rig);
}
