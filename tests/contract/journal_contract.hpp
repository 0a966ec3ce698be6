// SPDX-License-Identifier: MIT

/// @file
/// The contract of every Journal, written once.
///
/// A journal joins by an empty one, and a way to move the time that it lives by:
///
/// ```cpp
/// TEST_CASE("MyJournal keeps the contract of journals") {
///     larder::ManualClock clock;
///     larder_test::JournalRig<MyJournal> rig{MyJournal{clock}, [clock](auto by) mutable { clock.advance(by); }};
///     larder_test::journal_contract(rig);
/// }
/// ```

#ifndef LARDER_TESTS_CONTRACT_JOURNAL_CONTRACT_HPP
#define LARDER_TESTS_CONTRACT_JOURNAL_CONTRACT_HPP

#include "journal_bench.hpp"
#include "journal_crowd.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace larder_test {

namespace contract {

template <class J>
void record_contract(JournalBench<J>& b) {
    SECTION("nothing is pending at first") {
        CHECK(b.state(1) == "none");
        CHECK(b.journal.size() == 0);
        CHECK_FALSE(b.journal.oldest());
        CHECK(b.journal.dead_letters().empty());
        CHECK(b.claim().empty());
    }
    SECTION("what is recorded is pending, under the version that it was given") {
        const std::uint64_t version = b.record(1, 10);
        CHECK(version > 0);
        CHECK(b.state(1) == "10");
        CHECK(b.journal.pending(b.key(1))->version == version);
        CHECK(b.journal.pending(b.key(1))->key == b.key(1));
        CHECK(b.state(2) == "none");
        CHECK(b.journal.size() == 1);
    }
    SECTION("a removal is a change") {
        b.record(1, std::nullopt);
        CHECK(b.state(1) == "removed");
        CHECK(b.journal.size() == 1);
        CHECK(b.names(b.claim()) == "1=removed ");
    }
    SECTION("the newest change of a key takes the place of the others") {
        b.record(1, 10);
        b.record(1, std::nullopt);
        b.record(1, 11);
        CHECK(b.state(1) == "11");
        CHECK(b.journal.size() == 1);
        CHECK(b.names(b.claim()) == "1=11 ");
    }
    SECTION("versions grow, whatever became of those before") {
        std::uint64_t last = b.record(1, 10);
        const auto grows = [&](std::uint64_t next) { return next > std::exchange(last, next); };
        CHECK(grows(b.record(1, 11)));
        CHECK(grows(b.record(1, std::nullopt)));
        CHECK(b.settle(b.claim()) == "y");
        CHECK(grows(b.record(1, 12)));
        CHECK(b.journal.bury(b.claim_one(), "why"));
        CHECK(grows(b.record(1, 13)));
        CHECK(b.journal.bury(b.claim_one(), "why"));
        CHECK(b.journal.discard(b.key(1)));
        CHECK(grows(b.record(1, 14)));
        for (int i = 0; i < 50; ++i) {
            CHECK(grows(b.record(1, i)));
        }
    }
    SECTION("the version of a change that is given to it does not matter") {
        const std::uint64_t version =
            b.journal.record({b.key(1), b.value(10), (std::uint64_t{1} << 62U) + 5});
        CHECK(version < std::uint64_t{1} << 62U);
        CHECK(b.record(1, 11) > version);
    }
    SECTION("the age of the oldest") {
        b.record(1, 10);
        b.rig.advance(5s);
        b.record(2, 20);
        b.rig.advance(5s);
        b.record(1, 11);  // the key has waited since its first change
        CHECK(b.about(*b.journal.oldest(), 10s));
        const auto first = b.claim_of(1);
        CHECK(b.about(*b.journal.oldest(), 10s));
        CHECK(b.settle(first) == "y");
        CHECK(b.about(*b.journal.oldest(), 5s));
        CHECK(b.journal.bury(b.claim_one(), "why"));
        CHECK_FALSE(b.journal.oldest());
    }
}

template <class J>
void bound_contract(JournalBench<J>& b) {
    if constexpr (larder::BoundedJournal<J>) {
        const auto record = [&b](int key, int value, std::size_t most) {
            return b.journal.record({b.key(key), b.value(value), 0}, most);
        };
        SECTION("a bound is for keys that have nothing pending") {
            const auto version = record(1, 10, 2);
            REQUIRE(version);
            CHECK(record(2, 20, 2));
            CHECK_FALSE(record(3, 30, 2));
            CHECK(b.state(3) == "none");
            CHECK(b.journal.size() == 2);
            const auto next = record(1, 11, 2);
            REQUIRE(next);
            CHECK(*next > *version);
            CHECK(b.state(1) == "11");
            CHECK_FALSE(record(3, 30, 0));
            CHECK(b.settle(b.journal.claim(1, 1min, 0ms)) == "y");
            CHECK(record(3, 30, 2));
        }
        SECTION("what is refused is as it was given") {
            larder::Change<typename J::key_type, typename J::value_type> change{b.key(1),
                                                                                b.value(10), 0};
            CHECK_FALSE(b.journal.record(std::move(change), 0));
            CHECK(change.key == b.key(1));
            CHECK(change.value == b.value(10));
        }
        SECTION("a dead letter takes no place, and needs one to be recorded over") {
            b.record(1, 10);
            REQUIRE(b.journal.bury(b.claim_one(), "why"));
            CHECK(record(2, 20, 1));
            CHECK_FALSE(record(1, 11, 1));
            CHECK(b.letters() == "1=10:why ");
            CHECK(b.journal.revive(b.key(1)));  // beyond the bound, too
            CHECK(b.journal.size() == 2);
        }
    }
}

template <class J>
void claim_contract(JournalBench<J>& b) {
    SECTION("the oldest first, as many as asked for") {
        b.record_each(5);
        b.record(1, 11);
        CHECK(b.journal.claim(0, 1min, 0ms).empty());
        if (b.rig.ordered) {
            CHECK(b.names(b.journal.claim(2, 1min, 0ms)) == "1=11 2=20 ");
            CHECK(b.names(b.journal.claim(2, 1min, 0ms)) == "3=30 4=40 ");
        } else {
            CHECK(b.journal.claim(2, 1min, 0ms).size() == 2);
            CHECK(b.journal.claim(2, 1min, 0ms).size() == 2);
        }
        CHECK(b.journal.claim(2, 1min, 0ms).size() == 1);
        CHECK(b.claim().empty());
        CHECK(b.journal.size() == 5);
    }
    SECTION("what is as old as that") {
        b.record(1, 10);
        b.rig.advance(20s);
        b.record(2, 20);
        CHECK(b.names(b.journal.claim(all, 1min, 20s)) == "1=10 ");
        CHECK(b.journal.claim(all, 1min, 20s).empty());
        b.rig.advance(20s);
        CHECK(b.names(b.journal.claim(all, 1min, 20s)) == "2=20 ");
    }
    SECTION("no two claims have one name, and each knows its change") {
        b.record_each(3);
        const auto claims = b.claim();
        REQUIRE(claims.size() == 3);
        for (std::size_t i = 0; i < claims.size(); ++i) {
            CHECK(claims[i].claim != 0);
            CHECK(claims[i].claim != claims[(i + 1) % 3].claim);
            CHECK(claims[i].attempts == 0);
            const auto pending = b.journal.pending(claims[i].change.key);
            REQUIRE(pending);
            CHECK(pending->version == claims[i].change.version);
        }
    }
    SECTION("a change recorded over a claim waits for it") {
        b.record(1, 10);
        const auto claims = b.claim();
        b.record(1, 11);
        b.rig.advance(20s);
        CHECK(b.claim().empty());
        CHECK(b.state(1) == "11");
    }
    SECTION("a claim that nobody renews is over, and the change is another's") {
        b.record(1, 10);
        const auto late = b.journal.claim(all, 10s, 0ms);
        b.rig.advance(20s);
        const auto taken = b.claim();
        CHECK(b.names(taken) == "1=10 ");
        CHECK(late.at(0).claim != taken.at(0).claim);
        b.journal.renew(late, 0ms);
        b.journal.renew(late, 1h);
        b.journal.defer(late[0], 1h);
        CHECK(b.settle(late) == "n");
        CHECK_FALSE(b.journal.bury(late[0], "why"));
        CHECK(b.state(1) == "10");
        CHECK(b.claim().empty());
        CHECK(b.settle(taken) == "y");
    }
    SECTION("a change recorded over a claim that is over goes to the next, once") {
        b.record(1, 10);
        const auto late = b.journal.claim(all, 10s, 0ms);
        b.rig.advance(20s);
        b.record(1, 11);
        const auto taken = b.claim();
        CHECK(b.names(taken) == "1=11 ");
        CHECK(b.settle(late) == "n");
        CHECK(b.claim().empty());
        CHECK(b.settle(taken) == "y");
        CHECK(b.journal.size() == 0);
    }
    SECTION("a claim that is renewed lives on") {
        b.record_each(2);
        const auto claims = b.journal.claim(all, 10s, 0ms);
        b.journal.renew(claims, 1h);
        b.rig.advance(10min);
        CHECK(b.claim().empty());
        CHECK(b.settle(claims) == "yy");
    }
    SECTION("a claim renewed for no time is over") {
        b.record_each(2);
        const auto claims = b.claim();
        b.journal.renew(claims, 0ms);
        const auto again = b.claim();
        CHECK(again.size() == 2);
        CHECK(b.settle(again) == "yy");
    }
}

template <class J>
void settle_contract(JournalBench<J>& b) {
    SECTION("what the database has is forgotten, once") {
        b.record_each(3);
        const auto claims = b.claim();
        CHECK(b.settle(claims) == "yyy");
        CHECK(b.journal.size() == 0);
        CHECK(b.state(1) == "none");
        CHECK(b.settle(claims) == "nnn");
        CHECK(b.claim().empty());
    }
    SECTION("nothing and a made-up claim settle nothing") {
        CHECK(b.settle({}) == "");
        const std::uint64_t version = b.record(1, 10);
        const std::vector<typename JournalBench<J>::Claim> made_up{
            {{b.key(1), b.value(10), version}, 0, 0}};
        CHECK(b.settle(made_up) == "n");
        CHECK_FALSE(b.journal.bury(made_up[0], "why"));
        b.journal.defer(made_up[0], 1h);
        b.journal.renew(made_up, 1h);
        CHECK(b.names(b.claim()) == "1=10 ");
    }
    SECTION("what was superseded is not settled, and the newer change is due") {
        b.record_each(2);
        const auto claims = b.claim();
        const std::uint64_t version = b.record(1, 11);
        std::string settled = b.settle(claims);
        CHECK(settled == (b.number(claims[0].change.key) == 1 ? "ny" : "yn"));
        CHECK(b.journal.size() == 1);
        CHECK(b.state(1) == "11");
        const auto newer = b.claim();
        CHECK(b.names(newer) == "1=11 ");
        CHECK(newer.at(0).change.version == version);
        CHECK(newer.at(0).attempts == 0);
        CHECK(b.settle(claims) == "nn");  // it is the newer claim's now
        CHECK(b.settle(newer) == "y");
    }
    SECTION("a removal that was superseded, and one that supersedes") {
        b.record(1, std::nullopt);
        const auto removal = b.claim();
        b.record(1, 10);
        CHECK(b.settle(removal) == "n");
        const auto put = b.claim();
        b.record(1, std::nullopt);
        CHECK(b.settle(put) == "n");
        CHECK(b.names(b.claim()) == "1=removed ");
    }
}

template <class J>
void defer_contract(JournalBench<J>& b) {
    SECTION("it is tried again after the delay") {
        b.record(1, 10);
        const auto claims = b.claim();
        b.journal.defer(claims.at(0), 30s);
        CHECK(b.claim().empty());
        CHECK(b.settle(claims) == "n");  // it is nobody's meanwhile
        CHECK(b.state(1) == "10");
        b.rig.advance(40s);
        const auto again = b.journal.claim(all, 1min, 1h);  // due, however young it is
        REQUIRE(again.size() == 1);
        CHECK(again[0].attempts == 1);
        b.journal.defer(again[0], 0ms);
        const auto third = b.claim();
        REQUIRE(third.size() == 1);
        CHECK(third[0].attempts == 2);
        CHECK(b.settle(third) == "y");
    }
    SECTION("a newer change does not wait for the older one's next try") {
        b.record(1, 10);
        b.journal.defer(b.claim_one(), 1h);
        b.record(1, 11);
        const auto newer = b.claim();
        CHECK(b.names(newer) == "1=11 ");
        CHECK(newer.at(0).attempts == 0);
        b.rig.advance(10s);
        CHECK(b.claim().empty());  // it is claimed once
        CHECK(b.settle(newer) == "y");
    }
    SECTION("what was superseded is not deferred") {
        b.record(1, 10);
        const auto older = b.claim_one();
        b.record(1, 11);
        b.journal.defer(older, 1h);
        const auto newer = b.claim();
        CHECK(b.names(newer) == "1=11 ");
        CHECK(newer.at(0).attempts == 0);
    }
}

template <class J>
void bury_contract(JournalBench<J>& b) {
    SECTION("it is not pending any more, and is kept with the reason") {
        b.record_each(2);
        const auto claims = b.claim();
        CHECK(b.journal.bury(claims[0], std::string{"why"}));
        CHECK(b.journal.size() == 1);
        CHECK(b.state(b.number(claims[0].change.key)) == "none");
        const auto letters = b.journal.dead_letters();
        REQUIRE(letters.size() == 1);
        CHECK(letters[0].why == "why");
        CHECK(letters[0].change.key == claims[0].change.key);
        CHECK(letters[0].change.value == claims[0].change.value);
        CHECK(letters[0].change.version == claims[0].change.version);
        CHECK_FALSE(b.journal.bury(claims[0], "again"));
        CHECK(b.settle(claims) == "ny");
        b.rig.advance(10min);
        CHECK(b.claim().empty());
        CHECK(b.journal.dead_letters().size() == 1);
    }
    SECTION("a removal, an empty reason, and one of many bytes") {
        const std::string bytes = std::string("a\0b'\"\xff", 6) + std::string(1000, 'x');
        b.record(1, std::nullopt);
        CHECK(b.journal.bury(b.claim_one(), ""));
        b.rig.advance(1s);
        b.record(2, 20);
        CHECK(b.journal.bury(b.claim_one(), bytes));
        CHECK(b.letters() == "1=removed: 2=20:" + bytes + ' ');
    }
    SECTION("how often it was tried, and when") {
        const auto before = std::chrono::system_clock::now() - b.rig.grain;
        b.record(1, 10);
        b.journal.defer(b.claim_one(), 0ms);
        b.journal.defer(b.claim_one(), 0ms);
        CHECK(b.journal.bury(b.claim_one(), "why"));
        b.rig.advance(1s);
        b.record(2, 20);
        CHECK(b.journal.bury(b.claim_one(), "why"));
        const auto letters = b.journal.dead_letters();
        REQUIRE(letters.size() == 2);
        check_times(letters[0], 3, before, b.rig);
        check_times(letters[1], 1, before, b.rig);
        CHECK(letters[1].first == letters[1].last);
    }
    SECTION("not what was superseded") {
        b.record(1, 10);
        const auto older = b.claim_one();
        b.record(1, 11);
        CHECK_FALSE(b.journal.bury(older, "why"));
        CHECK(b.journal.dead_letters().empty());
        CHECK(b.names(b.claim()) == "1=11 ");
    }
    SECTION("a newer change takes the letter away") {
        b.record(1, 10);
        const auto older = b.claim_one();
        CHECK(b.journal.bury(older, "why"));
        const std::uint64_t version = b.record(1, 11);
        CHECK(version > older.change.version);
        CHECK(b.journal.dead_letters().empty());
        CHECK(b.state(1) == "11");
        CHECK_FALSE(b.journal.revive(b.key(1)));
        CHECK_FALSE(b.journal.discard(b.key(1)));
        CHECK(b.state(1) == "11");
        const auto newer = b.claim();
        CHECK(newer.at(0).attempts == 0);
        CHECK(b.settle(newer) == "y");
    }
}

// Rule W8.
template <class J>
void revive_contract(JournalBench<J>& b) {
    SECTION("there is nothing to revive or discard") {
        b.record(1, 10);
        CHECK_FALSE(b.journal.revive(b.key(1)));
        CHECK_FALSE(b.journal.revive(b.key(2)));
        CHECK_FALSE(b.journal.discard(b.key(1)));
        CHECK_FALSE(b.journal.discard(b.key(2)));
        CHECK(b.state(1) == "10");
    }
    SECTION("it is pending again, with its version, and no attempt made") {
        const std::uint64_t version = b.record(1, 10);
        b.journal.defer(b.claim_one(), 0ms);
        const auto buried = b.claim();
        CHECK(b.journal.bury(buried.at(0), "why"));
        CHECK(b.journal.revive(b.key(1)));
        CHECK_FALSE(b.journal.revive(b.key(1)));
        CHECK_FALSE(b.journal.discard(b.key(1)));
        CHECK(b.journal.dead_letters().empty());
        CHECK(b.journal.size() == 1);
        CHECK(b.journal.pending(b.key(1))->version == version);
        CHECK(b.settle(buried) == "n");
        const auto again = b.claim();
        CHECK(b.names(again) == "1=10 ");
        CHECK(again.at(0).attempts == 0);
        CHECK(again.at(0).change.version == version);
        CHECK(b.settle(again) == "y");
        CHECK(b.record(1, 11) > version);
    }
    SECTION("it is discarded, and no other is") {
        b.record_each(2);
        for (const auto& claimed : b.claim()) {
            CHECK(b.journal.bury(claimed, "why"));
        }
        CHECK(b.journal.discard(b.key(1)));
        CHECK_FALSE(b.journal.discard(b.key(1)));
        CHECK_FALSE(b.journal.revive(b.key(1)));
        CHECK(b.letters() == "2=20:why ");
        CHECK(b.state(1) == "none");
    }
}

}  // namespace contract

/// What every journal promises to one caller, and to many.
///
/// @param rig  an empty journal
template <class J>
void journal_contract(JournalRig<J>& rig) {
    static_assert(larder::Journal<J>);
    contract::JournalBench<J> bench{rig};
    SECTION("record and pending") {
        contract::record_contract(bench);
    }
    SECTION("a bound") {
        contract::bound_contract(bench);
    }
    SECTION("claim and renew") {
        contract::claim_contract(bench);
    }
    SECTION("settle") {
        contract::settle_contract(bench);
    }
    SECTION("defer") {
        contract::defer_contract(bench);
    }
    SECTION("bury") {
        contract::bury_contract(bench);
    }
    SECTION("revive and discard") {
        contract::revive_contract(bench);
    }
    SECTION("many threads") {
        contract::crowd_contract(bench);
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_JOURNAL_CONTRACT_HPP
