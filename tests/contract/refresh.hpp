// SPDX-License-Identifier: MIT

/// @file
/// The contract of open_refresh.

#ifndef LARDER_TESTS_CONTRACT_REFRESH_HPP
#define LARDER_TESTS_CONTRACT_REFRESH_HPP

#include "bench.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <vector>

namespace larder_test {

/// Refreshes, in the background and by name.
template <class S>
void refresh_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    auto& store = b.store;

    SECTION("background, fresh Value: one leads, and the copy is served meanwhile") {
        b.put(1);
        const auto lease = b.lead_refresh();
        CHECK(b.has(1));
        CHECK(b.peek().fresh);
        CHECK(b.slot() == Slot::hit);
        CHECK(store.underway(b.k));
        CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.peek().refreshing);
        b.lead_refresh();  // the next one may
    }
    SECTION("background, otherwise: nothing to do, and nothing is changed") {
        SECTION("Absent") {
            CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
            CHECK(b.is_free());
        }
        SECTION("Loading") {
            const auto lease = b.lead();
            CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
            CHECK(b.fill(lease, 1));
        }
        SECTION("Writing") {
            const Ticket ticket = b.begin();
            CHECK(store.open_refresh(b.k, false).slot == Slot::bypass);
            CHECK(b.finish(ticket, 1));
            CHECK(b.has(1));
        }
        SECTION("stale Value") {
            b.put_stale(1);
            CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
            CHECK(store.open(b.k).slot == Slot::lead);
        }
    }
    SECTION("a refresh that fails leaves the copy it would have replaced") {
        b.put(1);
        store.release(b.k, b.lead_refresh());
        CHECK(b.has(1));
        CHECK_FALSE(store.underway(b.k));
        b.lead_refresh();
    }
    SECTION("a refresh does not resurrect what was invalidated") {
        b.put(1);
        const auto lease = b.lead_refresh();
        CHECK(store.erase(b.k));
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.is_free());
    }
    SECTION("a refresh does not overwrite what was written") {
        b.put(1);
        const auto lease = b.lead_refresh();
        const Ticket ticket = b.begin();
        CHECK(b.finish(ticket, 2));
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.has(2));
    }
    SECTION("a refresh outlives the freshness of its copy, not the copy") {
        b.put(1, minute_with_grace);
        const auto lease = b.lead_refresh();
        rig.advance(61s);
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::join);
        REQUIRE(opening.copy);
        CHECK(opening.copy->stale());
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }

    SECTION("by name, Absent: Loading") {
        const auto lease = b.lead_refresh(true);
        CHECK(b.slot() == Slot::join);
        CHECK(b.fill(lease, 1));
        CHECK(b.has(1));
    }
    // Rule S5.
    SECTION("by name, Loading: the older load is fenced, and nobody joins it") {
        const auto old = store.open(b.k);
        const auto forced = store.open_refresh(b.k, true);
        REQUIRE(forced.slot == Slot::lead);
        const auto joined = store.open(b.k);
        REQUIRE(joined.slot == Slot::join);
        CHECK(joined.flight == forced.lead.flight());
        CHECK(joined.flight != old.lead.flight());
        CHECK_FALSE(b.fill(old.lease, 1));
        CHECK(b.fill(forced.lease, 2));
        CHECK(b.has(2));
    }
    SECTION("by name, Value: it is served until the load is done") {
        b.put(1);
        const auto lease = b.lead_refresh(true);
        CHECK(b.has(1));
        CHECK(b.slot() == Slot::hit);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }
    SECTION("by name, Value+Refreshing: the older refresh is fenced") {
        b.put(1);
        const auto old = b.lead_refresh();
        const auto lease = b.lead_refresh(true);
        CHECK_FALSE(b.fill(old, 2));
        CHECK(b.has(1));
        CHECK(b.fill(lease, 3));
        CHECK(b.has(3));
    }
    SECTION("by name, stale Value: as Value") {
        b.put_stale(1);
        const auto lease = b.lead_refresh(true);
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::join);
        CHECK(opening.copy);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }
    SECTION("by name, Writing: load without filling, and the writer leaves nothing") {
        const Ticket ticket = b.begin();
        const auto opening = store.open_refresh(b.k, true);
        CHECK(opening.slot == Slot::bypass);
        CHECK_FALSE(opening.lease);
        CHECK(b.finish(ticket, 1));
        CHECK(b.is_free());
    }

    SECTION("of all who refresh in the background at once, one leads") {
        for (int round = 0; round < 20; ++round) {
            b.put(round);
            std::vector<typename Bench<S>::Opening> openings(6);
            at_once(6, [&](int who) {
                openings[static_cast<std::size_t>(who)] = store.open_refresh(b.k, false);
            });
            CHECK(std::count_if(openings.begin(), openings.end(), [](const auto& opening) {
                      return opening.slot == Slot::lead;
                  }) == 1);
        }
    }
    SECTION("of all who refresh by name at once, each leads, and one fills") {
        for (int round = 0; round < 20; ++round) {
            std::vector<typename Bench<S>::Opening> openings(6);
            at_once(6, [&](int who) {
                openings[static_cast<std::size_t>(who)] = store.open_refresh(b.k, true);
            });
            std::atomic<int> kept{0};
            at_once(6, [&](int who) {
                kept += b.fill(openings[static_cast<std::size_t>(who)].lease, who) ? 1 : 0;
            });
            CHECK(kept == 1);
            store.erase(b.k);
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_REFRESH_HPP
