// SPDX-License-Identifier: MIT

/// @file
/// The contract of fill, release and withdraw.

#ifndef LARDER_TESTS_CONTRACT_FILL_RELEASE_WITHDRAW_HPP
#define LARDER_TESTS_CONTRACT_FILL_RELEASE_WITHDRAW_HPP

#include "bench.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <optional>

namespace larder_test {

/// How a lease ends: fill, release, withdraw.
template <class S>
void fill_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    auto& store = b.store;
    static_assert(larder::CoherentStore<typename Bench<S>::Store>);

    SECTION("fill, Loading: Value") {
        const auto lease = b.lead();
        const auto filled = store.fill(b.k, lease, b.value(1), {minute});
        CHECK(filled.kept);
        CHECK(filled.tags_stand);
        CHECK(b.has(1));
        CHECK(b.lasts(store.find(b.k)->remaining, 60s));
        CHECK(b.peek().value == b.value(1));
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.fill(lease, 2));  // it is used up
        CHECK(b.has(1));
    }

    SECTION("fill with a known absence") {
        const auto lease = b.lead();
        CHECK(store.fill(b.k, lease, std::nullopt, {minute}).kept);
        REQUIRE(store.find(b.k));
        CHECK_FALSE(store.find(b.k)->value);
    }

    SECTION("fill, stale Value+Refreshing: the new value") {
        b.put_stale(1);
        const auto lease = b.lead();
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
        CHECK(b.slot() == Slot::hit);
        CHECK(b.peek().fresh);
    }

    SECTION("fill, after the key was invalidated: refused") {
        const auto lease = b.lead();
        store.erase(b.k);
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.is_free());
    }

    SECTION("fill, while the key is written: refused") {
        const auto lease = b.lead();
        const Ticket ticket = b.begin();
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 2));
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.has(2));
    }

    SECTION("fill, after the key was written: refused, whatever the writer left") {
        const auto lease = b.lead();
        b.finish_nothing(b.begin());
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.is_free());
    }

    // Rule S1.
    SECTION("fill, after somebody else took the lease: refused, the other's counts") {
        const auto old = b.lead();
        store.erase(b.k);
        const auto lease = b.lead();
        CHECK_FALSE(b.fill(old, 1));
        CHECK(b.slot() == Slot::join);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }

    SECTION("fill, without a lease: refused") {
        CHECK_FALSE(b.fill({}, 1));
        CHECK(b.is_free());
        b.put(1);
        CHECK_FALSE(b.fill({}, 2));
        CHECK(b.has(1));
    }

    SECTION("fill with a life of nothing: nothing is kept, and the slot is free") {
        CHECK_FALSE(b.fill(b.lead(), 1, {}));
        CHECK(b.is_free());
        b.put_stale(1);
        CHECK_FALSE(b.fill(b.lead(), 2, {}));
        CHECK(b.is_free());
        b.put(1);
        CHECK_FALSE(b.fill(b.lead_refresh(), 2, {Ttl{-1}, 60s}));
        CHECK(b.is_free());
    }

    SECTION("fill and put with an endless life: a hundred years") {
        constexpr Lifetime endless{(Ttl::max)(), (Ttl::max)()};
        CHECK(b.fill(b.lead(), 1, endless));
        const auto lives = [&] {
            const auto entry = store.find(b.k);
            return entry && b.lasts(entry->remaining, larder::detail::longest_life) &&
                   b.store.open(b.k).slot == Slot::hit;
        };
        CHECK(lives());
        b.put(2, endless);
        CHECK(lives());
        const Ticket ticket = b.begin((Ttl::max)());
        CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(3), {endless}));
        CHECK(lives());
        CHECK(b.has(3));
        rig.advance(std::chrono::hours{24 * 365});
        CHECK(b.has(3));
    }

    SECTION("release, Loading: Absent") {
        store.release(b.k, b.lead());
        CHECK(b.is_free());
    }

    SECTION("release, stale Value+Refreshing: the stale Value") {
        b.put_stale(1);
        const auto lease = b.lead();
        store.release(b.k, lease);
        CHECK(b.has(1));
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.slot() == Slot::hit);  // still to be had
        CHECK(store.open(b.k).slot == Slot::lead);
    }

    SECTION("release of a lease that is gone: nothing") {
        const auto old = b.lead();
        store.erase(b.k);
        const auto lease = b.lead();
        store.release(b.k, old);
        CHECK(b.fill(lease, 2));
        store.release(b.k, lease);
        CHECK(b.has(2));
        const Ticket ticket = b.begin();
        store.release(b.k, lease);
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 3));
        CHECK(b.has(3));
    }

    SECTION("withdraw, Loading: Absent") {
        store.withdraw(b.k, b.lead());
        CHECK(b.is_free());
    }

    // Rule S6.
    SECTION("withdraw, Value+Refreshing: Absent, for the source has said otherwise") {
        b.put_stale(1);
        SECTION("stale") {
            store.withdraw(b.k, b.lead());
        }
        SECTION("fresh") {
            b.put(1);
            store.withdraw(b.k, b.lead_refresh());
        }
        SECTION("by name") {
            store.withdraw(b.k, b.lead_refresh(true));
        }
        CHECK(b.is_free());
    }

    SECTION("withdraw of a lease that is gone: nothing") {
        const auto old = b.lead();
        store.erase(b.k);
        store.withdraw(b.k, old);
        CHECK(b.is_free());
        const auto lease = b.lead();
        store.withdraw(b.k, old);
        store.withdraw(b.k, {});
        CHECK(b.fill(lease, 2));
        store.withdraw(b.k, lease);
        CHECK(b.has(2));
        const Ticket ticket = b.begin();
        store.withdraw(b.k, lease);
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 3));
        CHECK(b.has(3));
    }

    SECTION("a fill that races an invalidation leaves nothing") {
        for (int round = 0; round < 100; ++round) {
            const auto lease = b.lead();
            at_once(2, [&](int who) {
                if (who == 0) {
                    b.fill(lease, round);
                } else {
                    store.erase(b.k);
                }
            });
            CHECK(b.is_free());
        }
    }

    SECTION("a fill that races a write leaves nothing beside it") {
        for (int round = 0; round < 100; ++round) {
            const auto lease = b.lead();
            Ticket ticket;
            at_once(2, [&](int who) {
                if (who == 0) {
                    b.fill(lease, 1);
                } else {
                    ticket = store.begin_write(b.k, 30s);
                }
            });
            CHECK(b.absent());
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(ticket, 2));
            CHECK(b.has(2));
            store.erase(b.k);
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_FILL_RELEASE_WITHDRAW_HPP
