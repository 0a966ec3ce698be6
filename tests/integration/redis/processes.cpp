// SPDX-License-Identifier: MIT

// Policies in two processes that share a Redis: who loads, who waits, and who is told of a write.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/manual_executor.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"
#include "support/stop.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::RefreshAhead;
using larder::Source;
using larder::WriteThrough;
using larder_test::caught;
using larder_test::caught_text;
using larder_test::ManualExecutor;
using larder_test::pass_time;
using larder_test::RedisServer;
using larder_test::Refused;
using larder_test::Stop;
using larder_test::until;
using Values = std::vector<std::optional<int>>;

namespace {

const RedisServer& server() {
    static const RedisServer one;
    return one;
}

struct Pair : larder_test::RedisPair {
    explicit Pair(larder::RedisStoreOptions options = {})
        : RedisPair{(server().run("FLUSHALL"), server()), options} {}
};

template <class F>
auto soon(F&& f) {
    return std::async(std::launch::async, std::forward<F>(f));
}

}  // namespace

// ---- one load a key ----

TEST_CASE("a key that loads elsewhere is waited for", "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    auto mine = soon([&] { return here.fetch(1); });
    loaded.wait_until_reached();

    constexpr int threads = 8;
    const auto trips = [&] { return w.there.client().stats().round_trips; };
    std::vector<std::future<larder::Fetched<int>>> waiting;
    for (int i = 0; i < threads; ++i) {
        waiting.push_back(soon([&] { return there.fetch(1); }));
    }
    until([&] { return there.stats().joined == threads; });
    // One of the threads asks for all of them, and less and less often.
    const auto before = trips();
    const auto began = std::chrono::steady_clock::now();
    until([&] { return trips() >= before + 40; });
    CHECK(std::chrono::steady_clock::now() - began > 100ms);
    loaded.go();

    CHECK(mine.get().source == Source::loaded);
    for (auto& one : waiting) {
        const auto fetched = one.get();
        CHECK(fetched.value == 10);
        CHECK(fetched.source != Source::loaded);
        CHECK(fetched.source != Source::bypassed);
        CHECK(fetched.remaining > 59min);
    }
    CHECK(w.table.loads == 1);
}

TEST_CASE("a waiter learns soon that the value is there", "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    auto best = 1h + 0ns;
    for (int key = 1; key < 10; ++key) {
        Stop loaded;
        w.table.hooks.after_load = [&](int) { loaded.pause(); };
        auto mine = soon([&] { return here.get(key); });
        loaded.wait_until_reached();
        auto theirs = soon([&] { return there.get(key); });
        const auto from = w.there.client().stats().round_trips;
        until([&] { return w.there.client().stats().round_trips > from + 20; });
        loaded.go();
        const auto began = std::chrono::steady_clock::now();
        CHECK(theirs.get() == 10 * key);
        best = (std::min)(best, std::chrono::steady_clock::now() - began);
        mine.get();
    }
    CHECK(best < 500ms);  // the longest pause between two looks is 20; a lease lasts for 3 s
    CHECK(w.table.loads == 9);
}

TEST_CASE("a load that fails elsewhere is taken over at once", "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h, .wait = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h, .wait = 1h}};
    Stop loading;
    const auto elsewhere = [&](auto outcome) {
        w.table.hooks.before_load = [&, outcome](int) {
            w.table.hooks.before_load = nullptr;
            loading.pause();
            outcome();
        };
        auto mine = soon([&] { return caught_text([&] { (void)here.get(1); }); });
        loading.wait_until_reached();
        std::vector<std::future<std::optional<int>>> theirs;
        for (int i = 0; i < 4; ++i) {
            theirs.push_back(soon([&] { return there.get(1); }));
        }
        until([&] { return there.stats().joined == 4; });
        loading.go();
        for (auto& one : theirs) {
            CHECK(one.get() == w.table.row(1));
        }
        return mine.get();
    };

    SECTION("it throws") {
        CHECK(elsewhere([] { throw std::runtime_error{"database down"}; }) == "database down");
        CHECK(there.stats().load_failures == 0);
        // Who asks again while one of them loads may load beside it, without a lease.
        CHECK(w.table.loads >= 2);
        CHECK(w.table.loads <= 5);
        CHECK(there.fetch(1).source == Source::hit);
    }
    SECTION("it finds no row, which is not remembered") {
        w.table.set(1, std::nullopt);
        CHECK(elsewhere([] {}).empty());
        // One of them loads, those who have come by then share it; nobody waits a second time.
        CHECK(w.table.loads >= 2);
        CHECK(w.table.loads <= 5);
    }
}

