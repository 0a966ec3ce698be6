// SPDX-License-Identifier: MIT

// What the flusher promises: several batches at once, a pause, and an end to it.

#include "support/behind_world.hpp"
#include "support/catch.hpp"
#include "support/eventually.hpp"
#include "support/manual_executor.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <latch>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Change;
using larder::EventKind;
using larder::WhenFull;
using larder::WriteBehind;
using larder_test::BatchRows;
using larder_test::code_of;
using larder_test::Events;
using larder_test::eventually;
using larder_test::HookedJournal;
using larder_test::lazy;
using larder_test::quick;
using larder_test::Rows;
using larder_test::Store;
using larder_test::World;

namespace {

// The hook of a database whose writes stand still until they are let go.
class Gate {
public:
    auto hook() {
        return [this](int, const std::optional<int>&) {
            std::unique_lock lock{mutex_};
            ++inside_;
            most_ = (std::max)(most_, inside_);
            changed_.notify_all();
            changed_.wait(lock, [&] { return open_; });
            --inside_;
        };
    }
    // Returns when so many are inside.
    [[nodiscard]] bool reached(int count) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, 30s, [&] { return inside_ >= count; });
    }
    void open() {
        const std::scoped_lock lock{mutex_};
        open_ = true;
        changed_.notify_all();
    }
    [[nodiscard]] int most() {
        const std::scoped_lock lock{mutex_};
        return most_;
    }

private:
    std::mutex mutex_{};
    std::condition_variable changed_{};
    int inside_ = 0;
    int most_ = 0;
    bool open_ = false;
};

// Cannot renew the claim of key 0, and answers of no claim that it has settled.
class OddJournal : public larder::MemoryJournal<int, int> {
    using Mine = larder::Claimed<int, int>;

public:
    explicit OddJournal(std::atomic<int>& renewed) : renewed_{&renewed} {}
    void renew(std::span<const Mine> claims, larder::Ttl life) {
        if (claims.front().change.key == 0) {
            throw larder::StoreError{"no"};
        }
        ++*renewed_;
        MemoryJournal::renew(claims, life);
    }
    std::vector<bool> settle(std::span<const Mine> claims) {
        static_cast<void>(MemoryJournal::settle(claims));
        return {};
    }

private:
    std::atomic<int>* renewed_;
};

}  // namespace

TEST_CASE("a claim that cannot be renewed costs the others nothing", "[behind]") {
    World w;
    Gate gate;
    w.rows.before_write = gate.hook();
    auto behind = quick;
    behind.batch = 1;
    behind.parallel = 2;
    behind.claim = 300ms;
    std::atomic<int> renewed{0};
    larder::MemoryStore<int, int> store;
    const larder::WriteBehind cache{store, std::ref(w.rows), OddJournal{renewed},
                                    larder::Options{.ttl = 100s}, behind};
    cache.put(0, 10);
    CHECK(gate.reached(1));
    cache.put(1, 11);
    CHECK(gate.reached(2));
    CHECK(eventually([&] { return renewed > 0; }));
    gate.open();
    CHECK(cache.flush(60s) == 0);
    CHECK(cache.get(1) == 11);  // though nothing was said of what was settled
}

TEST_CASE("as many batches are written at once as may be, and no more", "[behind]") {
    World w;
    Gate gate;
    w.rows.before_write = gate.hook();
    auto behind = quick;
    behind.batch = 1;
    behind.parallel = GENERATE(std::size_t{1}, std::size_t{3});
    behind.claim = 1h;
    behind.drain = 60s;
    const int most = static_cast<int>(behind.parallel);
    std::atomic<int> claims{0};
    w.journal.before() = [&](std::string_view function) { claims += function == "claim" ? 1 : 0; };
    auto cache = w.cache(behind);
    for (int key = 0; key < 8; ++key) {
        cache.put(key, key);
    }
    CHECK(gate.reached(most));
    // It looks again, and begins no other.
    const int seen = claims;
    CHECK(cache.flush(120ms) == 8);
    CHECK(claims == seen);
    gate.open();
    CHECK(cache.flush(60s) == 0);
    CHECK(gate.most() == most);
    CHECK(w.rows.writes == 8);
}

