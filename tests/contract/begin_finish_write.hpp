// SPDX-License-Identifier: MIT

/// @file
/// The contract of begin_write and finish_write, one by one and many at once.

#ifndef LARDER_TESTS_CONTRACT_BEGIN_FINISH_WRITE_HPP
#define LARDER_TESTS_CONTRACT_BEGIN_FINISH_WRITE_HPP

#include "bench.hpp"
#include "support/catch.hpp"

#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/larder.hpp>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace larder_test {

/// Writes: begin_write, finish_write, their tickets; and invalidations and puts that meet them.
template <class S>
void ticket_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    auto& store = b.store;

    // Rule S2.
    SECTION("begin_write: no copy is served from then on") {
        SECTION("Absent") {}
        SECTION("Value") {
            b.put(1);
        }
        SECTION("a known absence") {
            store.put(b.k, std::nullopt, minute);
        }
        SECTION("stale Value") {
            b.put_stale(1);
        }
        SECTION("Loading") {
            b.lead();
        }
        SECTION("Value+Refreshing") {
            b.put(1);
            b.lead_refresh();
        }
        const Ticket ticket = b.begin();
        CHECK(b.absent());
        CHECK_FALSE(b.peek().there);
        CHECK(b.slot() == Slot::bypass);
        CHECK_FALSE(store.underway(b.k));
        CHECK(b.finish(ticket, 2));
        CHECK(b.has(2));
        CHECK(b.slot() == Slot::hit);
    }
    SECTION("finish_write with nothing: Absent") {
        b.put(1);
        CHECK(b.finish_nothing(b.begin()));
        CHECK(b.is_free());
    }
    SECTION("finish_write with a known absence") {
        const Ticket ticket = b.begin();
        CHECK(store.finish_write(b.k, ticket, Finish::value, std::nullopt, {minute}));
        REQUIRE(store.find(b.k));
        CHECK_FALSE(store.find(b.k)->value);
    }
    SECTION("finish_write with a life of nothing: Absent") {
        const Ticket ticket = b.begin();
        CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {}));
        CHECK(b.is_free());
    }
    SECTION("two writers that overlap leave nothing") {
        const Ticket first = b.begin();
        const Ticket second = b.begin();
        SECTION("in one order") {
            CHECK(b.finish(first, 1));
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(second, 2));
        }
        SECTION("in the other") {
            CHECK(b.finish(second, 2));
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(first, 1));
        }
        SECTION("one of them without a value") {
            CHECK(b.finish_nothing(first));
            CHECK(b.finish(second, 2));
        }
        CHECK(b.is_free());
    }
    SECTION("a writer that meets another's tail overlaps with it") {
        const Ticket first = b.begin();
        const Ticket second = b.begin();
        CHECK(b.finish(first, 1));
        const Ticket third = b.begin();
        CHECK(b.finish(second, 2));
        CHECK(b.finish(third, 3));
        CHECK(b.is_free());
    }
    SECTION("writers one after the other each leave their value") {
        for (int i = 0; i < 5; ++i) {
            CHECK(b.finish(b.begin(), i));
            CHECK(b.has(i));
        }
    }
    SECTION("a ticket ends at its deadline, and its slot with the last") {
        const Ticket ticket = b.begin(10s);
        rig.advance(10s - rig.grain);
        CHECK(b.slot() == Slot::bypass);
        rig.advance(rig.grain);
        CHECK(b.is_free());
        // A writer that comes back finds it gone: what is there is older or newer, nobody knows.
        b.put(1);
        CHECK_FALSE(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    // Rule S8.
    SECTION("a ticket that is gone spoils the value of whoever writes now") {
        const Ticket slow = b.begin(10s);
        rig.advance(11s);
        const Ticket ticket = b.begin();
        CHECK_FALSE(b.finish(slow, 1));
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    SECTION("a ticket that is gone ends a load that has begun") {
        const Ticket slow = b.begin(10s);
        rig.advance(11s);
        const auto lease = b.lead();
        CHECK_FALSE(b.finish(slow, 1));
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.is_free());
    }
    // Rule S3.
    SECTION("each ticket has a deadline of its own, and overlap is not forgotten with the dead") {
        const Ticket dead = b.begin(10s);
        const Ticket alive = b.begin(60s);
        rig.advance(11s);
        CHECK(b.slot() == Slot::bypass);
        SECTION("the one that is left leaves nothing") {
            CHECK(b.finish(alive, 2));
            CHECK(b.is_free());
        }
        SECTION("the other's is gone") {
            CHECK_FALSE(b.finish(dead, 1));
            CHECK(b.finish(alive, 2));
            CHECK(b.is_free());
        }
        SECTION("its own deadline ends the slot") {
            rig.advance(50s);
            CHECK(b.is_free());
        }
    }
    SECTION("a ticket is worth nothing a second time") {
        const Ticket ticket = b.begin();
        CHECK(b.finish(ticket, 1));
        CHECK_FALSE(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    // Rule S3.
    SECTION("tickets beyond the thirty-second have no name, and hold the slot to their deadline") {
        std::vector<Ticket> tickets;
        for (int i = 0; i < 32; ++i) {
            tickets.push_back(b.begin(20s));
        }
        const Ticket beyond = b.begin(40s);
        CHECK_FALSE(b.finish(beyond, 1));
        for (const Ticket& ticket : tickets) {
            CHECK(b.finish(ticket, 2));
        }
        CHECK(b.slot() == Slot::bypass);
        rig.advance(40s);
        CHECK(b.is_free());
    }
    // Rule S4.
    SECTION("erase, Writing: whoever finishes last leaves nothing") {
        const Ticket ticket = b.begin();
        CHECK_FALSE(store.erase(b.k));
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 1));
        CHECK(b.is_free());
    }
    SECTION("put, Writing: nothing is stored, and the writer leaves nothing") {
        const Ticket ticket = b.begin();
        b.put(1);
        CHECK(b.absent());
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    SECTION("put, Loading: the value, and the load is fenced") {
        const auto lease = b.lead();
        b.put(1);
        CHECK(b.slot() == Slot::hit);
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.has(1));
    }
    SECTION("put, Value+Refreshing: the value, and the refresh is fenced") {
        b.put(1);
        const auto lease = b.lead_refresh();
        b.put(2);
        CHECK_FALSE(b.fill(lease, 3));
        CHECK(b.has(2));
        CHECK_FALSE(store.underway(b.k));
    }
    SECTION("put with a life of nothing: as erase") {
        b.put(1);
        b.put(2, {});
        CHECK(b.is_free());
    }
    SECTION("a batch begins a write on each of its keys") {
        const std::vector keys{b.key(1), b.key(2), b.key(3)};
        for (const auto& key : keys) {
            store.put(key, b.value(0), minute);
        }
        b.k = b.key(2);
        const auto lease = b.lead_refresh();
        const std::vector<Ticket> tickets = store.begin_write_many(keys, 30s);
        REQUIRE(tickets.size() == 3);
        CHECK_FALSE(b.fill(lease, 9));
        for (std::size_t i = 0; i < keys.size(); ++i) {
            b.k = keys[i];
            CHECK(b.absent());
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(tickets[i], static_cast<int>(i)));
            CHECK(b.has(static_cast<int>(i)));
        }
        CHECK(store.begin_write_many(std::vector<typename Bench<S>::K>{}, 30s).empty());
    }
    SECTION("finish_write_many: each as finish_write ends it") {
        using Ends = std::vector<larder::detail::WriteEnd>;
        std::vector<typename Bench<S>::K> keys;
        for (int i = 0; i < 8; ++i) {
            keys.push_back(b.key(i));
        }
        std::vector<Ticket> tickets = store.begin_write_many(keys, 30s);
        // One whose ticket has gone, one that another has met, one that an invalidation has.
        b.k = keys[5];
        CHECK(b.finish_nothing(tickets[5]));
        b.put(50);
        b.k = keys[6];
        const Ticket other = b.begin();
        CHECK_FALSE(store.erase(keys[7]));
        using Request = larder::detail::FinishRequest<typename Bench<S>::K, typename Bench<S>::V>;
        std::vector<Request> requests;
        for (int i = 0; i < 8; ++i) {
            const auto at = static_cast<std::size_t>(i);
            requests.push_back({&keys[at], tickets[at], Finish::value, b.value(i), {minute}});
        }
        requests[1].value.reset();          // a known absence
        requests[2].how = Finish::nothing;  // a rollback
        requests[3].terms.life = {};        // not to be kept
        requests[4].terms.life = {2 * minute.fresh, 3 * minute.fresh};
        const Ends ends = larder::detail::finish_write_many(store, std::span{requests});
        REQUIRE(ends.size() == 8);
        for (std::size_t i = 0; i < 8; ++i) {
            CHECK_FALSE(ends[i].failure);
            CHECK(ends[i].found == (i != 5));
        }
        const auto has = [&](int i) {
            b.k = keys[static_cast<std::size_t>(i)];
            return b.has(i);
        };
        const auto is_free = [&](std::size_t i) {
            b.k = keys[i];
            return b.is_free();
        };
        b.k = keys[6];
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(other, 60));
        CHECK(has(0));
        REQUIRE(store.find(keys[1]));
        CHECK_FALSE(store.find(keys[1])->value);
        CHECK(is_free(2));
        CHECK(is_free(3));
        CHECK(store.find(keys[4])->remaining > minute.fresh);
        CHECK(is_free(5));
        CHECK(is_free(6));
        CHECK(is_free(7));
        CHECK(b.nothing_in_hand());
    }
    SECTION("finish_write_many: of none, of one, of one key twice") {
        using Request = larder::detail::FinishRequest<typename Bench<S>::K, typename Bench<S>::V>;
        std::vector<Request> requests;
        const auto finish = [&] {
            return larder::detail::finish_write_many(store, std::span{requests});
        };
        CHECK(finish().empty());
        requests.push_back({&b.k, b.begin(), Finish::value, b.value(1), {minute}});
        CHECK(finish().at(0).found);
        CHECK(b.has(1));
        CHECK_FALSE(finish().at(0).found);
        CHECK(b.is_free());
        requests = {{&b.k, b.begin(), Finish::value, b.value(1), {minute}},
                    {&b.k, b.begin(), Finish::value, b.value(2), {minute}}};
        const auto ends = finish();
        CHECK((ends.at(0).found && ends.at(1).found));
        CHECK(b.is_free());
    }
    SECTION("finish_write_many: batches that meet leave nothing of what they share") {
        std::vector<typename Bench<S>::K> keys;
        for (int i = 0; i < 20; ++i) {
            keys.push_back(b.key(i));
        }
        std::barrier begun{3};
        at_once(3, [&](int who) {
            using Request =
                larder::detail::FinishRequest<typename Bench<S>::K, typename Bench<S>::V>;
            std::vector<typename Bench<S>::K> mine = keys;
            if (who % 2 == 1) {
                std::reverse(mine.begin(), mine.end());
            }
            const std::vector<Ticket> tickets = store.begin_write_many(mine, 30s);
            begun.arrive_and_wait();
            std::vector<Request> requests;
            for (std::size_t i = 0; i < mine.size(); ++i) {
                requests.push_back({&mine[i], tickets[i], Finish::value, b.value(who), {minute}});
            }
            (void)larder::detail::finish_write_many(store, std::span{requests});
        });
        for (const auto& key : keys) {
            b.k = key;
            CHECK(b.is_free());
        }
    }
    SECTION("a batch erases as erase does") {
        const std::vector keys{b.key(1), b.key(2), b.key(3)};
        b.k = b.key(1);
        b.put(1);
        b.k = b.key(2);
        const auto lease = b.lead();
        b.k = b.key(3);
        const Ticket ticket = b.begin();
        CHECK(store.erase_many(keys) == 1);
        CHECK(b.finish(ticket, 3));
        CHECK(b.is_free());
        b.k = b.key(2);
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.is_free());
        b.k = b.key(1);
        CHECK(b.is_free());
    }
    SECTION("of writers that meet, none leaves a value, in whatever order they end") {
        for (int round = 0; round < 50; ++round) {
            std::barrier begun{4};
            at_once(4, [&](int who) {
                const Ticket ticket = store.begin_write(b.k, 30s);
                begun.arrive_and_wait();
                b.finish(ticket, who);
            });
            CHECK(b.is_free());
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_BEGIN_FINISH_WRITE_HPP
