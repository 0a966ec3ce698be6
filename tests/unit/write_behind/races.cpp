// SPDX-License-Identifier: MIT

// The races of write-behind, each forced: what is stopped, and where, is decided here and not by luck.

#include "support/catch.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

using namespace std::chrono_literals;
using larder::ManualClock;
using larder::Source;
using larder::Tags;
using larder::WriteBehind;
using larder_test::HookedJournal;
using larder_test::Rows;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;
using Journal = HookedJournal<ManualClock>;

// Nothing is written until `flush`.
constexpr larder::WriteBehindOptions lazy{.delay = 1h, .attempts = 1, .claim = 10s, .drain = 10ms};

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Journal journal{clock};
    Rows rows{};

    // Its flusher writes in its own thread, so that it stands still with the database.
    auto cache(larder::Options options = {}) {
        options.executor = [](const larder::Task& task) { task(); };
        return WriteBehind{store, std::ref(rows), journal, std::move(options), lazy};
    }
};

// The hook of a database that stands still at its first write of a key, until it is let go.
struct Stall {
    std::latch reached{1};
    std::latch go{1};
    std::atomic<bool> first{true};

    auto hook() {
        return [this](int, const std::optional<int>&) {
            if (first.exchange(false)) {
                reached.count_down();
                go.wait();
            }
        };
    }
};

// Something to do, once, at a function of the journal: hooks are set before a flusher looks at them.
struct Once {
    std::atomic<bool> armed{false};
    std::function<void()> act{};

    auto at(std::string_view where) {
        return [this, where](std::string_view function) {
            if (function == where && armed.exchange(false)) {
                act();
            }
        };
    }
    void arm(std::function<void()> what) {
        act = std::move(what);
        armed = true;
    }
};

}  // namespace

// Rule W1.
TEST_CASE("a change recorded while a reader is about to load: the reader keeps nothing old",
          "[behind]") {
    World w;
    w.rows.rows[1] = {10, 0};
    Once once;
    w.journal.after() = once.at("pending");
    auto cache = w.cache();
    once.arm([&] {
        // The reader has asked, and was told of nothing. The copy is evicted, too.
        cache.put(1, 11);
        cache.invalidate(1);
    });
    CHECK(cache.get(1) == 10);  // it began before
    CHECK(cache.get(1) == 11);
}

TEST_CASE("a change written while a reader is about to load is what the reader gets", "[behind]") {
    World w;
    w.rows.rows[1] = {10, 0};
    Once once;
    w.journal.before() = once.at("pending");
    auto cache = w.cache();
    cache.put(1, 11);
    cache.invalidate(1);  // as an eviction would
    once.arm([&] { CHECK(cache.flush(30s) == 0); });
    const auto fetched = cache.fetch(1);
    CHECK(fetched.value == 11);
    CHECK(fetched.source == Source::loaded);
}

// Rule W5.
TEST_CASE("a flusher that stalled does not insert again what another has removed", "[behind]") {
    World w;
    Stall stall;
    w.rows.before_write = stall.hook();
    auto stalled = w.cache({.negative_ttl = 1h});
    stalled.put(1, 10);
    auto flushed = std::async(std::launch::async, [&] { return stalled.flush(30s); });
    stall.reached.wait();

    auto other = w.cache({.negative_ttl = 1h});
    other.remove(1);
    CHECK(other.flush(0ms) == 1);  // the claim is the other's
    w.clock.advance(11s);
    CHECK(other.flush(30s) == 0);
    CHECK_FALSE(w.rows.load(1));
    CHECK(w.rows.writes == 1);

    stall.go.count_down();
    CHECK(flushed.get() == 0);
    { const auto gone = std::move(stalled); }  // waits for what its flusher has begun
    CHECK(w.rows.writes == 2);
    CHECK_FALSE(w.rows.load(1));
    CHECK_FALSE(other.get(1));
    CHECK(other.dead_letters().empty());  // refused, and of no interest: something newer was there
}

// Rule W6.
TEST_CASE("a flusher whose change was buried meanwhile drops the copy when it has written",
          "[behind]") {
    World w;
    w.rows.rows[1] = {5, 0};
    Stall stall;
    w.rows.before_write = stall.hook();
    auto stalled = w.cache();
    stalled.put(1, 10);
    auto flushed = std::async(std::launch::async, [&] { return stalled.flush(30s); });
    stall.reached.wait();

    // Another flusher takes over, cannot write, and gives up.
    auto other = w.cache();
    w.clock.advance(11s);
    w.rows.down = true;
    CHECK(other.flush(30s) == 0);
    CHECK(other.dead_letters().size() == 1);
    w.rows.down = false;
    CHECK(other.get(1) == 5);
    CHECK(other.fetch(1).source == Source::hit);

    stall.go.count_down();
    CHECK(flushed.get() == 0);
    { const auto gone = std::move(stalled); }
    CHECK(w.rows.load(1) == 10);
    CHECK(other.get(1) == 10);
}

TEST_CASE("a flusher does not settle a change that was superseded while it wrote", "[behind]") {
    World w;
    Stall stall;
    w.rows.before_write = stall.hook();
    auto cache = w.cache();
    cache.put(1, 10);
    auto flushed = std::async(std::launch::async, [&] { return cache.flush(30s); });
    stall.reached.wait();
    cache.put(1, 11);
    stall.go.count_down();
    CHECK(flushed.get() == 0);
    CHECK(w.rows.load(1) == 11);
    CHECK(cache.get(1) == 11);
    CHECK(w.rows.writes == 2);
}

