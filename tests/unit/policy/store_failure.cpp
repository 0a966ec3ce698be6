// SPDX-License-Identifier: MIT

// Policies over a store that fails: reads go to the loader, invalidations are never silent, and a
// write that the store misses hides its key until the store has been told.

#include "support/catch.hpp"
#include "support/flaky_store.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::OnStoreFailure;
using larder::Source;
using larder::StoreError;
using larder::WriteThrough;
using larder_test::FlakyStore;
using larder_test::Table;

namespace {

// Reads until the missed invalidation has been replayed; the replay backs off in real time.
template <class Cache>
larder::Fetched<int> fetch_when_back(Cache& cache, int key) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    auto got = cache.fetch(key);
    while (got.source == Source::bypassed && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
        got = cache.fetch(key);
    }
    return got;
}

}  // namespace

TEST_CASE("a store's failure on a read costs nothing but a load", "[failure]") {
    FlakyStore store;
    Table<> table;
    table.set(1, 10);
    CacheAside cache{store, std::ref(table)};
    REQUIRE(cache.get(1) == 10);
    store.faults().foreign_exceptions = GENERATE(false, true);
    store.down(true);
    table.set(1, 10);
    CHECK(cache.fetch(1).source == Source::bypassed);
    CHECK(cache.get_many({1, 2}) == std::vector<std::optional<int>>{10, std::nullopt});
    CHECK(cache.stats().store_errors > 0);
    store.down(false);
    CHECK(fetch_when_back(cache, 1).value == 10);
}

TEST_CASE("a lost invalidation is not silent", "[failure]") {
    FlakyStore store;
    CacheAside cache{store, [](int key) { return key; }};
    REQUIRE(cache.get(1) == 1);
    store.faults().writes_fail = true;
    store.faults().foreign_exceptions = GENERATE(false, true);
    CHECK_THROWS_AS(cache.invalidate(1), StoreError);
    CHECK_THROWS_AS(cache.invalidate_many({1}), StoreError);
}

// Rule S16.
TEST_CASE("a write that the store misses hides its key until the store has been told",
          "[failure]") {
    FlakyStore store;
    Table<> table;
    table.set(1, 10);
    std::vector<larder::EventKind> events;
    WriteThrough cache{store, std::ref(table), {.observer = [&](const larder::Event& e) {
                           events.push_back(e.kind);
                       }}};
    REQUIRE(cache.get(1) == 10);

    store.faults().writes_fail = true;  // it still serves reads: the old copy
    cache.put(1, 11);
    CHECK(table.row(1) == 11);
    CHECK(store.find(1)->value == 10);
    CHECK(cache.fetch(1).value == 11);
    CHECK(cache.fetch(1).source == Source::bypassed);
    CHECK(cache.stats().queued_invalidations == 1);
    CHECK(std::find(events.begin(), events.end(), larder::EventKind::invalidation_queued) !=
          events.end());

    // Another policy over the same handle does not trust it either.
    store.faults().writes_fail = false;
    CHECK(fetch_when_back(cache, 1).value == 11);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.stats().queued_invalidations == 0);
}

TEST_CASE("an observer is not flooded while the store is away, and none is lost", "[failure]") {
    std::map<larder::EventKind, std::uint64_t> told;
    std::map<larder::EventKind, std::uint64_t> counted;
    {
        FlakyStore store;
        Table<> table;
        CacheAside cache{store, std::ref(table), {.observer = [&](const larder::Event& e) {
                             ++told[e.kind];
                             counted[e.kind] += e.count;
                         }}};
        store.faults().writes_fail = true;
        for (int key = 0; key < 1000; ++key) {
            cache.put(key, key);
        }
    }
    for (const auto kind :
         {larder::EventKind::store_failed, larder::EventKind::invalidation_queued}) {
        CHECK(told[kind] < 100);
        CHECK(counted[kind] >= 1000);
    }
}

TEST_CASE("policies that share a handle share what it missed", "[failure]") {
    FlakyStore plain;
    larder::Coordinated store{plain};
    Table<> table;
    table.set(1, 10);
    CacheAside writer{store, std::ref(table)};
    CacheAside reader{store, std::ref(table)};
    REQUIRE(reader.get(1) == 10);
    plain.faults().writes_fail = true;
    writer.put(1, 11);
    CHECK(reader.get(1) == 11);
}

TEST_CASE("fail refuses the write before the database is touched", "[failure]") {
    FlakyStore store;
    Table<> table;
    table.set(1, 10);
    table.set(2, 20);
    CacheAside cache{store, std::ref(table), {.on_store_failure = OnStoreFailure::fail}};
    REQUIRE(cache.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});
    store.faults().writes_fail = true;
    CHECK_THROWS_AS(cache.put(1, 11), StoreError);
    CHECK_THROWS_AS(cache.remove(1), StoreError);
    CHECK_THROWS_AS(cache.writing(1, 2), StoreError);
    CHECK_THROWS_AS(cache.put_many({{1, 11}, {2, 21}}), StoreError);
    CHECK(table.saves == 0);
    store.faults().writes_fail = false;
    CHECK(cache.fetch(1).value == 10);
    CHECK(fetch_when_back(cache, 2).value == 20);
    cache.put(1, 12);
    CHECK(cache.fetch(1).source == Source::loaded);  // no ticket was left behind
}

