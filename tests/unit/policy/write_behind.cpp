// SPDX-License-Identifier: MIT

#include "support/catch.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>
#include <larder/policy/tagged.hpp>
#include <larder/policy/write_behind.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::WhenFull;
using larder::WriteBehind;
using larder_test::BatchRows;
using larder_test::Rows;

namespace {

using Store = larder::MemoryStore<int, int>;

constexpr larder::WriteBehindOptions quick{
    .delay = 1ms, .attempts = 3, .backoff = 1ms, .drain = 50ms};
// Nothing is written until `flush`.
constexpr larder::WriteBehindOptions lazy{.delay = 1h, .drain = 50ms};

}  // namespace

TEST_CASE("a write returns when it is recorded, and the database follows", "[behind]") {
    Store store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    cache.put(1, 10);
    cache.put(1, 11);
    cache.put(2, 20);
    CHECK(rows.writes == 0);
    CHECK(cache.get(1) == 11);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.stats().pending == 2);
    CHECK(cache.flush(10s) == 0);
    CHECK(rows.load(1) == 11);
    CHECK(rows.load(2) == 20);
    CHECK(rows.writes == 2);  // the first change of 1 was never written
    CHECK(cache.stats().pending == 0);
}

TEST_CASE("a pending change whose copy was evicted is what is read", "[behind]") {
    Store store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {.negative_ttl = 1h}, lazy};
    cache.put(1, 10);
    cache.invalidate(1);
    const auto got = cache.fetch(1);
    CHECK(got.value == 10);
    CHECK(got.source == Source::pending);
    cache.remove(1);
    cache.invalidate(1);
    CHECK_FALSE(cache.get(1));
    cache.put(2, 20);
    cache.invalidate(2);
    CHECK(cache.get_many({1, 2, 3}) ==
          std::vector<std::optional<int>>{std::nullopt, 20, std::nullopt});
}

TEST_CASE("puts and removes keep their order per key", "[behind]") {
    Store store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    cache.put(1, 10);
    cache.remove(1);
    cache.put(2, 20);
    cache.remove(2);
    cache.put(2, 21);
    CHECK(cache.flush(10s) == 0);
    CHECK_FALSE(rows.load(1));
    CHECK(rows.load(2) == 21);
}

TEST_CASE("the destructor drains", "[behind]") {
    Store store;
    Rows rows;
    {
        WriteBehind cache{store, std::ref(rows), {}, {.delay = 1h}};
        for (int key = 0; key < 1000; ++key) {
            cache.put(key, key);
        }
    }
    CHECK(rows.writes == 1000);
}

TEST_CASE("what cannot be drained is told to the observer", "[behind]") {
    Store store;
    Rows rows;
    rows.down = true;
    std::vector<larder::EventKind> events;
    std::mutex mutex;
    {
        WriteBehind cache{
            store,
            std::ref(rows),
            {.observer =
                 [&](const larder::Event& event) {
                     const std::scoped_lock lock{mutex};
                     events.push_back(event.kind);
                 }},
            {.delay = 1ms, .attempts = 1000, .backoff = 1h, .max_backoff = 1h, .drain = 20ms}};
        cache.put(1, 10);
    }
    CHECK(events == std::vector{larder::EventKind::not_drained});
}

// Rule W7.
TEST_CASE("a poison row among a hundred good ones is buried alone", "[behind]") {
    Store store;
    BatchRows rows;
    rows.poison = 42;
    WriteBehind cache{store, std::ref(rows), {}, quick};
    for (int key = 0; key < 100; ++key) {
        cache.put(key, key);
    }
    CHECK(cache.flush(10s) == 0);
    const auto letters = cache.dead_letters();
    REQUIRE(letters.size() == 1);
    CHECK(letters[0].change.key == 42);
    CHECK(letters[0].why == "the database will not have 42");
    CHECK(rows.writes == 99);
    CHECK(cache.stats().buried == 1);
    CHECK(cache.stats().retries == 2);
    CHECK_FALSE(cache.get(42));  // its copy went with it

    SECTION("revived") {
        rows.poison = -1;
        CHECK(cache.revive(42));
        CHECK_FALSE(cache.revive(42));
        CHECK(cache.get(42) == 42);
        CHECK(cache.flush(10s) == 0);
        CHECK(rows.load(42) == 42);
    }
    SECTION("discarded") {
        CHECK(cache.discard(42));
        CHECK_FALSE(cache.revive(42));
        CHECK(cache.dead_letters().empty());
    }
    SECTION("taken away by a newer change") {
        rows.poison = -1;
        cache.put(42, 43);
        CHECK(cache.dead_letters().empty());
        CHECK_FALSE(cache.revive(42));
        CHECK(cache.flush(10s) == 0);
        CHECK(rows.load(42) == 43);
    }
}