// Rule R7.
TEST_CASE("who dies while it loads is followed by one other", "[redis][processes]") {
    Pair w{{.lease = 300ms}};
    CacheAside here{w.here, w.rows, {.ttl = 1h, .wait = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h, .wait = 1h}};
    {
        larder_test::RedisPair::Store dead{
            larder::redis::Client{server().unix_url()}, "n", {.lease = 300ms}};
        REQUIRE(dead.open(1).slot == larder::detail::Slot::lead);
    }
    std::vector<std::future<std::optional<int>>> waiting;
    for (int i = 0; i < 3; ++i) {
        waiting.push_back(soon([&] { return here.get(1); }));
        waiting.push_back(soon([&] { return there.get(1); }));
    }
    until([&] { return here.stats().joined + there.stats().joined >= 6; });
    for (auto& one : waiting) {
        CHECK(one.get() == 10);
    }
    CHECK(w.table.loads == 1);
    CHECK(here.stats().bypassed + there.stats().bypassed == 0);
    CHECK(here.fetch(1).source == Source::hit);
}

TEST_CASE("a load that takes longer than a lease keeps it", "[redis][processes]") {
    Pair w{{.lease = 600ms}};
    CacheAside here{w.here, w.rows, {.ttl = 100s, .grace = 100s, .wait = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 100s, .grace = 100s, .wait = 1h}};
    bool beside = false;
    SECTION("of an empty slot") {}
    SECTION("beside a stale value") {
        REQUIRE(here.get(1) == 10);
        pass_time(server(), 150s);
        w.table.set(1, 11);
        w.table.loads = 0;
        beside = true;
    }
    Stop loading;
    w.table.hooks.before_load = [&](int) { loading.pause(); };
    auto mine = soon([&] { return here.get(1); });
    loading.wait_until_reached();
    auto theirs = soon([&] { return there.get(1); });
    // Renewed thrice: more than its length has passed.
    const std::string key = beside ? "~refresh:n:1" : "n:1";
    int renewed = 0;
    for (long long last = 600; renewed < 3 && w.table.loads == 1;) {
        const long long left = std::stoll(server().run("PTTL", key));
        if (left <= 0) {
            FAIL_CHECK("the lease has run out");
            break;
        }
        renewed += left > last ? 1 : 0;
        last = left;
        std::this_thread::sleep_for(5ms);
    }
    CHECK(w.table.loads == 1);
    loading.go();
    CHECK(mine.get() == w.table.row(1));
    CHECK(theirs.get() == w.table.row(1));
    CHECK(w.table.loads == 1);
    CHECK(here.stats().fenced_fills == 0);
    CHECK(there.fetch(1).source == Source::hit);
}

TEST_CASE("a load elsewhere is not waited for longer than is wanted", "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h, .wait = 20ms}};
    CacheAside patient{w.there, w.rows, {.ttl = 1h, .wait = 1h}};
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    auto mine = soon([&] { return here.get(1); });
    loaded.wait_until_reached();
    const auto mine_too = [&](int) -> std::optional<int> { return 12; };

    SECTION("by the policy: then it loads by itself, and fills nothing") {
        const auto fetched = there.fetch(1);
        CHECK(fetched.value == 10);
        CHECK(fetched.source == Source::bypassed);
        CHECK(w.table.loads == 2);
        CHECK(there.get_many({1}) == Values{10});
        CHECK(there.stats().loads == 2);
    }
    SECTION("by the call") {
        CHECK(caught([&] { (void)patient.get(1, {.timeout = 20ms}); }) == Errc::timed_out);
        CHECK(caught([&] { (void)patient.get(1, mine_too, {.timeout = 20ms}); }) ==
              Errc::timed_out);
    }
    SECTION("by the call's stop token") {
        for (const bool own : {true, false}) {
            std::stop_source stop;
            const auto before = patient.stats().joined;
            auto theirs = soon([&] {
                return caught([&] {
                    own ? (void)patient.get(1, {.stop = stop.get_token()})
                        : (void)patient.get(1, mine_too, {.stop = stop.get_token()});
                });
            });
            until([&] { return patient.stats().joined > before; });
            stop.request_stop();
            CHECK(theirs.get() == Errc::cancelled);
        }
    }
    loaded.go();
    CHECK(mine.get() == 10);
    CHECK(patient.get(1) == 10);
    CHECK(here.fetch(1).source == Source::hit);
}

