// SPDX-License-Identifier: MIT

// What loaders, listeners, observers, executors and callers may do, and mostly should not: nobody
// waits for ever, nothing recurses without end, nothing is left in hand. Has threads: std::jthread.

#include "support/catch.hpp"
#include "support/failing_new.hpp"
#include "support/flaky_store.hpp"
#include "support/manual_executor.hpp"
#include "support/table.hpp"
#include "support/watchdog.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Errc;
using larder::Read;
using larder_test::Failing;
using larder_test::Fault;
using larder_test::Table;
using larder_test::Watchdog;

namespace {

using Store = larder::MemoryStore<int, int, larder::ManualClock>;

template <class P>
bool nothing_in_hand(const P& policy) {
    const auto graph = larder::detail::WaitGraph::count();
    return larder::detail::Inspect::in_hand(policy) == larder::detail::PolicyInHand{} &&
           graph.carried == 0 && graph.waits == 0;
}

// Waits for what another thread is about to do.
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

template <class F>
std::error_code refusal(F&& call) {
    try {
        call();
    } catch (const larder::Error& error) {
        return error.code();
    }
    return {};
}

}  // namespace

TEST_CASE("a pool without memory refuses, or runs what it has taken", "[odd][executor]") {
    const Watchdog dog{30s};
    for (const auto times : {Failing::Times::once, Failing::Times::from_then_on}) {
        for (int nth = 1, hit = 1; hit != 0; ++nth) {
            std::atomic<int> ran{0};
            int taken = 0;
            {
                const auto executor = larder::Executor::threads(8);
                const std::vector<larder::Task> tasks(6, [&ran] { ++ran; });
                {
                    const Failing failing{Fault::allocation, nth, times};
                    for (const larder::Task& task : tasks) {
                        try {
                            taken += executor.submit(task) ? 1 : 0;
                        } catch (const std::bad_alloc&) {}  // the copy of the task
                    }
                    hit = failing.hit() ? 1 : 0;
                }
                CHECK(soon([&] { return ran == taken; }));
            }
            CHECK(ran == taken);
            REQUIRE(nth < 200);
        }
    }
}

TEST_CASE("an observer that calls the policy is not told of that", "[odd][observer]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "an observer calls the policy"};
    const larder_test::FlakyStore plain;
    const auto table = std::make_shared<Table<>>();
    std::function<void(int)> react = [](int) {};
    int told = 0;
    larder::CacheAside policy{
        larder::Coordinated{plain},
        std::ref(*table),
        {.ttl = 10s, .ticket = 1s, .observer = [&](const larder::Event& event) {
             ++told;
             if (!event.key.empty()) {
                 react(std::stoi(event.key));
             }
         }}};
    react = [&](int key) {
        (void)policy.get(key);
        (void)policy.get_many({key, key + 1});
        (void)policy.refresh(key);
        policy.put(key, 1);
        policy.remove(key);
        (void)policy.warm({key});
    };
    plain.down(true);
    (void)policy.get(1);
    CHECK(told > 0);
    CHECK(told < 10);
    (void)policy.refresh(1);
    policy.put(1, 2);
    plain.down(false);
    larder::ManualClock{plain.clock()}.advance(2s);
    CHECK(soon([&] {
        (void)policy.get(1);
        return policy.stats().queued_invalidations == 0;
    }));
    policy.put(1, 3);
    CHECK(policy.get(1) == 3);
    CHECK(nothing_in_hand(policy));
}

TEST_CASE("an observer that reads another key is not told of that", "[odd][observer]") {
    larder::ManualClock clock;
    bool fails = false;
    std::vector<std::string> told;
    std::function<void()> react = [] {};
    const auto load = [&](int key) {
        if (fails) {
            throw std::runtime_error{"down"};
        }
        return key;
    };
    const larder::CacheAside policy{
        Store{{}, clock},
        load,
        {.ttl = 10s, .grace = 10s, .observer = [&](const larder::Event& event) {
             told.push_back(event.key);
             react();
         }}};
    (void)policy.get_many({1, 2});
    clock.advance(12s);
    fails = true;
    react = [&] { CHECK(policy.get(2) == 2); };
    CHECK(policy.get(1) == 1);
    CHECK(told == std::vector<std::string>{"1"});
    react = [] {};
    clock.advance(2s);
    CHECK(policy.get(2) == 2);
    CHECK(told == std::vector<std::string>{"1", "2"});
}

