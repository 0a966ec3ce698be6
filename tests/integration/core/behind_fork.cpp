// SPDX-License-Identifier: MIT

// Write-behind in a process that forks: what was pending is the parent's, what the child puts is
// written by the child, and both end.

#include "support/catch.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

using namespace std::chrono_literals;
using larder::WriteBehind;
using larder_test::Rows;

namespace {

using Store = larder::MemoryStore<int, int>;

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LARDER_TEST_TSAN
#endif
#elif defined(__SANITIZE_THREAD__)
#define LARDER_TEST_TSAN
#endif
#ifdef LARDER_TEST_TSAN
constexpr bool child_may_have_threads = false;  // ThreadSanitizer ends such a child
#else
constexpr bool child_may_have_threads = true;
#endif

// What the child's `main` gives; a child that hangs is ended by its alarm.
template <class Main>
int in_child(Main&& main) {
    const pid_t child = ::fork();
    if (child == 0) {
        ::alarm(30);
        int gave = 100;
        try {
            gave = main();
        } catch (...) {}
        ::_exit(gave);
    }
    int status = -1;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace

TEST_CASE("a forked child writes what it puts, and its parent what was pending", "[behind][fork]") {
    if (!child_may_have_threads) {
        WARN("skipped: under ThreadSanitizer a child of a process with threads has none");
        return;
    }
    Store store;
    Rows rows;
    auto cache = std::make_unique<WriteBehind<Store, std::reference_wrapper<Rows>>>(
        store, std::ref(rows), larder::Options{}, larder::WriteBehindOptions{.delay = 1h});
    cache->put(1, 10);
    cache->put(2, 20);
    SECTION("that flushes") {
        CHECK(in_child([&] {
                  cache->put(2, 22);
                  const bool pending = cache->stats().pending == 1;
                  const bool flushed = cache->flush(20s) == 0;
                  const bool written = rows.load(2) == 22 && rows.writes == 1;
                  const bool read = cache->get(1) == 10 && cache->get(2) == 22;
                  cache.reset();
                  return (pending ? 1 : 0) + (flushed ? 2 : 0) + (written ? 4 : 0) + (read ? 8 : 0);
              }) == 15);
    }
    SECTION("that drains") {
        CHECK(in_child([&] {
                  cache->put(3, 30);
                  cache.reset();
                  return rows.load(3) == 30 && rows.writes == 1 ? 1 : 0;
              }) == 1);
    }
    SECTION("that only ends") {
        CHECK(in_child([&] {
                  cache.reset();
                  return rows.writes == 0 ? 1 : 0;
              }) == 1);
    }
    CHECK(rows.writes == 0);
    CHECK(cache->flush(30s) == 0);
    CHECK(rows.load(1) == 10);
    CHECK(rows.load(2) == 20);
}

TEST_CASE("a child whose parent has just rung for its flusher", "[behind][fork]") {
    if (!child_may_have_threads) {
        WARN("skipped: under ThreadSanitizer a child of a process with threads has none");
        return;
    }
    Store store;
    Rows rows;
    {
        WriteBehind cache{store, std::ref(rows), {}, {.delay = 50ms}};
        cache.put(1, 10);
        CHECK(in_child([&] {
                  cache.put(2, 20);
                  while (rows.load(2) != 20) {  // without a flush
                      std::this_thread::yield();
                  }
                  return rows.writes == 1 ? 1 : 0;
              }) == 1);
    }
    CHECK(rows.load(1) == 10);
    CHECK(rows.writes == 1);
}

TEST_CASE("a journal that another thread was using at the fork", "[behind][fork]") {
    larder::MemoryJournal<int, int> journal;
    std::atomic<bool> done{false};
    const std::jthread user{[&] {
        for (int i = 0; !done; ++i) {
            journal.record({i % 100, i, 0});
            (void)journal.settle(journal.claim(10, 1s, 0ms));
        }
    }};
    for (int round = 0; round < 50; ++round) {
        REQUIRE(in_child([&] {
                    const bool empty = journal.size() == 0 && !journal.oldest();
                    journal.record({1, 10, 0});
                    const auto claims = journal.claim(10, 1s, 0ms);
                    return empty && claims.size() == 1 && journal.settle(claims).front() ? 1 : 0;
                }) == 1);
    }
    done = true;
}

#endif
