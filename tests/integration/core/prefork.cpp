// SPDX-License-Identifier: MIT

// A process that uses everything forks while its threads load, wait and refresh: parent and child go
// on to use everything, and both end.

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/flaky_store.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Read;
using larder_test::can_fork;
using larder_test::in_child;
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

// A loader that holds its threads in a load while `closed`.
struct Gate {
    std::atomic<bool> closed{false};
    std::atomic<int> within{0};

    int operator()(int key) {
        ++within;
        soon([&] { return !closed.load(); });
        --within;
        return key;
    }
};

// A number whose hash can hold its thread, and whatever lock is held meanwhile.
struct Sticky {
    int number = 0;

    friend bool operator==(Sticky, Sticky) = default;
};
std::atomic<int> hashes_until_stuck{-1};
std::atomic<bool> stuck{false};
std::atomic<bool> unstick{false};

struct SteadyHash {
    std::size_t operator()(Sticky key) const noexcept {
        return static_cast<std::size_t>(key.number) * 0x9e3779b97f4a7c15U;
    }
};

}  // namespace

template <>
struct std::hash<Sticky> {
    std::size_t operator()(Sticky key) const {
        if (hashes_until_stuck >= 0 && hashes_until_stuck-- == 0) {
            stuck = true;
            soon([] { return unstick.load(); });
        }
        return SteadyHash{}(key);
    }
};

TEST_CASE("parent and child use everything, and both end", "[prefork]") {
    if (!can_fork) {
        return;
    }
    using Store = larder::MemoryStore<int, int, larder::ManualClock>;
    using Loader = std::reference_wrapper<Gate>;
    Gate gate;
    larder::ManualClock clock;
    const larder_test::FlakyStore plain;
    Table<> table;
    for (int key = 0; key < 20; ++key) {
        table.set(key, key);
    }
    struct All {
        larder::Tagged<larder::RefreshAhead<Store, Loader>> ahead;
        larder::CacheAside<Store, Loader> narrow;  // one thread
        larder::WriteThrough<larder::Coordinated<larder_test::FlakyStore>,
                             std::reference_wrapper<Table<>>>
            through;
    };
    auto all = std::make_unique<All>(All{
        {{Store{{}, clock}, std::ref(gate), {.ttl = 100s, .grace = 100s, .refresh_concurrency = 2}},
         [](int) { return larder::Tags{"t"}; }},
        {Store{{}, clock}, std::ref(gate), {.executor = larder::Executor::threads(1)}},
        {larder::Coordinated{plain}, std::ref(table), {.ticket = 1s}}});
    // What parent and child do in the end.
    const auto use = [&](int from) -> const char* {
        const Read timed{.timeout = 20s};
        for (int key = from; key < from + 6; ++key) {
            if (all->ahead.get(key) != key || all->ahead.get(key, timed) != key ||
                all->narrow.get(key, timed) != key || all->narrow.get(key) != key) {
                return "a read";
            }
            all->through.put(key, 100 + key);
            if (all->through.get(key) != 100 + key || all->through.get(key, timed) != 100 + key) {
                return "a read of what was written";
            }
        }
        if (all->ahead.refresh(from) != from || all->ahead.get_many({from, from + 1}).size() != 2 ||
            all->ahead.warm({from + 6, from + 7}, {.batch = 1}).filled != 2) {
            return "a refresh, many keys or a warm";
        }
        all->ahead.invalidate_tag("t");
        all->ahead.invalidate_all();
        all->through.writing(from).commit();
        all->through.invalidate(from);
        // Refreshes in the background have their places.
        for (int key = from; key < from + 2; ++key) {
            (void)all->ahead.get(key);
        }
        clock.advance(90s);
        const auto before = all->ahead.stats().refreshes;
        for (int key = from; key < from + 2; ++key) {
            (void)all->ahead.get(key);
        }
        if (!soon([&] { return all->ahead.stats().refreshes == before + 2; })) {
            return "a refresh in the background";
        }
        return nullptr;
    };
    CHECK(use(0) == nullptr);
    CHECK(soon([&] {
        return larder::detail::Inspect::in_hand(all->ahead) == larder::detail::PolicyInHand{};
    }));

    gate.closed = true;
    std::vector<std::thread> threads;
    const auto go = [&](auto call) { threads.emplace_back(call); };
    go([&] { (void)all->ahead.get(2); });
    CHECK(soon([&] { return gate.within == 1; }));
    go([&] { (void)all->ahead.get(2); });                        // waits for that
    go([&] { (void)all->ahead.get(3, Read{.timeout = 25s}); });  // on the pool
    go([&] { (void)all->narrow.get(10, Read{.timeout = 25s}); });
    CHECK(soon([&] { return gate.within == 3; }));
    go([&] { (void)all->narrow.get(11, Read{.timeout = 25s}); });  // waits for a thread
    go([&] { (void)all->ahead.warm({12, 13}, {.batch = 1}); });
    go([&] { (void)all->ahead.get_many({14, 15}); });
    CHECK(soon([&] {
        return gate.within == 6 && larder::detail::Inspect::in_hand(all->narrow).loads >= 1;
    }));

    CHECK(in_child([&]() -> const char* {
              gate.closed = false;
              for (const int from : {0, 2, 10}) {
                  if (const char* const why = use(from)) {
                      return why;
                  }
              }
              // And a child of its own.
              if (in_child([&] {
                      const char* const why = use(2);
                      all.reset();
                      return why;
                  }) != 0) {
                  return "its child";
              }
              all.reset();
              return nullptr;
          }) == 0);

    gate.closed = false;
    for (std::thread& thread : threads) {
        thread.join();
    }
    CHECK(use(0) == nullptr);
    all.reset();
}