TEST_CASE("a change that fails while a newer one is recorded does not bury the newer one",
          "[behind]") {
    World w;
    Stall stall;
    w.rows.before_write = stall.hook();
    w.rows.down = true;
    auto cache = w.cache();
    cache.put(1, 10);
    auto flushed = std::async(std::launch::async, [&] { return cache.flush(1s); });
    stall.reached.wait();
    cache.put(1, 11);
    stall.go.count_down();  // fails, at its last attempt
    (void)flushed.get();
    w.rows.down = false;
    CHECK(cache.flush(30s) == 0);
    // The newer change may have failed by itself, before the database was back.
    for (const auto& letter : cache.dead_letters()) {
        CHECK(letter.change.value == 11);
        CHECK(cache.revive(1));
    }
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.load(1) == 11);
}

TEST_CASE("what is recorded after a flush has returned waits for company again", "[behind]") {
    // The flusher looks once more whether there is anything to write at once, and stands still there.
    World w;
    std::atomic<bool> recorded{false};
    std::atomic<int> claims{0};
    std::atomic<bool> armed{false};
    w.journal.before() = [&](std::string_view function) {
        if (function != "claim") {
            return;
        }
        ++claims;
        if (armed && w.rows.writes == 1) {
            armed = false;
            const auto end = std::chrono::steady_clock::now() + 300ms;
            while (!recorded && std::chrono::steady_clock::now() < end) {
                std::this_thread::yield();
            }
        }
    };
    auto cache = w.cache();
    cache.put(1, 10);
    armed = true;
    CHECK(cache.flush(30s) == 0);
    cache.put(1, 11);
    recorded = true;
    for (const int seen = claims; claims < seen + 3;) {  // the flusher has looked since
        std::this_thread::yield();
    }
    CHECK(w.rows.writes == 1);
    CHECK(w.journal.size() == 1);
}

// Rule W8.
TEST_CASE("a dead letter revived while a newer change is recorded", "[behind]") {
    World w;
    auto cache = w.cache();
    for (int round = 1; round <= 500; ++round) {
        w.rows.poison = 1;
        cache.put(1, -round);
        REQUIRE(cache.flush(30s) == 0);
        REQUIRE(cache.dead_letters().size() == 1);
        w.rows.poison = -1;
        std::barrier start{2};
        {
            const std::jthread reviver{[&] {
                start.arrive_and_wait();
                (void)cache.revive(1);
            }};
            start.arrive_and_wait();
            cache.put(1, round);
        }
        // Whichever was first: the newer change is what counts, and the letter is gone.
        CHECK(cache.get(1) == round);
        CHECK(cache.dead_letters().empty());
        CHECK_FALSE(cache.revive(1));
        CHECK(cache.flush(30s) == 0);
        CHECK(w.rows.load(1) == round);
    }
}

TEST_CASE("a dead letter that is revived beside a newer row stays below it", "[behind]") {
    World w;
    auto cache = w.cache();
    w.rows.poison = 1;
    cache.put(1, 10);
    CHECK(cache.flush(30s) == 0);
    w.rows.poison = -1;
    // Another program writes the row at a later version.
    w.rows.rows[1] = {12, UINT64_MAX};
    CHECK(cache.revive(1));
    CHECK(cache.flush(30s) == 0);
    CHECK(cache.dead_letters().size() == 1);  // refused: kept, not lost
    CHECK(cache.dead_letters()[0].why == "refused");
    CHECK(cache.get(1) == 12);
}

TEST_CASE("a tag invalidated while a change is recorded wins over its copy", "[behind][tags]") {
    World w;
    Once once;
    w.journal.after() = once.at("record");
    larder::Tagged cache{w.cache(),
                         [](int value) { return Tags{value % 2 == 0 ? "even" : "odd"}; }};
    once.arm([&] { cache.invalidate_tag("even"); });
    cache.put(1, 10);
    CHECK(cache.fetch(1).source == Source::pending);  // no copy was left
    CHECK(cache.fetch(1).source == Source::hit);
    cache.put(2, 20);
    CHECK(cache.fetch(2).source == Source::hit);
}

TEST_CASE("the clock goes on for claims of a flusher whose database is slow", "[behind]") {
    // Renewed claims are nobody else's, however long the write takes.
    larder::MemoryStore<int, int> store;
    HookedJournal<> journal;
    std::atomic<int> renewals{0};
    journal.before() = [&](std::string_view function) { renewals += function == "renew" ? 1 : 0; };
    Rows rows;
    Stall stall;
    rows.before_write = stall.hook();
    constexpr larder::WriteBehindOptions behind{.delay = 0ms, .claim = 300ms};
    WriteBehind cache{store, std::ref(rows), journal, {}, behind};
    WriteBehind other{store, std::ref(rows), journal, {}, behind};
    cache.put(1, 10);
    stall.reached.wait();
    // Twice the claim's life, and more than enough of it on a slow machine.
    const auto give_up = std::chrono::steady_clock::now() + 30s;
    while (renewals < 6 && std::chrono::steady_clock::now() < give_up) {
        std::this_thread::yield();
    }
    CHECK(renewals >= 6);
    stall.go.count_down();
    CHECK(cache.flush(30s) == 0);
    CHECK(rows.writes == 1);
}