TEST_CASE("two policies whose observers read each other's keys come to an end", "[odd][observer]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "observers of two policies"};
    const larder_test::FlakyStore plain;
    const auto load = [](int key) { return key; };
    std::function<void(int)> read_a = [](int) {};
    std::function<void(int)> read_b = [](int) {};
    int told = 0;
    const auto observer = [&told](std::function<void(int)>& read) {
        return [&](const larder::Event& event) {
            ++told;
            read(std::stoi(event.key));
        };
    };
    const larder::CacheAside a{plain, load, {.observer = observer(read_b)}};
    const larder::CacheAside b{plain, load, {.observer = observer(read_a)}};
    read_a = [&](int key) { (void)a.get(key); };
    read_b = [&](int key) { (void)b.get(key); };
    plain.down(true);
    CHECK(a.get(1) == 1);
    CHECK(told == 2);
}

TEST_CASE("a listener that calls every verb comes to an end", "[odd][listener]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "a listener calls every verb"};
    std::function<void(int)> removed = [](int) {};
    larder::MemoryStoreOptions<int, int> options;
    options.capacity = 2;
    options.shards = 1;
    options.on_removal = [&](int key, int, larder::RemovalCause) { removed(key); };
    larder::ManualClock clock;
    Store store{options, clock};
    const auto table = std::make_shared<Table<>>();
    larder::WriteThrough policy{store, std::ref(*table), {.ttl = 10s, .grace = 10s}};
    for (int key = 0; key < 8; ++key) {
        table->set(key, key);
    }
    using Call = std::function<void(int)>;
    const std::vector<std::pair<std::string, Call>> calls{
        {"get", [&](int key) { (void)policy.get(key); }},
        {"get in time", [&](int key) { (void)policy.get(key, Read{.timeout = 5s}); }},
        {"get_many",
         [&](int key) {
             (void)policy.get_many({key, key + 1});
         }},
        {"refresh", [&](int key) { (void)policy.refresh(key); }},
        {"warm", [&](int key) { (void)policy.warm({key}); }},
        {"peek", [&](int key) { (void)policy.peek(key); }},
        {"invalidate", [&](int key) { policy.invalidate(key); }},
        {"writing", [&](int key) { policy.writing(key).commit(); }},
    };
    for (const auto& [name, call] : calls) {
        INFO(name);
        removed = call;
        for (int key = 0; key < 4; ++key) {
            (void)policy.get(key);
            (void)policy.get_many({key + 1, key + 2, key + 3});
            policy.put(key, key);
            clock.advance(25s);
        }
        removed = [](int) {};
        CHECK(policy.get(1) == 1);
        CHECK(soon([&] { return nothing_in_hand(policy); }));
    }
}

// The worker waits for 99, whose load waits for that of 1, which waits in the listener.
TEST_CASE("a warm in a listener of a fill waits for no other thread", "[odd][warm]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "a warm in a listener"};
    std::function<void()> removed = [] {};
    larder::MemoryStoreOptions<int, int> options;
    options.capacity = 1;
    options.shards = 1;
    options.on_removal = [&](int, int, larder::RemovalCause) { removed(); };
    using Policy = larder::CacheAside<Store, std::function<int(int)>>;
    std::unique_ptr<Policy> policy;
    std::atomic<int> batches{0};
    std::latch loads_1{1};
    std::latch loads_99{1};
    const auto load = [&](int key) {
        switch (key) {
            case 1:
                loads_1.count_down();
                loads_99.wait();
                CHECK(soon([&] { return policy->stats().joined > 0; }));
                return 1;
            case 99: loads_99.count_down(); return *policy->get(1);
            case 10:
            case 11: ++batches; return *policy->get(99);
            default: return key;
        }
    };
    // A worker that is summoned is at work before the listener goes on.
    std::vector<std::jthread> workers;
    const auto summon = [&](larder::Task task) {
        workers.emplace_back(std::move(task));
        CHECK(soon([&] { return batches > 0; }));
    };
    policy = std::make_unique<Policy>(Store{options}, load,
                                      larder::Options{.executor = larder::Executor{summon}});
    (void)policy->get(5);  // goes when 1 comes
    std::size_t failed = 0;
    removed = [&, called = false]() mutable {
        if (std::exchange(called, true)) {
            return;
        }
        failed = policy->warm({10, 11}, {.batch = 1, .parallel = 2}).failed;
    };
    std::jthread leader{[&] { CHECK(policy->get(1) == 1); }};
    loads_1.wait();
    CHECK(policy->get(99) == 1);
    leader.join();
    CHECK(failed == 2);
    CHECK(nothing_in_hand(*policy));
}

