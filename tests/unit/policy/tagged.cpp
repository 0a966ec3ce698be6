// SPDX-License-Identifier: MIT

#include "support/catch.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>
#include <larder/policy/tagged.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::ManualClock;
using larder::Source;
using larder::Tagged;
using larder::Tags;
using larder::WriteThrough;
using larder_test::Table;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Table<> table{};
};

Tags parity(int value) {
    return {value % 2 == 0 ? "even" : "odd"};
}

}  // namespace

TEST_CASE("the tag of everything is known by its bytes", "[tags]") {
    const std::string expected = '\x01' + std::string{"everything"};
    CHECK(larder::detail::everything_tag() == expected);
}

// Rule T2.
TEST_CASE("a tag reaches what carries it, and nothing else", "[tags]") {
    World w;
    for (int key = 1; key <= 4; ++key) {
        w.table.set(key, key);
    }
    Tagged cache{CacheAside{w.store, std::ref(w.table)}, parity};
    (void)cache.get_many({1, 2, 3, 4});
    cache.invalidate_tag("even");
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.fetch(2).source == Source::loaded);
    CHECK(cache.fetch(2).source == Source::hit);
    CHECK(cache.fetch(3).source == Source::hit);
    CHECK(cache.fetch(4).source == Source::loaded);
    cache.invalidate_tags({"even", "odd"});
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(cache.fetch(2).source == Source::loaded);
    cache.invalidate_tag("none such");
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("invalidate_all reaches known absences too", "[tags]") {
    World w;
    w.table.set(1, 1);
    Tagged cache{CacheAside{w.store, std::ref(w.table), {.negative_ttl = 1h}}, parity};
    (void)cache.get_many({1, 404});
    CHECK(cache.fetch(404).source == Source::hit);
    cache.invalidate_all();
    CHECK(cache.fetch(404).source == Source::loaded);
    CHECK(cache.fetch(1).source == Source::loaded);
}

TEST_CASE("a known absence has tags of its own", "[tags]") {
    World w;
    Tagged cache{CacheAside{w.store, std::ref(w.table), {.negative_ttl = 1h}},
                 [](int, int value) { return parity(value); },
                 [](int key) { return Tags{"missing:" + std::to_string(key)}; }};
    (void)cache.get_many({1, 2});
    cache.invalidate_tag("missing:1");
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(cache.fetch(2).source == Source::hit);
}

// Rule T1.
TEST_CASE("a tag invalidated during a load wins", "[tags]") {
    World w;
    w.table.set(1, 2);
    Tagged cache{CacheAside{w.store, std::ref(w.table)}, parity};
    bool changed = false;
    w.table.hooks.after_load = [&](int) {
        if (!std::exchange(changed, true)) {
            w.table.set(1, 4);
            cache.invalidate_tag("even");
        }
    };
    CHECK(cache.get(1) == 2);  // it began before
    CHECK(cache.get(1) == 4);
    CHECK(w.table.loads == 2);
    CHECK(cache.stats().fenced_fills == 1);
}

TEST_CASE("a tag invalidated during a write wins", "[tags]") {
    World w;
    Tagged cache{WriteThrough{w.store, std::ref(w.table)}, parity};
    w.table.hooks.after_commit = [&](int, const std::optional<int>&) {
        w.table.set(1, 8);
        cache.invalidate_tag("even");
    };
    cache.put(1, 6);
    CHECK(cache.get(1) == 8);
    w.table.hooks.after_commit = nullptr;
    cache.put(1, 10);
    CHECK(cache.fetch(1).source == Source::hit);
}

// Rule T5.
TEST_CASE("readers that joined a load whose tag was invalidated open again", "[tags]") {
    World w;
    // One reader has loaded the row, its tag is invalidated, another one joins.
    const auto run = [&](auto& cache, const auto& invalidate) {
        std::latch loaded{1};
        std::latch go{1};
        std::atomic<bool> first{true};
        w.table.hooks.after_load = [&](int) {
            if (first.exchange(false)) {
                loaded.count_down();
                go.wait();
            }
        };
        auto leader = std::async(std::launch::async, [&] { return cache.get(1); });
        loaded.wait();
        w.table.set(1, 4);
        invalidate();
        auto joiner = std::async(std::launch::async, [&] { return cache.get(1); });
        while (cache.stats().joined == 0) {
            std::this_thread::yield();
        }
        go.count_down();
        CHECK(leader.get() != 4);
        CHECK(joiner.get() == 4);  // it began after the invalidation
        w.table.hooks.after_load = nullptr;
    };
    SECTION("a value") {
        w.table.set(1, 2);
        Tagged cache{CacheAside{w.store, std::ref(w.table)}, parity};
        run(cache, [&] { cache.invalidate_tag("even"); });
    }
    SECTION("an absence that is not kept") {
        Tagged cache{CacheAside{w.store, std::ref(w.table)}, parity};
        run(cache, [&] { cache.invalidate_all(); });
    }
    SECTION("a value that is not kept") {
        w.table.set(1, 2);
        Tagged cache{
            CacheAside{w.store,
                       [&](int key) {
                           return larder::Loaded<int>{w.table.load(key), larder::Ttl{0}, {}};
                       }},
            parity};
        run(cache, [&] { cache.invalidate_tag("even"); });
    }
}