// Rule W5.
TEST_CASE("a change that is older than its row is buried as refused", "[behind]") {
    Store store;
    Rows rows;
    rows.rows[1] = {77, UINT64_MAX};
    WriteBehind cache{store, std::ref(rows), {}, quick};
    cache.put(1, 10);
    CHECK(cache.flush(10s) == 0);
    REQUIRE(cache.dead_letters().size() == 1);
    CHECK(cache.dead_letters()[0].why == "refused");
    CHECK(cache.get(1) == 77);
    CHECK(cache.stats().refused == 1);
}

TEST_CASE("a removed row that a stalled flusher would insert again stays removed", "[behind]") {
    // The claim ends while the write is under way; another flusher writes what is newer.
    larder::MemoryJournal<int, int, larder::ManualClock> journal;
    Rows rows;
    journal.record({1, std::optional{10}});
    const auto stalled = journal.claim(1, 0ms, 0ms);
    journal.record({1, std::nullopt});
    const auto newer = journal.claim(1, 10s, 0ms);
    REQUIRE(newer.size() == 1);
    CHECK(rows.remove(1, newer[0].change.version));
    CHECK(journal.settle(newer) == std::vector{true});
    CHECK_FALSE(rows.save(1, 10, stalled[0].change.version));
    CHECK(journal.settle(stalled) == std::vector{false});
    CHECK_FALSE(rows.load(1));
}

// Rule W6.
TEST_CASE("a flusher does not settle what was superseded", "[behind]") {
    larder::MemoryJournal<int, int> journal;
    journal.record({1, std::optional{10}});
    const auto claimed = journal.claim(10, 10s, 0ms);
    REQUIRE(claimed.size() == 1);
    CHECK(journal.claim(10, 10s, 0ms).empty());  // one writer a key at a time
    journal.record({1, std::optional{11}});
    CHECK(journal.claim(10, 10s, 0ms).empty());
    CHECK(journal.settle(claimed) == std::vector{false});
    const auto again = journal.claim(10, 10s, 0ms);
    REQUIRE(again.size() == 1);
    CHECK(again[0].change.value == 11);
    CHECK(journal.settle(again) == std::vector{true});
    CHECK(journal.size() == 0);
}

// Rule W9.
TEST_CASE("a full journal refuses, or makes writers wait", "[behind]") {
    Store store;
    Rows rows;
    SECTION("reject") {
        WriteBehind cache{
            store,
            std::ref(rows),
            {},
            {.max_pending = 2, .when_full = WhenFull::reject, .delay = 1h, .drain = 50ms}};
        // The flusher may have taken some away: fill until it is refused.
        rows.down = true;
        cache.put(1, 1);
        cache.put(2, 2);
        cache.put(2, 3);  // it has one pending already
        try {
            cache.put(3, 3);
            FAIL("nothing was thrown");
        } catch (const larder::Error& error) {
            CHECK(error.code() == larder::Errc::journal_full);
        }
        CHECK(cache.fetch(3).source == Source::loaded);  // refused: no ticket is left
        rows.down = false;
    }
    SECTION("block") {
        WriteBehind cache{store, std::ref(rows), {}, {.max_pending = 5, .delay = 0ms}};
        for (int key = 0; key < 200; ++key) {
            cache.put(key, key);
        }
        CHECK(cache.flush(10s) == 0);
        CHECK(rows.writes == 200);
    }
}

