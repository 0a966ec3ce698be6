// SPDX-License-Identifier: MIT

// Write-behind when the journal or the store cannot be asked: a clear error, no hang, nothing lost in
// silence.

#include "support/behind_world.hpp"
#include "support/catch.hpp"
#include "support/flaky_store.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <latch>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::EventKind;
using larder::Source;
using larder::WriteBehind;
using larder_test::code_of;
using larder_test::Events;
using larder_test::lazy;
using larder_test::quick;
using larder_test::Rows;
using larder_test::World;

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

TEST_CASE("a flush returns when all is written, though nothing can be claimed any more",
          "[behind]") {
    World w;
    std::latch writing{1};
    std::latch asked{1};
    std::latch go{1};
    std::atomic<bool> flushing{false};
    w.journal.before() = [&](std::string_view function) {
        w.broken(function);
        if (function == "size" && flushing.exchange(false)) {
            asked.count_down();
        }
    };
    w.rows.before_write = [&](int, const std::optional<int>&) {
        w.broken.set({"claim"});
        writing.count_down();
        go.wait();
    };
    const WriteBehind cache{w.store,
                            std::ref(w.rows),
                            w.journal,
                            {.executor = [](const larder::Task&) { return false; }},
                            quick};
    cache.put(1, 6);
    writing.wait();
    const std::jthread opener{[&] {
        asked.wait();  // the flush has begun
        go.count_down();
    }};
    flushing = true;
    CHECK(cache.flush(1h) == 0);
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
