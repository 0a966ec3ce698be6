// SPDX-License-Identifier: MIT

// The read path: hits, misses, absence, per-call options, stale copies, impatient waiters.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/manual_executor.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::From;
using larder::Loaded;
using larder::ManualClock;
using larder::Source;
using larder_test::caught;
using larder_test::ManualExecutor;
using larder_test::Table;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Table<> table{};
};

}  // namespace

TEST_CASE("a miss loads and keeps, a hit does not load, an expired copy loads again", "[reads]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 10s}};

    auto first = cache.fetch(1);
    CHECK(first.value == 10);
    CHECK(first.source == Source::loaded);
    CHECK(first.remaining == 10s);
    w.clock.advance(4s);
    auto second = cache.fetch(1);
    CHECK(second.value == 10);
    CHECK(second.source == Source::hit);
    CHECK(second.age == 4s);
    CHECK(second.remaining == 6s);
    w.clock.advance(6s);
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(w.table.loads == 2);

    const auto stats = cache.stats();
    CHECK(stats.hits == 1);
    CHECK(stats.misses == 2);
    CHECK(stats.loads == 2);
    CHECK(stats.load_times.count == 2);
}

TEST_CASE("absence is remembered only where negative_ttl says so", "[reads]") {
    World w;
    SECTION("not by default") {
        CacheAside cache{w.store, std::ref(w.table)};
        CHECK_FALSE(cache.get(1));
        CHECK_FALSE(cache.get(1));
        CHECK(w.table.loads == 2);
    }
    SECTION("for its time, without grace") {
        CacheAside cache{w.store, std::ref(w.table), {.negative_ttl = 5s, .grace = 1h}};
        CHECK_FALSE(cache.get(1));
        CHECK(cache.fetch(1).source == Source::hit);
        w.clock.advance(5s);
        w.table.set(1, 10);
        CHECK(cache.get(1) == 10);
        CHECK(w.table.loads == 2);
    }
}

TEST_CASE("loaders come in many forms", "[reads]") {
    larder::MemoryStore<std::string, int> store;
    SECTION("a lambda giving a value") {
        CacheAside cache{store,
                         [](const std::string& key) { return static_cast<int>(key.size()); }};
        CHECK(cache.get("four") == 4);
        CHECK(cache.get(std::string_view{"four"}) == 4);
        CHECK(cache.stats().hits == 1);
    }
    SECTION("an object whose load wins over its call operator") {
        struct Both {
            std::optional<int> load(const std::string&) { return 1; }
            std::optional<int> operator()(const std::string&) { return 2; }
        };
        CacheAside cache{store, Both{}};
        CHECK(cache.get("a") == 1);
    }
    SECTION("a function") {
        struct F {
            static std::optional<int> none(const std::string&) { return std::nullopt; }
        };
        CacheAside cache{store, &F::none};
        CHECK_FALSE(cache.get("a"));
    }
    SECTION("a lifetime of its own, and none at all") {
        int loads = 0;
        CacheAside cache{store, [&](const std::string& key) {
                             ++loads;
                             return Loaded<int>{7, key == "no" ? larder::Ttl{0} : larder::Ttl{1h}};
                         }};
        CHECK(cache.get("no") == 7);
        CHECK(cache.get("no") == 7);
        CHECK(loads == 2);
        CHECK(cache.fetch("yes").remaining == 1h);
        CHECK(cache.fetch("yes").source == Source::hit);
    }
}

TEST_CASE("a loader for one call", "[reads]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table)};
    int calls = 0;
    const auto special = [&](int key) { return std::optional<int>{key + 100 + 0 * ++calls}; };
    CHECK(cache.get(1, special) == 101);
    CHECK(cache.get(1) == 101);  // it was kept
    CHECK(cache.get(1, special, {.from = From::source}) == 101);
    CHECK(calls == 2);
    CHECK(w.table.loads == 0);
    CHECK(cache.get(1, {.from = From::source}) == 10);
}

TEST_CASE("a lent loader is never left running", "[reads]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto caller = std::this_thread::get_id();
    std::thread::id runner;
    CHECK(cache.get(1,
                    [&](int) {
                        runner = std::this_thread::get_id();
                        return 5;
                    },
                    {.timeout = 0ms}) == 5);
    CHECK(runner == caller);
}

TEST_CASE("a waiter that gives up does not harm the load", "[reads]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table)};
    std::latch let_go{1};
    w.table.hooks.before_load = [&](int) { let_go.wait(); };

    SECTION("its time is up") {
        do {  // one that gives up before the executor begins leaves nothing behind
            CHECK(caught([&] { (void)cache.get(1, {.timeout = 1ms}); }) == Errc::timed_out);
        } while (w.table.loads == 0);
    }
    SECTION("it is told to stop") {
        std::stop_source stop;
        auto waiter = std::async(std::launch::async, [&] {
            return caught([&] { (void)cache.get(1, {.stop = stop.get_token()}); });
        });
        while (w.table.loads == 0) {
            std::this_thread::yield();
        }
        stop.request_stop();
        CHECK(waiter.get() == Errc::cancelled);
    }
    while (w.table.loads == 0) {
        std::this_thread::yield();
    }
    auto patient = std::async(std::launch::async, [&] { return cache.get(1); });
    let_go.count_down();
    CHECK(patient.get() == 10);
    CHECK(w.table.loads == 1);
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("a load that waits in the executor holds no lease", "[reads]") {
    World w;
    w.table.set(1, 10);
    ManualExecutor executor;
    CacheAside cache{w.store, std::ref(w.table), {.executor = executor.handle()}};
    CHECK(caught([&] { (void)cache.get(1, {.timeout = 0ms}); }) == Errc::timed_out);
    CHECK(w.table.loads == 0);
    CHECK(cache.fetch(1).source == Source::loaded);  // begins at once, here
    executor.run_all();
    CHECK(w.table.loads == 1);  // what was queued found the copy
}

TEST_CASE("an executor that refuses makes the load run inline", "[reads]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store,
                     std::ref(w.table),
                     {.executor = larder::Executor{[](const larder::Task&) { return false; }}}};
    CHECK(cache.get(1, {.timeout = 0ms}) == 10);
}

