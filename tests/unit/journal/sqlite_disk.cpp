// SPDX-License-Identifier: MIT

// SqliteJournal on a disk whose power is cut between any two writes, whose calls fail one after the other,
// and whose room ends: what was acknowledged is there, and nothing is in hand.

#include "support/catch.hpp"
#include "support/journal_history.hpp"
#include "support/simulated_disk.hpp"

#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

using larder_test::JournalHistory;
using larder_test::SimulatedDisk;

namespace {

// What is to be seen after each step, if all goes well. Closed: what was seen before.
const std::vector<std::string>& reference() {
    static const std::vector<std::string> all = [] {
        const SimulatedDisk disk;
        JournalHistory history;
        std::vector<std::string> seen{"0 pending: dead: "};
        for (const auto& step : JournalHistory::steps()) {
            step.act(history);
            seen.push_back(history.is_open() ? history.seen() : seen.back());
        }
        return seen;
    }();
    return all;
}

// How many steps were acknowledged until the power went.
std::size_t run_until_cut(const SimulatedDisk& disk, JournalHistory& history) {
    std::size_t done = 0;
    for (const auto& step : JournalHistory::steps()) {
        try {
            step.act(history);
        } catch (const larder::StoreError&) {
            REQUIRE(disk.is_off());
            break;
        }
        if (disk.is_off() && history.is_open()) {
            break;  // it was acknowledged, the more is not
        }
        ++done;
    }
    return done;
}

// After a cut: what was to be seen when the power went, or with the step that went on; and where the last
// step was to settle, and did not wait for the disk, before that.
bool may_be_seen(const std::string& seen, std::size_t done) {
    const auto& expected = reference();
    bool right = seen == expected[done] || seen == expected[done + 1];
    while (!right && done > 0 && !JournalHistory::steps()[done - 1].lasting) {
        right = seen == expected[--done];
    }
    return right;
}

struct Cuts {
    std::size_t tried = 0;
    std::size_t wrong = 0;
    std::string first_wrong{};
};

Cuts cut_everywhere(bool deaf, unsigned chances) {
    JournalHistory::checkpoint_often();
    const auto& expected = reference();
    Cuts cuts;
    for (std::size_t at = 1;; ++at) {
        SimulatedDisk disk;
        disk.deaf = deaf;
        disk.cut_at(at);
        std::size_t done = 0;
        SimulatedDisk::Image left;
        {
            JournalHistory history;
            done = run_until_cut(disk, history);
            left = disk.image();
        }
        if (!disk.is_off()) {
            return cuts;
        }
        for (unsigned chance = 0; chance < chances; ++chance) {
            ++cuts.tried;
            disk.power_on(left, chance);
            std::string wrong;
            JournalHistory after;
            try {
                after.open();
                const std::string seen = after.seen();
                wrong = may_be_seen(seen, done) ? after.wrong_after_restart() : "seen: " + seen;
            } catch (const larder::StoreError& error) {
                wrong = error.what();
            }
            if (!wrong.empty() && ++cuts.wrong == 1) {
                cuts.first_wrong = "cut at " + std::to_string(at) + ", chance " +
                                   std::to_string(chance) + ", after " +
                                   JournalHistory::steps()[done].name + ": " + wrong +
                                   "\nexpected: " + expected[done] + "\nor: " + expected[done + 1];
            }
        }
    }
}

}  // namespace

// Rules W2 and W6.
TEST_CASE("a power cut between any two writes loses nothing acknowledged", "[journal]") {
    const Cuts cuts = cut_everywhere(false, 8);
    INFO(cuts.first_wrong);
    CHECK(cuts.wrong == 0);
    CHECK(cuts.tried > 1000);
}

TEST_CASE("a disk that does not sync loses what was acknowledged: the check sees it", "[journal]") {
    const Cuts cuts = cut_everywhere(true, 3);
    CHECK(cuts.wrong > 100);
}

