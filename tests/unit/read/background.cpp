// SPDX-License-Identifier: MIT

// What a policy does aside: queued loads, refreshes, what becomes of tasks that never run, and what
// goes with the policy.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/manual_executor.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::Executor;
using larder::ManualClock;
using larder::Read;
using larder::RefreshAhead;
using larder::Source;
using larder::Task;
using larder::detail::Inspect;
using larder::detail::PolicyInHand;
using larder_test::caught;
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

TEST_CASE("a queued load that nobody waits for is dropped", "[background]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.executor = w.executor.handle()}};
    for (int key = 0; key < 1000; ++key) {
        CHECK(caught([&] { (void)cache.get(key, Read{.timeout = 0ms}); }) == Errc::timed_out);
    }
    CHECK(caught([&] { (void)cache.get(1, Read{.timeout = 0ms, .from = larder::From::source}); }) ==
          Errc::timed_out);
    w.executor.run_all();
    CHECK(w.table.loads == 0);
    CHECK(Inspect::in_hand(cache) == PolicyInHand{});
}

TEST_CASE("a load for the next is carried out although nobody waits", "[background]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{
        w.store,
        std::ref(w.table),
        {.ttl = 10s, .grace = 60s, .load_timeout = 0ms, .executor = w.executor.handle()}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(11s);
    w.table.set(1, 11);
    const bool many = GENERATE(false, true);
    CAPTURE(many);
    CHECK((many ? cache.get_many({1})[0] : cache.get(1)) == 10);
    CHECK(w.executor.pending() == 1);
    w.executor.run_all();
    CHECK(cache.fetch(1).value == 11);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(Inspect::in_hand(cache) == PolicyInHand{});
}

TEST_CASE("loads that hang cost another policy nothing", "[background]") {
    std::latch let_go{1};
    std::latch hang{static_cast<std::ptrdiff_t>(Executor::default_threads)};
    larder::MemoryStore<int, int> slow_store;
    larder::MemoryStore<int, int> store;
    CacheAside slow{slow_store, [&](int key) {
                        hang.count_down();
                        let_go.wait();
                        return key;
                    }};
    CacheAside cache{store, [](int key) { return key; }};
    for (int key = 0; key < static_cast<int>(Executor::default_threads); ++key) {
        auto begun = std::async(std::launch::async, [&, key] {
            return caught([&] { (void)slow.get(key, Read{.timeout = 1ms}); });
        });
        // One that gave up before it began would be dropped: until it has begun it is asked again.
        begun.get();
        while (slow.stats().loads <= static_cast<std::uint64_t>(key)) {
            (void)caught([&] { (void)slow.get(key, Read{.timeout = 1ms}); });
        }
    }
    hang.wait();
    CHECK(cache.get(1, Read{.timeout = 50s}) == 1);
    CHECK(caught([&] { (void)slow.get(99, Read{.timeout = 1ms}); }) == Errc::timed_out);
    let_go.count_down();
}