// Rule W4.
TEST_CASE("hot keys reach the database as far fewer rows, and the last value is right",
          "[behind]") {
    Store store;
    BatchRows rows;
    constexpr int writers = 4;
    constexpr int hot = 50;  // keys of each writer, so that it knows what was last
    constexpr int puts = 5000;
    {
        WriteBehind cache{store, std::ref(rows), {}, {.delay = 100ms, .drain = 60s}};
        std::vector<std::jthread> crowd;
        for (int writer = 0; writer < writers; ++writer) {
            crowd.emplace_back([&, writer] {
                for (int i = 0; i < puts; ++i) {
                    cache.put(writer * hot + i % hot, i);
                }
            });
        }
    }
    for (int key = 0; key < writers * hot; ++key) {
        CHECK(rows.load(key) == puts - hot + key % hot);
    }
    CHECK(rows.writes < writers * puts / 2);
}

TEST_CASE("a change waits for company, and no longer", "[behind]") {
    larder::ManualClock clock;
    larder::MemoryJournal<int, int, larder::ManualClock> journal{clock};
    CHECK_FALSE(journal.oldest());
    journal.record({1, 10});
    clock.advance(60ms);
    journal.record({2, 20});
    journal.record({1, 11});  // does not begin to wait anew
    CHECK(journal.claim(10, 10s, 100ms).empty());
    clock.advance(40ms);
    CHECK(journal.oldest() == 100ms);
    const auto first = journal.claim(10, 10s, 100ms);
    REQUIRE(first.size() == 1);
    CHECK(first[0].change.value == 11);
    clock.advance(60ms);
    const auto second = journal.claim(10, 10s, 100ms);
    REQUIRE(second.size() == 1);
    CHECK(second[0].change.key == 2);
    CHECK(journal.oldest() == 160ms);
    // A next try waits for itself alone, and a claim that has ended for nobody.
    journal.defer(second[0], 50ms);
    CHECK(journal.claim(10, 10s, 100ms).empty());
    clock.advance(50ms);
    REQUIRE(journal.claim(10, 10s, 100ms).size() == 1);
    clock.advance(10s);
    CHECK(journal.claim(10, 10s, 1h).size() == 2);
    CHECK(journal.claim(10, 10s, 0ms).empty());
    CHECK(journal.size() == 2);
}

TEST_CASE("a flusher whose claim has ended has no say in the change any more", "[behind]") {
    larder::MemoryJournal<int, int> journal;
    journal.record({1, 10});
    const auto late = journal.claim(1, 0ms, 0ms);
    const auto now = journal.claim(1, 10s, 0ms);
    REQUIRE(late.size() == 1);
    REQUIRE(now.size() == 1);
    CHECK_FALSE(journal.bury(late[0], "too late"));
    journal.defer(late[0], 1h);
    journal.renew(late, 1h);
    CHECK(journal.settle(late) == std::vector{false});
    CHECK(journal.size() == 1);
    CHECK(journal.settle(now) == std::vector{true});
    CHECK(journal.dead_letters().empty());
}

TEST_CASE("a flush that does not wait is served all the same", "[behind]") {
    Store store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    for (int i = 1; i <= 100; ++i) {
        cache.put(1, i);
        (void)cache.flush(0ms);
        while (rows.writes < i) {
            std::this_thread::yield();
        }
    }
    CHECK(rows.load(1) == 100);
}

TEST_CASE("claims come oldest first, and as many as are asked for", "[behind]") {
    larder::ManualClock clock;
    larder::MemoryJournal<int, int, larder::ManualClock> journal{clock};
    for (int key = 0; key < 10; ++key) {
        journal.record({key, key});
        clock.advance(1ms);
    }
    const auto some = journal.claim(3, 10s, 0ms);
    REQUIRE(some.size() == 3);
    for (int key = 0; key < 3; ++key) {
        CHECK(some[static_cast<std::size_t>(key)].change.key == key);
    }
    // Changed while it is written: due again when it is settled, as if it had just come.
    journal.record({1, 100});
    CHECK(journal.settle(some) == std::vector{true, false, true});
    CHECK(journal.size() == 8);
    CHECK(journal.oldest() == 7ms);
    const auto rest = journal.claim(100, 10s, 0ms);
    REQUIRE(rest.size() == 8);
    CHECK(rest.front().change.key == 3);
    CHECK(rest.back().change.key == 1);
    CHECK(rest.back().change.value == 100);
    CHECK(journal.settle(rest) == std::vector<bool>(8, true));
    CHECK(journal.size() == 0);
    CHECK_FALSE(journal.oldest());
}

