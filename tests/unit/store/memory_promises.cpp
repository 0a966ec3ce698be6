// SPDX-License-Identifier: MIT

// What the page of the stores says of MemoryStore, row by row, where no other test would miss it.

#include "support/catch.hpp"

#include <larder/detail/memory/bounds.hpp>
#include <larder/larder.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <string>

using namespace std::chrono_literals;
using larder::ManualClock;
using larder::MemoryStore;

namespace {

constexpr larder::Lifetime hour{.fresh = 1h};

struct CountingHash {
    static inline std::size_t asked = 0;

    std::size_t operator()(std::uint64_t key) const noexcept {
        ++asked;
        return larder::Hash<std::uint64_t>{}(key);
    }
};

}  // namespace

TEST_CASE("a hit of plain bytes keeps nobody waiting", "[memory][promises]") {
    MemoryStore<int, int> store{{.capacity = 100, .shards = 1}};
    store.put(1, 10, hour);
    bool written = false;
    std::future<void> writer;
    store.visit(1, [&](int value) {
        writer = std::async(std::launch::async, [&] {
            store.put(1, 11, hour);
            store.put(2, 20, hour);
        });
        written = writer.wait_for(30s) == std::future_status::ready;
        CHECK(value == 10);  // a copy
    });
    CHECK(written);
    CHECK(store.find(1)->value == 11);
}

TEST_CASE("an entry of two words takes two more", "[memory][promises]") {
    using U64 = std::uint64_t;
    STATIC_REQUIRE(
        sizeof(larder::detail::StoredEntry<U64, U64, larder::Hash<U64>, std::equal_to<>>) == 32);
}

TEST_CASE("growth moves a few entries at a time", "[memory][promises]") {
    MemoryStore<std::uint64_t, int, larder::SteadyClock, CountingHash> store{
        {.capacity = 200'000, .shards = 1}};
    std::size_t most = 0;
    for (std::uint64_t key = 0; key < 100'000; ++key) {
        CountingHash::asked = 0;
        store.put(key, 1, hour);
        most = (std::max)(most, CountingHash::asked);
    }
    CAPTURE(most);
    CHECK(most > 10);  // it did move some
    CHECK(most < 100);
}

TEST_CASE("a life ends to the microsecond, and never late", "[memory][promises]") {
    for (const auto offset : {0ns, 1ns, 999ns, 123'456ns}) {
        ManualClock clock;
        MemoryStore<int, int, ManualClock> store{{.capacity = 10}, clock};
        clock.advance(offset);
        store.put(1, 10, {.fresh = 10ms});
        CHECK(store.find(1)->remaining == 10ms);
        clock.advance(10ms - 1us);
        CHECK(store.find(1));
        clock.advance(1us);
        CHECK_FALSE(store.find(1));
    }
}

namespace {
// Whose cheaper reading is always a millisecond old.
struct LaggingClock : ManualClock {
    [[nodiscard]] std::chrono::steady_clock::time_point recent() const noexcept {
        return now() - 1ms;
    }
};
}  // namespace

TEST_CASE("what is left of a life is never more than it", "[memory][promises]") {
    LaggingClock clock;
    MemoryStore<int, int, LaggingClock> plain{{.capacity = 10}, clock};
    MemoryStore<int, std::string, LaggingClock> locked{{.capacity = 10}, clock};
    const auto check = [&](auto& store, auto value) {
        store.put(1, value, {.fresh = 10ms});
        CHECK(store.find(1)->remaining == 10ms);
        store.peek(1, [](const decltype(value)*, auto remaining, larder::Ttl life, bool) {
            CHECK(life == 10ms);
            CHECK(remaining == life);
        });
        larder::CacheAside cache{store, [=](int) { return value; }};
        CHECK(cache.fetch(1).remaining == 10ms);
        CHECK(cache.fetch(1).age == 0ms);
    };
    check(plain, 10);
    check(locked, std::string{"ten"});
    clock.advance(10ms);  // at most so late it is noticed
    CHECK(plain.find(1));
    clock.advance(1ms);
    CHECK_FALSE(plain.find(1));
    CHECK_FALSE(locked.find(1));
}

TEST_CASE("no shard has to hold more than it can", "[memory][promises]") {
    const auto shards = [](larder::MemoryStoreOptions<int, int> options) {
        return larder::detail::Bounds{options}.shards();
    };
    CHECK(shards({.capacity = 10, .shards = 4}) == 4);
    CHECK(shards({.capacity = 10, .shards = 5}) == 8);
    CHECK(shards({.capacity = 100}) == 1);
    for (const std::size_t capacity : {1'000'000U, 10'000'000U, 500'000'000U}) {
        CHECK(capacity / shards({.capacity = capacity, .shards = 1}) <= 524'288);
    }
    const auto weigh = [](int, int) { return std::size_t{1}; };
    CHECK(shards({.max_weight = 10, .weigh = weigh}) >= 1);
    CHECK(shards({.max_weight = 10, .weigh = weigh, .shards = 2}) == 2);
}
