// SPDX-License-Identifier: MIT

// Options that make no sense, user code that explodes, clocks that stand still: errors, not hangs.

#include "support/catch.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <limits>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::ManualClock;
using larder::MemoryStore;
using larder::Options;
using larder::RefreshAhead;
using larder::Source;
using larder::WriteThrough;
using larder_test::Table;

namespace {

std::string refusal(Options options) {
    MemoryStore<int, int> store;
    try {
        CacheAside cache{store, [](int key) { return key; }, std::move(options)};
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    return "accepted";
}

bool names(const std::string& text, const char* field, const char* value) {
    INFO(text);
    return text.find(field) != std::string::npos && text.find(value) != std::string::npos;
}

// Copies a given number of times, then throws.
struct Fragile {
    int value = 0;
    std::shared_ptr<std::atomic<int>> copies_left = std::make_shared<std::atomic<int>>(1000);

    explicit Fragile(int v) : value{v} {}
    Fragile(Fragile&&) = default;
    Fragile& operator=(Fragile&&) = default;
    Fragile(const Fragile& other) : value{other.value}, copies_left{other.copies_left} {
        if (copies_left->fetch_sub(1) <= 0) {
            throw std::runtime_error{"no copy"};
        }
    }
    Fragile& operator=(const Fragile& other) {
        Fragile copy{other};
        return *this = std::move(copy);
    }
};

}  // namespace

TEST_CASE("options that make no sense are refused by name and value", "[bad]") {
    CHECK(names(refusal({.ttl = 0s}), "ttl", "0"));
    CHECK(names(refusal({.ttl = -5ms}), "ttl", "-5"));
    CHECK(names(refusal({.jitter = -0.5}), "jitter", "-0.5"));
    CHECK(names(refusal({.jitter = 1.5}), "jitter", "1.5"));
    CHECK(names(refusal({.jitter = std::numeric_limits<double>::quiet_NaN()}), "jitter", "nan"));
    CHECK(names(refusal({.negative_ttl = -1s}), "negative_ttl", "-1000"));
    CHECK(names(refusal({.grace = -1s}), "grace", "-1000"));
    CHECK(names(refusal({.load_timeout = -1s}), "load_timeout", "-1000"));
    CHECK(names(refusal({.wait = -1s}), "wait", "-1000"));
    CHECK(names(refusal({.ticket = 0s}), "ticket", "0"));
    CHECK(names(refusal({.refresh_below = 1.1}), "refresh_below", "1.1"));
    CHECK(names(refusal({.refresh_concurrency = 0}), "refresh_concurrency", "0"));
    CHECK(names(refusal({.refresh_backoff = -1s}), "refresh_backoff", "-1000"));
    CHECK(refusal({}) == "accepted");
    CHECK(refusal({.ttl = larder::Ttl::max(), .jitter = 1.0, .grace = larder::Ttl::max()}) ==
          "accepted");
}

// Rule S18.
TEST_CASE("an endless lifetime is one", "[bad]") {
    ManualClock clock;
    MemoryStore<int, int, ManualClock> store{{}, clock};
    CacheAside cache{store,
                     [](int key) { return key; },
                     {.ttl = larder::Ttl::max(), .grace = larder::Ttl::max()}};
    REQUIRE(cache.get(1) == 1);
    clock.advance(std::chrono::hours{24 * 365 * 50});
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("a copy constructor that throws leaves no lease behind", "[bad]") {
    MemoryStore<int, Fragile> store;
    for (int copies = 0; copies < 6; ++copies) {
        CAPTURE(copies);
        CacheAside cache{store, [&](int key) {
                             Fragile value{key};
                             *value.copies_left = copies;
                             return std::optional<Fragile>{std::move(value)};
                         }};
        for (int tries = 0; tries < 3; ++tries) {
            try {
                auto got = cache.get(1);  // a value or the exception, never a hang
                CHECK(got->value == 1);
            } catch (const std::runtime_error& error) {
                CHECK(std::string{error.what()} == "no copy");
            }
        }
        cache.invalidate(1);
        CHECK(cache.get(1, [](int) { return Fragile{2}; })->value == 2);
        cache.invalidate(1);
    }
}

TEST_CASE("a copy constructor that throws after the commit drops the copy", "[bad]") {
    MemoryStore<int, Fragile> store;
    struct Repository {
        std::optional<Fragile> load(int) { return Fragile{5}; }
        void save(int, const Fragile& value) { *value.copies_left = 0; }
        void remove(int) {}
    };
    WriteThrough cache{store, Repository{}};
    CHECK_NOTHROW(cache.put(1, Fragile{1}));
    CHECK(cache.get(1)->value == 5);
    CHECK(cache.fetch(1).source == Source::hit);
}

TEST_CASE("a policy waits for its loads when it goes", "[bad]") {
    MemoryStore<int, int> store;
    std::latch loading{1};
    std::latch let_go{1};
    std::atomic<bool> finished{false};
    auto cache = std::make_unique<CacheAside<MemoryStore<int, int>, std::function<int(int)>>>(
        store, std::function<int(int)>{[&](int key) {
            loading.count_down();
            let_go.wait();
            finished = true;
            return key;
        }});
    do {  // one that gives up before it has begun leaves nothing behind
        CHECK_THROWS_AS(cache->get(1, {.timeout = 1ms}), larder::Error);
    } while (!loading.try_wait());
    std::atomic<bool> gone{false};
    std::jthread destroyer{[&] {
        cache.reset();
        CHECK(finished);
        gone = true;
    }};
    CHECK_FALSE(gone);
    let_go.count_down();
    destroyer.join();
    CHECK(gone);
}

TEST_CASE("a clock that stands still delays nothing but expiry", "[bad]") {
    ManualClock clock;
    MemoryStore<int, int, ManualClock> store{{}, clock};
    std::latch let_go{1};
    CacheAside cache{store, [&](int key) {
                         let_go.wait();
                         return key;
                     }};
    CHECK_THROWS_AS(cache.get(1, {.timeout = 1ms}), larder::Error);  // real time
    let_go.count_down();
    CHECK(cache.get(1) == 1);
}

TEST_CASE("an observer that explodes concerns nobody", "[bad]") {
    ManualClock clock;
    MemoryStore<int, int, ManualClock> store{{}, clock};
    bool broken = false;
    CacheAside cache{store,
                     [&](int key) {
                         if (broken) {
                             throw std::runtime_error{"down"};
                         }
                         return key;
                     },
                     {.ttl = 1s, .grace = 10s, .observer = [](const larder::Event&) {
                          throw std::runtime_error{"observer"};
                      }}};
    REQUIRE(cache.get(1) == 1);
    broken = true;
    clock.advance(2s);
    CHECK(cache.fetch(1).source == Source::stale);
}

TEST_CASE("tags on a store that keeps none are refused, not forgotten", "[bad]") {
    struct Plain {
        using key_type = int;
        using value_type = int;
        std::optional<larder::Entry<int>> find(int) { return {}; }
        void put(int, std::optional<int>, larder::Lifetime) {}
        bool erase(int) { return false; }
    };
    CacheAside cache{Plain{},
                     [](int key) { return larder::Loaded<int>{.value = key, .tags = {"a"}}; }};
    try {
        (void)cache.get(1);
        FAIL("nothing was thrown");
    } catch (const larder::Error& error) {
        CHECK(error.code() == larder::Errc::tags_unsupported);
    }
}
