// SPDX-License-Identifier: MIT

// Write-behind when as many changes wait as may.

#include "support/behind_world.hpp"
#include "support/catch.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <functional>
#include <latch>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::WhenFull;
using larder::WriteBehind;
using larder_test::code_of;
using larder_test::HookedJournal;
using larder_test::lazy;
using larder_test::quick;
using larder_test::Rows;
using larder_test::Store;
using larder_test::World;

// Rule W9.
TEST_CASE("a full journal gives up after block_for", "[behind]") {
    World w;
    auto full = quick;
    full.max_pending = 2;
    full.attempts = 1'000'000;
    full.block_for = 20ms;
    auto cache = w.cache(full);
    w.rows.down = true;
    cache.put(1, 1);
    cache.put(2, 2);
    CHECK(code_of([&] { cache.put(3, 3); }) == larder::Errc::journal_full);
    CHECK_NOTHROW(cache.put(2, 4));  // takes no room
    try {
        cache.put_many({{1, 5}, {4, 6}});
        FAIL("nothing was thrown");
    } catch (const larder::PartialWrite<int>& partial) {
        CHECK(partial.keys()[0] == std::pair{1, larder::Written::yes});
        CHECK(partial.keys()[1] == std::pair{4, larder::Written::no});
    }
    CHECK(cache.fetch(3).source == Source::loaded);  // refused for sure: no ticket is left
    w.rows.down = false;
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.load(2) == 4);
    CHECK_FALSE(w.rows.load(3));
}

TEST_CASE("as many writers as come at once do not exceed max_pending", "[behind]") {
    // A journal that counts as it records, and one that does not.
    const auto check = [](auto journal) {
        constexpr int writers = 4;
        constexpr std::size_t most = 10;
        for (int round = 0; round < 20; ++round) {
            Store store;
            Rows rows;
            rows.down = true;
            auto behind = lazy;
            behind.max_pending = most;
            behind.when_full = WhenFull::reject;
            behind.drain = 0ms;
            WriteBehind cache{store, std::ref(rows), decltype(journal){}, {}, behind};
            std::atomic<int> refused{0};
            std::barrier start{writers};
            {
                std::vector<std::jthread> crowd;
                for (int writer = 0; writer < writers; ++writer) {
                    crowd.emplace_back([&, writer] {
                        start.arrive_and_wait();
                        for (int i = 0; i < 5; ++i) {
                            refused += code_of([&] { cache.put(writer * 5 + i, i); }) ==
                                               larder::Errc::journal_full
                                           ? 1
                                           : 0;
                        }
                    });
                }
            }
            REQUIRE(cache.stats().pending == most);
            REQUIRE(refused == writers * 5 - static_cast<int>(most));
        }
    };
    check(larder::MemoryJournal<int, int>{});
    check(HookedJournal<>{});
}

TEST_CASE("a writer that waits for room gets the first place that is free", "[behind]") {
    World w;
    auto full = lazy;
    full.max_pending = 1;
    full.block_for = 1h;
    full.drain = 30s;
    std::latch blocked{1};
    w.rows.before_write = [&](int, const std::optional<int>&) { blocked.wait(); };
    auto cache = w.cache(full);
    cache.put(1, 1);
    {
        std::vector<std::jthread> crowd;
        for (int key = 2; key < 6; ++key) {
            crowd.emplace_back([&, key] { cache.put(key, key); });
        }
        CHECK(cache.stats().pending == 1);
        blocked.count_down();
    }
    CHECK(cache.stats().pending <= 1);
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.writes == 5);
}
