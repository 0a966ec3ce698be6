// SPDX-License-Identifier: MIT

// Write-behind when something is broken, full, slow or gone: a clear error, no hang, nothing lost in
// silence.

#include "support/catch.hpp"
#include "support/flaky_store.hpp"
#include "support/manual_executor.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::EventKind;
using larder::Source;
using larder::WhenFull;
using larder::WriteBehind;
using larder_test::BatchRows;
using larder_test::Broken;
using larder_test::Events;
using larder_test::HookedJournal;
using larder_test::Rows;

namespace {

using Store = larder::MemoryStore<int, int>;

// SlotTable that nobody settles end soon.
constexpr larder::WriteBehindOptions quick{
    .delay = 0ms, .attempts = 3, .backoff = 1ms, .max_backoff = 2ms, .claim = 30ms, .drain = 50ms};
// Nothing is written until `flush`.
constexpr larder::WriteBehindOptions lazy{.delay = 1h, .claim = 30ms, .drain = 50ms};

// A journal that breaks where the test says.
struct World {
    Store store{};
    BatchRows rows{};
    HookedJournal<> journal{};
    Broken broken{};
    Events events{};

    World() {
        journal.before() = [this](std::string_view function) { broken(function); };
        rows.rows[1] = {5, 0};
    }
    auto cache(larder::WriteBehindOptions behind) {
        return WriteBehind{store, std::ref(rows), journal, {.observer = events.observer()}, behind};
    }
};

larder::Errc code_of(const std::function<void()>& f) {
    try {
        f();
    } catch (const larder::Error& error) {
        return static_cast<larder::Errc>(error.code().value());
    }
    return {};
}

}  // namespace

// Rule W2.
TEST_CASE("a change that cannot be recorded is not acknowledged, and its ticket stands",
          "[behind]") {
    World w;
    auto cache = w.cache(lazy);
    CHECK(cache.get(1) == 5);
    w.broken.set({"record"});
    CHECK(code_of([&] { cache.put(1, 6); }) == larder::Errc::store_failed);
    CHECK(code_of([&] { cache.remove(1); }) == larder::Errc::store_failed);
    // The record may still arrive: nobody may keep what is read meanwhile.
    CHECK(cache.fetch(1).source == Source::bypassed);
    CHECK(cache.get(1) == 5);
    CHECK_FALSE(w.store.find(1));
    CHECK_FALSE(w.journal.oldest());
    w.broken.set({});
    cache.put(2, 7);
    CHECK(cache.fetch(2).source == Source::hit);
}

// Rule W3.
TEST_CASE("a journal that cannot be asked is not skipped", "[behind]") {
    World w;
    SECTION("a read throws") {
        auto cache = w.cache(lazy);
        cache.put(1, 6);
        cache.invalidate(1);
        w.broken.set({"pending"});
        CHECK(code_of([&] { (void)cache.get(1); }) == larder::Errc::store_failed);
        CHECK(code_of([&] { (void)cache.get_many({1, 2}); }) == larder::Errc::store_failed);
        w.broken.set({});
        CHECK(cache.get(1) == 6);
    }
    SECTION("unless the user says so: then it gives the row, and keeps nothing") {
        auto behind = lazy;
        behind.read_without_journal = true;
        auto cache = w.cache(behind);
        cache.put(1, 6);
        cache.invalidate(1);
        w.broken.set({"pending"});
        const auto fetched = cache.fetch(1);
        CHECK(fetched.value == 5);
        CHECK(fetched.source == Source::bypassed);
        CHECK(cache.get_many({1, 2}) == std::vector<std::optional<int>>{5, std::nullopt});
        CHECK_FALSE(w.store.find(1));
        w.broken.set({});
        CHECK(cache.get(1) == 6);
    }
}

