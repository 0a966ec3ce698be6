// SPDX-License-Identifier: MIT

// What the verbs share: how long a copy lives.

#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Ttl;

namespace {

using Store = larder::MemoryStore<int, int, larder::ManualClock>;

constexpr int keys = 1000;

/// The lives of copies that were loaded at the same moment.
template <class P>
std::vector<Ttl> lives(P& cache) {
    std::vector<Ttl> all;
    for (int key = 0; key < keys; ++key) {
        (void)cache.fetch(key);
        all.push_back(cache.fetch(key).remaining);
    }
    return all;
}

/// How many lie in [from, to).
std::size_t between(const std::vector<Ttl>& all, Ttl from, Ttl to) {
    return static_cast<std::size_t>(
        std::count_if(all.begin(), all.end(), [&](Ttl life) { return from <= life && life < to; }));
}

}  // namespace

TEST_CASE("jitter ends lives early, by no more than its share, and spreads them", "[core]") {
    const larder::ManualClock clock;
    Store store{{}, clock};
    CacheAside cache{store, [](int key) { return key; }, {.ttl = 1000s, .jitter = 0.3}};
    const auto all = lives(cache);
    CHECK(between(all, 700s, 1000s + 1ms) == keys);
    for (Ttl from = 700s; from < 1000s; from += 30s) {  // a tenth each, more or less
        CAPTURE(from.count());
        CHECK(between(all, from, from + 30s) > keys / 25);
        CHECK(between(all, from, from + 30s) < keys / 4);
    }
}

TEST_CASE("copies with jitter are loaded again at moments of their own", "[core]") {
    larder::ManualClock clock;
    Store store{{}, clock};
    int loads = 0;
    CacheAside cache{store, [&](int key) { return ++loads, key; }, {.ttl = 1000s, .jitter = 0.3}};
    const auto loads_of_all = [&] {
        const int before = loads;
        for (int key = 0; key < keys; ++key) {
            (void)cache.get(key);
        }
        return loads - before;
    };
    CHECK(loads_of_all() == keys);
    clock.advance(699s);
    CHECK(loads_of_all() == 0);
    clock.advance(151s);
    const int half = loads_of_all();
    CHECK(half > keys / 4);
    CHECK(half < keys * 3 / 4);
    clock.advance(151s);
    CHECK(loads_of_all() == keys - half);
}

TEST_CASE("jitter is for every life, whoever chose it", "[core]") {
    const larder::ManualClock clock;
    Store store{{}, clock};
    const larder::Options options{.ttl = 1h, .jitter = 0.5, .negative_ttl = 100s};
    SECTION("a known absence") {
        CacheAside cache{store, [](int) { return std::optional<int>{}; }, options};
        const auto all = lives(cache);
        CHECK(between(all, 50s, 100s + 1ms) == keys);
        CHECK(between(all, 50s, 75s) > keys / 4);
        CHECK(between(all, 75s, 100s) > keys / 4);
    }
    SECTION("a life that the loader chose") {
        CacheAside cache{store,
                         [](int key) {
                             return larder::Loaded<int>{key, Ttl{200s}};
                         },
                         options};
        const auto all = lives(cache);
        CHECK(between(all, 100s, 200s + 1ms) == keys);
        CHECK(between(all, 100s, 150s) > keys / 4);
        CHECK(between(all, 150s, 200s) > keys / 4);
    }
}

TEST_CASE("without jitter a life is as long as was said", "[core]") {
    const larder::ManualClock clock;
    Store store{{}, clock};
    CacheAside cache{store, [](int key) { return key; }, {.ttl = 1000s}};
    CHECK(between(lives(cache), 1000s, 1000s + 1ms) == keys);
}