TEST_CASE("a full queue refuses the write before the database is touched", "[failure]") {
    FlakyStore store;
    Table<> table;
    CacheAside cache{store, std::ref(table), {.max_queued_invalidations = 2}};
    store.faults().writes_fail = true;
    cache.put(1, 1);
    cache.put(2, 2);
    cache.put(2, 3);  // its key is queued already
    try {
        cache.put(3, 3);
        FAIL("nothing was thrown");
    } catch (const StoreError& error) {
        CHECK(error.code() == Errc::store_full);
        CHECK(std::string{error.what()}.find('3') != std::string::npos);
    }
    CHECK_FALSE(table.row(3));
    CHECK(table.row(2) == 3);
}

// Rule S15.
TEST_CASE("a store that fails after the commit does not fail the write", "[failure]") {
    FlakyStore store;
    Table<> table;
    table.set(1, 10);
    WriteThrough cache{store, std::ref(table)};
    REQUIRE(cache.get(1) == 10);
    table.hooks.after_commit = [&](int, const std::optional<int>&) {
        store.faults().writes_fail = true;
    };
    CHECK_NOTHROW(cache.put(1, 11));
    CHECK(cache.get(1) == 11);
    store.faults().writes_fail = false;
    table.hooks.after_commit = nullptr;
    CHECK(fetch_when_back(cache, 1).value == 11);
}

namespace {

// A store in memory that once cannot be told how a batch of writes has ended.
struct Deaf : larder::MemoryStore<int, int> {
    std::shared_ptr<bool> deaf = std::make_shared<bool>(true);

    std::vector<larder::detail::WriteEnd> finish_write_many(
        std::span<larder::detail::FinishRequest<int, int>> requests) {
        if (std::exchange(*deaf, false)) {
            throw StoreError{Errc::store_failed, "deaf"};
        }
        MemoryStore<int, int>& plain = *this;
        return larder::detail::finish_write_many(plain, requests);
    }
};

}  // namespace

// Rules S2 and S15.
TEST_CASE("writes of many whose end the store could not be told leave no ticket", "[failure]") {
    Deaf store;
    Table<> table;
    WriteThrough cache{store, std::ref(table)};
    CHECK_NOTHROW(cache.put_many({{1, 11}, {2, 21}}));
    CHECK_FALSE(*store.deaf);
    for (const int key : {1, 2}) {
        CHECK(cache.fetch(key).source == Source::loaded);
        CHECK(cache.fetch(key).source == Source::hit);
    }
}

// Rules S15 and S16.
TEST_CASE("writes of many whose end the store misses are queued", "[failure]") {
    FlakyStore store;
    Table<> table;
    table.set(1, 10);
    table.set(2, 20);
    WriteThrough cache{store, std::ref(table)};
    REQUIRE(cache.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});
    table.hooks.after_commit = [&](int, const std::optional<int>&) {
        store.faults().writes_fail = true;
    };
    CHECK_NOTHROW(cache.put_many({{1, 11}, {2, 21}}));
    CHECK(cache.stats().queued_invalidations == 2);
    CHECK(cache.get_many({1, 2}) == std::vector<std::optional<int>>{11, 21});
}

TEST_CASE("writes of many without tickets, whose copies cannot be erased, are queued",
          "[failure]") {
    FlakyStore store;
    Table<> table;
    table.set(1, 10);
    CacheAside cache{store, std::ref(table)};
    store.faults().writes_fail = true;
    table.hooks.before_commit = [&](int, const std::optional<int>&) {
        store.faults().writes_fail = false;
        CHECK(fetch_when_back(cache, 1).value == 10);
        CHECK(cache.fetch(1).source == Source::hit);  // a copy of the old row
        store.faults().writes_fail = true;
    };
    CHECK_NOTHROW(cache.put_many({{1, 11}}));
    CHECK(cache.stats().queued_invalidations == 1);
    CHECK(cache.get(1) == 11);
}

TEST_CASE("a load in flight is fenced by a write that the store missed", "[failure]") {
    FlakyStore store;
    Table<> table;
    table.set(1, 10);
    CacheAside cache{store, std::ref(table)};
    bool written = false;
    table.hooks.after_load = [&](int) {
        if (std::exchange(written, true)) {
            return;
        }
        store.faults().writes_fail = true;
        cache.put(1, 11);
        store.faults().writes_fail = false;
    };
    CHECK(cache.get(1) == 10);  // the load had begun before the write
    CHECK(fetch_when_back(cache, 1).value == 11);
    CHECK(cache.get(1) == 11);
}

TEST_CASE("a refresh while the store is away owes it one invalidation", "[failure]") {
    std::uint64_t told = 0;
    {
        const larder_test::FlakyStore plain;
        const larder::CacheAside cache{
            plain, [](int key) { return key * 10; }, {.observer = [&](const larder::Event& event) {
                if (event.kind == larder::EventKind::invalidation_queued) {
                    told += event.count;
                }
            }}};
        plain.down(true);
        CHECK(cache.refresh(1) == 10);
        CHECK(cache.stats().queued_invalidations == 1);
    }
    CHECK(told == 1);
}
