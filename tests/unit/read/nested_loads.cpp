// SPDX-License-Identifier: MIT

// Loads within loads: a chain is carried out, however few threads there are; what asks for itself is
// refused; what only seems to is loaded past.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/manual_executor.hpp"
#include "support/plain_store.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::Executor;
using larder::From;
using larder::Read;
using larder::Tags;
using larder_test::caught;

namespace {

using Store = larder::MemoryStore<int, int>;
using Loader = std::function<int(int)>;

// The answer of a call that must not hang.
template <class F>
auto in_time(F&& f) {
    std::packaged_task<std::invoke_result_t<F>()> task{std::forward<F>(f)};
    auto result = task.get_future();
    std::thread{std::move(task)}.detach();
    if (result.wait_for(60s) != std::future_status::ready) {
        FAIL("it hangs");
    }
    return result.get();
}

// Threads let go of what they had in hand a moment after they have told who waits.
bool nothing_in_hand() {
    const auto until = std::chrono::steady_clock::now() + 30s;
    while (larder::detail::WaitGraph::count().carried != 0) {
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

struct Batch {
    std::function<int(int)> one{};
    std::function<std::vector<int>(std::span<const int>)> many{};
    int load(int key) const { return one(key); }
    std::vector<int> load_many(std::span<const int> keys) const { return many(keys); }
};

}  // namespace

// Rule S12.
TEST_CASE("a chain of timed loads is longer than the executor has threads", "[nested]") {
    const std::size_t threads = GENERATE(1U, 2U, 16U);
    CAPTURE(threads);
    Store store;
    Loader parent;
    CacheAside depth{store,
                     Loader{[&](int key) { return parent(key); }},
                     {.executor = Executor::threads(threads)}};
    parent = [&](int key) { return key == 0 ? 0 : *depth.get(key - 1, Read{.timeout = 50s}) + 1; };
    CHECK(in_time([&] { return depth.get(40, Read{.timeout = 50s}); }) == 40);
    CHECK(depth.stats().loads == 41);
}

TEST_CASE("loads of two policies that wait for each other's do not use the threads up",
          "[nested]") {
    Store products;
    Store orders;
    const Executor shared = Executor::threads(2);
    CacheAside product{products, [](int key) { return key; }, {.executor = shared}};
    CacheAside order{orders,
                     [&](int key) { return *product.get(key, Read{.timeout = 50s}); },
                     {.executor = shared}};
    std::vector<std::future<std::optional<int>>> all;
    for (int key = 0; key < 16; ++key) {
        all.push_back(std::async(std::launch::async,
                                 [&, key] { return order.get(key, Read{.timeout = 50s}); }));
    }
    for (int key = 0; key < 16; ++key) {
        REQUIRE(all[static_cast<std::size_t>(key)].wait_for(60s) == std::future_status::ready);
        CHECK(all[static_cast<std::size_t>(key)].get() == key);
    }
}

TEST_CASE("a load that asks for its own key is refused, by whatever verb", "[nested]") {
    Store store;
    Loader again;
    CacheAside cache{store, Loader{[&](int key) { return again(key); }}};
    const auto reads = [&](const std::string& verb) -> Loader {
        if (verb == "get") {
            return [&](int key) { return *cache.get(key); };
        }
        if (verb == "timed get") {
            return [&](int key) { return *cache.get(key, Read{.timeout = 50s}); };
        }
        if (verb == "get by a loader of its own") {
            return [&](int key) { return *cache.get(key, [&](int k) { return again(k); }); };
        }
        if (verb == "refresh") {
            return [&](int key) { return *cache.refresh(key); };
        }
        if (verb == "timed refresh") {
            return [&](int key) {
                return *cache.get(key, Read{.timeout = 50s, .from = From::source});
            };
        }
        if (verb == "get_many") {
            return [&](int key) { return *cache.get_many({key, key + 1})[0]; };
        }
        return [&](int key) {  // whose invalidation lets go of the lease
            cache.invalidate(key);
            return *cache.get(key);
        };
    };
    const auto verb = GENERATE(as<std::string>{}, "get", "timed get", "get by a loader of its own",
                               "refresh", "timed refresh", "get_many", "invalidate and get");
    const bool writing = GENERATE(false, true);
    CAPTURE(verb, writing);
    again = reads(verb);
    std::optional<decltype(cache.writing(1))> write;
    if (writing) {
        write.emplace(cache.writing(1, 2));
    }
    const auto call = GENERATE(0, 1, 2, 3);
    CAPTURE(call);
    CHECK(in_time([&] {
              return caught([&] {
                  switch (call) {
                      case 0: (void)cache.get(1); break;
                      case 1: (void)cache.get(1, Read{.timeout = 50s}); break;
                      case 2: (void)cache.refresh(1); break;
                      default: (void)cache.get_many({1}); break;
                  }
              });
          }) == Errc::recursive_load);
    again = [](int key) { return key; };
    CHECK(cache.get(1) == 1);
    write.reset();
    CHECK(nothing_in_hand());
}

TEST_CASE("a loader of many that asks for its own keys is refused", "[nested]") {
    Store store;
    Batch batch;
    batch.one = [](int key) { return key; };
    CacheAside cache{store, std::ref(batch)};
    const bool writing = GENERATE(false, true);
    const bool many = GENERATE(false, true);
    CAPTURE(writing, many);
    batch.many = [&](std::span<const int> keys) {
        if (many) {
            (void)cache.get_many(keys);
        } else {
            (void)cache.get(keys.front());
        }
        return std::vector<int>(keys.size());
    };
    std::optional<decltype(cache.writing(1))> write;
    if (writing) {
        write.emplace(cache.writing(1));
    }
    CHECK(in_time([&] {
              return caught([&] { (void)cache.get_many({1, 2}); });
          }) == Errc::recursive_load);
}

TEST_CASE("within a batch a key may be loaded for the sake of another", "[nested]") {
    Store store;
    Loader rows;
    CacheAside cache{store, Loader{[&](int key) { return rows(key); }}};
    rows = [&](int key) { return key == 1 ? *cache.get(3) + *cache.get(2) : key; };
    const bool writing = GENERATE(false, true);
    CAPTURE(writing);
    std::optional<decltype(cache.writing(1))> write;
    if (writing) {
        write.emplace(cache.writing(1, 3));
    }
    CHECK(in_time([&] {
              return cache.get_many({1, 2, 3});
          }) == std::vector<std::optional<int>>{5, 2, 3});
}

TEST_CASE("batches that each read a key of the other's are loaded past each other", "[nested]") {
    Store store;
    Batch table;
    std::latch both{2};
    std::function<int(int)> read;
    table.one = [](int key) { return key; };
    table.many = [&](std::span<const int> keys) {
        both.arrive_and_wait();
        std::vector<int> rows;
        for (const int key : keys) {
            rows.push_back(key == 1 ? read(4) : key == 2 ? read(3) : key);
        }
        return rows;
    };
    CacheAside cache{store, std::ref(table)};
    read = [&](int key) { return *cache.get(key); };
    auto a = std::async(std::launch::async, [&] { return cache.get_many({1, 3}); });
    auto b = std::async(std::launch::async, [&] { return cache.get_many({2, 4}); });
    REQUIRE(a.wait_for(60s) == std::future_status::ready);
    REQUIRE(b.wait_for(60s) == std::future_status::ready);
    CHECK(a.get() == std::vector<std::optional<int>>{4, 3});
    CHECK(b.get() == std::vector<std::optional<int>>{3, 4});
}

TEST_CASE("two loads that wait for each other's keys are refused, in batches too", "[nested]") {
    const bool batches = GENERATE(false, true);
    CAPTURE(batches);
    Store store;
    std::latch both{2};
    std::atomic<int> begun{0};
    Loader rows;
    CacheAside cache{store, Loader{[&](int key) { return rows(key); }}};
    rows = [&](int key) {
        if (++begun <= 2) {
            both.arrive_and_wait();
        }
        return *cache.get(3 - key) + 1;
    };
    const auto ask = [&](int key) {
        return std::async(std::launch::async, [&, key] {
            return caught([&] {
                if (batches) {
                    (void)cache.get_many({key});
                } else {
                    (void)cache.get(key);
                }
            });
        });
    };
    auto a = ask(1);
    auto b = ask(2);
    REQUIRE(a.wait_for(60s) == std::future_status::ready);
    REQUIRE(b.wait_for(60s) == std::future_status::ready);
    CHECK(a.get() == Errc::recursive_load);
    CHECK(b.get() == Errc::recursive_load);
}

TEST_CASE("a function of tags that reads the key that it tags is refused", "[nested]") {
    Store store;
    std::function<Tags(int, int)> tags;
    larder::Tagged cache{CacheAside{store, [](int key) { return key; }},
                         [&](int key, int value) { return tags(key, value); }};
    tags = [&](int key, int) { return Tags{std::to_string(*cache.get(key))}; };
    CHECK(in_time([&] { return caught([&] { (void)cache.get(1); }); }) == Errc::recursive_load);
    CHECK(in_time([&] { return caught([&] { (void)cache.get_many({1}); }); }) ==
          Errc::recursive_load);
    tags = [&](int key, int) {  // another key of the same batch
        return key == 1 ? Tags{std::to_string(*cache.get(2))} : Tags{};
    };
    CHECK(in_time([&] { return cache.get_many({1, 2}); }) == std::vector<std::optional<int>>{1, 2});
}

TEST_CASE("a listener that reads the key that has expired gets an answer", "[nested]") {
    larder::ManualClock clock;
    std::function<void(int)> listen;
    larder::MemoryStore<int, int, larder::ManualClock> store{
        {.on_removal = [&](int key, int, larder::RemovalCause) { listen(key); }}, clock};
    CacheAside cache{store, [](int key) { return key; }, {.ttl = 10s}};
    listen = [](int) {};
    (void)cache.get(1);
    clock.advance(11s);
    std::optional<Errc> error;
    listen = [&](int key) { error = caught([&] { (void)cache.get(key); }); };
    CHECK(in_time([&] { return cache.get(1); }) == 1);
    CHECK(error == Errc::recursive_load);
}
