// SPDX-License-Identifier: MIT

// Near copies in front of Redis, in two places at once: each store has a client, a feed and near copies of
// its own, as a process has. Has threads: std::thread.

#include "support/catch.hpp"
#include "support/eventually.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::From;
using larder::Source;
using larder_test::eventually;
using larder_test::RedisServer;

namespace {

using steady = std::chrono::steady_clock;
using Tiered = larder::TieredStore<larder::MemoryStore<int, int>, larder::RedisStore<int, int>>;

/// A row that counts, and when each count of it was acknowledged.
struct Counted {
    std::atomic<int>* row;
    int load(int) const { return row->load(); }
    void save(int, int value) const { row->store(value); }
    void remove(int) const {}
};

Tiered tiers(const std::string& url, larder::TieredStoreOptions options) {
    const larder::redis::Client redis{url};
    return Tiered{larder::MemoryStore<int, int>{{.capacity = 10'000}},
                  larder::RedisStore<int, int>{redis, "row"}, options};
}
Tiered tiers(const RedisServer& server, larder::TieredStoreOptions options = {}) {
    return tiers(server.unix_url(), options);
}

void warm_near(const larder::CacheAside<Tiered, Counted>& cache, int key) {
    REQUIRE(eventually([&] { return cache.fetch(key).source == Source::near_hit; }));
}

}  // namespace

TEST_CASE("near copies of Redis are served, and dropped when they are old", "[redis][tiered]") {
    const RedisServer server;
    std::atomic<int> row{1};
    const larder::redis::Client redis{server.unix_url()};
    larder::TieredStore store{larder::MemoryStore<int, int>{{.capacity = 10'000}},
                              larder::RedisStore<int, int>{redis, "row"},
                              {.ttl = 30s}};
    larder::CacheAside here{store, Counted{&row}, {.ttl = 1h}};
    larder::CacheAside there{tiers(server), Counted{&row}, {.ttl = 1h}};
    warm_near(here, 7);
    warm_near(there, 7);
    const auto near = here.fetch(7);
    CHECK(near.remaining > 59min);
    CHECK(near.age < 1min);
    CHECK(here.stats().near_mode == larder::NearMode::tracking);

    here.put(7, 2);
    CHECK(here.get(7) == 2);
    CHECK(there.get(7, {.from = From::far}) == 2);
    CHECK(there.get(7) == 2);
    warm_near(there, 7);
    here.invalidate(7);
    row = 3;
    here.invalidate(7);
    CHECK(eventually([&] { return there.get(7) == 3; }));
    CHECK(here.get_many({7, 8}).front() == 3);
}

TEST_CASE("a tag reaches near copies everywhere, and a hit with tags asks no server",
          "[redis][tiered]") {
    const RedisServer server;
    std::atomic<int> row{1};
    const auto tags_of = [](int) { return larder::Tags{"shelf"}; };
    larder::Tagged here{larder::CacheAside{tiers(server), Counted{&row}, {.ttl = 1h}}, tags_of};
    larder::Tagged there{larder::CacheAside{tiers(server), Counted{&row}, {.ttl = 1h}}, tags_of};
    for (auto* const cache : {&here, &there}) {
        REQUIRE(eventually([&] { return cache->fetch(7).source == Source::near_hit; }));
    }
    row = 2;
    here.invalidate_tag("shelf");
    CHECK(here.get(7) == 2);
    CHECK(eventually([&] { return there.get(7) == 2; }));
}

TEST_CASE("puts with one tag leave near copies that carry it alone", "[redis][tiered]") {
    const RedisServer server;
    std::atomic<int> row{1};
    const auto tags_of = [](int) { return larder::Tags{"shelf"}; };
    larder::Tagged here{larder::CacheAside{tiers(server), Counted{&row}, {.ttl = 1h}}, tags_of};
    larder::Tagged there{
        larder::CacheAside{
            tiers(server, {.ttl = 1h, .silence = 1h}), Counted{&row}, {.ttl = 1h, .jitter = 0.3}},
        tags_of};
    REQUIRE(eventually([&] { return there.fetch(7).source == Source::near_hit; }));
    const auto told = [&] { return there.stats().near_invalidations; };
    const auto before = told();
    constexpr int puts = 1'000;
    for (int key = 100; key < 100 + puts; ++key) {
        here.put(key, 1);
    }
    CHECK(eventually([&] { return told() >= before + 2 * puts; }));
    CHECK(told() <= before + 2 * puts + 2);  // the tags' versions are written when there are none
    CHECK(there.fetch(7).source == Source::near_hit);
}

TEST_CASE("a bare store makes near copies of many at once, and says what failed",
          "[redis][tiered]") {
    RedisServer server;
    const Tiered store = tiers(server, {.ttl = 1h, .silence = 1h});
    Tiered other = tiers(server);
    other.put(1, 10, {1h});
    other.put(2, 20, {1h});
    const std::array keys{1, 2, 3};
    REQUIRE(eventually([&] {
        CHECK(store.find_many(keys)[1]->value == 20);
        return store.stats().entries == 2;
    }));
    server.kill();
    CHECK_THROWS_AS(store.find_many(keys), larder::StoreError);
    CHECK_THROWS_AS(store.find(3), larder::StoreError);
}

TEST_CASE("near copies of a server that tracks nothing are dropped by who writes elsewhere",
          "[redis][tiered]") {
    const RedisServer server;
    server.run("ACL", "SETUSER", "shop", "on", ">secret", "+@all", "~*", "&*", "-client|tracking");
    const std::string url = "redis://shop:secret@127.0.0.1:" + std::to_string(server.port());
    std::atomic<int> row{1};
    const auto tags_of = [](int) { return larder::Tags{"shelf"}; };
    const auto begin = steady::now();
    constexpr auto ttl = 10min;
    larder::Tagged here{larder::CacheAside{tiers(url, {.ttl = ttl}), Counted{&row}, {.ttl = 1h}},
                        tags_of};
    larder::Tagged there{larder::CacheAside{tiers(url, {.ttl = ttl}), Counted{&row}, {.ttl = 1h}},
                         tags_of};
    CHECK(here.stats().near_mode == larder::NearMode::channel);
    CHECK(there.stats().near_mode == larder::NearMode::channel);
    const auto warm = [](const auto& cache) {
        REQUIRE(eventually([&] { return cache.fetch(7).source == Source::near_hit; }));
    };
    warm(there);
    here.put(7, 2);
    CHECK(eventually([&] { return there.get(7) == 2; }));
    warm(there);
    row = 3;
    here.invalidate(7);
    CHECK(eventually([&] { return there.get(7) == 3; }));
    warm(there);
    row = 4;
    here.invalidate_tag("shelf");
    CHECK(eventually([&] { return there.get(7) == 4; }));
    warm(there);
    row = 5;
    CHECK(here.refresh(7) == 5);
    CHECK(eventually([&] { return there.get(7) == 5; }));
    warm(there);
    row = 6;
    server.run("DEL", "row:7");  // by another program: it is not told
    CHECK(there.get(7) == 5);
    here.invalidate(7);  // there is no far copy, and yet a near one
    CHECK(eventually([&] { return there.get(7) == 6; }));
    CHECK(there.stats().near_invalidations > 0);
    CHECK(steady::now() - begin < ttl);
}

TEST_CASE("near copies may live as long as nothing happens to them", "[redis][tiered]") {
    const RedisServer server;
    std::atomic<int> row{1};
    const larder::CacheAside here{
        tiers(server, {.ttl = larder::Ttl::max(), .silence = larder::Ttl::max()}),
        Counted{&row},
        {.ttl = larder::Ttl::max()}};
    warm_near(here, 7);
    CHECK(here.stats().near_silences == 0);
}

TEST_CASE("near copies of a server that is away are served until their bound, and then loads are",
          "[redis][tiered]") {
    RedisServer server;
    std::atomic<int> row{1};
    constexpr auto silence = 4s;
    larder::CacheAside cache{tiers(server, {.silence = silence}), Counted{&row}, {.ttl = 1h}};
    warm_near(cache, 7);
    row = 2;  // past larder: a near copy shows what was before
    const auto away = steady::now();
    SECTION("it says nothing") {
        server.freeze();
        CHECK(cache.fetch(7).source == Source::near_hit);
    }
    SECTION("its connections are gone") {
        server.kill();
    }
    CHECK(eventually([&] { return cache.get(7) == 2; }));
    CHECK(steady::now() - away < silence + 10s);  // and the time-outs of commands
    CHECK(cache.fetch(7).source == Source::bypassed);
    server.thaw();
}

TEST_CASE("write-behind goes on over near copies", "[redis][tiered]") {
    const RedisServer server;
    struct Versioned : Counted {
        bool save(int key, int value, std::uint64_t) const {
            Counted::save(key, value);
            return true;
        }
        bool remove(int, std::uint64_t) const { return true; }
    };
    std::atomic<int> row{1};
    larder::WriteBehind behind{tiers(server), Versioned{{&row}}, {.ttl = 1h}};
    for (int i = 2; i < 20; ++i) {
        behind.put(7, i);
        REQUIRE(behind.get(7) == i);
    }
    CHECK(behind.flush(10s) == 0);
    CHECK(row == 19);
    CHECK(behind.get(7) == 19);
}

// A value is as old as the last word that all was told, and no older, whatever becomes of the connection.
// Who writes reads that at once, reads of a place never go back, and those from far see what was
// acknowledged.
TEST_CASE("near copies keep their bound while the connection that tells is cut",
          "[redis][tiered]") {
    constexpr auto silence = 150ms;
    const RedisServer server;
    std::atomic<int> row{1};
    std::array<std::atomic<steady::rep>, 1 << 16> acknowledged{};
    std::atomic<int> newest{1};
    larder::CacheAside here{tiers(server, {.silence = silence}), Counted{&row}, {.ttl = 1h}};
    larder::CacheAside there{tiers(server, {.silence = silence}), Counted{&row}, {.ttl = 1h}};
    warm_near(there, 7);
    std::atomic<bool> over{false};
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    threads.emplace_back([&] {
        for (int version = 2; !over && version < 1 << 16; ++version) {
            here.put(7, version);
            acknowledged[static_cast<std::size_t>(version)] =
                steady::now().time_since_epoch().count();
            newest = version;
            wrong += here.get(7) == version ? 0 : 1;
            std::this_thread::sleep_for(200us);
        }
    });
    for (int i = 0; i < 2; ++i) {
        threads.emplace_back([&] {
            for (int last = 0; !over;) {
                const auto began = (steady::now() - silence - 1ms).time_since_epoch().count();
                const int seen = there.get(7).value_or(0);
                wrong += seen >= last ? 0 : 1;
                last = seen;
                const auto next = acknowledged[static_cast<std::size_t>(seen) + 1].load();
                wrong += next == 0 || next > began ? 0 : 1;
            }
        });
    }
    threads.emplace_back([&] {
        while (!over) {
            const int before = newest;
            wrong += there.get(7, {.from = From::far}).value_or(0) >= before ? 0 : 1;
            std::this_thread::sleep_for(1ms);
        }
    });
    for (int i = 0; i < 8; ++i) {
        std::this_thread::sleep_for(150ms);
        server.run("CLIENT", "KILL", "TYPE", "pubsub");
    }
    over = true;
    threads.clear();
    CHECK(wrong == 0);
    const auto stats = there.stats();
    CHECK(stats.near_cuts > 0);
    CHECK(stats.near_hits > 0);
    CHECK(eventually([&] { return there.get(7) == newest.load(); }));
}
