// SPDX-License-Identifier: MIT

// Write-behind over a database that will not have a row, or any.

#include "support/behind_world.hpp"
#include "support/catch.hpp"
#include "support/eventually.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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
using larder::Change;
using larder::EventKind;
using larder::WriteBehind;
using larder_test::BatchRows;
using larder_test::eventually;
using larder_test::lazy;
using larder_test::quick;
using larder_test::Rows;
using larder_test::Store;
using larder_test::World;

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

namespace {

// A database that fails when all of it is down, or for a row that is bad. Counts how often each row was
// tried alone.
struct Tried : BatchRows {
    std::set<int> bad{};
    std::atomic<int> tries{0};
    std::atomic<int> tries_until_one{0};  // was taken
    std::map<int, int> tries_of{};

    bool save(int key, int value, std::uint64_t version) {
        {
            const std::scoped_lock lock{mutex};
            ++tries_of[key];
        }
        ++tries;
        check(key);
        int none = 0;
        tries_until_one.compare_exchange_strong(none, tries);
        return Rows::save(key, value, version);
    }
    std::vector<bool> save_many(std::span<const Change<int, int>> changes) {
        for (const auto& change : changes) {
            check(change.key);
        }
        return BatchRows::save_many(changes);
    }
    void check(int key) const {
        if (bad.contains(key)) {
            throw std::runtime_error{"a bad row"};
        }
    }
    int most_tries() {
        const std::scoped_lock lock{mutex};
        int most = 0;
        for (const auto& [key, count] : tries_of) {
            most = (std::max)(most, count);
        }
        return most;
    }
};

}  // namespace

TEST_CASE("bad rows keep no good one, and are each tried as often as is said", "[behind]") {
    Store store;
    Tried rows;
    rows.bad = {0, 1, 2, 41, 77, 78, 99};  // three at the head, too
    auto behind = quick;
    behind.attempts = 4;
    behind.claim = 1h;
    behind.drain = 60s;
    behind.parallel = GENERATE(std::size_t{1}, std::size_t{4});
    WriteBehind cache{store, std::ref(rows), {}, behind};
    cache.pause();  // so that they come together
    for (int key = 0; key < 100; ++key) {
        cache.put(key, key);
    }
    cache.resume();
    CHECK(cache.flush(60s) == 0);
    const auto letters = cache.dead_letters();
    CHECK(letters.size() == rows.bad.size());
    for (const auto& letter : letters) {
        CHECK(rows.bad.contains(letter.change.key));
        CHECK(letter.attempts == 4);
        CHECK(letter.first <= letter.last);
        CHECK(letter.why == "a bad row");
        // Of several batches some may fail when that says nothing any more.
        CHECK(rows.tries_of[letter.change.key] >= 4);
        CHECK((behind.parallel > 1 || rows.tries_of[letter.change.key] == 4));
    }
    CHECK(rows.writes == 93);
}

TEST_CASE("many bad rows ahead of the good ones are taken for an outage, and passed in a few tries",
          "[behind]") {
    Store store;
    Tried rows;
    for (int key = 0; key < 300; ++key) {
        rows.bad.insert(key);
    }
    auto behind = quick;
    behind.attempts = 1'000'000;
    behind.claim = 1h;
    behind.parallel = GENERATE(std::size_t{1}, std::size_t{4});
    WriteBehind cache{store, std::ref(rows), {}, behind};
    cache.pause();  // so that they come together
    for (int key = 0; key < 310; ++key) {
        cache.put(key, key);
    }
    cache.resume();
    REQUIRE(eventually([&] { return rows.tries_until_one > 0; }));
    CHECK(rows.tries_until_one < 60);
    CHECK(eventually([&] { return rows.writes == 10; }));
}

TEST_CASE("a bad row that waits for its next try keeps nobody", "[behind]") {
    Store store;
    Tried rows;
    rows.bad = {1};
    auto behind = quick;
    behind.backoff = behind.max_backoff = 1h;
    WriteBehind cache{store, std::ref(rows), {}, behind};
    for (int round = 0; round < 3; ++round) {
        cache.put(1, round);  // bad, and new each time
        CHECK(eventually([&] { return rows.tries >= 2 * round + 1; }));
        cache.put(2, round);
        CHECK(eventually([&] { return rows.load(2) == round; }));
    }
    CHECK(eventually([&] { return cache.pending() == 1; }));
    CHECK(cache.dead_letters().empty());
}