TEST_CASE("a task may wait for what is queued behind it", "[odd][executor]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "a task waits for a load behind it"};
    const auto executor = larder::Executor::threads(1);
    const larder::CacheAside policy{Store{}, [](int key) { return key; }, {.executor = executor}};
    std::promise<std::optional<int>> answer;
    const std::stop_source stop;
    REQUIRE(
        executor.submit([&] { answer.set_value(policy.get(1, Read{.stop = stop.get_token()})); }));
    CHECK(answer.get_future().get() == 1);
}

TEST_CASE("an unknown write of which the store was not told keeps its key with the database",
          "[odd][writing]") {
    const larder_test::FlakyStore plain;
    Table<> table;
    table.set(1, 1);
    larder::CacheAside policy{
        larder::Coordinated{plain}, std::ref(table), {.ttl = 1h, .ticket = 30s}};
    (void)policy.get(1);
    plain.down(true);
    table.hooks.before_commit = [](int, const std::optional<int>&) {
        throw std::runtime_error{"the connection broke"};
    };
    CHECK_THROWS(policy.put(1, 2));
    plain.down(false);
    for (int i = 0; i < 3; ++i) {
        CHECK(policy.get(1) == 1);
        CHECK(policy.stats().queued_invalidations == 1);
    }
    table.set(1, 2);  // it was committed after all
    CHECK(policy.get(1) == 2);
    larder::ManualClock{plain.clock()}.advance(31s);
    CHECK(soon([&] {
        CHECK(policy.get(1) == 2);
        return policy.stats().queued_invalidations == 0;
    }));
    CHECK(nothing_in_hand(policy));
}

TEST_CASE("guards of writes within each other", "[odd][writing]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "nested guards"};
    larder::ManualClock clock;
    const auto table = std::make_shared<Table<>>();
    table->set(1, 1);
    larder::WriteThrough policy{Store{{}, clock}, std::ref(*table), {.ticket = 1s}};
    (void)policy.get(1);
    {
        auto outer = policy.writing(1, 2);
        auto inner = policy.writing(2, 1);
        policy.put(1, 5);
        CHECK(policy.get(1) == 5);
        CHECK(policy.refresh(1) == 5);
        CHECK(policy.get_many({1, 1, 2}).front() == 5);
        (void)policy.warm({1, 2});
        inner.rollback();
        inner.rollback();
        auto moved = std::move(outer);
        moved.commit();
        moved.rollback();
    }
    CHECK(policy.get(1) == 5);
    CHECK(nothing_in_hand(policy));
    std::optional<larder::WriteThrough<Store, std::reference_wrapper<Table<>>>> gone{
        std::in_place, Store{{}, clock}, std::ref(*table), larder::Options{.ticket = 1s}};
    auto outlives = gone->writing(1);
    gone.reset();
    outlives.commit();
}