TEST_CASE("a child finds its places among the refreshes free", "[prefork]") {
    if (!can_fork) {
        return;
    }
    Gate gate;
    larder::ManualClock clock;
    using Store = larder::MemoryStore<int, int, larder::ManualClock>;
    std::optional ahead{larder::RefreshAhead{
        Store{{}, clock}, std::ref(gate), {.ttl = 10s, .refresh_concurrency = 1}}};
    (void)ahead->get_many({1, 2});
    clock.advance(9s);
    gate.closed = true;
    (void)ahead->get(1);
    CHECK(soon([&] { return gate.within == 1; }));
    CHECK(in_child([&]() -> const char* {
              gate.closed = false;
              (void)ahead->get(2);
              if (!soon([&] { return ahead->fetch(2).remaining > 5s; })) {
                  return "no refresh";
              }
              ahead.reset();
              return nullptr;
          }) == 0);
    gate.closed = false;
    CHECK(soon([&] { return ahead->fetch(1).remaining > 5s; }));
}

// Another thread's call holds a lock of the policy's table when the process forks.
TEST_CASE("what the parent's calls have locked, a child does not wait for", "[prefork]") {
    if (!can_fork) {
        return;
    }
    using Store = larder::MemoryStore<Sticky, int, larder::SteadyClock, SteadyHash>;
    std::optional policy{larder::CacheAside{Store{}, [](Sticky key) { return key.number; }, {}}};
    CHECK(policy->get(Sticky{1}, Read{.timeout = 20s}) == 1);
    hashes_until_stuck = 1;  // the first finds the lock, the second is under it
    std::thread other{[&] { (void)policy->get(Sticky{2}, Read{.timeout = 20s}); }};
    CHECK(soon([] { return stuck.load(); }));
    CHECK(in_child([&]() -> const char* {
              if (policy->get(Sticky{2}, Read{.timeout = 20s}) != 2) {
                  return "a read";
              }
              policy.reset();
              return nullptr;
          }) == 0);
    unstick = true;
    other.join();
    CHECK(policy->get(Sticky{2}) == 2);
}

TEST_CASE("a loader that forks", "[prefork]") {
    if (!can_fork) {
        return;
    }
    using Policy = larder::CacheAside<larder::MemoryStore<int, int>, std::function<int(int)>>;
    std::optional<Policy> policy;
    int child = -2;
    bool forked = false;
    policy.emplace(larder::MemoryStore<int, int>{}, [&](int key) {
        if (!std::exchange(forked, true)) {
            child = in_child([&]() -> const char* {
                if (policy->get(key + 1, Read{.timeout = 20s}) != key + 1 ||
                    policy->get(key + 2) != key + 2) {
                    return "a read within the load";
                }
                return nullptr;
            });
        }
        return key;
    });
    CHECK(policy->get(1) == 1);
    CHECK(child == 0);
    forked = false;
    CHECK(policy->get(10, Read{.timeout = 20s}) == 10);  // from a thread of the pool
    CHECK(child == 0);
}