TEST_CASE("one keeper renews the claims of all batches", "[behind]") {
    World w;
    Gate gate;
    w.rows.before_write = gate.hook();
    auto behind = quick;
    behind.batch = 2;
    behind.parallel = 3;
    behind.claim = 1s;
    behind.drain = 60s;
    std::atomic<int> renewals{0};
    w.journal.before() = [&](std::string_view function) {
        renewals += function == "renew" ? 1 : 0;
    };
    auto cache = w.cache(behind);
    cache.pause();  // so that each batch is full
    for (int key = 0; key < 6; ++key) {
        cache.put(key, key);
    }
    cache.resume();
    CHECK(gate.reached(3));
    auto other = w.cache(behind);  // would take over what is not renewed
    CHECK(eventually([&] { return renewals >= 3 * 7; }));
    CHECK(gate.most() == 3);
    gate.open();
    CHECK(cache.flush(60s) == 0);
    CHECK(w.rows.writes == 6);
}

TEST_CASE("a batch that the flusher writes itself is renewed, too", "[behind]") {
    World w;
    Gate gate;
    w.rows.before_write = gate.hook();
    auto behind = quick;
    behind.claim = 100ms;
    behind.drain = 60s;
    std::atomic<int> renewals{0};
    w.journal.before() = [&](std::string_view function) {
        renewals += function == "renew" ? 1 : 0;
    };
    WriteBehind cache{w.store,
                      std::ref(w.rows),
                      w.journal,
                      {.executor = [](const larder::Task&) { return false; }},
                      behind};
    cache.put(1, 10);
    CHECK(gate.reached(1));
    CHECK(eventually([&] { return renewals >= 6; }));
    gate.open();
    CHECK(cache.flush(60s) == 0);
    CHECK(w.rows.writes == 1);
}

TEST_CASE("what could not be renewed in time is not written by two at once", "[behind]") {
    World w;
    Gate gate;
    w.rows.before_write = gate.hook();
    std::atomic<bool> broken{true};
    std::atomic<int> renewals{0};
    w.journal.before() = [&](std::string_view function) {
        if (function == "renew" && broken) {
            ++renewals;
            throw larder::StoreError{"the journal is away"};
        }
    };
    auto cache = w.cache(quick);
    cache.put(1, 10);
    CHECK(gate.reached(1));
    cache.put(1, 11);
    CHECK(eventually([&] { return renewals >= 20; }));  // the claim would have ended long ago
    CHECK(gate.most() == 1);
    broken = false;
    gate.open();
    CHECK(cache.flush(60s) == 0);
    CHECK(w.rows.load(1) == 11);
}

TEST_CASE("a database that is slow is given smaller batches", "[behind]") {
    struct Slow : BatchRows {
        std::vector<std::size_t> sizes{};

        std::vector<bool> save_many(std::span<const Change<int, int>> changes) {
            sizes.push_back(changes.size());
            const auto end = std::chrono::steady_clock::now() + 12ms;  // over a quarter of a claim
            while (std::chrono::steady_clock::now() < end) {}
            return BatchRows::save_many(changes);
        }
    };
    Slow rows;
    Store store;
    auto behind = lazy;
    behind.parallel = 1;
    behind.claim = 40ms;
    WriteBehind cache{store, std::ref(rows), {}, behind};
    for (int key = 0; key < 190; ++key) {
        cache.put(key, key);
    }
    CHECK(cache.flush(60s) == 0);
    REQUIRE(rows.sizes.size() >= 4);
    CHECK(rows.sizes[0] == 100);
    CHECK(rows.sizes[1] == 50);
    CHECK(rows.sizes[2] == 25);
    CHECK(rows.sizes[3] == 12);
    const auto stats = cache.stats();
    CHECK(stats.batched >= 190);
    CHECK(stats.batches >= 5);
}

TEST_CASE("a database that is fast is written by few tasks", "[behind]") {
    World w;
    std::atomic<int> tasks{0};
    const larder::Executor pool = larder::Executor::threads(4);
    auto behind = lazy;
    behind.batch = 1;
    behind.claim = 1h;
    WriteBehind cache{w.store,
                      std::ref(w.rows),
                      w.journal,
                      {.executor =
                           [&](larder::Task task) {
                               ++tasks;
                               return pool.submit(std::move(task));
                           }},
                      behind};
    for (int key = 0; key < 300; ++key) {
        cache.put(key, key);
    }
    CHECK(cache.flush(60s) == 0);
    CHECK(cache.stats().batches == 300);
    CHECK(tasks < 300);
    CHECK(w.rows.writes == 300);
}

