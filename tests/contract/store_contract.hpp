// SPDX-License-Identifier: MIT

/// @file
/// The store contract, written once: what every Store promises, and row by row of the slot protocol
/// what every CoherentStore promises besides.
///
/// A store joins by an empty one, and a way to move the time that it lives by:
///
/// ```cpp
/// TEST_CASE("MyStore keeps the store contract") {
///     larder::ManualClock clock;
///     larder_test::Rig<MyStore> rig{MyStore{clock}, [clock](auto by) mutable { clock.advance(by); }};
///     larder_test::store_contract(rig);
///     larder_test::slot_contract(rig);  // only for a CoherentStore
/// }
/// ```

#ifndef LARDER_TESTS_CONTRACT_STORE_CONTRACT_HPP
#define LARDER_TESTS_CONTRACT_STORE_CONTRACT_HPP

#include "begin_finish_write.hpp"
#include "bench.hpp"
#include "fill_release_withdraw.hpp"
#include "find_put_erase.hpp"
#include "one_order.hpp"
#include "open.hpp"
#include "refresh.hpp"
#include "support/catch.hpp"
#include "tags.hpp"

#include <larder/larder.hpp>

namespace larder_test {

/// All that a CoherentStore promises besides the plain store.
template <class S>
void slot_contract(Rig<S>& rig) {
    SECTION("open") {
        open_contract(rig);
    }
    SECTION("fill, release and withdraw") {
        fill_contract(rig);
    }
    SECTION("begin_write and finish_write") {
        ticket_contract(rig);
    }
    SECTION("refreshes") {
        refresh_contract(rig);
    }
    SECTION("tags") {
        tag_contract(rig);
    }
    SECTION("one order") {
        history_contract(rig);
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_STORE_CONTRACT_HPP
