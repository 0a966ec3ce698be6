// SPDX-License-Identifier: MIT

/// @file
/// The contract of open.

#ifndef LARDER_TESTS_CONTRACT_OPEN_HPP
#define LARDER_TESTS_CONTRACT_OPEN_HPP

#include "bench.hpp"
#include "support/catch.hpp"

#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace larder_test {

/// Who opens a slot: to lead, to join, or to load past it.
template <class S>
void open_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    auto& store = b.store;
    static_assert(larder::CoherentStore<typename Bench<S>::Store>);

    SECTION("open, Absent: the caller leads") {
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::lead);
        CHECK(opening.lease);
        CHECK(opening.lead);
        CHECK_FALSE(opening.copy);
    }

    SECTION("open, fresh Value: there it is") {
        b.put(1);
        const auto opening = store.open(b.k);
        REQUIRE(opening.slot == Slot::hit);
        REQUIRE(opening.copy);
        CHECK(opening.copy->entry.value == b.value(1));
        CHECK(b.lasts(opening.copy->entry.remaining, 60s));
        CHECK_FALSE(opening.copy->stale());
    }

    SECTION("open, a known absence: there it is") {
        store.put(b.k, std::nullopt, minute);
        const auto opening = store.open(b.k);
        REQUIRE(opening.slot == Slot::hit);
        REQUIRE(opening.copy);
        CHECK_FALSE(opening.copy->entry.value);
        const auto seen = b.peek();
        CHECK(seen.there);
        CHECK_FALSE(seen.value);
        CHECK(seen.fresh);
    }

    // Rule S10.
    SECTION("open, Loading: the caller joins the flight of that lease") {
        const auto first = store.open(b.k);
        const auto second = store.open(b.k);
        REQUIRE(second.slot == Slot::join);
        CHECK(second.flight == first.lead.flight());
        CHECK(second.lease.id == first.lease.id);
        CHECK(store.underway(b.k) == first.lead.flight());
        CHECK_FALSE(b.peek().there);
    }

    SECTION("open, Writing: the caller loads and fills nothing") {
        b.put(1);
        b.begin();
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::bypass);
        CHECK_FALSE(opening.copy);
        CHECK_FALSE(opening.lease);
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.peek().there);
    }

    SECTION("open, stale Value: one caller leads, the others join, all keep the stale copy") {
        b.put_stale(1);
        const auto first = store.open(b.k);
        REQUIRE(first.slot == Slot::lead);
        REQUIRE(first.copy);
        CHECK(first.copy->entry.value == b.value(1));
        CHECK(first.copy->stale());
        const auto second = store.open(b.k);
        REQUIRE(second.slot == Slot::join);
        CHECK(second.flight == first.lead.flight());
        REQUIRE(second.copy);
        CHECK(second.copy->stale());
        const auto seen = b.peek();
        CHECK(seen.there);
        CHECK_FALSE(seen.fresh);
        CHECK(store.underway(b.k) == first.lead.flight());
    }

    SECTION("open, past its grace: as Absent") {
        b.put(1, minute_with_grace);
        rig.advance(90s);
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::lead);
        CHECK_FALSE(opening.copy);
        CHECK_FALSE(b.peek().there);
    }

    SECTION("open, a refresh whose value is gone: a new load") {
        b.put(1, minute);
        const auto old = b.lead_refresh();
        rig.advance(60s);
        CHECK_FALSE(store.underway(b.k));
        const auto lease = b.lead();
        CHECK_FALSE(b.fill(old, 2));
        CHECK(b.fill(lease, 3));
        CHECK(b.has(3));
    }

    SECTION("a lease ends with its load") {
        b.lead();
        CHECK(b.nothing_in_hand());
        CHECK_FALSE(store.underway(b.k));
        const auto lease = b.lead();
        CHECK(b.fill(lease, 1));
        b.lead_refresh();
        CHECK_FALSE(store.underway(b.k));
        CHECK(b.has(1));
        const auto again = b.lead_refresh();
        CHECK(b.fill(again, 2));
        CHECK(b.has(2));
    }

    SECTION("the store lets go of a flight whose lease is gone") {
        const auto opening = store.open(b.k);
        REQUIRE(opening.lead.flight().use_count() == 2);
        SECTION("filled") {
            b.fill(opening.lease, 1);
        }
        SECTION("released") {
            store.release(b.k, opening.lease);
        }
        SECTION("invalidated") {
            store.erase(b.k);
        }
        SECTION("written") {
            b.begin();
        }
        SECTION("put") {
            b.put(1);
        }
        SECTION("taken by a refresh") {
            b.lead_refresh(true);
        }
        CHECK(opening.lead.flight().use_count() == 1);
    }

    SECTION("a batch opens each of its keys as that key is") {
        const auto at = [&](int i) {
            b.k = b.key(i);
            return b.k;
        };
        at(2);
        b.put(2);
        at(3);
        const auto loading = b.lead();
        at(4);
        b.begin();
        const std::vector keys{at(1), at(2), at(3), at(4)};
        auto openings = store.open_many(keys);
        REQUIRE(openings.size() == 4);
        CHECK(openings[0].slot == Slot::lead);
        CHECK(openings[0].lead);
        CHECK(openings[1].slot == Slot::hit);
        REQUIRE(openings[1].copy);
        CHECK(openings[1].copy->entry.value == b.value(2));
        CHECK(openings[2].slot == Slot::join);
        CHECK(openings[2].lease.id == loading->lease.id);
        CHECK(openings[3].slot == Slot::bypass);
        CHECK(openings[3].writing);
        at(1);
        CHECK(b.fill(openings[0].lease, 1));
        CHECK(b.has(1));

        std::vector<std::size_t> seen;
        store.peek_many(keys, [&](std::size_t i, const auto* value, auto remaining, Ttl, bool) {
            seen.push_back(i);
            REQUIRE(value != nullptr);
            CHECK(*value == b.value(static_cast<int>(i) + 1));
            CHECK(remaining > remaining.zero());
        });
        CHECK(seen == std::vector<std::size_t>{0, 1});
        CHECK(store.open_many(std::vector<typename Bench<S>::K>{}).empty());
    }

    SECTION("a batch opens what it has seen, and what that has become since") {
        const auto at = [&](int i) {
            b.k = b.key(i);
            return b.k;
        };
        const std::vector keys{at(1), at(2), at(3), at(4), at(5), at(6)};
        at(2);
        b.put(2, minute_with_grace);
        at(3);
        b.put(3, minute_with_grace);
        at(4);
        b.put(4, minute_with_grace);
        rig.advance(61s);
        at(4);
        const auto reloading = b.lead();
        at(5);
        const auto loading = b.lead();
        at(6);
        b.put(6);
        std::vector<typename S::Query> queries(keys.size());
        std::size_t seen = 0;
        larder::detail::peek_many(
            store, std::span{keys}, [&](std::size_t, auto...) { ++seen; }, std::span{queries});
        CHECK(seen == 4);
        SECTION("as it was") {
            auto openings = larder::detail::open_many(store, std::span{keys}, std::span{queries});
            REQUIRE(openings.size() == 6);
            CHECK(openings[0].slot == Slot::lead);
            CHECK_FALSE(openings[0].copy);
            for (const std::size_t i : {1U, 2U}) {
                CHECK(openings[i].slot == Slot::lead);
                REQUIRE(openings[i].copy);
                CHECK(openings[i].copy->stale());
                b.k = keys[i];
                CHECK(openings[i].copy->entry.value == b.value(static_cast<int>(i) + 1));
                CHECK(b.fill(openings[i].lease, 20));
                CHECK(b.has(20));
            }
            CHECK(openings[3].slot == Slot::join);
            CHECK(openings[3].lease.id == reloading->lease.id);
            CHECK(openings[4].slot == Slot::join);
            CHECK(openings[4].lease.id == loading->lease.id);
            CHECK(openings[5].slot == Slot::hit);
        }
        SECTION("changed") {
            at(1);
            b.put(10);
            at(2);
            b.put(20);
            store.erase(at(3));
            at(6);
            b.begin();
            auto openings = larder::detail::open_many(store, std::span{keys}, std::span{queries});
            REQUIRE(openings.size() == 6);
            for (const std::size_t i : {0U, 1U}) {
                CHECK(openings[i].slot == Slot::hit);
                REQUIRE(openings[i].copy);
                CHECK_FALSE(openings[i].copy->stale());
                CHECK(openings[i].copy->entry.value == b.value(10 * static_cast<int>(i) + 10));
            }
            CHECK(openings[2].slot == Slot::lead);
            CHECK_FALSE(openings[2].copy);
            CHECK(openings[5].slot == Slot::bypass);
        }
    }

    SECTION("of all who open a key at once, one leads and all others join it") {
        for (int round = 0; round < 20; ++round) {
            b.k = b.key(round);
            std::atomic<int> leads{0};
            std::atomic<int> joins{0};
            std::vector<typename Bench<S>::Opening> openings(8);
            at_once(8, [&](int who) {
                auto& opening = openings[static_cast<std::size_t>(who)];
                opening = store.open(b.k);
                leads += opening.slot == Slot::lead ? 1 : 0;
                joins += opening.slot == Slot::join ? 1 : 0;
            });
            CHECK(leads == 1);
            CHECK(joins == 7);
            const auto underway = store.underway(b.k);
            for (const auto& opening : openings) {
                CHECK((opening.lead ? opening.lead.flight() : opening.flight) == underway);
            }
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_OPEN_HPP
