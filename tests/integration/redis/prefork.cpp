// SPDX-License-Identifier: MIT

// A process that uses a Redis server forks while its threads load and wait: parent and child go on,
// and both end.

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/redis_server.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::Read;
using larder_test::can_fork;
using larder_test::in_child;
using larder_test::RedisServer;
using larder_test::Table;

namespace {

template <class Done>
bool soon(Done&& done) {
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!done()) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

}  // namespace

TEST_CASE("parent and child use one server's stores, and both end", "[prefork][redis]") {
    if (!can_fork) {
        return;
    }
    using Store = larder::RedisStore<int, int>;
    const RedisServer server;
    Table<> table;
    for (int key = 0; key < 40; ++key) {
        table.set(key, key);
    }
    std::atomic<bool> closed{false};
    std::atomic<int> within{0};
    table.hooks.after_load = [&](int) {
        ++within;
        soon([&] { return !closed.load(); });
        --within;
    };
    struct All {
        larder::redis::Client redis;
        Store store;
        larder::Tagged<larder::RefreshAhead<Store, std::reference_wrapper<Table<>>>> ahead;
        larder::WriteThrough<Store, std::reference_wrapper<Table<>>> through;
    };
    std::optional<All> all;
    {
        const larder::redis::Client redis{server.unix_url()};
        const Store store{redis, "ahead"};
        const Store other{redis, "through"};
        all.emplace(All{
            redis,
            store,
            {{store, std::ref(table), {.ttl = 10s, .grace = 10s, .wait = 50ms}},
             [](int) { return larder::Tags{"t"}; }},
            {other, std::ref(table), {.wait = 50ms, .executor = larder::Executor::threads(1)}}});
    }
    const auto use = [&](int from) -> const char* {
        const Read timed{.timeout = 20s};
        for (int key = from; key < from + 4; ++key) {
            if (all->ahead.get(key).value_or(0) % 100 != key ||
                all->ahead.get(key, timed).value_or(0) % 100 != key) {
                return "a read";
            }
            all->through.put(key, 100 + key);
            if (all->through.get(key) != 100 + key || all->through.get(key, timed) != 100 + key) {
                return "a read of what was written";
            }
        }
        if (all->ahead.refresh(from) != 100 + from ||
            all->ahead.get_many({from, from + 1, from + 5}).size() != 3) {
            return "a refresh, or many keys";
        }
        (void)all->ahead.warm({from + 6, from + 7});
        all->ahead.invalidate_tag("t");
        all->through.writing(from).commit();
        all->through.invalidate(from);
        return nullptr;
    };
    CHECK(use(0) == nullptr);

    closed = true;
    std::vector<std::thread> threads;
    const auto go = [&](auto call) { threads.emplace_back(call); };
    go([&] { (void)all->ahead.get(20); });
    go([&] { (void)all->ahead.get(21, Read{.timeout = 25s}); });
    go([&] { (void)all->through.get(22, Read{.timeout = 25s}); });
    CHECK(soon([&] { return within == 3; }));
    go([&] { (void)all->ahead.get(20); });                          // waits for that
    go([&] { (void)all->through.get(23, Read{.timeout = 25s}); });  // waits for a thread
    CHECK(soon([&] {
        return larder::detail::Inspect::in_hand(all->through).loads >= 1 &&
               all->ahead.stats().joined > 0;
    }));

    CHECK(in_child([&]() -> const char* {
              closed = false;
              // The parent's leases are foreign here: they are waited for, and loaded past.
              for (const int from : {0, 4, 20}) {
                  if (const char* const why = use(from)) {
                      return why;
                  }
              }
              all.reset();
              return nullptr;
          }) == 0);

    closed = false;
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(use(0) == nullptr);
    CHECK(use(20) == nullptr);
    all.reset();
}
