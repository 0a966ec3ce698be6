// SPDX-License-Identifier: MIT

// The end of a write-behind policy, whatever its executor does and however long it may take.

#include "support/behind_world.hpp"
#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

using namespace std::chrono_literals;
using larder::EventKind;
using larder::WriteBehind;
using larder_test::code_of;
using larder_test::Events;
using larder_test::lazy;
using larder_test::quick;
using larder_test::Rows;
using larder_test::Store;

TEST_CASE("a policy that goes with changes pending obeys its drain, and tells what is left",
          "[behind]") {
    Store store;
    Rows rows;
    Events events;
    std::atomic<int> under_way{0};
    larder::MemoryJournal<int, int> journal;
    rows.before_write = [&](int, const std::optional<int>&) {
        ++under_way;
        std::this_thread::sleep_for(5ms);  // a slow database: all would take ten seconds
        --under_way;
    };
    constexpr int all = 2000;
    const auto began = std::chrono::steady_clock::now();
    {
        auto behind = quick;
        behind.batch = 500;
        WriteBehind cache{store, std::ref(rows), journal, {.observer = events.observer()}, behind};
        for (int key = 0; key < all; ++key) {
            cache.put(key, key);
        }
    }
    CHECK(std::chrono::steady_clock::now() - began < 5s);
    CHECK(under_way == 0);  // what had begun was waited for
    CHECK(rows.writes < all);
    // Whoever goes on with the journal need not wait for the claims of who has gone.
    const auto left = static_cast<std::size_t>(all - rows.writes);
    CHECK(journal.size() == left);
    CHECK(journal.claim(all, 10s, larder::Ttl::zero()).size() == left);
    CHECK(events.text(EventKind::not_drained) ==
          "larder: " + std::to_string(all - rows.writes) +
              " changes were not written before the policy went: closed");
}

TEST_CASE("an executor that refuses, throws, drops or holds what it is given", "[behind]") {
    Store store;
    Rows rows;
    auto behind = quick;
    behind.drain = 30s;
    const auto with = [&](larder::Executor executor) {
        return WriteBehind{store, std::ref(rows), {.executor = std::move(executor)}, behind};
    };
    SECTION("refuses") {
        auto cache = with([](const larder::Task&) { return false; });
        cache.put(1, 10);
        CHECK(cache.flush(30s) == 0);
    }
    SECTION("throws") {
        auto cache = with([](const larder::Task&) { throw std::runtime_error{"no"}; });
        cache.put(1, 10);
        CHECK(cache.flush(30s) == 0);
    }
    SECTION("drops") {
        auto cache = with([](larder::Task task) { task = nullptr; });
        cache.put(1, 10);
        CHECK(cache.flush(30s) == 0);
    }
    SECTION("holds: the drain does not wait for it, and it finds nothing to do later") {
        larder_test::ManualExecutor executor;
        {
            auto cache = with(executor.handle());
            cache.put(1, 10);
            CHECK(cache.flush(1ms) == 1);
        }
        CHECK(rows.writes == 1);
        executor.run_all();
        CHECK(rows.writes == 1);
    }
    CHECK(rows.load(1) == 10);
}

TEST_CASE("a task that the executor still holds when the policy is gone holds no value",
          "[behind]") {
    larder_test::ManualExecutor executor;
    const auto value = std::make_shared<int>(7);
    struct Sink {
        std::shared_ptr<std::atomic<int>> writes = std::make_shared<std::atomic<int>>(0);
        std::optional<std::shared_ptr<int>> load(int) const { return {}; }
        void save(int, const std::shared_ptr<int>&) const { ++*writes; }
        void remove(int) const {}
    };
    const Sink sink;
    {
        WriteBehind cache{larder::MemoryStore<int, std::shared_ptr<int>>{},
                          sink,
                          {.executor = executor.handle()},
                          {.delay = 0ms, .drain = 60s}};
        cache.put(1, value);
        while (executor.pending() == 0) {
            std::this_thread::yield();
        }
    }
    CHECK(*sink.writes == 1);
    CHECK(executor.pending() > 0);
    CHECK(value.use_count() == 1);
    CHECK(sink.writes.use_count() == 1);
    executor.run_all();
    CHECK(*sink.writes == 1);
}

TEST_CASE("a policy that is moved or assigned to writes on", "[behind]") {
    Rows first;
    Rows second;
    auto behind = lazy;
    behind.drain = 60s;
    {
        WriteBehind a{Store{}, std::ref(first), {}, behind};
        WriteBehind b{Store{}, std::ref(second), {}, behind};
        a.put(1, 10);
        b.put(2, 20);
        a = std::move(b);  // what it held is written first
        CHECK(first.load(1) == 10);
        CHECK_FALSE(second.load(2));
        auto moved = std::move(a);
        moved.put(3, 30);
        CHECK(moved.flush(60s) == 0);
        CHECK(second.load(2) == 20);
        moved.put(4, 40);
    }
    CHECK(second.load(3) == 30);
    CHECK(second.load(4) == 40);
}

TEST_CASE("times of write-behind at their ends", "[behind]") {
    constexpr larder::Ttl endless = (larder::Ttl::max)();
    Store store;
    Rows rows;
    larder::WriteBehindOptions behind{.max_pending = 2,
                                      .block_for = endless,
                                      .delay = endless,
                                      .attempts = 100,
                                      .backoff = endless,
                                      .max_backoff = endless,
                                      .claim = endless,
                                      .drain = endless};
    SECTION("endless") {
        WriteBehind cache{store, std::ref(rows), {}, behind};
        for (int key = 0; key < 10; ++key) {
            cache.put(key, key);  // blocks, and is let in
        }
        CHECK(cache.flush(endless) == 0);
        cache.put(1, 11);
        CHECK(cache.flush((larder::Ttl::min)()) <= 1);
    }
    SECTION("a next try that is an age away") {
        behind.drain = 0ms;
        rows.down = true;
        WriteBehind cache{store, std::ref(rows), {}, behind};
        cache.put(1, 10);
        CHECK(cache.flush(20ms) == 1);
        CHECK(cache.flush(20ms) == 1);
        CHECK(cache.stats().retries == 1);
    }
    SECTION("no time at all") {
        behind = {.max_pending = 1,
                  .block_for = 0ms,
                  .delay = 0ms,
                  .attempts = 1'000'000,
                  .backoff = 1ms,
                  .max_backoff = 1ms,
                  .claim = 1ms,
                  .drain = 0ms};
        rows.down = true;
        WriteBehind cache{store, std::ref(rows), {}, behind};
        cache.put(1, 10);
        CHECK(code_of([&] { cache.put(2, 20); }) == larder::Errc::journal_full);
        rows.down = false;
        CHECK(cache.flush(60s) == 0);
    }
}
