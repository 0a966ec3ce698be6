// SPDX-License-Identifier: MIT

#include "support/catch.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <list>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::ManualClock;
using larder::WriteThrough;
using larder::Written;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;
using Values = std::vector<std::optional<int>>;

// A table with batches.
struct Batches {
    std::map<int, int> rows{};
    std::vector<std::vector<int>> asked{};
    std::function<void()> on_load{};
    std::function<void(const larder::Change<int, int>&)> on_save{};

    std::optional<int> load(int key) { return load_many(std::span<const int>{&key, 1}).front(); }
    Values load_many(std::span<const int> keys) {
        asked.emplace_back(keys.begin(), keys.end());
        if (on_load) {
            on_load();
        }
        Values found;
        for (const int key : keys) {
            const auto at = rows.find(key);
            found.push_back(at == rows.end() ? std::nullopt : std::optional<int>{at->second});
        }
        return found;
    }
    void save(int key, int value) {
        if (on_save) {
            on_save({key, value});
        }
        rows[key] = value;
    }
    void remove(int key) { rows.erase(key); }
};

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Batches table{};
};

}  // namespace

TEST_CASE("get_many answers in order, with one batch load for what is missing", "[many]") {
    World w;
    w.table.rows = {{1, 10}, {2, 20}, {3, 30}};
    CacheAside cache{w.store, std::ref(w.table), {.negative_ttl = 1s}};
    REQUIRE(cache.get(2) == 20);
    w.table.asked.clear();

    CHECK(cache.get_many({3, 2, 9, 1, 3}) == Values{30, 20, std::nullopt, 10, 30});
    CHECK(w.table.asked == std::vector<std::vector<int>>{{3, 9, 1}});
    CHECK(cache.get_many({1, 2, 3, 9}) == Values{10, 20, 30, std::nullopt});
    CHECK(w.table.asked.size() == 1);
    CHECK(cache.stats().hits == 5);

    CHECK(cache.get_many(std::list<long>{1, 2}) == Values{10, 20});
    CHECK(cache.get_many(std::vector<int>{}).empty());
}

TEST_CASE("get_many waits last for what another loads", "[many]") {
    World w;
    w.table.rows = {{1, 10}, {2, 20}};
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
    w.table.on_load = [&] { let_go.count_down(); };  // would hang if it waited first
    CHECK(cache.get_many({1, 2}) == Values{11, 20});
    CHECK(w.table.asked == std::vector<std::vector<int>>{{2}});
    CHECK(other.get() == 11);
}

TEST_CASE("get_many throws for a key that has neither value nor stale copy", "[many]") {
    World w;
    w.table.rows = {{1, 10}, {2, 20}};
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 10s, .grace = 60s}};
    REQUIRE(cache.get(1) == 10);
    w.clock.advance(11s);
    w.table.on_load = [] { throw std::runtime_error{"down"}; };
    CHECK(cache.get_many({1}) == Values{10});
    CHECK_THROWS_AS(cache.get_many({1, 2}), std::runtime_error);
    w.table.on_load = nullptr;
    CHECK(cache.get_many({1, 2}) == Values{10, 20});  // no lease was left behind
}

TEST_CASE("a batch of another size than was asked for is an error", "[many]") {
    World w;
    struct Short {
        std::optional<int> load(int) { return 1; }
        Values load_many(std::span<const int>) { return {1}; }
    };
    CacheAside cache{w.store, Short{}};
    CHECK_THROWS_AS(cache.get_many({1, 2}), larder::Error);
    CHECK(cache.get(1) == 1);
}

TEST_CASE("put_many writes the last of duplicates", "[many]") {
    World w;
    WriteThrough cache{w.store, std::ref(w.table)};
    cache.put_many({{1, 10}, {2, 20}, {1, 11}});
    CHECK(w.table.rows == std::map<int, int>{{1, 11}, {2, 20}});
    CHECK(cache.get_many({1, 2}) == Values{11, 20});
    CHECK(w.table.asked.empty());
    cache.put_many(std::map<int, int>{{3, 30}});
    CHECK(cache.get(3) == 30);
}

TEST_CASE("put_many of nothing asks nobody", "[many]") {
    struct Strict : Batches {
        int saves = 0;

        std::vector<bool> save_many(std::span<const larder::Change<int, int>> changes) {
            ++saves;
            return std::vector<bool>(changes.size(), true);
        }
    };
    World w;
    Strict table;
    WriteThrough cache{w.store, std::ref(table)};
    cache.put_many(std::map<int, int>{});
    CHECK(table.saves == 0);
    cache.put_many({{1, 10}, {2, 20}});
    CHECK(table.saves == 1);
}

TEST_CASE("put_many tells what became of each key", "[many]") {
    World w;
    w.table.rows = {{1, 1}, {2, 2}, {3, 3}};
    WriteThrough cache{w.store, std::ref(w.table)};
    REQUIRE(cache.get_many({1, 2, 3}) == Values{1, 2, 3});
    w.table.on_save = [](const larder::Change<int, int>& change) {
        if (change.key == 2) {
            throw std::runtime_error{"connection lost"};
        }
    };
    try {
        cache.put_many({{1, 10}, {2, 20}, {3, 30}});
        FAIL("nothing was thrown");
    } catch (const larder::PartialWrite<int>& error) {
        CHECK(error.keys() == std::vector<std::pair<int, Written>>{
                                  {1, Written::yes}, {2, Written::unknown}, {3, Written::no}});
        CHECK_THROWS_AS(std::rethrow_exception(error.cause()), std::runtime_error);
    }
    CHECK(cache.fetch(1).source == larder::Source::hit);
    CHECK(cache.fetch(2).source == larder::Source::bypassed);
    CHECK(cache.fetch(3).value == 3);
    CHECK(cache.fetch(3).source == larder::Source::hit);
}

TEST_CASE("load_timeout is for who has a stale copy, not for who has lost it", "[many][stale]") {
    const bool many = GENERATE(false, true);
    ManualClock clock;
    Batches batches;
    batches.rows[1] = 1;
    std::function<void()> on_submit;
    CacheAside cache{Store{{}, clock},
                     std::ref(batches),
                     {.ttl = 1s,
                      .grace = 1h,
                      .load_timeout = 0ms,
                      .executor = larder::Executor{[&](larder::Task) {
                          if (const auto act = std::exchange(on_submit, {})) {
                              act();
                          }
                          return false;  // refused
                      }}}};
    CHECK(cache.get(1) == 1);
    clock.advance(2s);
    std::optional<decltype(cache.writing(1))> write;
    std::promise<void> loading;
    std::promise<void> ended;
    std::future<std::optional<int>> other;
    on_submit = [&] {  // the copy goes, and another loads without a lease
        write.emplace(cache.writing(1));
        other = std::async(std::launch::async, [&] {
            return cache.get(1, [&](int) {
                loading.set_value();
                ended.get_future().wait_for(100ms);  // who does not wait for this load has ended
                return std::optional<int>{7};
            });
        });
        loading.get_future().wait();
    };
    std::optional<int> value;
    CHECK_NOTHROW(value = many ? cache.get_many({1}).front() : cache.get(1));
    ended.set_value();
    CHECK(value == 1);
    CHECK(other.get() == 7);
    write->rollback();
}