// Rule S12.
TEST_CASE("reads of a key that loads elsewhere leave the executor's threads to others",
          "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{
        w.there, w.rows, {.ttl = 1h, .wait = 1min, .executor = larder::Executor::threads(2)}};
    Stop loaded;
    w.table.hooks.after_load = [&](int key) {
        if (key == 1) {
            loaded.pause();
        }
    };
    auto mine = soon([&] { return here.get(1); });
    loaded.wait_until_reached();
    for (int i = 0; i < 20; ++i) {
        CHECK(caught([&] { (void)there.get(1, {.timeout = 10ms}); }) == Errc::timed_out);
    }
    std::optional<int> other;
    const auto error = caught([&] { other = there.get(2, {.timeout = 30s}); });
    const auto before = there.stats().joined;
    auto joins = soon([&] { return there.fetch(1, {.timeout = 50s}); });
    until([&] { return there.stats().joined > before; });
    loaded.go();
    CHECK(error == std::nullopt);
    CHECK(other == 20);
    CHECK(mine.get() == 10);
    const auto fetched = joins.get();
    CHECK(fetched.value == 10);
    CHECK(fetched.source == Source::joined);
    CHECK(there.stats().bypassed == 0);
    CHECK(w.table.loads == 2);
}

TEST_CASE("a batch waits last for keys that load elsewhere", "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h, .wait = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h, .wait = 1h}};
    Stop loaded;
    std::atomic<bool> fails{false};
    w.table.hooks.after_load = [&](int key) {
        if (key == 2 && !fails) {
            loaded.pause();
            if (fails) {
                throw std::runtime_error{"database down"};
            }
        }
    };
    auto mine = soon([&] { return caught_text([&] { (void)here.get(2); }); });
    loaded.wait_until_reached();
    auto theirs = soon([&] { return there.get_many({1, 2, 3, 2}); });
    // Its own are there while it waits.
    until([&] { return server().run("GET", "n:1") == "10" && server().run("GET", "n:3") == "30"; });
    CHECK(theirs.wait_for(0s) == std::future_status::timeout);

    SECTION("until they are there") {
        loaded.go();
        CHECK(theirs.get() == Values{10, 20, 30, 20});
        CHECK(w.table.loads == 3);
        CHECK(mine.get().empty());
    }
    SECTION("and loads what is missing then") {
        fails = true;
        loaded.go();
        CHECK(theirs.get() == Values{10, 20, 30, 20});
        CHECK(w.table.loads == 4);
        CHECK(mine.get() == "database down");
    }
    CHECK(there.stats().joined == 1);
}

// ---- writes, invalidations, refreshes ----

TEST_CASE("a write here is seen there at once", "[redis][processes]") {
    Pair w;
    SECTION("write-through: from the copy") {
        WriteThrough here{w.here, w.rows, {.ttl = 1h, .negative_ttl = 1h}};
        WriteThrough there{w.there, w.rows, {.ttl = 1h, .negative_ttl = 1h}};
        CHECK(there.get(1) == 10);
        here.put(1, 11);
        CHECK(there.fetch(1).source == Source::hit);
        CHECK(there.get(1) == 11);
        here.put_many({{1, 12}, {2, 22}});
        CHECK(there.get_many({1, 2}) == Values{12, 22});
        here.remove(1);
        const auto gone = there.fetch(1);
        CHECK_FALSE(gone.value);
        CHECK(gone.source == Source::hit);
        CHECK(w.table.loads == 1);
    }
    SECTION("cache-aside: from the database") {
        CacheAside here{w.here, w.rows, {.ttl = 1h}};
        CacheAside there{w.there, w.rows, {.ttl = 1h}};
        CHECK(there.get(1) == 10);
        here.put(1, 11);
        CHECK(there.fetch(1).source == Source::loaded);
        CHECK(here.get(1) == 11);
        here.remove(1);
        CHECK_FALSE(there.get(1));
        w.table.set(2, 21);
        CHECK(there.get(2) == 21);
        auto write = here.writing(2, 3);
        w.table.set(2, 22);
        CHECK(there.fetch(2).source == Source::bypassed);
        write.commit();
        CHECK(there.fetch(2).source == Source::loaded);
        CHECK(there.get(2) == 22);
    }
}

