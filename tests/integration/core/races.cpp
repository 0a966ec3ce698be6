// SPDX-License-Identifier: MIT

// The races that the twenty-line versions of these strategies lose, each forced by latches.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/stop.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::ManualClock;
using larder::RefreshAhead;
using larder::Source;
using larder::WriteThrough;
using larder_test::caught_text;
using larder_test::Refused;
using larder_test::Stop;
using larder_test::Table;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Table<> table{};
};

}  // namespace

// Rule S4.
TEST_CASE("a load that meets an invalidation does not leave the old value", "[race]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };

    auto reader = std::async(std::launch::async, [&] { return cache.get(1); });
    loaded.wait_until_reached();  // it has the old row in hand
    w.table.set(1, 11);
    cache.invalidate(1);
    loaded.go();

    CHECK(reader.get() == 10);  // it began before the change
    CHECK(cache.get(1) == 11);
    CHECK(cache.stats().fenced_fills == 1);
}

// Rule S1.
TEST_CASE("a load that meets a write does not leave the old value", "[race]") {
    World w;
    w.table.set(1, 10);
    const auto run = [&](auto& cache) {
        Stop loaded;
        w.table.hooks.after_load = [&](int) { loaded.pause(); };
        auto reader = std::async(std::launch::async, [&] { return cache.get(1); });
        loaded.wait_until_reached();
        cache.put(1, 11);
        loaded.go();
        CHECK(reader.get() == 10);
        CHECK(cache.get(1) == 11);
    };
    SECTION("cache-aside") {
        CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
        run(cache);
    }
    SECTION("write-through") {
        WriteThrough cache{w.store, std::ref(w.table), {.ttl = 1h}};
        run(cache);
    }
}