TEST_CASE("whatever the flusher asks of a broken journal, nothing is lost", "[behind]") {
    World w;
    auto cache = w.cache(quick);
    for (const char* function : {"claim", "renew", "settle", "defer", "bury"}) {
        INFO(function);
        w.broken.set({function, "oldest"});
        const bool refuses =
            function == std::string_view{"defer"} || function == std::string_view{"bury"};
        w.rows.down = refuses;
        cache.put(1, 6);
        cache.put(2, 7);
        (void)cache.flush(20ms);
        CHECK_NOTHROW(cache.stats());
        w.rows.down = false;
        w.broken.set({});
        CHECK(cache.flush(30s) == 0);
        // What could not be buried in time is written; what was, is kept.
        for (const auto& letter : cache.dead_letters()) {
            CHECK(cache.revive(letter.change.key));
        }
        CHECK(cache.flush(30s) == 0);
        CHECK(w.rows.load(1) == 6);
        CHECK(w.rows.load(2) == 7);
        w.rows.rows.clear();
        w.store.clear();
    }
    CHECK(w.events.count(EventKind::store_failed) > 0);
}

TEST_CASE("a journal whose size cannot be asked", "[behind]") {
    World w;
    {
        auto cache = w.cache(lazy);
        cache.put(1, 6);
        w.broken.set({"size"});
        CHECK(code_of([&] { cache.put(1, 7); }) == larder::Errc::store_failed);
        CHECK(code_of([&] { (void)cache.flush(20ms); }) == larder::Errc::store_failed);
        CHECK(cache.stats().store_errors == 1);
    }  // and the destructor does not throw
    CHECK(w.events.text(EventKind::not_drained) ==
          "larder: the journal cannot size: the store failed");
}

TEST_CASE("the functions that the user calls pass the journal's failure on", "[behind]") {
    World w;
    auto cache = w.cache(lazy);
    w.broken.set({"dead_letters", "revive", "discard"});
    CHECK(code_of([&] { (void)cache.dead_letters(); }) == larder::Errc::store_failed);
    CHECK(code_of([&] { (void)cache.revive(1); }) == larder::Errc::store_failed);
    CHECK(code_of([&] { (void)cache.discard(1); }) == larder::Errc::store_failed);
}

TEST_CASE("a journal that is down is not asked in a loop", "[behind]") {
    World w;
    std::atomic<int> asked{0};
    w.journal.before() = [&](std::string_view function) {
        if (function == "claim") {
            ++asked;
            throw larder::StoreError{larder::Errc::store_failed, "down"};
        }
    };
    auto cache = w.cache(quick);
    cache.put(1, 6);
    CHECK(cache.flush(200ms) == 1);
    CHECK(asked > 0);
    CHECK(asked < 50);
}

TEST_CASE("a flush while all wait for their next try does not loop", "[behind]") {
    World w;
    std::atomic<int> asked{0};
    w.journal.before() = [&](std::string_view function) { asked += function == "claim" ? 1 : 0; };
    auto slow = quick;
    slow.backoff = slow.max_backoff = 1h;
    auto cache = w.cache(slow);
    w.rows.down = true;
    cache.put(1, 6);
    CHECK(cache.flush(200ms) == 1);
    CHECK(asked > 0);
    CHECK(asked < 100);
}

TEST_CASE("a newer change does not wait for the next try of the older one", "[behind]") {
    World w;
    auto slow = quick;
    slow.backoff = slow.max_backoff = 1h;
    auto cache = w.cache(slow);
    w.rows.down = true;
    cache.put(1, 6);
    CHECK(cache.flush(200ms) == 1);
    w.rows.down = false;
    cache.put(1, 7);
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.load(1) == 7);
}