TEST_CASE("a policy that is moved, replaced or destroyed while loads run", "[odd][lifetime]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "a policy goes while loads run"};
    using Policy = larder::CacheAside<Store, std::function<int(int)>>;
    std::atomic<bool> go{false};
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    const auto slow = [&](int key) {
        ++begun;
        soon([&] { return go.load(); });
        ++ended;
        return key;
    };
    const auto late = [](const Policy& policy, int key) {
        return refusal([&] { (void)policy.get(key, Read{.timeout = 0ms}); });
    };
    Policy first{Store{}, slow};
    {
        const auto read = std::make_shared<std::promise<std::error_code>>();
        std::stop_source leave;
        std::jthread reader{[&] {
            read->set_value(refusal([&] { (void)first.get(1, Read{.stop = leave.get_token()}); }));
        }};
        CHECK(soon([&] { return begun == 1; }));
        leave.request_stop();
        CHECK(read->get_future().get() == Errc::cancelled);
    }
    Policy moved = std::move(first);  // its load goes on
    CHECK(late(moved, 1) == Errc::timed_out);
    std::jthread opens{[&] {
        std::this_thread::sleep_for(1ms);
        go = true;
    }};
    moved = Policy{Store{}, slow};  // waits for what has begun
    CHECK(ended == begun);
    CHECK(moved.get(2) == 2);
    CHECK(nothing_in_hand(moved));
}

TEST_CASE("a loader that destroys, moves and makes other policies", "[odd][lifetime]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "a loader destroys others"};
    using Other = larder::CacheAside<Store, std::function<int(int)>>;
    auto other = std::make_unique<Other>(Store{}, [](int key) { return 10 * key; });
    const larder::CacheAside policy{Store{}, [&](int key) {
                                        Other local{Store{}, [](int k) { return k; }};
                                        if (other) {
                                            (void)other->get(key, Read{.timeout = 5s});
                                            local = std::move(*other);
                                            other.reset();
                                        }
                                        return *local.get(key, Read{.timeout = 5s});
                                    }};
    CHECK(policy.get(1, Read{.timeout = 5s}) == 10);
    CHECK(policy.get(2) == 2);
    CHECK(soon([&] { return nothing_in_hand(policy); }));
}

TEST_CASE("what is thrown need not be an exception", "[odd][errors]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "numbers are thrown"};
    struct Thrower {
        std::shared_ptr<std::atomic<bool>> throws = std::make_shared<std::atomic<bool>>(true);

        void check() const {
            if (*throws) {
                throw 42;
            }
        }
        int load(int key) const {
            check();
            return key;
        }
        void save(int, int) const { check(); }
        void remove(int) const { check(); }
    };
    const Thrower thrower;
    larder::ManualClock clock;
    std::vector<larder::EventKind> told;
    larder::MemoryStoreOptions<int, int> options;
    options.on_removal = [](int, int, larder::RemovalCause) { throw 42; };
    larder::Tagged policy{
        larder::RefreshAhead{Store{options, clock},
                             thrower,
                             {.ttl = 10s,
                              .grace = 10s,
                              .ticket = 1s,
                              .executor = larder::Executor{[](const larder::Task& task) {
                                  task();
                                  throw 42;
                              }},
                              .observer =
                                  [&](const larder::Event& event) {
                                      told.push_back(event.kind);
                                      throw 42;
                                  }}},
        [thrower](int) {
            thrower.check();
            return larder::Tags{"t"};
        }};
    const std::vector<std::function<void()>> calls{
        [&] { (void)policy.get(1); },
        [&] { (void)policy.get(1, Read{.timeout = 5s}); },
        [&] { (void)policy.get(1, [](int) -> int { throw 42; }); },
        [&] {
            (void)policy.get_many({1, 2});
        },
        [&] { (void)policy.refresh(1); },
        [&] { (void)policy.fetch(1, Read{.timeout = 5s, .from = larder::From::source}); },
        [&] { policy.put(1, 1); },
        [&] { policy.remove(1); },
    };
    for (const auto& call : calls) {
        int caught = 0;
        try {
            call();
        } catch (int number) {
            caught = number;
        }
        CHECK(caught == 42);
    }
    CHECK(policy.warm({3, 4}).failed == 2);
    CHECK_THROWS_AS(policy.put_many({{1, 1}, {2, 2}}), larder::PartialWrite<int>);
    clock.advance(2s);
    CHECK(nothing_in_hand(policy));
    *thrower.throws = false;
    CHECK(policy.get(1) == 1);
    *thrower.throws = true;
    clock.advance(9s);
    CHECK(policy.get(1) == 1);  // a reload in the background fails
    CHECK(told.back() == larder::EventKind::refresh_failed);
    clock.advance(2s);
    CHECK(policy.get(1) == 1);  // the stale copy
    CHECK(nothing_in_hand(policy));
}