TEST_CASE("a lone bad row is tried as often as is said, and buried", "[behind]") {
    Store store;
    Tried rows;
    rows.bad = {1};
    auto behind = quick;
    behind.attempts = 10;
    behind.claim = 1h;
    WriteBehind cache{store, std::ref(rows), {}, behind};
    cache.put(1, 10);
    CHECK(cache.flush(60s) == 0);
    REQUIRE(cache.dead_letters().size() == 1);
    CHECK(cache.dead_letters()[0].attempts == 10);
    CHECK(rows.tries_of[1] == 10);
    CHECK(cache.stats().retries == 9);
}

TEST_CASE("a database that was down for half a minute has lost nothing, and catches up",
          "[behind]") {
    // By a clock that is set: so long is what backs off due again and again.
    larder::ManualClock clock;
    larder::MemoryStore<int, int, larder::ManualClock> store{{}, clock};
    Tried rows;
    constexpr int keys = 300;
    larder::WriteBehindOptions behind{.delay = 0ms, .drain = 60s};
    WriteBehind cache{store, std::ref(rows), {}, behind};
    rows.down = true;
    for (int key = 0; key < keys; ++key) {
        cache.put(key, key);
    }
    CHECK(eventually([&] { return rows.tries >= 2; }));
    for (int tenth = 0; tenth < 300; ++tenth) {
        clock.advance(100ms);
        std::this_thread::yield();
    }
    CHECK(eventually([&] { return rows.tries >= 5; }));
    for (int key = 0; key < 20; ++key) {
        cache.put(key, key + 1000);  // some are changed meanwhile
    }
    // It is not hammered: one row alone at a time, with pauses.
    CHECK(rows.tries < 60);
    CHECK(rows.most_tries() <= 3);
    CHECK(cache.pending() == keys);
    rows.down = false;
    clock.advance(1s);
    CHECK(cache.flush(60s) == 0);
    CHECK(cache.dead_letters().empty());
    CHECK(cache.stats().buried == 0);
    for (int key = 0; key < keys; ++key) {
        CHECK(rows.load(key) == (key < 20 ? key + 1000 : key));
    }
}

TEST_CASE("an outage of which every wait is short buries nothing of many", "[behind]") {
    Store store;
    Tried rows;
    auto behind = quick;
    behind.attempts = 10;
    behind.batch = 20;
    behind.claim = 1h;
    behind.drain = 60s;
    WriteBehind cache{store, std::ref(rows), {}, behind};
    rows.down = true;
    constexpr int keys = 200;
    for (int key = 0; key < keys; ++key) {
        cache.put(key, key);
    }
    // As many tries as would bury thirty rows, if they were always the same.
    CHECK(eventually([&] { return rows.tries >= 300; }));
    rows.down = false;
    CHECK(cache.flush(60s) == 0);
    CHECK(cache.dead_letters().empty());
    CHECK(rows.writes == keys);
    CHECK(rows.most_tries() < 10);
}

// Rule W5.
TEST_CASE("a change that was written and not settled is not refused by its own row", "[behind]") {
    World w;
    std::atomic<int> settles{0};
    w.journal.before() = [&](std::string_view function) {
        if (function == "settle" && ++settles <= 2) {
            throw larder::StoreError{larder::Errc::store_failed, "the reply was lost"};
        }
    };
    auto cache = w.cache(quick);
    cache.put(1, 10);
    cache.remove(2);
    CHECK(cache.flush(60s) == 0);
    CHECK(w.rows.writes >= 3);  // twice, with the same version
    CHECK(cache.stats().refused == 0);
    CHECK(cache.dead_letters().empty());
    CHECK(w.rows.load(1) == 10);
    CHECK(cache.get(1) == 10);
}

// Rule W5.
TEST_CASE("of a batch the changes that were refused are told from those that were applied",
          "[behind]") {
    World w;
    auto cache = w.cache(lazy);
    for (const int key : {3, 4, 7, 9}) {
        w.rows.rows[key] = {77, UINT64_MAX};
    }
    for (int key = 0; key < 10; ++key) {
        cache.put(key, key);
    }
    CHECK(cache.flush(60s) == 0);
    CHECK(w.rows.batches == 1);
    const auto letters = cache.dead_letters();
    REQUIRE(letters.size() == 4);
    for (const auto& letter : letters) {
        CHECK(letter.why == "refused");
        CHECK(w.rows.load(letter.change.key) == 77);
        CHECK(letter.change.value == letter.change.key);
        CHECK(cache.get(letter.change.key) == 77);  // its copy went, too
    }
    CHECK(cache.stats().refused == 4);
    CHECK(cache.stats().buried == 4);
    CHECK(cache.stats().retries == 0);
    for (const int key : {0, 1, 2, 5, 6, 8}) {
        CHECK(w.rows.load(key) == key);
    }
    // Nothing is recorded again above the row.
    CHECK(cache.pending() == 0);
    CHECK(cache.flush(0ms) == 0);
    CHECK(w.rows.load(3) == 77);
}