TEST_CASE("while it is paused nothing new is written", "[behind]") {
    World w;
    auto behind = quick;
    behind.drain = 60s;
    SECTION("a flush says at once what is left") {
        auto cache = w.cache(behind);
        cache.pause();
        cache.put(1, 10);
        cache.put(2, 20);
        CHECK(cache.flush(1h) == 2);
        CHECK(cache.pending() == 2);
        CHECK(cache.get(1) == 10);
        CHECK(w.rows.writes == 0);
        cache.resume();
        CHECK(cache.flush(60s) == 0);
        CHECK(w.rows.load(2) == 20);
    }
    SECTION("what is resumed goes on by itself") {
        auto cache = w.cache(behind);
        cache.pause();
        cache.put(1, 10);
        cache.resume();
        CHECK(eventually([&] { return cache.pending() == 0; }));
    }
    SECTION("what is being written goes on to its end, which a flush waits for") {
        Gate gate;
        w.rows.before_write = gate.hook();
        auto cache = w.cache(behind);
        cache.put(1, 10);
        CHECK(gate.reached(1));
        cache.pause();
        cache.put(2, 20);
        CHECK(cache.flush(0ms) == 2);
        const std::jthread opener{[&] { gate.open(); }};
        CHECK(cache.flush(1h) == 1);
        CHECK(w.rows.load(1) == 10);
        CHECK(w.rows.writes == 1);
    }
    SECTION("what the executor has dropped is written all the same, which a flush waits for") {
        Gate gate;
        w.rows.before_write = gate.hook();
        larder_test::ManualExecutor executor;
        std::latch asked{1};
        std::atomic<bool> flushing{false};
        w.journal.before() = [&](std::string_view function) {
            if (function == "size" && flushing.exchange(false)) {
                asked.count_down();
            }
        };
        {
            WriteBehind cache{
                w.store, std::ref(w.rows), w.journal, {.executor = executor.handle()}, behind};
            cache.put(1, 10);
            CHECK(eventually([&] { return executor.pending() == 1; }));
            cache.pause();
            executor.drop_all();
            CHECK(gate.reached(1));
            const std::jthread opener{[&] {
                asked.wait();  // the flush has begun
                gate.open();
            }};
            flushing = true;
            CHECK(cache.flush(1h) == 0);
        }
        CHECK(w.rows.load(1) == 10);
    }
    SECTION("what was claimed, and is in nobody's hands yet, is waited for, too") {
        behind.claim = 1h;
        for (int round = 0; round < 200; ++round) {
            World fresh;
            std::atomic<bool> claimed{false};
            fresh.journal.after() = [&](std::string_view function) {
                claimed = claimed || function == "claim";
            };
            auto cache = fresh.cache(behind);
            cache.put(1, round);
            CHECK(eventually([&] { return claimed.load(); }));
            cache.pause();
            INFO(round);
            REQUIRE(cache.flush(1h) == 0);
        }
    }
    SECTION("the destructor ends the pause") {
        {
            auto cache = w.cache(behind);
            cache.pause();
            cache.put(1, 10);
        }
        CHECK(w.rows.load(1) == 10);
        CHECK(w.events.count(EventKind::not_drained) == 0);
    }
    SECTION("once it has returned nothing is claimed") {
        // A flusher that stands still just before its claim.
        std::latch reached{1};
        std::latch go{1};
        std::atomic<int> claims{0};
        std::atomic<bool> left{false};
        w.journal.before() = [&](std::string_view function) {
            if (function == "claim" && ++claims == 1) {
                reached.count_down();
                go.wait();
                left = true;
            }
        };
        auto cache = w.cache(behind);
        cache.put(1, 10);
        reached.wait();
        std::atomic<bool> paused{false};
        {
            const std::jthread pausing{[&] {
                cache.pause();
                paused = left.load();
            }};
            std::this_thread::sleep_for(50ms);  // one that does not wait has returned by now
            go.count_down();
        }
        CHECK(paused);
        const int seen = claims;
        CHECK(cache.flush(1h) <= 1);  // what was claimed before is written
        cache.put(2, 20);
        CHECK(cache.flush(1h) >= 1);
        CHECK(claims == seen);
        CHECK_FALSE(w.rows.load(2));
    }
}

