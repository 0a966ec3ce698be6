// SPDX-License-Identifier: MIT

#include "support/catch.hpp"
#include "support/caught.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <latch>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder_test::caught;

namespace {

using Store = larder::MemoryStore<int, int, larder::ManualClock>;

/// What the cache itself would load with: no test here lets it.
const auto never = [](int) -> int { throw std::logic_error{"the cache's own loader"}; };

/// An executor that has begun its one task when it has accepted it: a task that has not may be dropped.
larder::Executor begins(std::jthread& thread, std::latch& begun) {
    return larder::Executor{[&](const larder::Task& task) {
        thread = std::jthread{task};
        begun.wait();
    }};
}

}  // namespace

TEST_CASE("a loader given away loads on after its caller's time is up", "[detached]") {
    const larder::ManualClock clock;
    Store store{{}, clock};
    std::latch begun{1};
    std::latch go_on{1};
    std::atomic<int> loads{0};
    std::jthread thread;
    CacheAside cache{store, never, {.ttl = 1h, .executor = begins(thread, begun)}};
    const auto slow = [&](int key) {
        ++loads;
        begun.count_down();
        go_on.wait();
        return key * 10;
    };

    CHECK(caught([&] { (void)cache.get(1, larder::detached(slow), {.timeout = 1ms}); }) ==
          Errc::timed_out);
    CHECK(loads == 1);
    CHECK_FALSE(cache.peek(1));
    go_on.count_down();
    CHECK(cache.get(1) == 10);  // waits for that load, or has its copy
    CHECK(loads == 1);
    CHECK(cache.peek(1) == 10);
}

TEST_CASE("who has an old copy gets it in time, and the loader given away replaces it",
          "[detached]") {
    larder::ManualClock clock;
    Store store{{}, clock};
    std::latch begun{1};
    std::latch go_on{1};
    std::jthread thread;
    CacheAside cache{store, never, {.ttl = 10s, .grace = 1h, .executor = begins(thread, begun)}};
    REQUIRE(cache.get(1, [](int) { return 5; }) == 5);
    clock.advance(11s);
    const auto slow = [&](int key) {
        begun.count_down();
        go_on.wait();
        return key * 10;
    };

    const auto old = cache.fetch(1, larder::detached(slow), {.timeout = 1ms});
    CHECK(old.value == 5);
    CHECK(old.source == larder::Source::stale);
    go_on.count_down();
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (cache.peek(1) != 10 && std::chrono::steady_clock::now() < end) {
        std::this_thread::yield();
    }
    CHECK(cache.peek(1) == 10);
}