TEST_CASE("a database that refuses every row", "[behind]") {
    World w;
    auto cache = w.cache(quick);
    SECTION("by throwing") {
        w.rows.down = true;
        for (int key = 0; key < 100; ++key) {
            cache.put(key, key);
        }
        CHECK(cache.flush(30s) == 0);
        CHECK(cache.dead_letters().size() == 100);
        CHECK(cache.stats().buried == 100);
        CHECK(w.events.count(EventKind::buried) == 100);
        CHECK(w.events.text(EventKind::buried).starts_with("the database will not have"));
    }
    SECTION("by saying no") {
        for (int key = 0; key < 100; ++key) {
            w.rows.rows[key] = {77, UINT64_MAX};  // before anything is written
        }
        for (int key = 0; key < 100; ++key) {
            cache.put(key, key);
        }
        CHECK(cache.flush(30s) == 0);
        const auto letters = cache.dead_letters();
        CHECK(letters.size() == 100);
        CHECK(letters.front().why == "refused");
        CHECK(cache.stats().refused == 100);
        CHECK(cache.get(42) == 77);
    }
}

// Rule W9.
TEST_CASE("a full journal gives up after block_for", "[behind]") {
    World w;
    auto full = quick;
    full.max_pending = 2;
    full.attempts = 1'000'000;
    full.block_for = 20ms;
    auto cache = w.cache(full);
    w.rows.down = true;
    cache.put(1, 1);
    cache.put(2, 2);
    CHECK(code_of([&] { cache.put(3, 3); }) == larder::Errc::journal_full);
    CHECK_NOTHROW(cache.put(2, 4));  // takes no room
    try {
        cache.put_many({{1, 5}, {4, 6}});
        FAIL("nothing was thrown");
    } catch (const larder::PartialWrite<int>& partial) {
        CHECK(partial.keys()[0] == std::pair{1, larder::Written::yes});
        CHECK(partial.keys()[1] == std::pair{4, larder::Written::no});
    }
    CHECK(cache.fetch(3).source == Source::loaded);  // refused for sure: no ticket is left
    w.rows.down = false;
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.load(2) == 4);
    CHECK_FALSE(w.rows.load(3));
}

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

TEST_CASE(
    "with the store down and the journal up a write is acknowledged, and its copy's drop queued",
    "[behind]") {
    const larder_test::FlakyStore flaky;
    const larder::Coordinated store{flaky};
    Rows rows;
    Events events;
    WriteBehind cache{store, std::ref(rows), {.observer = events.observer()}, lazy};
    cache.put(1, 10);
    CHECK(cache.fetch(1).source == Source::hit);
    flaky.down(true);
    cache.put(1, 11);
    CHECK(cache.stats().pending == 1);
    CHECK(cache.stats().queued_invalidations == 1);
    CHECK(events.count(EventKind::invalidation_queued) > 0);
    CHECK(cache.get(1) == 11);  // from the journal
    flaky.down(false);
    CHECK(cache.get(1) == 11);
    CHECK(cache.flush(30s) == 0);
    CHECK(rows.load(1) == 11);
    CHECK(cache.get(1) == 11);
}

// Rule W4.
TEST_CASE("a process that begins anew is not refused by its own rows", "[behind]") {
    Rows rows;
    for (int run = 1; run <= 3; ++run) {
        Store store;
        WriteBehind cache{store, std::ref(rows), {}, quick};
        for (int i = 3 * (3 - run); i >= 0; --i) {  // fewer writes than the run before
            cache.put(1, 100 * run + i);
        }
        CHECK(cache.flush(30s) == 0);
        CHECK(cache.dead_letters().empty());
        CHECK(rows.load(1) == 100 * run);
    }
}

// Rule W4.
TEST_CASE("however many changes come, versions do not run ahead of the time of day", "[behind]") {
    larder::MemoryJournal<int, int> before;
    std::uint64_t last = 0;
    for (int i = 0; i < 10'000; ++i) {
        const std::uint64_t version = before.record({1, i});
        REQUIRE(version > last);
        last = version;
    }
    larder::MemoryJournal<int, int> after;
    CHECK(after.record({1, -1}) > last);
}