TEST_CASE("reads through write-behind see every acknowledged write", "[behind]") {
    // Each writer owns a key and counts; readers must never see less than was acknowledged.
    Store store{{.capacity = 2}};  // copies are evicted all the time
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {}, {.delay = 0ms}};
    std::array<std::atomic<int>, 4> acknowledged{};
    std::atomic<int> wrong{0};
    {
        std::vector<std::jthread> crowd;
        for (int key = 0; key < 4; ++key) {
            crowd.emplace_back([&, key] {
                for (int value = 1; value <= 2000; ++value) {
                    cache.put(key, value);
                    acknowledged[static_cast<std::size_t>(key)] = value;
                }
            });
            crowd.emplace_back([&, key] {
                for (int i = 0; i < 2000; ++i) {
                    const int floor = acknowledged[static_cast<std::size_t>(key)];
                    wrong += cache.get(key).value_or(0) < floor ? 1 : 0;
                    if (i % 16 == 0) {
                        cache.invalidate(key);
                    }
                }
            });
        }
    }
    CHECK(wrong == 0);
    CHECK(cache.flush(10s) == 0);
    for (int key = 0; key < 4; ++key) {
        CHECK(rows.load(key) == 2000);
    }
}

TEST_CASE("an executor of the user's own writes", "[behind]") {
    Store store;
    Rows rows;
    std::atomic<int> tasks{0};
    WriteBehind cache{store,
                      std::ref(rows),
                      {.executor =
                           [&](const larder::Task& task) {
                               ++tasks;
                               task();
                           }},
                      quick};
    cache.put(1, 10);
    CHECK(cache.flush(10s) == 0);
    CHECK(tasks == 1);
}

TEST_CASE("options of write-behind that make no sense are refused", "[behind]") {
    Store store;
    Rows rows;
    CHECK_THROWS_AS((WriteBehind{store, std::ref(rows), {}, {.max_pending = 0}}),
                    std::invalid_argument);
    CHECK_THROWS_AS((WriteBehind{store, std::ref(rows), {}, {.batch = 0}}), std::invalid_argument);
    CHECK_THROWS_AS((WriteBehind{store, std::ref(rows), {}, {.claim = 0ms}}),
                    std::invalid_argument);
    CHECK_THROWS_AS((WriteBehind{store, std::ref(rows), {}, {.drain = -1ms}}),
                    std::invalid_argument);
}

TEST_CASE("a journal of one's own, and tags", "[behind]") {
    Store store;
    Rows rows;
    larder::MemoryJournal<int, int> journal;
    larder::Tagged cache{WriteBehind{store, std::ref(rows), journal, {.ttl = 1h}, lazy},
                         [](int value) { return larder::Tags{value % 2 == 0 ? "even" : "odd"}; }};
    cache.put(1, 2);
    CHECK(journal.size() == 1);
    cache.invalidate_tag("even");
    CHECK(cache.fetch(1).source == Source::pending);
    CHECK(cache.flush(10s) == 0);
    CHECK(journal.size() == 0);
}

TEST_CASE("a loader for one call does not cover a pending change", "[behind]") {
    Store store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {.ttl = 1h}, lazy};
    const auto old_row = [](int) { return std::optional<int>{1}; };
    const bool given = GENERATE(false, true);
    const auto ask = [&] {
        return given ? cache.fetch(7, larder::detached(old_row)) : cache.fetch(7, old_row);
    };
    cache.put(7, 70);
    cache.invalidate(7);  // the copy; the change stays
    const auto got = ask();
    CHECK(got.value == 70);
    CHECK(got.source == Source::pending);
    CHECK(cache.get(7) == 70);  // what it left is the change, too
    cache.remove(7);
    cache.invalidate(7);
    CHECK_FALSE(ask().value);
    CHECK(cache.flush(10s) == 0);
    cache.invalidate(7);
    CHECK(ask().value == 1);  // nothing is pending: the loader decides
}