TEST_CASE("a refresh that never runs frees its place, and its key rests", "[background]") {
    World w;
    w.table.set(1, 10);
    std::atomic<bool> drop{true};
    enum class Way { refuses, throws, drops, drops_later };
    const auto way = GENERATE(Way::refuses, Way::throws, Way::drops, Way::drops_later);
    CAPTURE(static_cast<int>(way));
    std::vector<Task> held;
    const Executor executor{[&](Task task) {
        if (!drop) {
            task();
            return true;
        }
        switch (way) {
            case Way::refuses: return false;
            case Way::throws: throw std::runtime_error{"full"};
            case Way::drops: return true;
            case Way::drops_later: held.push_back(std::move(task));
        }
        return true;
    }};
    RefreshAhead cache{
        w.store,
        std::ref(w.table),
        {.ttl = 100s, .refresh_concurrency = 1, .refresh_backoff = 1s, .executor = executor}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(90s);
    CHECK(cache.get(1) == 10);
    held.clear();
    CHECK(Inspect::in_hand(cache) == PolicyInHand{});
    drop = false;
    CHECK(cache.get(1) == 10);
    CHECK(w.table.loads == 1);  // it rests
    w.clock.advance(2s);
    CHECK(cache.get(1) == 10);
    CHECK(w.table.loads == 2);
    CHECK(cache.fetch(1).remaining == 100s);
    CHECK(Inspect::in_hand(cache) == PolicyInHand{});
}

TEST_CASE("a refresh that finds the copy refreshed sends on who has joined", "[background]") {
    World w;
    w.table.set(1, 10);
    RefreshAhead cache{w.store, std::ref(w.table), {.ttl = 100s, .executor = w.executor.handle()}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(90s);
    CHECK(cache.get(1) == 10);
    CHECK(w.executor.pending() == 1);
    CHECK(cache.refresh(1) == 10);
    w.executor.run_all();
    CHECK(w.table.loads == 2);
    CHECK(Inspect::in_hand(cache) == PolicyInHand{});
}

// Rule S6.
TEST_CASE("what a reload answers counts, also when it is not kept", "[background]") {
    World w;
    w.table.set(1, 10);
    SECTION("in the background, of a copy near its end") {
        RefreshAhead cache{
            w.store, std::ref(w.table), {.ttl = 100s, .executor = w.executor.handle()}};
        REQUIRE(cache.get(1) == 10);
        w.table.set(1, std::nullopt);
        w.clock.advance(90s);
        CHECK(cache.get(1) == 10);
        w.executor.run_all();
        CHECK_FALSE(cache.get(1));
        CHECK(w.store.in_hand() == larder::detail::InHand{});
    }
    SECTION("of a stale copy, while it is served") {
        CacheAside cache{
            w.store,
            std::ref(w.table),
            {.ttl = 10s, .grace = 60s, .load_timeout = 0ms, .executor = w.executor.handle()}};
        REQUIRE(cache.get(1) == 10);
        w.table.set(1, std::nullopt);
        w.clock.advance(11s);
        CHECK(cache.get(1) == 10);
        w.executor.run_all();
        const auto next = cache.fetch(1, [](int) { return std::optional<int>{}; });
        CHECK_FALSE(next.value);
        CHECK(next.source == Source::loaded);
    }
    SECTION("of a stale copy, waited for") {
        CacheAside cache{w.store, std::ref(w.table), {.ttl = 10s, .grace = 60s}};
        REQUIRE(cache.get(1) == 10);
        w.table.set(1, std::nullopt);
        w.clock.advance(11s);
        const bool many = GENERATE(false, true);
        CHECK((many ? cache.get_many({1})[0] : cache.get(1)) == std::nullopt);
        w.table.hooks.before_load = [](int) { throw std::runtime_error{"down"}; };
        CHECK_THROWS_AS(cache.get(1), std::runtime_error);  // nothing stale stands in
    }
    SECTION("by name") {
        CacheAside cache{w.store, std::ref(w.table), {.ttl = 100s}};
        REQUIRE(cache.get(1) == 10);
        w.table.set(1, std::nullopt);
        CHECK_FALSE(cache.refresh(1));
        CHECK_FALSE(cache.peek(1));
    }
    SECTION("with a life of its own that is none") {
        int row = 10;
        bool keep = true;
        CacheAside cache{w.store,
                         [&](int) {
                             larder::Loaded<int> loaded;
                             loaded.value = row;
                             loaded.ttl = keep ? std::optional<larder::Ttl>{} : 0s;
                             return loaded;
                         },
                         {.ttl = 10s, .grace = 60s}};
        REQUIRE(cache.get(1) == 10);
        w.clock.advance(11s);
        row = 11;
        keep = false;
        CHECK(cache.get(1) == 11);
        CHECK_FALSE(w.store.find(1));
    }
}

TEST_CASE("loader, observer and store handle go with the policy", "[background]") {
    auto alive = std::make_shared<int>(0);
    const std::weak_ptr<int> known = alive;
    std::vector<Task> held;
    std::latch ran{1};
    std::latch let_go{1};
    std::jthread worker;
    const Executor executor{[&](Task task) {
        held.push_back(task);  // a copy lives on, run or not
        worker = std::jthread{[&, task = std::move(task)] {
            task();
            ran.count_down();
            let_go.wait();
        }};
    }};
    {
        larder::MemoryStore<int, int> store;
        std::optional<CacheAside<larder::MemoryStore<int, int>, std::function<int(int)>>> cache{
            std::in_place, store, [alive](int key) { return key + *alive; },
            larder::Options{.executor = executor, .observer = [alive](const larder::Event&) {}}};
        CHECK(cache->get(1, Read{.timeout = 50s}) == 1);
        ran.wait();
        alive.reset();
        CHECK_FALSE(known.expired());
        cache.reset();
    }
    CHECK(known.expired());
    let_go.count_down();
}

TEST_CASE("a load that waits in an executor when the policy goes never begins", "[background]") {
    World w;
    std::optional<CacheAside<Store, std::reference_wrapper<Table<>>>> cache{
        std::in_place, w.store, std::ref(w.table),
        larder::Options{.executor = w.executor.handle()}};
    (void)caught([&] { (void)cache->get(1, Read{.timeout = 0ms}); });
    cache.reset();
    w.executor.run_all();
    CHECK(w.table.loads == 0);
}

TEST_CASE("a policy may come and go while statics are destroyed", "[background]") {
    static struct Late {
        ~Late() {
            larder::MemoryStore<int, int> store;
            CacheAside cache{store, [](int key) { return key; }};
            if (cache.get(1, Read{.timeout = 50s}) != 1) {
                std::abort();
            }
        }
    } const late;
    SUCCEED("it is told at exit");
}

TEST_CASE("an unknown write keeps its key with the database, whether or not the store was told",
          "[background]") {
    World w;
    w.table.set(1, 1);
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h, .ticket = 30s}};
    w.table.hooks.before_commit = [](int, const std::optional<int>&) {
        throw std::runtime_error{"the connection broke"};
    };
    CHECK_THROWS(cache.put(1, 2));
    CHECK(cache.get(1) == 1);
    w.table.set(1, 2);  // it was committed after all
    CHECK(cache.get(1) == 2);
    w.clock.advance(31s);
    CHECK(cache.get(1) == 2);
    CHECK(cache.fetch(1).source == Source::hit);
}
