// SPDX-License-Identifier: MIT

// warm: the loaders and the ranges of keys that it takes.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/warming.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <list>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::WarmOptions;
using larder::WarmProgress;
using larder_test::caught;
using larder_test::Counter;
using larder_test::Keys;
using larder_test::up_to;
using larder_test::Values;
using World = larder_test::WarmWorld;

TEST_CASE("a bulk loader that answers for another number of keys", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto report = cache.warm({1, 2, 3}, [](std::span<const int>) { return Keys{7}; });
    CHECK(report.failed_keys == Keys{1, 2, 3});
    CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::bad_batch);
    CHECK(cache.get(1) == 10);
}

TEST_CASE("loaders for one warm", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    int calls = 0;  // lent: each of these runs in this thread alone
    const WarmOptions here{.batch = 2, .parallel = 1};
    std::size_t filled = 0;
    SECTION("a callable for many keys") {
        filled = cache
                     .warm(
                         {1, 2, 3},
                         [&](std::span<const int> keys) {
                             ++calls;
                             std::vector<larder::Loaded<int>> rows;
                             for (const int key : keys) {
                                 rows.push_back({.value = key + 1000, .ttl = 1min});
                             }
                             return rows;
                         },
                         here)
                     .filled;
        CHECK(cache.fetch(1).remaining == 1min);
    }
    SECTION("an object that has load_many and nothing else") {
        struct Bulk {
            int& calls;
            Values load_many(std::span<const int> keys) {
                ++calls;
                Values rows;
                for (const int key : keys) {
                    rows.emplace_back(key + 1000);
                }
                return rows;
            }
        } bulk{calls};
        filled = cache.warm(up_to(3), std::ref(bulk), here).filled;
    }
    SECTION("a plain loader") {
        filled = cache
                     .warm(
                         up_to(3),
                         [&](int key) {
                             calls += key % 2;
                             return key + 1000;
                         },
                         here)
                     .filled;
    }
    CHECK(filled == 3);
    CHECK(calls == 2);
    CHECK(cache.get_many({1, 2, 3}) == Values{1001, 1002, 1003});
    CHECK(w.table.asked.empty());
}

TEST_CASE("what the loader will not have kept is skipped", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto report =
        cache.warm({1}, [](int key) { return larder::Loaded<int>{.value = key, .ttl = 0ms}; });
    CHECK(report.skipped == 1);
    CHECK_FALSE(w.store.find(1));
}

TEST_CASE("any range of keys", "[warm]") {
    larder::MemoryStore<std::string, int> store;
    CacheAside cache{store, [](const std::string& key) { return static_cast<int>(key.size()); }};
    CHECK(cache.warm(std::list<const char*>{"a", "bb"}).filled == 2);
    const std::string pair[]{"bb", "ccc"};
    CHECK(cache.warm(pair).filled == 1);
    CHECK(cache.warm({"dddd"}).filled == 1);
    CHECK(cache.get("ccc") == 3);
}

TEST_CASE("a range that can be walked once is not walked further than needed", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    Counter endless{1'000'000'000};
    std::stop_source stop;
    std::vector<std::size_t> done;
    const auto report = cache.warm(endless, {.batch = 10,
                                             .parallel = 1,
                                             .progress =
                                                 [&](const WarmProgress& p) {
                                                     CHECK_FALSE(p.total);
                                                     done.push_back(p.done);
                                                     if (p.done == 30) {
                                                         stop.request_stop();
                                                     }
                                                 },
                                             .stop = stop.get_token()});
    CHECK(done == std::vector<std::size_t>{10, 20, 30});
    CHECK(report.stopped);
    CHECK(report.filled == 30);
    CHECK(report.skipped == 0);
    CHECK(endless.at() == 31);
    CHECK(cache.warm(Counter{35}).filled == 5);
}
