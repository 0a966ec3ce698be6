// SPDX-License-Identifier: MIT

// The write path: what each policy leaves behind, transactions of the user's own, lost tickets.

#include "support/catch.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::ManualClock;
using larder::RefreshAhead;
using larder::Source;
using larder::WriteThrough;
using larder_test::Refused;
using larder_test::Table;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Table<> table{};
};

}  // namespace

TEST_CASE("each policy leaves behind what its table says", "[writes]") {
    World w;
    w.table.set(1, 10);
    SECTION("cache-aside: nothing") {
        CacheAside cache{w.store, std::ref(w.table)};
        REQUIRE(cache.get(1) == 10);
        cache.put(1, 11);
        CHECK(w.table.row(1) == 11);
        CHECK(cache.fetch(1).source == Source::loaded);
        cache.remove(1);
        CHECK_FALSE(w.table.row(1));
        CHECK(cache.fetch(1).source == Source::loaded);
    }
    SECTION("refresh-ahead: nothing") {
        RefreshAhead cache{w.store, std::ref(w.table)};
        cache.put(1, 11);
        CHECK(cache.fetch(1).source == Source::loaded);
    }
    SECTION("write-through: the value, then a known absence") {
        WriteThrough cache{w.store, std::ref(w.table), {.ttl = 10s, .negative_ttl = 5s}};
        cache.put(1, 11);
        auto got = cache.fetch(1);
        CHECK(got.value == 11);
        CHECK(got.source == Source::hit);
        CHECK(got.remaining == 10s);
        cache.remove(1);
        got = cache.fetch(1);
        CHECK_FALSE(got.value);
        CHECK(got.source == Source::hit);
        CHECK(got.remaining == 5s);
    }
    SECTION("write-through without negative_ttl: no copy after a remove") {
        WriteThrough cache{w.store, std::ref(w.table)};
        cache.put(1, 11);
        cache.remove(1);
        CHECK(cache.fetch(1).source == Source::loaded);
    }
}

TEST_CASE("the row that save returns is what is cached", "[writes]") {
    World w;
    struct Rounding {
        std::optional<int> load(int) { return std::nullopt; }
        int save(int, int value) { return value / 10 * 10; }
        void remove(int) {}
    };
    struct Vanishing {
        std::optional<int> load(int) { return std::nullopt; }
        std::optional<int> save(int, int) { return std::nullopt; }
        void remove(int) {}
    };
    SECTION("a value") {
        WriteThrough cache{w.store, Rounding{}};
        cache.put(1, 17);
        CHECK(cache.fetch(1).value == 10);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("none: the database keeps no such row") {
        WriteThrough cache{w.store, Vanishing{}, {.negative_ttl = 1s}};
        cache.put(1, 17);
        CHECK(cache.fetch(1).source == Source::hit);
        CHECK_FALSE(cache.fetch(1).value);
    }
}

TEST_CASE("a repository may judge its own exceptions", "[writes]") {
    World w;
    struct Judging {
        bool nothing = false;
        std::optional<int> load(int) { return 1; }
        void save(int, int) { throw std::logic_error{"constraint"}; }
        void remove(int) {}
        bool wrote_nothing(const std::exception& error) {
            return dynamic_cast<const std::logic_error*>(&error) != nullptr;
        }
    };
    CacheAside cache{w.store, Judging{}};
    CHECK_THROWS_AS(cache.put(1, 2), std::logic_error);
    CHECK(cache.fetch(1).source == Source::loaded);
}

TEST_CASE("a transaction of the user's own", "[writes]") {
    World w;
    w.table.set(1, 10);
    w.table.set(2, 20);
    CacheAside cache{w.store, std::ref(w.table), {.ticket = 30s}};
    REQUIRE(cache.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});

    SECTION("committed: the copies go") {
        auto write = cache.writing(1, 2, 1);
        CHECK(cache.fetch(1).source == Source::bypassed);
        w.table.set(1, 5);
        w.table.set(2, 25);
        write.commit();
        CHECK(cache.fetch(1).value == 5);
        CHECK(cache.fetch(2).value == 25);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("rolled back") {
        auto write = cache.writing(std::vector<int>{1, 2});
        write.rollback();
        CHECK(cache.fetch(1).source == Source::loaded);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("neither: the outcome is unknown until the ticket ends") {
        { auto write = cache.writing(1); }
        CHECK(cache.fetch(1).source == Source::bypassed);
        CHECK(cache.fetch(2).source == Source::hit);
        w.table.set(1, 5);  // it had committed
        CHECK(cache.fetch(1).value == 5);
        w.clock.advance(30s);
        CHECK(cache.fetch(1).source == Source::loaded);
    }
    SECTION("moved: the new guard is the one that counts") {
        auto write = cache.writing(1);
        auto moved = std::move(write);
        moved.commit();
        CHECK(cache.fetch(1).source == Source::loaded);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("with a plain loader") {
        CacheAside plain{w.store, [](int) { return std::optional<int>{7}; }};
        auto write = plain.writing(1);
        write.commit();
        CHECK(plain.get(1) == 7);
    }
}

// Rule S8.
TEST_CASE("a writer that finds its ticket gone leaves no copy", "[writes]") {
    World w;
    WriteThrough cache{w.store, std::ref(w.table), {.ticket = 30s}};
    w.table.hooks.after_commit = [&](int, const std::optional<int>&) { w.clock.advance(31s); };
    cache.put(1, 11);
    CHECK(cache.stats().lost_tickets == 1);
    CHECK_FALSE(w.store.find(1));
    w.table.hooks.after_commit = nullptr;
    cache.put(1, 12);
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("policies move, and their background work with them", "[writes]") {
    World w;
    w.table.set(1, 10);
    const auto make = [&] { return CacheAside{w.store, std::ref(w.table)}; };
    auto cache = make();
    CHECK(cache.get(1) == 10);
    auto moved = std::move(cache);
    CHECK(moved.get(1) == 10);
    cache = make();
    CHECK(cache.get(1) == 10);
    CHECK(w.table.loads == 1);
}

TEST_CASE("invalidate says whether there was a copy", "[writes]") {
    World w;
    w.table.set(1, 10);
    CacheAside cache{w.store, std::ref(w.table)};
    CHECK_FALSE(cache.invalidate(1));
    REQUIRE(cache.get(1) == 10);
    CHECK(cache.invalidate(1));
    REQUIRE(cache.get(1) == 10);
    CHECK(cache.invalidate_many({1, 2, 3}) == 1);
    CHECK(cache.invalidate_many(std::vector<long>{1}) == 0);
}