TEST_CASE("a journal that fills up during a pause", "[behind]") {
    World w;
    auto behind = quick;
    behind.max_pending = 1;
    behind.drain = 60s;
    SECTION("rejects") {
        behind.when_full = WhenFull::reject;
        auto cache = w.cache(behind);
        cache.pause();
        cache.put(1, 10);
        CHECK(code_of([&] { cache.put(2, 20); }) == larder::Errc::journal_full);
        CHECK_NOTHROW(cache.put(1, 11));
    }
    SECTION("blocks for so long") {
        behind.block_for = 10ms;
        auto cache = w.cache(behind);
        cache.pause();
        cache.put(1, 10);
        CHECK(code_of([&] { cache.put(2, 20); }) == larder::Errc::journal_full);
    }
    SECTION("blocks until somebody resumes") {
        behind.block_for = 1h;
        auto cache = w.cache(behind);
        cache.pause();
        cache.put(1, 10);
        std::atomic<bool> begun{false};
        {
            const std::jthread writer{[&] {
                begun = true;
                cache.put(2, 20);
            }};
            CHECK(eventually([&] { return begun.load(); }));
            cache.resume();
        }
        CHECK(cache.flush(60s) == 0);
        CHECK(w.rows.load(2) == 20);
    }
}

TEST_CASE("what was claimed and not begun when the drain is over is given back", "[behind]") {
    World w;
    Gate gate;
    w.rows.before_write = gate.hook();
    auto behind = quick;
    behind.batch = 10;
    behind.parallel = 2;
    behind.claim = 1h;
    behind.drain = 0ms;
    {
        auto cache = w.cache(behind);
        for (int key = 0; key < 20; ++key) {
            cache.put(key, key);
        }
        CHECK(gate.reached(1));
        gate.open();
    }
    const auto left = static_cast<std::size_t>(20 - w.rows.writes);
    CHECK(w.journal.size() == left);
    // Nobody has anything in hand.
    CHECK(w.journal.claim(100, 1h, 0ms).size() == left);
    CHECK(w.events.count(EventKind::not_drained) == (left > 0 ? 1U : 0U));
}

TEST_CASE("what a policy says of what waits", "[behind]") {
    larder::ManualClock clock;
    larder::MemoryStore<int, int, larder::ManualClock> store{{}, clock};
    BatchRows rows;
    auto behind = quick;
    behind.attempts = 1;
    WriteBehind cache{store, std::ref(rows), {}, behind};
    cache.pause();
    CHECK(cache.pending() == 0);
    CHECK_FALSE(cache.oldest());
    cache.put(1, 10);
    clock.advance(5s);
    cache.put(2, 20);
    cache.put(3, 30);
    CHECK(cache.pending() == 3);
    CHECK(cache.oldest() == 5s);
    auto stats = cache.stats();
    CHECK(stats.pending == 3);
    CHECK(stats.oldest == 5s);
    CHECK(stats.batches == 0);
    rows.poison = 2;
    cache.resume();
    CHECK(cache.flush(60s) == 0);
    stats = cache.stats();
    CHECK(stats.batches == 1);
    CHECK(stats.batched == 3);
    CHECK(stats.buried == 1);
    CHECK(stats.dead_letters == 1);
    CHECK(stats.discarded == 0);
    CHECK(cache.dead_letters().at(0).attempts == 1);
    CHECK_FALSE(cache.discard(1));
    CHECK(cache.discard(2));
    stats = cache.stats();
    CHECK(stats.buried == 1);
    CHECK(stats.dead_letters == 0);
    CHECK(stats.discarded == 1);
}

TEST_CASE("the dead letters of a journal that does not count them are counted", "[behind]") {
    struct Uncounted : HookedJournal<> {
        using HookedJournal::HookedJournal;
        std::size_t buried() const = delete;
    };
    Store store;
    Rows rows;
    rows.poison = 1;
    auto behind = quick;
    behind.attempts = 1;
    WriteBehind cache{store, std::ref(rows), Uncounted{}, {}, behind};
    cache.put(1, 10);
    CHECK(cache.flush(60s) == 0);
    CHECK(cache.stats().dead_letters == 1);
}