TEST_CASE("deadlines at their ends, and stops before the call", "[odd][time]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "deadlines at their ends"};
    std::atomic<bool> go{true};
    const auto load = [&](int key) {
        soon([&] { return go.load(); });
        return key;
    };
    const larder::CacheAside policy{Store{}, load};
    CHECK(policy.get(1, Read{.timeout = (larder::Ttl::max)()}) == 1);
    CHECK(policy.refresh(1) == 1);
    CHECK(policy.fetch(1, Read{.timeout = (larder::Ttl::max)(), .from = larder::From::source})
              .value == 1);
    go = false;
    std::stop_source stop;
    stop.request_stop();
    int key = 2;
    for (const larder::From from : {larder::From::any, larder::From::source}) {
        for (const larder::Ttl timeout : {larder::Ttl{0}, larder::Ttl{-1}, (larder::Ttl::min)()}) {
            const Read how{.timeout = timeout, .from = from};
            CHECK(refusal([&] { (void)policy.get(++key, how); }) == Errc::timed_out);
            CHECK(refusal([&] { (void)policy.get(++key, larder::detached(load), how); }) ==
                  Errc::timed_out);
        }
        const Read how{.stop = stop.get_token(), .from = from};
        CHECK(refusal([&] { (void)policy.get(++key, how); }) == Errc::cancelled);
        CHECK(policy.get(1, Read{.timeout = 0ms}) == 1);  // a hit waits for nothing
    }
    go = true;
    CHECK(soon([&] { return nothing_in_hand(policy); }));
}

TEST_CASE("a lent load, too, waits for others no longer than it may", "[odd][time]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "a lent reload"};
    std::atomic<bool> go{false};
    std::atomic<bool> begun{false};
    Store store;
    const larder::CacheAside policy{store, [&](int key) {
                                        begun = true;
                                        soon([&] { return go.load(); });
                                        return key;
                                    }};
    const auto ticket = store.begin_write(1, 30s);
    std::jthread slow{[&] { CHECK(policy.get(1) == 1); }};
    CHECK(soon([&] { return begun.load(); }));
    const auto lent = [](int key) { return key; };
    for (const larder::From from : {larder::From::any, larder::From::source}) {
        CHECK(refusal([&] { (void)policy.get(1, lent, Read{.timeout = 5ms, .from = from}); }) ==
              Errc::timed_out);
    }
    go = true;
    slow.join();
    store.finish_write(1, ticket, larder::detail::Finish::nothing, {}, {});
    CHECK(nothing_in_hand(policy));
}

TEST_CASE("verbs within loads, tags and writes", "[odd][nested]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "verbs within each other"};
    struct Database {
        std::function<void(int)> within = [](int) {};
        std::map<int, int> rows{};

        std::optional<int> load(int key) {
            within(key);
            return rows[key];
        }
        void save(int key, int value) {
            within(key);
            rows[key] = value;
        }
        void remove(int key) {
            within(key);
            rows.erase(key);
        }
    };
    Database db;
    std::function<void(int)> tagging = [](int) {};
    larder::Tagged policy{larder::WriteThrough{Store{}, std::ref(db), {.ticket = 1s}},
                          [&](int key, int) {
                              tagging(key);
                              return larder::Tags{"t"};
                          }};
    bool busy = false;  // a database that calls the cache does so once
    const auto once = [&busy](auto call) {
        return [&busy, call](int key) {
            if (!busy) {
                busy = true;
                call(key);
                busy = false;
            }
        };
    };
    const std::vector<std::function<void(int)>> calls{
        once([&](int key) { (void)policy.get(key + 1); }),
        once([&](int key) {
            (void)policy.get_many({key + 1, key + 2, key + 1});
        }),
        once([&](int key) { (void)policy.refresh(key + 1); }),
        once([&](int key) {
            (void)policy.warm({key, key + 1}, {.batch = 1});
        }),
        once([&](int key) { policy.put(key, 7); }),
        once([&](int key) {
            policy.put_many({{key, 7}, {key + 1, 7}});
        }),
        once([&](int key) { policy.invalidate(key); }),
        once([&](int key) {
            policy.invalidate_all();
            policy.invalidate(key);
        }),
        once([&](int key) { policy.writing(key, key + 1).commit(); }),
    };
    int key = 0;
    for (const auto& call : calls) {
        for (auto* const place : {&db.within, &tagging}) {
            *place = call;
            key += 10;
            (void)policy.get(key);
            (void)policy.get(key + 3, Read{.timeout = 5s});
            (void)policy.get_many({key, key + 1, key + 5});
            (void)policy.refresh(key);
            (void)policy.warm({key + 6, key + 7});
            policy.put(key, 1);
            *place = [](int) {};
            CHECK(policy.get(key) == db.rows[key]);
        }
    }
    CHECK(soon([&] { return nothing_in_hand(policy); }));
}