// Rule W4.
TEST_CASE("of two processes the one that writes last wins, over a change that waits, too",
          "[behind]") {
    Rows rows;
    Store mine;
    Store theirs;
    WriteBehind cache{mine, std::ref(rows), {}, lazy};
    WriteBehind other{theirs, std::ref(rows), {}, lazy};
    cache.put(1, 1);
    other.put(1, 2);
    CHECK(other.flush(30s) == 0);
    cache.put(1, 3);
    CHECK(cache.flush(30s) == 0);
    CHECK(rows.load(1) == 3);
    CHECK(cache.dead_letters().empty());
}

namespace {

struct Durable : larder::MemoryJournal<int, int> {
    using MemoryJournal::MemoryJournal;
    Durable() = default;
    static constexpr bool durable = true;
};

// As a server would be, which other processes see.
struct SharedStore : Store {
    using Store::Store;
    SharedStore() = default;
    static constexpr bool shared = true;
};

struct PlainRows {
    std::mutex mutex{};
    std::map<int, int> rows{};

    std::optional<int> load(int key) {
        const std::scoped_lock lock{mutex};
        const auto at = rows.find(key);
        return at == rows.end() ? std::nullopt : std::optional{at->second};
    }
    void save(int key, int value) {
        const std::scoped_lock lock{mutex};
        rows[key] = value;
    }
    void remove(int key) {
        const std::scoped_lock lock{mutex};
        rows.erase(key);
    }
};

}  // namespace

TEST_CASE("a durable journal over a repository that is declared unfenced", "[behind]") {
    Store store;
    PlainRows rows;
    rows.rows[3] = 30;
    SECTION("by reference") {
        WriteBehind cache{store, larder::unfenced(std::ref(rows)), Durable{}, {}, quick};
        CHECK(cache.get(3) == 30);
        cache.put(1, 10);
        cache.remove(3);
        CHECK(cache.flush(30s) == 0);
        CHECK(rows.load(1) == 10);
        CHECK_FALSE(rows.load(3));
    }
    SECTION("by value, in batches") {
        struct Batches {
            PlainRows* rows;
            std::atomic<int>* batches;
            Batches(PlainRows& r, std::atomic<int>& b) : rows{&r}, batches{&b} {}

            std::optional<int> load(int key) { return rows->load(key); }
            void save(int key, int value) { rows->save(key, value); }
            void remove(int key) { rows->remove(key); }
            void save_many(std::span<const larder::Change<int, int>> changes) {
                ++*batches;
                for (const auto& change : changes) {
                    save(change.key, *change.value);
                }
            }
        };
        std::atomic<int> batches{0};
        WriteBehind cache{store, larder::unfenced(Batches{rows, batches}), Durable{}, {}, lazy};
        cache.put_many({{1, 10}, {2, 20}});
        CHECK(cache.flush(30s) == 0);
        CHECK(batches == 1);
        CHECK(rows.load(2) == 20);
    }
}

// Rule W10.
TEST_CASE("an unshared journal over a shared store leaves no old copy to others", "[behind]") {
    const SharedStore store;
    Rows rows;
    rows.rows[1] = {10, 0};
    // Another process, which sees the store and the rows, and not the journal.
    larder::CacheAside other{store, std::ref(rows)};
    WriteBehind mine{
        store, std::ref(rows), larder::unshared(larder::MemoryJournal<int, int>{}), {}, lazy};
    mine.put(1, 11);
    other.invalidate(1);
    CHECK(other.get(1) == 10);  // old, and kept
    CHECK(other.fetch(1).source == Source::hit);
    CHECK(mine.flush(30s) == 0);
    CHECK(other.get(1) == 11);
    CHECK(mine.get(1) == 11);
}

