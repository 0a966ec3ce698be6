// SPDX-License-Identifier: MIT

// What goes together only by a word of the user: unfenced and unshared.

#include "support/behind_world.hpp"
#include "support/catch.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::WriteBehind;
using larder_test::BatchRows;
using larder_test::Broken;
using larder_test::code_of;
using larder_test::HookedJournal;
using larder_test::lazy;
using larder_test::quick;
using larder_test::Rows;
using larder_test::Store;

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
