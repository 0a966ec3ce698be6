// SPDX-License-Identifier: MIT

// The contract of journals over SqliteJournal.

#include "journal_contract.hpp"
#include "support/catch.hpp"
#include "support/fleet/folder.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <string>

using larder::ManualClock;
using larder_test::Folder;
using larder_test::JournalRig;

namespace {

template <class K, class V, class C>
auto rig_of(const Folder& folder) {
    using Journal = larder::SqliteJournal<K, V, C, ManualClock>;
    ManualClock clock;
    return JournalRig<Journal>{Journal{folder.path() / "a.journal", {}, {}, clock},
                               [clock](auto by) mutable { clock.advance(by); }};
}

static_assert(larder::BoundedJournal<larder::SqliteJournal<int, int>>);
static_assert(larder::BoundedJournal<larder::Unshared<larder::SqliteJournal<int, int>>>);

}  // namespace

TEST_CASE("SqliteJournal keeps the contract of journals", "[contract]") {
    const Folder folder;
    auto rig = rig_of<int, int, larder::JsonCodec<int>>(folder);
    larder_test::journal_contract(rig);
}

TEST_CASE("SqliteJournal of strings keeps the contract of journals", "[contract]") {
    const Folder folder;
    auto rig = rig_of<std::string, std::string, larder::RawCodec<>>(folder);
    larder_test::journal_contract(rig);
}
