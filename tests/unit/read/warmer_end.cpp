// SPDX-License-Identifier: MIT

// warm: when its batches begin, who carries them out, and how it ends.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/manual_executor.hpp"
#include "support/warming.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <latch>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::Source;
using larder::WarmOptions;
using larder::WarmProgress;
using larder_test::Batches;
using larder_test::caught;
using larder_test::Counter;
using larder_test::Keys;
using larder_test::ManualExecutor;
using larder_test::up_to;
using World = larder_test::WarmWorld;
using Store = World::Store;

TEST_CASE("stop ends a warming before its next batch", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::stop_source stop;
    SECTION("which has not begun") {
        stop.request_stop();
        const auto report = cache.warm({1, 2}, {.stop = stop.get_token()});
        CHECK(report.stopped);
        CHECK(report.filled + report.skipped == 0);
        CHECK(w.table.asked.empty());
        CHECK_FALSE(cache.warm(Keys{}, {.stop = stop.get_token()}).stopped);
    }
    SECTION("and lets those that have begun end") {
        w.table.on_load = [&](std::span<const int>) { stop.request_stop(); };
        const auto report =
            cache.warm({1, 2, 3}, {.batch = 1, .parallel = 1, .stop = stop.get_token()});
        CHECK(report.stopped);
        CHECK(report.filled == 1);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("though that waits for its turn") {
        // The second batch's turn is in 1000 seconds.
        const auto report =
            cache.warm(up_to(3000), {.batch = 1000,
                                     .parallel = GENERATE(1U, 3U),
                                     .per_second = 1,
                                     .progress = [&](const WarmProgress&) { stop.request_stop(); },
                                     .stop = stop.get_token()});
        CHECK(report.stopped);
        CHECK(report.filled == 1000);
    }
}

TEST_CASE("no more keys are loaded in a second than per_second says", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const std::size_t parallel = GENERATE(1U, 4U);
    const auto report =
        cache.warm(up_to(60), {.batch = 10, .parallel = parallel, .per_second = 1000});
    CHECK(report.filled == 60);
    CHECK(report.elapsed >= 50ms);  // five batches wait for ten keys each
}

TEST_CASE("keys that are fresh cost no permit", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    REQUIRE(cache.warm(up_to(1000)).filled == 1000);
    // At this rate a thousand keys would take a quarter of an hour.
    Keys keys = up_to(1000);
    keys.push_back(1001);
    const auto report = cache.warm(keys, {.batch = 10, .per_second = 1});
    CHECK(report.skipped == 1000);
    CHECK(report.filled == 1);
}

TEST_CASE("as many batches at once as parallel says", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::barrier meeting{3};
    w.table.on_load = [&](std::span<const int>) { meeting.arrive_and_wait(); };
    // Thirds of a hundred would hang at the meeting, were they not three at a time.
    const auto report = cache.warm(up_to(99), {.batch = 3, .parallel = 3});
    CHECK(report.filled == 99);
    CHECK(w.table.most_inside == 3);
}

TEST_CASE("progress is told by one thread at a time, and adds up", "[warm]") {
    World w;
    w.table.rows = {{5, std::nullopt}};
    w.table.on_load = [](std::span<const int> keys) {
        if (keys.front() == 11) {
            throw std::runtime_error{"down"};
        }
    };
    CacheAside cache{w.store, std::ref(w.table)};
    REQUIRE(cache.get(1) == 10);
    std::vector<WarmProgress> told;  // not guarded: ThreadSanitizer would see
    const auto report = cache.warm(
        up_to(200), {.batch = 10, .progress = [&](const WarmProgress& p) { told.push_back(p); }});
    REQUIRE(told.size() == 20);
    for (std::size_t i = 0; i < told.size(); ++i) {
        CHECK(told[i].done == 10 * (i + 1));
        CHECK(told[i].total == 200);
        CHECK(told[i].done == told[i].filled + told[i].absent + told[i].failed + told[i].skipped);
    }
    CHECK(told.back().filled == 188);
    CHECK(told.back().absent == 1);
    CHECK(told.back().failed == 10);
    CHECK(told.back().skipped == 1);
    CHECK(report.filled == 188);
}

TEST_CASE("a warming whose progress throws has ended when it throws", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto me = std::this_thread::get_id();
    std::barrier both{2};
    std::latch thrown{1};
    std::atomic<bool> other_ended{false};
    std::atomic<int> told{0};
    const auto slow = [&](std::span<const int> keys) {
        both.arrive_and_wait();
        if (std::this_thread::get_id() != me) {
            thrown.wait();
            for (int i = 0; i < 1000; ++i) {
                std::this_thread::yield();  // time for this thread's caller to go, if it would
            }
            other_ended = true;
        }
        return Keys(keys.begin(), keys.end());
    };
    const auto warming = [&] {
        (void)cache.warm(up_to(10), slow, {.batch = 1, .parallel = 2, .progress = [&](auto&) {
                                               ++told;
                                               thrown.count_down();
                                               throw std::logic_error{"enough"};
                                           }});
    };
    CHECK_THROWS_AS(warming(), std::logic_error);
    CHECK(other_ended);
    CHECK(told == 1);
    CHECK(w.store.size() == 2);
}

TEST_CASE("a range that throws ends the warming", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    Counter breaks{100, 15};
    CHECK_THROWS_AS(cache.warm(breaks, {.batch = 10, .parallel = 1}), std::runtime_error);
    CHECK(w.table.asked == std::vector<Keys>{up_to(10)});
    CHECK(w.table.inside == 0);
}

TEST_CASE("warm comes to an end whatever its executor does", "[warm]") {
    World w;
    SECTION("one that refuses") {
        CacheAside cache{
            w.store, std::ref(w.table), {.executor = [](const larder::Task&) { return false; }}};
        CHECK(cache.warm(up_to(9), {.batch = 2}).filled == 9);
    }
    SECTION("one that keeps tasks until the call, its loader and its keys are gone") {
        ManualExecutor executor;
        {
            CacheAside cache{w.store, std::ref(w.table), {.executor = executor.handle()}};
            auto keys = std::make_unique<Keys>(up_to(9));
            auto calls = std::make_unique<int>(0);
            const auto lent = [&](std::span<const int> asked) {
                *calls += 1;
                return Keys(asked.begin(), asked.end());
            };
            CHECK(cache.warm(*keys, lent, {.batch = 2}).filled == 9);
            CHECK(*calls == 5);
            keys.reset();
            calls.reset();
            CHECK(executor.pending() == 3);
            executor.run_all();
            CHECK(cache.warm(up_to(9), lent).skipped == 9);
        }
        executor.run_all();  // nor does it need the policy
    }
    SECTION("one of whose threads it is") {
        ManualExecutor executor;
        CacheAside cache{w.store, std::ref(w.table), {.executor = executor.handle()}};
        std::size_t filled = 0;
        REQUIRE(
            executor.handle().submit([&] { filled = cache.warm(up_to(9), {.batch = 2}).filled; }));
        executor.run_all();
        CHECK(filled == 9);
    }
}

TEST_CASE("no more tasks are made than there are batches", "[warm]") {
    World w;
    ManualExecutor executor;
    CacheAside cache{w.store, std::ref(w.table), {.executor = executor.handle()}};
    CHECK(cache.warm(up_to(100), {.parallel = 1000}).filled == 100);
    CHECK(executor.pending() == 0);
    CHECK(cache.warm(up_to(201), {.parallel = 1000}).filled == 101);
    CHECK(executor.pending() == 2);
    executor.run_all();
}

TEST_CASE("a load that warms, and needs what it is loading", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    // In another thread the inner load would wait for the outer one, which waits for it.
    const auto outer = [&](int) {
        const auto report = cache.warm({2, 3, 4}, [&](int) { return cache.get(1); }, {.batch = 1});
        CHECK(report.failed_keys == Keys{2, 3, 4});
        CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::recursive_load);
        return std::optional<int>{1};
    };
    CHECK(cache.get(1, outer) == 1);
}