TEST_CASE("a journal that cannot be asked, and reads that go on without it", "[behind]") {
    // Its `pending` fails when told to; all else is the journal in memory.
    struct Deaf : larder::MemoryJournal<int, int> {
        std::shared_ptr<std::atomic<bool>> deaf = std::make_shared<std::atomic<bool>>(false);
        std::optional<larder::Change<int, int>> pending(const int& key) const {
            if (*deaf) {
                throw larder::StoreError{larder::Errc::store_failed, "no journal"};
            }
            return larder::MemoryJournal<int, int>::pending(key);
        }
    };
    Store store;
    Rows rows;
    rows.rows = {{1, {10, 0}}, {2, {20, 0}}};
    const Deaf journal;
    larder::WriteBehindOptions without = lazy;
    without.read_without_journal = true;
    using Cache = WriteBehind<Store, std::reference_wrapper<Rows>, Deaf>;
    Cache strict{Store{}, std::ref(rows), journal, {}, lazy};
    Cache lenient{store, std::ref(rows), journal, {}, without};
    *journal.deaf = true;
    CHECK_THROWS_AS(strict.get(1), larder::StoreError);
    CHECK_THROWS_AS(strict.get_many({1, 2}), larder::StoreError);
    CHECK(lenient.fetch(1).source == Source::bypassed);
    CHECK(lenient.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});
    CHECK_FALSE(store.find(1));
    CHECK_FALSE(store.find(2));
    *journal.deaf = false;
    CHECK(lenient.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});
    CHECK(store.find(2));
}

TEST_CASE("peek gives the change that waits, else the copy, and does nothing", "[behind]") {
    const bool unshared = GENERATE(false, true);
    const auto check = [](auto journal) {
        larder::ManualClock clock;
        larder::MemoryStore<int, int, larder::ManualClock> store{{}, clock};
        Rows rows;
        rows.rows = {{1, {10, 0}}, {2, {20, 0}}};
        const WriteBehind cache{store, std::ref(rows), journal, {.ttl = 1min}, lazy};
        CHECK_FALSE(cache.peek(1));
        CHECK(cache.get(1) == 10);
        CHECK(cache.peek(1) == 10);
        cache.put(2, 21);
        cache.invalidate(2);
        CHECK(cache.peek(2) == 21);
        cache.remove(1);
        CHECK_FALSE(cache.peek(1));
        CHECK_FALSE(store.find(2));
        CHECK(cache.stats().loads == 1);
        CHECK(cache.flush(10s) == 0);
        CHECK_FALSE(cache.peek(2));
        CHECK(cache.get(2) == 21);
        clock.advance(1h);
        CHECK_FALSE(cache.peek(2));
    };
    if (unshared) {
        check(larder::unshared(larder::MemoryJournal<int, int>{}));
    } else {
        check(larder::MemoryJournal<int, int>{});
    }
}

TEST_CASE("a key that is not equal to itself is refused by write-behind", "[behind]") {
    struct Table {
        std::optional<int> load(double) { return {}; }
        void save(double, int) {}
        void remove(double) {}
    };
    larder::MemoryStore<double, int> store;
    const WriteBehind cache{store, Table{}, {}, lazy};
    for (int i = 0; i < 100; ++i) {
        CHECK_THROWS_AS(cache.put(std::nan(""), i), std::invalid_argument);
        CHECK_THROWS_AS(cache.remove(std::nan("")), std::invalid_argument);
        CHECK_FALSE(cache.get(std::nan("")));
        CHECK_FALSE(cache.peek(std::nan("")));
    }
    CHECK(cache.stats().pending == 0);
    cache.put(0.5, 1);
    CHECK(cache.flush(10s) == 0);
}