TEST_CASE("who has put a change reads it, whatever copy another process has made", "[behind]") {
    const SharedStore store;
    Rows rows;
    for (int key = 1; key <= 3; ++key) {
        rows.rows[key] = {key, 0};
    }
    larder::CacheAside other{store, std::ref(rows)};
    WriteBehind mine{
        store, std::ref(rows), larder::unshared(larder::MemoryJournal<int, int>{}), {}, lazy};
    const auto old_row = [](int key) { return std::optional{key}; };
    mine.put(1, 11);
    mine.remove(2);
    const auto old_copies = [&] {
        other.invalidate_many({1, 2, 3});
        CHECK(other.get_many({1, 2, 3}) == std::vector<std::optional<int>>{1, 2, 3});
        CHECK(other.fetch(1).source == Source::hit);
    };
    old_copies();
    const auto stats = mine.stats();
    CHECK(mine.get(1) == 11);
    CHECK_FALSE(mine.get(2));
    CHECK(mine.get(3) == 3);
    CHECK(mine.get(1, old_row) == 11);
    CHECK_FALSE(mine.get(2, larder::detached(old_row)));
    CHECK(mine.get(1, {.timeout = 10s}) == 11);
    CHECK(mine.peek(1) == 11);
    CHECK_FALSE(mine.peek(2));
    CHECK(mine.peek(3) == 3);
    const auto fetched = mine.fetch(1);
    CHECK(fetched.value == 11);
    CHECK(fetched.source == Source::pending);
    CHECK(fetched.remaining == 0ms);
    CHECK(fetched.age == 0ms);
    CHECK(mine.fetch(3).source == Source::hit);
    CHECK(mine.get_many({3, 2, 1}) == std::vector<std::optional<int>>{3, std::nullopt, 11});
    CHECK(mine.stats().loads == stats.loads);
    CHECK(mine.stats().hits == stats.hits + 11);
    CHECK(mine.refresh(1) == 11);
    old_copies();
    CHECK(mine.fetch(1, {.from = larder::From::source}).source == Source::pending);
    old_copies();
    CHECK(mine.flush(30s) == 0);
    CHECK(mine.fetch(1).source == Source::loaded);
    CHECK(mine.fetch(1).source == Source::hit);
    CHECK(other.get(1) == 11);
    CHECK_FALSE(other.get(2));
}

TEST_CASE("an unshared journal whose size cannot be asked is not skipped either", "[behind]") {
    const SharedStore store;
    BatchRows rows;
    rows.rows[1] = {5, 0};
    Broken broken;
    const HookedJournal<> journal;
    journal.before() = [&](std::string_view function) { broken(function); };
    auto behind = lazy;
    behind.read_without_journal = GENERATE(false, true);
    behind.drain = 0ms;
    WriteBehind cache{store, std::ref(rows), larder::unshared(journal), {}, behind};
    CHECK(cache.get(1) == 5);
    broken.set({"size"});
    if (behind.read_without_journal) {
        CHECK(cache.get(1) == 5);
        CHECK(cache.peek(1) == 5);
        CHECK(cache.get_many({1, 2}) == std::vector<std::optional<int>>{5, std::nullopt});
    } else {
        CHECK(code_of([&] { (void)cache.get(1); }) == larder::Errc::store_failed);
        CHECK(code_of([&] { (void)cache.peek(1); }) == larder::Errc::store_failed);
        CHECK(code_of([&] { (void)cache.get_many({1, 2}); }) == larder::Errc::store_failed);
    }
    broken.set({});
    CHECK(cache.get(1) == 5);
}

TEST_CASE("an unshared journal keeps what the store could not be told of", "[behind]") {
    // A store whose erase fails, as a server's does.
    struct Failing : SharedStore {
        std::shared_ptr<std::atomic<bool>> down = std::make_shared<std::atomic<bool>>(false);

        bool erase(int key) {
            if (*down) {
                throw larder::StoreError{larder::Errc::store_failed, "down"};
            }
            return SharedStore::erase(key);
        }
    };
    const Failing store;
    Rows rows;
    WriteBehind cache{
        store, std::ref(rows), larder::unshared(larder::MemoryJournal<int, int>{}), {}, quick};
    *store.down = true;
    cache.put(1, 11);
    while (rows.writes < 2 && cache.stats().pending > 0) {
        std::this_thread::yield();
    }
    CHECK(rows.writes >= 2);  // written, and not settled: written again
    CHECK(cache.stats().pending == 1);
    *store.down = false;
    CHECK(cache.flush(30s) == 0);
}