TEST_CASE("a repository that answers for another number of changes has failed the batch",
          "[behind]") {
    struct Miscounting : BatchRows {
        std::vector<bool> save_many(std::span<const Change<int, int>> changes) {
            BatchRows::save_many(changes);
            return std::vector<bool>(changes.size() + 1, true);
        }
    };
    Store store;
    Miscounting rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    for (int key = 0; key < 5; ++key) {
        cache.put(key, key);
    }
    CHECK(cache.flush(60s) == 0);
    CHECK(rows.batches > 1);
    CHECK(rows.writes > 5);  // each alone in the end
    CHECK(cache.dead_letters().empty());
    CHECK(cache.stats().retries == 0);
}

TEST_CASE("a repository that writes many and says nothing has taken them all", "[behind]") {
    struct Silent : Rows {
        std::atomic<int> batches{0};

        void save_many(std::span<const Change<int, int>> changes) {
            ++batches;
            for (const auto& change : changes) {
                static_cast<void>(apply(change.key, change.value, change.version));
            }
        }
    };
    Store store;
    Silent rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    for (int key = 0; key < 5; ++key) {
        cache.put(key, key);
    }
    cache.remove(4);
    CHECK(cache.flush(60s) == 0);
    CHECK(rows.batches == 1);
    CHECK(rows.writes == 5);
    CHECK_FALSE(rows.load(4));
    CHECK(cache.stats().refused == 0);
}

TEST_CASE("whichever call of the flusher fails once, nothing is lost and nothing is in hand",
          "[behind]") {
    // Each call to the journal and to the database in turn, of a run that has everything: a batch, a bad
    // row that is tried again, one that is buried, one that is refused.
    int calls = 0;
    for (int nth = 1;; ++nth) {
        INFO("call " << nth);
        World w;
        std::mutex mutex;
        int left = nth;
        std::string failed;
        const auto call = [&](std::string_view function) {
            const std::scoped_lock lock{mutex};
            if (--left == 0) {
                failed = function;
                throw larder::StoreError{larder::Errc::store_failed, "this once"};
            }
        };
        std::atomic<bool> begun{false};
        std::atomic<int> bad{2};
        w.journal.before() = [&](std::string_view function) {
            if (begun && (function == "claim" || function == "renew" || function == "settle" ||
                          function == "defer" || function == "bury")) {
                call(function);
            }
        };
        w.rows.before_write = [&](int key, const std::optional<int>&) {
            call("save");
            if (key == 2 && bad-- > 0) {
                throw std::runtime_error{"not yet"};
            }
            if (key == 5) {
                throw std::runtime_error{"never"};
            }
        };
        w.rows.rows[4] = {77, UINT64_MAX};
        auto behind = lazy;
        behind.attempts = 3;
        behind.backoff = 1ms;
        behind.max_backoff = 2ms;
        behind.claim = 1h;  // a claim that is forgotten is not due again
        behind.drain = 60s;
        {
            auto cache = w.cache(behind);
            for (int key = 0; key < 7; ++key) {
                cache.put(key, key + 10);
            }
            begun = true;
            CHECK(cache.flush(60s) == 0);
            begun = false;
            CHECK(eventually([&] {
                return larder::detail::Inspect::in_hand(cache) == larder::detail::PolicyInHand{};
            }));
            CHECK(cache.pending() == 0);
            const auto letters = cache.dead_letters();
            REQUIRE(letters.size() == 2);
            for (const auto& letter : letters) {
                CHECK((letter.change.key == 4 || letter.change.key == 5));
                CHECK((letter.why == "refused") == (letter.change.key == 4));
            }
            for (const int key : {0, 1, 2, 3, 6}) {
                CHECK(w.rows.load(key) == key + 10);
            }
            CHECK(w.rows.load(4) == 77);
        }
        CHECK(w.events.count(EventKind::not_drained) == 0);
        if (failed.empty()) {
            calls = nth;
            break;
        }
        REQUIRE(nth < 200);
    }
    CHECK(calls > 15);
}