TEST_CASE("writers here and there that overlap leave no copy", "[redis][processes]") {
    Pair w;
    WriteThrough here{w.here, w.rows, {.ttl = 1h}};
    WriteThrough there{w.there, w.rows, {.ttl = 1h}};
    Stop committed;
    w.table.hooks.after_commit = [&](int, const std::optional<int>&) { committed.pause(); };
    auto slow = soon([&] { here.put(1, 11); });
    committed.wait_until_reached();
    there.put(1, 20);
    const auto between = there.fetch(1);
    CHECK(between.value == 20);
    CHECK(between.source == Source::bypassed);
    committed.go();
    slow.get();
    CHECK(server().run("EXISTS", "n:1") == "0");
    CHECK(here.get(1) == 20);
    CHECK(there.fetch(1).source == Source::hit);
    CHECK(here.stats().lost_tickets + there.stats().lost_tickets == 0);
}

TEST_CASE("more writers than a slot has room for leave no copy", "[redis][processes]") {
    Pair w;
    std::vector<larder::detail::Ticket> tickets;
    for (int i = 0; i < 40; ++i) {
        tickets.push_back((i % 2 == 0 ? w.here : w.there).begin_write(1, 30s));
    }
    int found = 0;
    for (std::size_t i = 0; i < tickets.size(); ++i) {
        found += w.here.finish_write(1, tickets[i], larder::detail::Finish::value, 11, {{1h}, {}})
                     ? 1
                     : 0;
        CHECK_FALSE(w.there.find(1));
    }
    CHECK(found == 32);
    // Those without a name hide the key until they would have ended.
    CHECK(w.there.open(1).slot == larder::detail::Slot::bypass);
    pass_time(server(), 31s);
    CHECK(w.there.open(1).slot == larder::detail::Slot::lead);
}

TEST_CASE("an invalidation there wins over a load here", "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    auto reader = soon([&] { return here.get(1); });
    loaded.wait_until_reached();
    w.table.set(1, 11);
    SECTION("of the key") {
        there.invalidate(1);
    }
    SECTION("of many") {
        there.invalidate_many({1, 2});
    }
    SECTION("a write") {
        there.put(1, 11);
    }
    CHECK(there.get(1) == 11);
    loaded.go();
    CHECK(reader.get() == 10);  // it began before
    CHECK(here.get(1) == 11);
    CHECK(here.stats().fenced_fills == 1);
}

// Rule R6.
TEST_CASE("a write there wins over a refresh here", "[redis][processes]") {
    Pair w;
    ManualExecutor background;
    RefreshAhead here{w.here, w.rows, {.ttl = 100s, .executor = background.handle()}};
    CacheAside there{w.there, w.rows, {.ttl = 100s}};
    REQUIRE(here.get(1) == 10);
    pass_time(server(), 85s);
    CHECK(here.get(1) == 10);
    REQUIRE(background.pending() == 1);
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    auto refresh = soon([&] { background.run_all(); });
    loaded.wait_until_reached();
    std::optional<int> now = 11;
    SECTION("an invalidation") {
        w.table.set(1, 11);
        there.invalidate(1);
    }
    SECTION("a write") {
        there.put(1, 11);
    }
    SECTION("a removal") {
        there.remove(1);
        now.reset();
    }
    SECTION("a write of what it was, with the same bytes and another expiry") {
        WriteThrough through{w.there, w.rows, {.ttl = 50s}};
        through.put(1, 11);
        through.put(1, 10);
        now = 10;
    }
    loaded.go();
    refresh.get();
    CHECK(here.stats().fenced_fills == 1);
    CHECK(here.get(1) == now);
    CHECK(there.get(1) == now);
}

