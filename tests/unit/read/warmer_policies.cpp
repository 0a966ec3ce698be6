// SPDX-License-Identifier: MIT

// warm through each policy, and over stores that fail.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/flaky_store.hpp"
#include "support/plain_store.hpp"
#include "support/warming.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::Source;
using larder_test::Batches;
using larder_test::caught;
using larder_test::Keys;
using larder_test::up_to;
using World = larder_test::WarmWorld;

TEST_CASE("all strategies warm", "[warm]") {
    World w;
    const auto check = [&](auto&& cache) {
        CHECK(cache.warm(up_to(5), {.batch = 2}).filled == 5);
        CHECK(cache.fetch(5).source == Source::hit);
        w.store.clear();
    };
    check(CacheAside{w.store, std::ref(w.table)});
    check(larder::WriteThrough{w.store, std::ref(w.table)});
    check(larder::RefreshAhead{w.store, std::ref(w.table)});
    check(larder::WriteBehind{w.store, std::ref(w.table)});
    check(larder::Tagged{CacheAside{w.store, std::ref(w.table)},
                         [](int) { return larder::Tags{"all"}; }});
}

TEST_CASE("what a Tagged policy warms carries tags", "[warm]") {
    World w;
    larder::Tagged cache{CacheAside{w.store, std::ref(w.table), {.negative_ttl = 1min}},
                         [](int value) { return larder::Tags{value < 25 ? "low" : "high"}; }};
    w.table.rows = {{9, std::nullopt}};
    REQUIRE(cache.warm({1, 2, 3, 9}).filled == 3);
    cache.invalidate_tag("low");
    CHECK(cache.warm({1, 2, 3, 9}).filled == 2);
    cache.invalidate_all();
    CHECK(cache.warm({1, 2, 3, 9}).skipped == 0);

    // An invalidation that meets the load wins.
    cache.invalidate_all();
    w.table.on_load = [&](std::span<const int>) { cache.invalidate_tag("low"); };
    const auto report = cache.warm({1, 3});
    CHECK(report.filled == 1);
    CHECK(report.skipped == 1);
    w.table.on_load = nullptr;
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(cache.fetch(3).source == Source::hit);
}

TEST_CASE("a tag function that explodes fails its key alone", "[warm]") {
    World w;
    larder::Tagged cache{CacheAside{w.store, std::ref(w.table)}, [](int value) {
                             if (value == 20) {
                                 throw std::runtime_error{"no tags"};
                             }
                             return larder::Tags{"t"};
                         }};
    const auto report = cache.warm({1, 2, 3});
    CHECK(report.filled == 2);
    CHECK(report.failed_keys == Keys{2});
}

TEST_CASE("warm through write-behind loads what is pending", "[warm]") {
    World w;
    larder::WriteBehind cache{w.store, std::ref(w.table), {.ttl = 1h}, {.delay = 1h}};
    cache.put(1, 11);
    cache.remove(2);
    CHECK(cache.invalidate_many({1, 2}) > 0);  // the copies; the changes stay
    const auto rows = [](std::span<const int> keys) { return Keys(keys.begin(), keys.end()); };
    const auto report = GENERATE(true, false) ? cache.warm({1, 2, 3}, rows) : cache.warm({1, 2, 3});
    CHECK(report.filled == 2);
    CHECK(report.absent == 1);
    const auto got = cache.fetch(1);
    CHECK(got.source == Source::hit);
    CHECK(got.value == 11);
    CHECK(cache.flush(10s) == 0);
}

TEST_CASE("a store that fails is reported, and nothing is loaded for it", "[warm]") {
    Batches table;
    SECTION("one that cannot be asked") {
        larder_test::FlakyStore store;
        CacheAside cache{store, std::ref(table)};
        store.faults().foreign_exceptions = GENERATE(false, true);
        store.down(true);
        const auto report = cache.warm({1, 2, 1});
        CHECK(report.failed_keys == Keys{1, 2});
        CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::store_failed);
        CHECK(report.skipped == 1);  // each key once
        CHECK(table.asked.empty());
        store.down(false);
        CHECK(cache.warm({1, 2}).filled == 2);
    }
    SECTION("one that cannot be written to") {
        larder_test::FlakyStore store;
        CacheAside cache{store, std::ref(table)};
        store.faults().writes_fail = true;
        const auto report = cache.warm({1, 2});
        CHECK(report.failed_keys == Keys{1, 2});
        CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::store_failed);
    }
    SECTION("one that takes batches") {
        larder_test::BatchingStore<int, int> store;
        CacheAside cache{store, std::ref(table)};
        store.script().fails = true;
        CHECK(cache.warm({1, 2}).failed == 2);
        CHECK(table.asked.empty());
        store.script().fails = false;
        store.script().batches = 0;
        CHECK(cache.warm(up_to(10)).filled == 10);
        CHECK(store.script().batches == 2);  // one to see what is fresh, one to open the rest
    }
}