TEST_CASE("as many writers as come at once do not exceed max_pending", "[behind]") {
    // A journal that counts as it records, and one that does not.
    const auto check = [](auto journal) {
        constexpr int writers = 4;
        constexpr std::size_t most = 10;
        for (int round = 0; round < 20; ++round) {
            Store store;
            Rows rows;
            rows.down = true;
            auto behind = lazy;
            behind.max_pending = most;
            behind.when_full = WhenFull::reject;
            behind.drain = 0ms;
            WriteBehind cache{store, std::ref(rows), decltype(journal){}, {}, behind};
            std::atomic<int> refused{0};
            std::barrier start{writers};
            {
                std::vector<std::jthread> crowd;
                for (int writer = 0; writer < writers; ++writer) {
                    crowd.emplace_back([&, writer] {
                        start.arrive_and_wait();
                        for (int i = 0; i < 5; ++i) {
                            refused += code_of([&] { cache.put(writer * 5 + i, i); }) ==
                                               larder::Errc::journal_full
                                           ? 1
                                           : 0;
                        }
                    });
                }
            }
            REQUIRE(cache.stats().pending == most);
            REQUIRE(refused == writers * 5 - static_cast<int>(most));
        }
    };
    check(larder::MemoryJournal<int, int>{});
    check(HookedJournal<>{});
}

TEST_CASE("a writer that waits for room gets the first place that is free", "[behind]") {
    World w;
    auto full = lazy;
    full.max_pending = 1;
    full.block_for = 1h;
    full.drain = 30s;
    std::latch blocked{1};
    w.rows.before_write = [&](int, const std::optional<int>&) { blocked.wait(); };
    auto cache = w.cache(full);
    cache.put(1, 1);
    {
        std::vector<std::jthread> crowd;
        for (int key = 2; key < 6; ++key) {
            crowd.emplace_back([&, key] { cache.put(key, key); });
        }
        CHECK(cache.stats().pending == 1);
        blocked.count_down();
    }
    CHECK(cache.stats().pending <= 1);
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.writes == 5);
}

TEST_CASE("a journal whose every function fails once loses nothing", "[behind]") {
    World w;
    std::mutex mutex;
    std::set<std::string, std::less<>> failed;
    w.journal.before() = [&](std::string_view function) {
        const std::scoped_lock lock{mutex};
        // Writes, and what is said of them, so that every function of the flusher has its turn.
        if (function != "record" && failed.insert(std::string{function}).second) {
            throw larder::StoreError{larder::Errc::store_failed, "this once"};
        }
    };
    auto behind = lazy;
    behind.claim = 1h;  // a claim that is forgotten is not due again
    behind.drain = 60s;
    behind.attempts = GENERATE(std::size_t{1}, std::size_t{3});
    behind.backoff = 1ms;
    std::atomic<int> failures{3};  // in the batch, in its half, and alone
    w.rows.before_write = [&](int key, const std::optional<int>&) {
        if (key == 2 && failures-- > 0) {
            throw std::runtime_error{"this once"};
        }
    };
    {
        auto cache = w.cache(behind);
        (void)code_of([&] { cache.put(1, 10); });  // its size is asked, and fails
        cache.put(1, 10);
        cache.put(2, 20);
        cache.put(3, 30);
    }
    CHECK(w.rows.load(1) == 10);
    CHECK(w.rows.load(3) == 30);
    if (behind.attempts == 1) {
        CHECK(code_of([&] { (void)w.journal.dead_letters(); }) == larder::Errc::store_failed);
        REQUIRE(w.journal.dead_letters().size() == 1);
        CHECK(w.journal.dead_letters()[0].change.value == 20);
    } else {
        CHECK(w.rows.load(2) == 20);
    }
    CHECK(failed.contains("settle"));
    CHECK(failed.contains(behind.attempts == 1 ? "bury" : "defer"));
    CHECK(w.events.count(EventKind::not_drained) == 0);
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