TEST_CASE("a copy that is near its end is refreshed once", "[redis][processes]") {
    Pair w;
    ManualExecutor here_later;
    ManualExecutor there_later;
    RefreshAhead here{w.here, w.rows, {.ttl = 100s, .executor = here_later.handle()}};
    RefreshAhead there{w.there, w.rows, {.ttl = 100s, .executor = there_later.handle()}};
    REQUIRE(here.get(1) == 10);
    w.table.set(1, 11);
    pass_time(server(), 85s);
    CHECK(here.get(1) == 10);
    CHECK(there.get(1) == 10);
    REQUIRE(here_later.pending() == 1);
    REQUIRE(there_later.pending() == 1);
    Stop loading;
    w.table.hooks.before_load = [&](int) { loading.pause(); };
    auto refresh = soon([&] { here_later.run_all(); });
    loading.wait_until_reached();
    there_later.run_all();  // somebody has it in hand
    CHECK(there.stats().refreshes == 0);
    CHECK(there.fetch(1).source == Source::hit);
    loading.go();
    refresh.get();
    CHECK(here.stats().refreshes == 1);
    CHECK(w.table.loads == 2);
    CHECK(there.get(1) == 11);
    there_later.run_all();
    CHECK(w.table.loads == 2);
    CHECK(server().run("EXISTS", "~refresh:n:1") == "0");
}

TEST_CASE("a refresh by name is not satisfied by what began earlier", "[redis][processes]") {
    Pair w;
    CacheAside here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};

    SECTION("a copy") {
        REQUIRE(here.get(1) == 10);
        w.table.set(1, 11);
        CHECK(there.refresh(1) == 11);
        CHECK(here.fetch(1).source == Source::hit);
        CHECK(here.get(1) == 11);
        CHECK(server().run("EXISTS", "~refresh:n:1") == "0");
    }
    SECTION("a load elsewhere") {
        Stop loaded;
        w.table.hooks.after_load = [&](int) { loaded.pause(); };
        auto slow = soon([&] { return here.get(1); });
        loaded.wait_until_reached();
        w.table.set(1, 11);
        CHECK(there.refresh(1) == 11);
        loaded.go();
        CHECK(slow.get() == 10);
        CHECK(here.fetch(1).source == Source::hit);
        CHECK(here.get(1) == 11);
    }
    SECTION("a write elsewhere") {
        WriteThrough writer{w.here, w.rows, {.ttl = 1h}};
        Stop committed;
        w.table.hooks.after_commit = [&](int, const std::optional<int>&) { committed.pause(); };
        auto slow = soon([&] { writer.put(1, 11); });
        committed.wait_until_reached();
        w.table.set(1, 12);  // another program, later
        CHECK(there.refresh(1) == 12);
        committed.go();
        slow.get();
        CHECK(here.get(1) == 12);
    }
    SECTION("one that fails leaves the copy") {
        REQUIRE(here.get(1) == 10);
        w.table.hooks.before_load = [](int) { throw std::runtime_error{"database down"}; };
        CHECK(caught_text([&] { there.refresh(1); }) == "database down");
        CHECK(here.fetch(1).source == Source::hit);
    }
    SECTION("one whose row is gone drops it") {
        REQUIRE(here.get(1) == 10);
        w.table.set(1, std::nullopt);
        CHECK_FALSE(there.refresh(1));
        CHECK_FALSE(here.get(1));
    }
    SECTION("one that loses its lease to another leaves nothing older") {
        REQUIRE(here.get(1) == 10);
        Stop loaded;
        w.table.set(1, 11);
        w.table.hooks.after_load = [&](int) { loaded.pause(); };
        auto slow = soon([&] { return there.refresh(1); });
        loaded.wait_until_reached();
        // Its lease has run out, and a background refresh of the old copy's has begun.
        server().run("DEL", "~refresh:n:1");
        const auto other = w.here.open_refresh(1, false);
        REQUIRE(other.slot == larder::detail::Slot::lead);
        loaded.go();
        CHECK(slow.get() == 11);
        CHECK_FALSE(w.here.find(1));
        CHECK_FALSE(w.here.fill(1, other.lease, 10, {{1h}, {}}).kept);  // loaded before the reload
        CHECK(here.get(1) == 11);
    }
}