// Rule S3.
TEST_CASE("two writers that overtake each other leave no copy, so the database decides", "[race]") {
    World w;
    WriteThrough cache{w.store, std::ref(w.table), {.ttl = 1h}};
    Stop committed;
    // The first to commit is slow to return: the other commits and returns in between.
    w.table.hooks.after_commit = [&](int, const std::optional<int>&) { committed.pause(); };

    auto slow = std::async(std::launch::async, [&] { cache.put(1, 10); });
    committed.wait_until_reached();
    cache.put(1, 20);
    CHECK(cache.get(1) == 20);  // from the database: a write is still in flight
    committed.go();
    slow.get();

    CHECK(w.table.row(1) == 20);
    CHECK(cache.get(1) == 20);
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("a background refresh that meets a write does not bring the old value back", "[race]") {
    World w;
    w.table.set(1, 10);
    Stop loaded;  // outlives the reload, which the cache waits for
    RefreshAhead cache{w.store, std::ref(w.table), {.ttl = 100s}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(85s);  // under 20 % left
    w.table.hooks.after_load = [&](int) { loaded.pause(); };

    CHECK(cache.get(1) == 10);  // served at once; one reload begins
    loaded.wait_until_reached();

    SECTION("a write") {
        cache.put(1, 11);
        loaded.go();
        CHECK(cache.get(1) == 11);
    }
    SECTION("an invalidation") {
        w.table.set(1, 11);
        cache.invalidate(1);
        loaded.go();
        CHECK(cache.get(1) == 11);
    }
    SECTION("a remove") {
        cache.remove(1);
        loaded.go();
        CHECK(cache.get(1) == std::nullopt);
    }
}

// Rule S7.
TEST_CASE("a save that throws may still commit: its key is read from the database", "[race]") {
    World w;
    w.table.set(1, 10);
    WriteThrough cache{w.store, std::ref(w.table), {.ttl = 1h, .ticket = 30s}};
    REQUIRE(cache.get(1) == 10);

    SECTION("without a word: the commit lands later") {
        w.table.hooks.before_commit = [](int, const std::optional<int>&) {
            throw std::runtime_error{"connection lost"};
        };
        CHECK_THROWS_AS(cache.put(1, 11), std::runtime_error);
        CHECK(cache.get(1) == 10);
        w.table.set(1, 11);  // what was under way lands
        CHECK(cache.fetch(1).value == 11);
        CHECK(cache.fetch(1).source == Source::bypassed);
        w.clock.advance(31s);  // the ticket's deadline
        CHECK(cache.fetch(1).source == Source::loaded);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("saying that nothing was written") {
        w.table.hooks.before_commit = [](int, const std::optional<int>&) {
            throw Refused{"unique constraint"};
        };
        CHECK_THROWS_AS(cache.put(1, 11), Refused);
        CHECK(cache.fetch(1).source == Source::loaded);
        CHECK(cache.fetch(1).source == Source::hit);
    }
}

// Rule S10.
TEST_CASE("a reader does not join a load from before a finished write", "[race]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    auto slow = std::async(std::launch::async, [&] { return cache.get(1); });
    loaded.wait_until_reached();

    cache.put(1, 11);
    CHECK(cache.get(1) == 11);  // would hang or answer 10 if it joined

    loaded.go();
    CHECK(slow.get() == 10);
    CHECK(cache.get(1) == 11);
}

// Rule S5.
TEST_CASE("a forced refresh is not satisfied by an older load", "[race]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    auto slow = std::async(std::launch::async, [&] { return cache.get(1); });
    loaded.wait_until_reached();

    w.table.set(1, 11);
    CHECK(cache.refresh(1) == 11);
    loaded.go();
    CHECK(slow.get() == 10);
    CHECK(cache.get(1) == 11);
}

TEST_CASE("a forced refresh that meets a writer leaves no older copy behind", "[race]") {
    World w;
    w.table.set(1, 10);
    WriteThrough cache{w.store, std::ref(w.table), {.ttl = 1h}};
    Stop committed;
    w.table.hooks.after_commit = [&](int, const std::optional<int>&) { committed.pause(); };
    auto writer = std::async(std::launch::async, [&] { cache.put(1, 11); });
    committed.wait_until_reached();

    w.table.set(1, 12);  // another program, later
    CHECK(cache.refresh(1) == 12);
    committed.go();
    writer.get();
    CHECK(cache.get(1) == 12);
}

TEST_CASE("two hundred threads on one expired key make one load", "[race]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1s}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(2s);
    w.table.loads = 0;
    w.table.set(1, 11);

    constexpr int threads = 200;
    std::barrier start{threads};
    std::latch waiting{threads};
    std::atomic<int> right{0};
    // The load ends only when all have asked; those who ask later would hit.
    w.table.hooks.after_load = [&](int) { waiting.wait(); };
    {
        std::vector<std::jthread> crowd;
        for (int i = 0; i < threads; ++i) {
            crowd.emplace_back([&] {
                start.arrive_and_wait();
                waiting.count_down();
                right += cache.get(1) == 11 ? 1 : 0;
            });
        }
    }
    CHECK(right == threads);
    CHECK(w.table.loads == 1);
}

TEST_CASE("a thousand reads of a missing id make one load", "[race]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h, .negative_ttl = 10s}};
    for (int i = 0; i < 1000; ++i) {
        CHECK_FALSE(cache.get(404));
    }
    CHECK(w.table.loads == 1);
    w.clock.advance(11s);
    CHECK_FALSE(cache.get(404));
    CHECK(w.table.loads == 2);
}

TEST_CASE("what a loader throws reaches every waiter and is not cached", "[race]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    constexpr int threads = 8;
    std::latch all_asked{threads};
    std::atomic<bool> broken{true};
    w.table.hooks.before_load = [&](int) {
        if (broken) {
            all_asked.wait();
            throw std::runtime_error{"database down"};
        }
    };
    std::atomic<int> told{0};
    {
        std::vector<std::jthread> crowd;
        for (int i = 0; i < threads; ++i) {
            crowd.emplace_back([&] {
                all_asked.count_down();
                const std::string text = caught_text([&] { (void)cache.get(1); });
                told += text == "database down" ? 1 : 0;
            });
        }
    }
    CHECK(told == threads);
    broken = false;
    CHECK(cache.get(1) == 10);
}