namespace {

// One call of that step fails, or all from then on, until the step is over: nothing has changed, and the
// step succeeds when it is taken again, and all that follow.
//
// @return false if the step makes fewer calls
bool fail_once(std::size_t at, std::size_t call, bool lasting, bool full) {
    const auto& steps = JournalHistory::steps();
    const auto& expected = reference();
    SimulatedDisk disk;
    JournalHistory history;
    for (std::size_t i = 0; i < at; ++i) {
        steps[i].act(history);
    }
    disk.fail_at(call, lasting, full);
    bool refused = false;
    try {
        steps[at].act(history);
    } catch (const larder::StoreError& error) {
        refused = true;
        REQUIRE(std::string{error.what()}.find(JournalHistory::path) != std::string::npos);
    }
    const bool failed = disk.failed();
    disk.heal();
    if (refused) {
        REQUIRE(failed);
        if (history.is_open()) {
            REQUIRE(history.seen() == expected[at]);
        }
        steps[at].act(history);
    }
    for (std::size_t i = at + 1; i < steps.size(); ++i) {
        if (history.is_open()) {
            REQUIRE(history.seen() == expected[i]);
        }
        steps[i].act(history);
    }
    REQUIRE(history.seen() == expected.back());
    history.close();
    history.open();
    REQUIRE(history.seen() == expected.back());
    REQUIRE(history.wrong_after_restart() == "");
    return failed;
}

}  // namespace

TEST_CASE("whichever call to the disk fails, the step fails as a whole", "[journal]") {
    JournalHistory::checkpoint_often();
    const bool lasting = GENERATE(false, true);
    const bool full = GENERATE(false, true);
    std::size_t failures = 0;
    for (std::size_t at = 0; at < JournalHistory::steps().size(); ++at) {
        for (std::size_t call = 1;; ++call) {
            INFO(JournalHistory::steps()[at].name << ", call " << call);
            if (!fail_once(at, call, lasting, full)) {
                break;
            }
            ++failures;
        }
    }
    CHECK(failures > 300);
}

TEST_CASE("a full disk refuses changes, and loses none", "[journal]") {
    SimulatedDisk disk;
    JournalHistory history;
    history.open();
    disk.room = disk.used() + 200'000;
    std::size_t recorded = 0;
    std::string why;
    for (int key = 0; key < 10'000 && why.empty(); ++key) {
        try {
            history.journal().record({key, std::string(500, 'x'), 0});
            ++recorded;
        } catch (const larder::StoreError& error) {
            why = error.what();
        }
    }
    CHECK(recorded > 10);
    CHECK(why.find("larder: a.journal: the change of key " + std::to_string(recorded) +
                   " is not recorded: database or disk is full") == 0);
    CHECK(history.journal().size() == recorded);
    CHECK_FALSE(history.journal().pending(static_cast<int>(recorded)));
    disk.room += 100'000;
    CHECK(history.journal().record({-1, std::string(500, 'x'), 0}) > 0);
    history.close();
    history.open();
    CHECK(history.journal().size() == recorded + 1);
}

TEST_CASE("a disk that others have filled leaves the journal the place that it has", "[journal]") {
    sqlite3_reset_auto_extension();
    SimulatedDisk disk;
    JournalHistory history;
    history.open();
    for (int round = 0; round < 20; ++round) {
        history.journal().record({1, std::string(500, 'x'), 0});
    }
    history.close();
    history.open();
    for (int round = 0; round < 5; ++round) {
        history.journal().record({1, std::string(500, 'x'), 0});
    }
    disk.room = disk.used();
    for (int round = 0; round < 100; ++round) {
        history.journal().record({1, std::to_string(round), 0});
    }
    CHECK(history.journal().settle(history.journal().claim(1, larder::Ttl{1000}, larder::Ttl{0})) ==
          std::vector<bool>{true});
}

TEST_CASE("a read-only file is refused when it is opened", "[journal]") {
    SimulatedDisk disk;
    JournalHistory history;
    history.open();
    history.journal().record({1, std::string{"one"}, 0});
    history.close();
    disk.read_only = true;
    std::string why;
    try {
        history.open();
    } catch (const larder::StoreError& error) {
        why = error.what();
    }
    CHECK(why.find("larder: a.journal: it cannot be opened: it is read-only") == 0);
    disk.read_only = false;
    history.open();
    CHECK(history.journal().pending(1)->value == "one");
}
