// SPDX-License-Identifier: MIT

// The versions of changes, across processes and their runs.

#include "support/behind_world.hpp"
#include "support/catch.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstdint>
#include <functional>

using namespace std::chrono_literals;
using larder::WriteBehind;
using larder_test::lazy;
using larder_test::quick;
using larder_test::Rows;
using larder_test::Store;

// Rule W4.
TEST_CASE("a process that begins anew is not refused by its own rows", "[behind]") {
    Rows rows;
    for (int run = 1; run <= 3; ++run) {
        Store store;
        WriteBehind cache{store, std::ref(rows), {}, quick};
        for (int i = 3 * (3 - run); i >= 0; --i) {  // fewer writes than the run before
            cache.put(1, 100 * run + i);
        }
        CHECK(cache.flush(30s) == 0);
        CHECK(cache.dead_letters().empty());
        CHECK(rows.load(1) == 100 * run);
    }
}

// Rule W4.
TEST_CASE("however many changes come, versions do not run ahead of the time of day", "[behind]") {
    larder::MemoryJournal<int, int> before;
    std::uint64_t last = 0;
    for (int i = 0; i < 10'000; ++i) {
        const std::uint64_t version = before.record({1, i});
        REQUIRE(version > last);
        last = version;
    }
    larder::MemoryJournal<int, int> after;
    CHECK(after.record({1, -1}) > last);
}

// Rule W4.
TEST_CASE("of two processes the one that writes last wins, over a change that waits, too",
          "[behind]") {
    Rows rows;
    Store mine;
    Store theirs;
    WriteBehind cache{mine, std::ref(rows), {}, lazy};
    WriteBehind other{theirs, std::ref(rows), {}, lazy};
    cache.put(1, 1);
    other.put(1, 2);
    CHECK(other.flush(30s) == 0);
    cache.put(1, 3);
    CHECK(cache.flush(30s) == 0);
    CHECK(rows.load(1) == 3);
    CHECK(cache.dead_letters().empty());
}