// Rule T3.
TEST_CASE("tags that are forgotten revive nothing", "[tags]") {
    World w;
    w.table.set(1, 2);
    Tagged cache{CacheAside{w.store, std::ref(w.table)}, parity};
    bool changed = false;
    w.table.hooks.after_load = [&](int) {
        if (!std::exchange(changed, true)) {
            cache.invalidate_tag("even");
            for (int i = 0; i < 5000; ++i) {  // so many that those nobody carries are forgotten
                cache.invalidate_tag("other:" + std::to_string(i));
            }
        }
    };
    CHECK(cache.get(1) == 2);
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("a tag that others push out of memory still reaches its members", "[tags]") {
    World w;
    w.table.set(1, 2);
    Tagged cache{CacheAside{w.store, std::ref(w.table)}, parity};
    REQUIRE(cache.get(1) == 2);
    for (int i = 0; i < 5000; ++i) {  // so many that those nobody carries are forgotten
        cache.invalidate_tag("other:" + std::to_string(i));
    }
    CHECK(cache.fetch(1).source == Source::hit);
    cache.invalidate_tag("even");
    CHECK(cache.fetch(1).source == Source::loaded);
    // The tag outlives its member, too, and counts for the next one.
    w.store.clear();
    for (int i = 0; i < 5000; ++i) {
        cache.invalidate_tag("another:" + std::to_string(i));
    }
    REQUIRE(cache.fetch(1).source == Source::loaded);
    CHECK(cache.fetch(1).source == Source::hit);
    cache.invalidate_tag("even");
    CHECK(cache.fetch(1).source == Source::loaded);
}

TEST_CASE("tags that are forgotten during a write revive nothing", "[tags]") {
    World w;
    Tagged cache{WriteThrough{w.store, std::ref(w.table)}, parity};
    w.table.hooks.after_commit = [&](int, const std::optional<int>&) {
        cache.invalidate_tag("even");
        for (int i = 0; i < 5000; ++i) {
            cache.invalidate_tag("other:" + std::to_string(i));
        }
    };
    cache.put(1, 6);
    CHECK_FALSE(w.store.find(1));
}

TEST_CASE("a tag function that explodes while others wait, and for known absences", "[tags]") {
    World w;
    w.table.set(1, 1);
    std::atomic<bool> broken{true};
    Tagged cache{CacheAside{w.store, std::ref(w.table), {.negative_ttl = 1h}},
                 [&](int value) {
                     if (broken) {
                         throw std::runtime_error{"no tags"};
                     }
                     return parity(value);
                 },
                 [&](int) -> Tags {
                     if (broken) {
                         throw std::runtime_error{"no absent tags"};
                     }
                     return {"missing"};
                 }};
    std::latch loaded{1};
    std::latch go{1};
    std::atomic<bool> first{true};
    w.table.hooks.after_load = [&](int) {
        if (first.exchange(false)) {
            loaded.count_down();
            go.wait();
        }
    };
    auto leader = std::async(std::launch::async, [&] { return cache.get(1); });
    loaded.wait();
    auto joiner = std::async(std::launch::async, [&] { return cache.get(1); });
    while (cache.stats().joined == 0) {
        std::this_thread::yield();
    }
    go.count_down();
    CHECK_THROWS_AS(leader.get(), std::runtime_error);
    CHECK_THROWS_AS(joiner.get(), std::runtime_error);
    CHECK_THROWS_AS(cache.get(404), std::runtime_error);
    CHECK_THROWS_AS(cache.get_many({1, 404}), std::runtime_error);
    CHECK_THROWS_AS(cache.refresh(1), std::runtime_error);
    broken = false;
    CHECK(cache.get(1) == 1);
    CHECK_FALSE(cache.get(404));
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.fetch(404).source == Source::hit);
}

TEST_CASE("a tag function that explodes", "[tags]") {
    World w;
    w.table.set(1, 1);
    bool broken = true;
    Tagged cache{WriteThrough{w.store, std::ref(w.table)}, [&](int value) {
                     if (broken) {
                         throw std::runtime_error{"no tags"};
                     }
                     return parity(value);
                 }};
    CHECK_THROWS_AS(cache.get(1), std::runtime_error);
    CHECK_NOTHROW(cache.put(1, 3));  // the database has it
    CHECK_FALSE(w.store.find(1));
    broken = false;
    CHECK(cache.get(1) == 3);
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("the loader's own tags count as well", "[tags]") {
    World w;
    Tagged cache{
        CacheAside{w.store,
                   [](int key) { return larder::Loaded<int>{.value = key, .tags = {"loader"}}; }},
        parity};
    REQUIRE(cache.get(1) == 1);
    cache.invalidate_tag("loader");
    CHECK(cache.fetch(1).source == Source::loaded);
    cache.invalidate_tag("odd");
    CHECK(cache.fetch(1).source == Source::loaded);
}