TEST_CASE("a batch that asks for one of its own keys", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto report = cache.warm({1, 2, 3}, [&](std::span<const int> keys) {
        (void)cache.get(2);  // would wait for itself
        return Keys(keys.begin(), keys.end());
    });
    CHECK(report.failed_keys == Keys{1, 2, 3});
    CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::recursive_load);
}

TEST_CASE("a policy that goes waits for the batch that has begun, and no other begins", "[warm]") {
    World w;
    std::optional<CacheAside<Store, std::reference_wrapper<Batches>>> cache;
    cache.emplace(w.store, std::ref(w.table));
    std::thread destroyer;
    std::atomic<bool> going{false};
    std::atomic<bool> gone{false};
    std::atomic<int> begun{0};
    w.table.on_load = [&](std::span<const int>) {
        if (++begun == 1) {
            destroyer = std::thread{[&] {
                going = true;
                cache.reset();
                gone = true;
            }};
            while (!going) {
                std::this_thread::yield();
            }
            for (int i = 0; i < 1000 && !gone; ++i) {
                std::this_thread::yield();
            }
            CHECK_FALSE(gone);
        }
    };
    const auto report = cache->warm(Counter{1'000'000'000}, {.batch = 1, .parallel = 1});
    destroyer.join();
    CHECK(report.stopped);
    CHECK(report.filled == static_cast<std::size_t>(begun));
}

TEST_CASE("options of warm that make no sense are refused", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto refusal = [&](const WarmOptions& how) {
        return larder_test::caught_text([&] { (void)cache.warm({1}, how); });
    };
    CHECK(refusal({.batch = 0}) == "larder: WarmOptions::batch must be positive, but is 0");
    CHECK(refusal({.parallel = 0}) == "larder: WarmOptions::parallel must be positive, but is 0");
    CHECK(w.table.asked.empty());
    const auto most = (std::numeric_limits<std::size_t>::max)();
    CHECK(cache.warm({1, 2}, {.batch = most, .parallel = most, .per_second = most}).filled == 2);
    const WarmOptions defaults;
    CHECK(defaults.batch == 100);
    CHECK(defaults.parallel == 4);
    CHECK(defaults.per_second == 0);
}