TEST_CASE("a copy within its grace stands in for a load that is late or fails",
          "[redis][processes]") {
    Pair w;
    ManualExecutor background;
    const auto options = [&](std::optional<larder::Ttl> load_timeout) {
        return larder::Options{.ttl = 100s,
                               .grace = 100s,
                               .load_timeout = load_timeout,
                               .wait = 1h,
                               .executor = background.handle()};
    };
    CacheAside here{w.here, w.rows, options(0ms)};
    CacheAside there{w.there, w.rows, options(std::nullopt)};
    background.run_inline(true);
    REQUIRE(here.get(1) == 10);
    background.run_inline(false);
    w.table.set(1, 11);
    pass_time(server(), 150s);

    SECTION("while revalidating") {
        const auto stale = here.fetch(1);
        CHECK(stale.value == 10);
        CHECK(stale.source == Source::stale);
        CHECK(stale.remaining <= -40s);
        CHECK(background.pending() == 1);
        background.run_all();
        CHECK(there.fetch(1).source == Source::hit);
        CHECK(there.get(1) == 11);
    }
    SECTION("whose load is waited for elsewhere") {
        Stop loading;
        w.table.hooks.before_load = [&](int) { loading.pause(); };
        auto load = soon([&] { return there.fetch(1); });
        loading.wait_until_reached();
        auto waits = soon([&] {
            CacheAside third{w.here, w.rows, options(std::nullopt)};
            return third.fetch(1);
        });
        CHECK(here.fetch(1).source == Source::stale);
        loading.go();
        CHECK(load.get().source == Source::loaded);
        CHECK(waits.get().value == 11);
        CHECK(w.table.loads == 2);
        background.run_all();
        CHECK(w.table.loads == 2);
    }
    SECTION("that fails") {
        w.table.hooks.before_load = [](int) { throw std::runtime_error{"database down"}; };
        const auto stale = there.fetch(1);
        CHECK(stale.value == 10);
        CHECK(stale.source == Source::stale);
        CHECK(there.fetch(1).source == Source::stale);  // the key rests
        CHECK(w.table.loads == 2);
        CHECK(there.get_many({1}) == Values{10});
    }
    SECTION("but not past a write, even one that fails") {
        w.table.hooks.before_commit = [](int, const std::optional<int>&) {
            throw Refused{"unique constraint"};
        };
        CHECK_THROWS_AS(here.put(1, 12), Refused);
        w.table.hooks.before_load = [](int) { throw std::runtime_error{"database down"}; };
        CHECK(caught_text([&] { (void)there.get(1); }) == "database down");
    }
    SECTION("nor past its grace") {
        pass_time(server(), 60s);
        CHECK(there.fetch(1).source == Source::loaded);
    }
}

TEST_CASE("a save whose outcome nobody knows hides its key from all", "[redis][processes]") {
    Pair w;
    WriteThrough here{w.here, w.rows, {.ttl = 1h, .ticket = 30s}};
    WriteThrough there{w.there, w.rows, {.ttl = 1h}};
    REQUIRE(there.get(1) == 10);

    SECTION("until its ticket has ended") {
        w.table.hooks.before_commit = [](int, const std::optional<int>&) {
            throw std::runtime_error{"connection lost"};
        };
        CHECK_THROWS_AS(here.put(1, 11), std::runtime_error);
        CHECK(there.fetch(1).source == Source::bypassed);
        CHECK(there.get(1) == 10);
        w.table.set(1, 11);  // what was under way lands
        CHECK(there.get(1) == 11);
        CHECK(here.get(1) == 11);
        CHECK(here.get_many({1, 2}) == Values{11, 20});
        pass_time(server(), 31s);
        CHECK(there.fetch(1).source == Source::loaded);
        CHECK(here.fetch(1).source == Source::hit);
    }
    SECTION("but one that wrote nothing does not") {
        w.table.hooks.before_commit = [](int, const std::optional<int>&) {
            throw Refused{"unique constraint"};
        };
        CHECK_THROWS_AS(here.put(1, 11), Refused);
        CHECK(there.fetch(1).source == Source::loaded);
        CHECK(here.fetch(1).source == Source::hit);
    }
    SECTION("a ticket that has ended under a live writer leaves no copy") {
        Stop committed;
        w.table.hooks.after_commit = [&](int, const std::optional<int>&) { committed.pause(); };
        auto slow = soon([&] { here.put(1, 11); });
        committed.wait_until_reached();
        pass_time(server(), 31s);
        w.table.set(1, 12);
        CHECK(there.get(1) == 12);
        committed.go();
        slow.get();
        CHECK(here.stats().lost_tickets == 1);
        CHECK(server().run("EXISTS", "n:1") == "0");
        CHECK(there.get(1) == 12);
    }
}