TEST_CASE("what an executor throws away is loaded by who waits for it", "[reads]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store,
                     std::ref(w.table),
                     {.executor = larder::Executor{[](const larder::Task&) { return true; }}}};
    CHECK(cache.get(1, {.timeout = 1h}) == 10);
}

TEST_CASE("within its grace a stale copy stands in for a load that fails", "[reads]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 10s, .grace = 60s, .refresh_backoff = 5s}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(11s);
    w.table.hooks.before_load = [](int) { throw std::runtime_error{"down"}; };

    auto stale = cache.fetch(1);
    CHECK(stale.value == 10);
    CHECK(stale.source == Source::stale);
    CHECK(stale.age == 11s);
    CHECK(stale.remaining <= 0s);
    CHECK(w.table.loads == 2);
    CHECK(cache.get(1) == 10);
    CHECK(w.table.loads == 2);  // not tried again within the back-off
    w.clock.advance(5s);
    CHECK(cache.get(1) == 10);
    CHECK(w.table.loads == 3);
    CHECK(cache.stats().stale_hits == 3);

    SECTION("and no longer") {
        w.clock.advance(60s);
        CHECK_THROWS_AS(cache.get(1), std::runtime_error);
    }
    SECTION("until it works again") {
        w.table.hooks.before_load = nullptr;
        w.table.set(1, 11);
        w.clock.advance(5s);
        CHECK(cache.fetch(1).value == 11);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("until a write, even one that fails") {
        w.table.hooks.before_commit = [](int, const std::optional<int>&) {
            throw larder_test::Refused{"no"};
        };
        CHECK_THROWS_AS(cache.put(1, 12), larder_test::Refused);
        CHECK_THROWS_AS(cache.get(1), std::runtime_error);
    }
}

TEST_CASE("a late load leaves the stale copy to be served, and still lands", "[reads]") {
    World w;
    w.table.set(1, 10);
    ManualExecutor executor;
    CacheAside cache{
        w.store,
        std::ref(w.table),
        {.ttl = 10s, .grace = 60s, .load_timeout = 0ms, .executor = executor.handle()}};
    executor.run_inline(true);
    REQUIRE(cache.get(1) == 10);
    executor.run_inline(false);
    w.clock.advance(11s);
    w.table.set(1, 11);
    CHECK(cache.fetch(1).source == Source::stale);  // while it revalidates
    CHECK(cache.fetch(1).source == Source::stale);
    executor.run_all();
    CHECK(w.table.loads == 2);
    CHECK(cache.fetch(1).value == 11);
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("a loader that asks for its own key is told so", "[reads]") {
    World w;
    using Cache = CacheAside<Store, std::function<std::optional<int>(int)>>;
    Cache* self = nullptr;
    larder::Read how{};
    const auto ask = [&](int key) { return self->get(key, how); };
    Cache cache{w.store, ask};
    self = &cache;
    SECTION("in the same thread") {
        CHECK(caught([&] { (void)cache.get(1); }) == Errc::recursive_load);
    }
    SECTION("through the executor") {
        how.timeout = 1h;
        CHECK(caught([&] { (void)cache.get(1); }) == Errc::recursive_load);
        CHECK(caught([&] { (void)cache.get(1, {.timeout = 1h}); }) == Errc::recursive_load);
    }
    SECTION("while a write is in flight") {
        auto write = cache.writing(1);
        CHECK(caught([&] { (void)cache.get(1); }) == Errc::recursive_load);
        write.rollback();
    }
}

TEST_CASE("two loads that wait for each other do not hang", "[reads]") {
    World w;
    using Cache = CacheAside<Store, std::function<std::optional<int>(int)>>;
    Cache* self = nullptr;
    std::latch both{2};
    Cache cache{w.store, [&](int key) {
                    both.arrive_and_wait();
                    return self->get(3 - key);
                }};
    self = &cache;
    const auto outcome = [&](int key) {
        return std::async(std::launch::async,
                          [&, key] { return caught([&] { (void)cache.get(key); }); });
    };
    auto one = outcome(1);
    auto two = outcome(2);
    CHECK(one.get() == Errc::recursive_load);
    CHECK(two.get() == Errc::recursive_load);
}

// Rule S10.
TEST_CASE("reads during a write go to the database and share a load that began after them",
          "[reads]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table)};
    auto write = cache.writing(1);

    std::latch first_loading{1};
    std::latch let_go{1};
    std::atomic<int> calls{0};
    w.table.hooks.before_load = [&](int) {
        if (calls++ == 0) {
            first_loading.count_down();
            let_go.wait();
        }
    };
    auto first = std::async(std::launch::async, [&] { return cache.fetch(1); });
    first_loading.wait();
    std::vector<std::future<std::optional<int>>> others;
    for (int i = 0; i < 20; ++i) {
        others.push_back(std::async(std::launch::async, [&] { return cache.get(1); }));
    }
    while (cache.stats().bypassed < 21) {
        std::this_thread::yield();
    }
    let_go.count_down();
    CHECK(first.get().source == Source::bypassed);
    for (auto& other : others) {
        CHECK(other.get() == 10);
    }
    // Those who came before a load began shared it; stragglers needed another.
    CHECK(w.table.loads < 21);
    write.commit();
    CHECK(cache.fetch(1).source == Source::loaded);
}
