// SPDX-License-Identifier: MIT

// MemoryStore beyond the contract that all stores share: bounds, weights, removals, eviction.

#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <map>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::ManualClock;
using larder::MemoryStore;
using larder::RemovalCause;

TEST_CASE("a store of capacity N holds any N keys, and never more", "[memory]") {
    MemoryStore<int, int> store{{.capacity = 5000, .shards = 16}};
    for (int key = 0; key < 5000; ++key) {
        store.put(key, key, {1h});
    }
    int found = 0;
    for (int key = 0; key < 5000; ++key) {
        store.put(key, key + 1, {1h});  // overwriting takes no room
        found += store.find(key)->value == key + 1 ? 1 : 0;
    }
    CHECK(found == 5000);
    CHECK(store.stats().evictions == 0);
    store.put(-1, 0, {1h});
    CHECK(store.size() == 5000);
    CHECK(store.stats().evictions == 1);
}

TEST_CASE("the bound is hard however many threads store", "[memory]") {
    MemoryStore<int, int> store{{.capacity = 64, .shards = 8}};
    std::atomic<bool> over{false};
    {
        std::vector<std::jthread> threads;
        for (int t = 0; t < 4; ++t) {
            threads.emplace_back([&, t] {
                for (int i = 0; i < 5000; ++i) {
                    store.put(t * 100'000 + i, i, {1h});
                    if (store.size() > 64) {
                        over = true;
                    }
                }
            });
        }
    }
    CHECK_FALSE(over);
    CHECK(store.size() == 64);
}

TEST_CASE("entries are weighed", "[memory]") {
    MemoryStore<int, std::string> store{
        {.max_weight = 100, .weigh = [](int, const std::string& value) { return value.size(); }}};
    store.put(1, std::string(60, 'a'), {1h});
    store.put(2, std::string(40, 'b'), {1h});
    CHECK(store.weight() == 100);
    store.put(3, std::string(10, 'c'), {1h});
    CHECK(store.weight() <= 100);
    CHECK(store.find(3));
    store.put(3, std::string(101, 'd'), {1h});  // too heavy: and what was there is gone
    CHECK_FALSE(store.find(3));
    CHECK(store.stats().oversized == 1);
    store.clear();
    CHECK(store.weight() == 0);
    CHECK(store.size() == 0);
}

TEST_CASE("options that make no sense are refused", "[memory]") {
    using Store = MemoryStore<int, int>;
    const auto weigh = [](int, int) { return std::size_t{1}; };
    CHECK_THROWS_AS(Store{{.capacity = 0}}, std::invalid_argument);
    CHECK_THROWS_AS(Store{{.max_weight = 5}}, std::invalid_argument);
    CHECK_THROWS_AS(Store({.weigh = weigh}), std::invalid_argument);
    CHECK_THROWS_AS(Store{{.shards = 5000}}, std::invalid_argument);
}

TEST_CASE("each removal is told with its cause", "[memory]") {
    ManualClock clock;
    std::vector<std::pair<int, RemovalCause>> told;
    MemoryStore<int, int, ManualClock>* self = nullptr;
    MemoryStore<int, int, ManualClock> store{
        {.capacity = 2,
         .on_removal =
             [&](int key, int, RemovalCause cause) {
                 told.emplace_back(key, cause);
                 (void)self->find(key);  // it may call the store
                 throw std::runtime_error{"ignored"};
             }},
        clock};
    self = &store;
    store.put(1, 10, {10s});
    store.put(1, 11, {10s});
    store.erase(1);
    store.put(2, 20, {10s});
    store.put(3, 30, {1h});
    store.put(4, 40, {1h});  // no room: one goes
    clock.advance(2h);
    store.put(5, 50, {1h});
    store.put(6, 60, {1h});
    store.clear();
    std::map<RemovalCause, int> causes;
    for (const auto& [key, cause] : told) {
        ++causes[cause];
    }
    CHECK(causes[RemovalCause::replaced] == 1);
    CHECK(causes[RemovalCause::erased] == 1);
    CHECK(causes[RemovalCause::evicted] == 1);
    CHECK(causes[RemovalCause::expired] == 2);
    CHECK(causes[RemovalCause::cleared] == 2);
}

TEST_CASE("a scan does not push out what is used again and again", "[memory]") {
    MemoryStore<int, int> store{{.capacity = 100, .shards = 1}};
    for (int round = 0; round < 5; ++round) {
        for (int key = 0; key < 50; ++key) {
            if (!store.find(key)) {
                store.put(key, key, {1h});
            }
        }
    }
    for (int key = 1000; key < 3000; ++key) {  // each once
        if (!store.find(key)) {
            store.put(key, key, {1h});
        }
    }
    int left = 0;
    for (int key = 0; key < 50; ++key) {
        left += store.find(key) ? 1 : 0;
    }
    CHECK(left >= 45);
}

TEST_CASE("clear fences what is under way", "[memory]") {
    MemoryStore<int, int> store;
    const auto load = store.open(1);
    const auto ticket = store.begin_write(2, 30s);
    store.clear();
    CHECK_FALSE(store.fill(1, load.lease, 10, {{1h}}).kept);
    CHECK(store.finish_write(2, ticket, larder::detail::Finish::value, 20, {{1h}}));
    CHECK_FALSE(store.find(1));
    CHECK_FALSE(store.find(2));
}

TEST_CASE("visit reads in place, by any string", "[memory]") {
    ManualClock clock;
    MemoryStore<std::string, std::string, ManualClock> store{{}, clock};
    store.put("key", "value", {10s, 10s});
    std::size_t size = 0;
    CHECK(store.visit(std::string_view{"key"}, [&](const std::string& v) { size = v.size(); }));
    CHECK(size == 5);
    clock.advance(11s);
    CHECK_FALSE(store.visit("key", [](const std::string&) {}));
    CHECK(store.find("key")->remaining == -1s);
    clock.advance(9s);
    CHECK_FALSE(store.find("key"));
}

TEST_CASE("a store that is large enough is a map", "[memory]") {
    std::mt19937 random{7};
    MemoryStore<int, int> store{{.capacity = 1000}};
    std::unordered_map<int, int> map;
    for (int i = 0; i < 20'000; ++i) {
        const int key = static_cast<int>(random() % 200);
        switch (random() % 3) {
            case 0:
                store.put(key, i, {1h});
                map[key] = i;
                break;
            case 1: REQUIRE(store.erase(key) == (map.erase(key) > 0)); break;
            default: {
                const auto found = store.find(key);
                REQUIRE(found.has_value() == map.contains(key));
                if (found) {
                    REQUIRE(found->value == map[key]);
                }
            }
        }
    }
    CHECK(store.size() == map.size());
}