TEST_CASE("what an executor refuses of many keys is loaded here, and kept", "[odd][executor]") {
    larder::ManualClock clock;
    int loads = 0;
    const larder::CacheAside policy{
        Store{{}, clock},
        [&](int) { return ++loads; },
        {.ttl = 10s,
         .grace = 10s,
         .load_timeout = 0ms,
         .executor = larder::Executor{[](const larder::Task&) { return false; }}}};
    (void)policy.get(1);
    clock.advance(12s);
    CHECK(policy.get_many({1}).front() == 2);
    CHECK(policy.peek(1) == 2);
    CHECK(nothing_in_hand(policy));
}

TEST_CASE("a refresh that finds nothing to do leaves the key to the next", "[odd][refresh]") {
    larder::ManualClock clock;
    larder_test::ManualExecutor executor;
    int loads = 0;
    const larder::RefreshAhead policy{Store{{}, clock},
                                      [&](int) { return ++loads; },
                                      {.ttl = 10s, .executor = executor.handle()}};
    (void)policy.get(1);
    clock.advance(9s);
    CHECK(policy.get(1) == 1);
    REQUIRE(executor.pending() == 1);
    CHECK(policy.refresh(1) == 2);
    executor.run_all();
    CHECK(loads == 2);
    CHECK(nothing_in_hand(policy));
    clock.advance(9s);
    CHECK(policy.get(1) == 2);
    REQUIRE(executor.pending() == 1);
    executor.run_all();
    CHECK(policy.get(1) == 3);
}

TEST_CASE("a refresh that another has overtaken leaves no older copy", "[odd][refresh]") {
    Watchdog dog{30s};
    const Watchdog::Step step{dog, "a refresh that is overtaken"};
    std::atomic<int> loads{0};
    std::atomic<bool> first_may{false};
    std::atomic<bool> second_may{false};
    const larder::CacheAside policy{Store{}, [&](int) {
                                        const int mine = ++loads;
                                        soon([&] {
                                            return mine == 1 || (mine == 2 && first_may) ||
                                                   (mine == 3 && second_may);
                                        });
                                        return mine;
                                    }};
    (void)policy.get(1);
    std::jthread first{[&] { CHECK(policy.refresh(1) == 2); }};
    CHECK(soon([&] { return loads == 2; }));
    std::jthread second{[&] { CHECK(policy.refresh(1) == 3); }};
    CHECK(soon([&] { return loads == 3; }));
    CHECK(policy.peek(1) == 1);
    first_may = true;
    first.join();
    CHECK_FALSE(policy.peek(1));
    second_may = true;
    second.join();
    CHECK_FALSE(
        policy.peek(1));  // its lease went with the first's end: it may have loaded before that
    CHECK(nothing_in_hand(policy));
}

TEST_CASE("refreshes for which there is no place take no room", "[odd][refresh]") {
    larder::detail::SingleFlight<int> loads;
    const auto now = std::chrono::steady_clock::now();
    auto place = loads.begin_refresh(0, 1, now, now + 1s);
    REQUIRE(place);
    for (int key = 0; key < 100; ++key) {
        CHECK_FALSE(loads.begin_refresh(key, 1, now, now + 1s));
    }
    CHECK(loads.size() == 1);
    CHECK(loads.refreshing() == 1);
    place->begin();
    place.reset();
    loads.tidy(0);
    CHECK(loads.size() == 0);
    CHECK(loads.refreshing() == 0);
}
