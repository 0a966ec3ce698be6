// SPDX-License-Identifier: MIT

// warm: bulk fill before anybody asks. What it loads, and what it leaves alone.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/plain_store.hpp"
#include "support/warming.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <exception>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Source;
using larder_test::Keys;
using larder_test::up_to;
using larder_test::Values;
using World = larder_test::WarmWorld;

namespace {

// Runs tasks in the thread that submits them.
const larder::Executor inline_executor{[](const larder::Task& task) { task(); }};

}  // namespace

TEST_CASE("warm loads in batches, in the order of the keys", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    const auto report = cache.warm({5, 4, 3, 2, 1}, {.batch = 2, .parallel = 1});
    CHECK(report.filled == 5);
    CHECK(report.absent + report.failed + report.skipped == 0);
    CHECK(report.failed_keys.empty());
    CHECK_FALSE(report.failure);
    CHECK_FALSE(report.stopped);
    CHECK(report.elapsed > 0ns);
    CHECK(w.table.asked == std::vector<Keys>{{5, 4}, {3, 2}, {1}});
    const auto got = cache.fetch(3);
    CHECK(got.value == 30);
    CHECK(got.source == Source::hit);
    CHECK(got.remaining == 1h);
    CHECK(cache.stats().loads == 5);
    CHECK(cache.stats().misses == 0);
}

TEST_CASE("an executor that runs tasks at once keeps the order", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.executor = inline_executor}};
    CHECK(cache.warm(up_to(6), {.batch = 2, .parallel = 3}).filled == 6);
    CHECK(w.table.asked == std::vector<Keys>{{1, 2}, {3, 4}, {5, 6}});
}

TEST_CASE("warm leaves fresh copies alone, and loads a key once", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.negative_ttl = 1min}};
    w.table.rows = {{9, std::nullopt}};
    REQUIRE(cache.get_many({2, 9}) == Values{20, std::nullopt});
    w.table.asked.clear();

    const auto report = cache.warm({1, 2, 1, 9, 3, 1}, {.batch = 3, .parallel = 1});
    CHECK(report.filled == 2);
    CHECK(report.skipped == 4);
    CHECK(w.table.asked == std::vector<Keys>{{1}, {3}});

    w.clock.advance(2min);  // the known absence has ended
    CHECK(cache.warm({1, 2, 3, 9}).absent == 1);
    CHECK(cache.warm(Keys{}).skipped == 0);
}

TEST_CASE("what warm finds absent is remembered as long as negative_ttl says", "[warm]") {
    World w;
    w.table.rows = {{2, std::nullopt}};
    CacheAside forgets{w.store, std::ref(w.table)};
    CHECK(forgets.warm({1, 2}).absent == 1);
    CHECK(forgets.fetch(2).source == Source::loaded);

    CacheAside remembers{w.store, std::ref(w.table), {.negative_ttl = 1min}};
    const auto report = remembers.warm({1, 2});
    CHECK(report.absent == 1);
    CHECK(report.skipped == 1);
    CHECK(remembers.fetch(2).source == Source::hit);
}

TEST_CASE("warm does not wait for what another loads", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::latch loading{1};
    std::latch let_go{1};
    auto other = std::async(std::launch::async, [&] {
        return cache.get(1, [&](int) {
            loading.count_down();
            let_go.wait();
            return std::optional<int>{11};
        });
    });
    loading.wait();
    const auto report = cache.warm({1, 2});  // would hang
    let_go.count_down();
    CHECK(report.filled == 1);
    CHECK(report.skipped == 1);
    CHECK(w.table.asked == std::vector<Keys>{{2}});
    CHECK(other.get() == 11);
    CHECK(cache.get(1) == 11);
}

TEST_CASE("readers join what warm loads", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::latch loading{1};
    w.table.on_load = [&](std::span<const int>) {
        loading.count_down();
        while (cache.stats().joined == 0) {
            std::this_thread::yield();
        }
    };
    auto warming = std::async(std::launch::async, [&] { return cache.warm({1, 2}); });
    loading.wait();
    CHECK(cache.fetch(2).source == Source::joined);
    CHECK(warming.get().filled == 2);
    CHECK(w.table.asked.size() == 1);
}

TEST_CASE("warm leaves keys alone that are being written", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    SECTION("when it comes to them") {
        auto writing = cache.writing(2);
        const auto report = cache.warm({1, 2});
        CHECK(report.filled == 1);
        CHECK(report.skipped == 1);
        CHECK(report.failed == 0);
        CHECK(w.table.asked == std::vector<Keys>{{1}});
        writing.commit();
    }
    SECTION("while it loads them") {
        larder::WriteThrough other{w.store, std::ref(w.table)};
        const auto old_rows = [&](std::span<const int>) {
            cache.put(2, 21);
            return Keys{10, 20};
        };
        const auto report = other.warm({1, 2}, old_rows);
        CHECK(report.filled == 1);
        CHECK(report.skipped == 1);
        CHECK(other.get(2) == 21);
    }
    SECTION("through a store of the user's own") {
        larder_test::PlainStore<int, int> plain;
        CacheAside over_plain{plain, std::ref(w.table)};
        auto writing = over_plain.writing(2);
        const auto report = over_plain.warm({1, 2});
        CHECK(report.filled == 1);
        CHECK(report.skipped == 1);
        writing.commit();
    }
}

TEST_CASE("a batch whose load throws does not keep the others", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 10s, .grace = 1h}};
    REQUIRE(cache.get(3) == 30);
    w.clock.advance(11s);  // stale: that would do for a reader, but is no success here
    w.table.on_load = [](std::span<const int> keys) {
        if (keys.front() != 1) {
            throw std::runtime_error{"no row " + std::to_string(keys.front())};
        }
    };
    const auto report = cache.warm({1, 2, 4, 3, 6, 5}, {.batch = 2});
    CHECK(report.filled == 2);
    CHECK(report.failed == 4);
    CHECK(report.failed_keys == Keys{4, 3, 6, 5});
    CHECK(larder_test::caught_text([&] { std::rethrow_exception(report.failure); }) == "no row 4");
    CHECK(cache.stats().load_failures == 4);

    w.table.on_load = nullptr;  // no lease was left behind
    const auto again = cache.warm(report.failed_keys);
    CHECK(again.filled == 4);
    CHECK(cache.fetch(3).source == Source::hit);
}
