// SPDX-License-Identifier: MIT

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::ManualClock;
using larder::RefreshAhead;
using larder::Source;
using larder_test::ManualExecutor;
using larder_test::Table;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Table<> table{};
    ManualExecutor executor{};
};

}  // namespace

TEST_CASE("under 20 % of the ttl a read starts one reload and serves the old copy", "[refresh]") {
    World w;
    w.table.set(1, 10);
    RefreshAhead cache{w.store, std::ref(w.table), {.ttl = 100s, .executor = w.executor.handle()}};
    REQUIRE(cache.get(1) == 10);
    w.table.set(1, 11);
    w.clock.advance(80s);
    CHECK(cache.get(1) == 10);  // just 20 % left: not yet
    CHECK(w.executor.pending() == 0);
    w.clock.advance(1s);
    for (int i = 0; i < 5; ++i) {
        auto got = cache.fetch(1);
        CHECK(got.value == 10);
        CHECK(got.source == Source::hit);
    }
    CHECK(w.executor.pending() == 1);
    w.executor.run_all();
    auto fresh = cache.fetch(1);
    CHECK(fresh.value == 11);
    CHECK(fresh.remaining == 100s);
    CHECK(w.table.loads == 2);
    CHECK(cache.stats().refreshes == 1);
}

TEST_CASE("the other policies refresh ahead where they are told to", "[refresh]") {
    World w;
    w.table.set(1, 10);
    const double below = GENERATE(0.0, 0.5);
    CacheAside cache{w.store,
                     std::ref(w.table),
                     {.ttl = 100s, .refresh_below = below, .executor = w.executor.handle()}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(60s);
    CHECK(cache.get_many({1}) == std::vector<std::optional<int>>{10});
    CHECK(w.executor.pending() == (below > 0 ? 1U : 0U));
    w.executor.run_all();
}

TEST_CASE("a lifetime that the loader chose counts, not the policy's", "[refresh]") {
    World w;
    RefreshAhead cache{w.store,
                       [](int) {
                           return larder::Loaded<int>{1, larder::Ttl{10s}};
                       },
                       {.ttl = 1000s, .executor = w.executor.handle()}};
    REQUIRE(cache.get(1) == 1);
    w.clock.advance(7s);
    CHECK(cache.get(1) == 1);
    CHECK(w.executor.pending() == 0);
    w.clock.advance(2s);
    CHECK(cache.get(1) == 1);
    CHECK(w.executor.pending() == 1);
    w.executor.run_all();
}

TEST_CASE("no more refreshes at once than the cap", "[refresh]") {
    World w;
    RefreshAhead cache{w.store,
                       [](int key) { return key; },
                       {.ttl = 100s, .refresh_concurrency = 3, .executor = w.executor.handle()}};
    std::vector<int> keys{1, 2, 3, 4, 5, 6};
    (void)cache.get_many(keys);
    w.clock.advance(90s);
    (void)cache.get_many(keys);
    CHECK(w.executor.pending() == 3);
    w.executor.run_all();
    (void)cache.get_many(keys);
    CHECK(w.executor.pending() == 3);
    w.executor.run_all();
    CHECK(cache.stats().refreshes == 6);
}

TEST_CASE("an invalidation ends the back-off, of one key and of many", "[refresh]") {
    World w;
    w.table.set(1, 10);
    RefreshAhead cache{w.store,
                       std::ref(w.table),
                       {.ttl = 100s, .refresh_backoff = 5s, .executor = w.executor.handle()}};
    larder::CacheAside other{w.store, [](int) { return 20; }, {.ttl = 4s}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(85s);
    w.table.hooks.before_load = [](int) { throw std::runtime_error{"down"}; };
    CHECK(cache.get(1) == 10);
    w.executor.run_all();
    REQUIRE(cache.stats().refresh_failures == 1);

    std::size_t begun = 1;
    SECTION("none") {
        w.store.erase(1);  // past the policy
        begun = 0;
    }
    SECTION("of one") {
        CHECK(cache.invalidate(1));
    }
    SECTION("of many") {
        CHECK(cache.invalidate_many({1, 2}) == 1);
    }
    CHECK(other.get(1) == 20);
    w.clock.advance(3500ms);
    CHECK(cache.get(1) == 20);  // near its end, within the back-off
    CHECK(w.executor.pending() == begun);
    w.executor.run_all();
}

TEST_CASE("a refresh that failed is not tried again within the back-off", "[refresh]") {
    World w;
    w.table.set(1, 10);
    std::vector<larder::EventKind> events;
    RefreshAhead cache{w.store,
                       std::ref(w.table),
                       {.ttl = 100s,
                        .refresh_backoff = 5s,
                        .executor = w.executor.handle(),
                        .observer = [&](const larder::Event& event) {
                            events.push_back(event.kind);
                            CHECK(event.key == "1");
                            CHECK(event.error != nullptr);
                            throw std::runtime_error{"an observer that explodes"};
                        }}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(85s);
    w.table.hooks.before_load = [](int) { throw std::runtime_error{"down"}; };
    CHECK(cache.get(1) == 10);
    w.executor.run_all();
    CHECK(cache.stats().refresh_failures == 1);
    CHECK(events == std::vector{larder::EventKind::refresh_failed});
    CHECK(cache.get(1) == 10);
    CHECK(w.executor.pending() == 0);
    w.clock.advance(5s);
    CHECK(cache.get(1) == 10);
    CHECK(w.executor.pending() == 1);
    w.table.hooks.before_load = nullptr;
    w.executor.run_all();
    CHECK(cache.fetch(1).remaining == 100s);
}

TEST_CASE("a refresh that finds the key invalidated, written or expired does nothing",
          "[refresh]") {
    World w;
    w.table.set(1, 10);
    RefreshAhead cache{w.store, std::ref(w.table), {.ttl = 100s, .executor = w.executor.handle()}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(90s);
    REQUIRE(cache.get(1) == 10);
    REQUIRE(w.executor.pending() == 1);
    const int before = w.table.loads;
    SECTION("invalidated") {
        cache.invalidate(1);
        w.executor.run_all();
        CHECK(w.table.loads == before);
        CHECK_FALSE(w.store.find(1));
    }
    SECTION("a write in flight") {
        auto write = cache.writing(1);
        w.executor.run_all();
        CHECK(w.table.loads == before);
    }
    SECTION("expired") {
        w.clock.advance(20s);
        w.executor.run_all();
        CHECK(w.table.loads == before);
        CHECK_FALSE(w.store.find(1));
    }
}

TEST_CASE("what has not begun when the policy goes never begins", "[refresh]") {
    World w;
    w.table.set(1, 10);
    {
        RefreshAhead cache{
            w.store, std::ref(w.table), {.ttl = 100s, .executor = w.executor.handle()}};
        REQUIRE(cache.get(1) == 10);
        w.clock.advance(90s);
        REQUIRE(cache.get(1) == 10);
    }
    REQUIRE(w.executor.pending() == 1);
    w.executor.run_all();
    CHECK(w.table.loads == 1);
}
