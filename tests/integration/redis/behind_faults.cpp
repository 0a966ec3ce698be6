// SPDX-License-Identifier: MIT

// Write-behind over a Redis of which each exchange fails once, with the journal beside the store: what was
// acknowledged is read and written, what threw happens wholly or not at all, two processes agree, and
// nothing is left in hand.

#include "support/catch.hpp"
#include "support/faulty_redis.hpp"
#include "support/redis_faults.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/versioned_table.hpp"

#include <larder/codec/raw.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::StoreError;
using larder::WriteBehind;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder_test::ExchangeFault;
using larder_test::FaultyRedis;
using larder_test::RedisServer;
using larder_test::Rows;
using larder_test::until;

namespace {

using Store = larder::RedisStore<int, int, larder::RawCodec<int>>;
using Cache = WriteBehind<Store, std::reference_wrapper<Rows>>;
using Values = std::map<int, std::optional<int>>;

ClientOptions hasty(const std::string& path) {
    ClientOptions options;
    options.path = path;
    options.command_timeout = 60ms;
    options.breaker = 1ms;
    options.max_breaker = 2ms;
    return options;
}

const larder::Options patient{.ttl = 1h, .negative_ttl = 1h, .ticket = 1s};
constexpr larder::WriteBehindOptions lazy{.delay = 1h, .claim = 300ms, .drain = 0ms};

struct Verb {
    std::string_view name;
    Values after;  // what it changes, if it does
    std::function<void(Cache&)> run;
};

const std::vector<Verb>& verbs() {
    static const std::vector<Verb> all{
        {"put", {{1, 11}}, [](Cache& c) { c.put(1, 11); }},
        {"put of a new key", {{7, 71}}, [](Cache& c) { c.put(7, 71); }},
        {"put over a letter", {{5, 51}}, [](Cache& c) { c.put(5, 51); }},
        {"remove", {{1, std::nullopt}}, [](Cache& c) { c.remove(1); }},
        {"put_many",
         {{1, 11}, {2, 21}, {7, 71}},
         [](Cache& c) {
             c.put_many(std::vector<std::pair<int, int>>{{1, 11}, {2, 21}, {7, 71}});
         }},
        {"get", {}, [](Cache& c) { (void)c.get(1); }},
        {"get of what waits", {}, [](Cache& c) { (void)c.get(4); }},
        {"get_many",
         {},
         [](Cache& c) {
             (void)c.get_many({1, 2, 4, 6});
         }},
        {"peek", {}, [](Cache& c) { (void)c.peek(4); }},
        {"invalidate", {}, [](Cache& c) { c.invalidate(4); }},
        {"refresh", {}, [](Cache& c) { (void)c.refresh(4); }},
        {"revive", {{5, 50}}, [](Cache& c) { (void)c.revive(5); }},
        {"discard", {}, [](Cache& c) { (void)c.discard(5); }},
        {"flush", {}, [](Cache& c) { (void)c.flush(10s); }},
    };
    return all;
}

// Each name once: what is late finds no other's.
std::string next_name() {
    static int count = 0;
    return 'n' + std::to_string(++count);
}

void make_letter(Cache& cache, Rows& rows) {
    rows.poison = 5;
    cache.put(5, 50);
    until([&] {
        (void)cache.flush(1s);
        return cache.stats().buried == 1;
    });
    rows.poison = -1;
}

// One verb, one fault. False: the verb makes fewer exchanges.
bool step(FaultyRedis& redis, const Verb& verb, ExchangeFault fault, std::size_t n,
          std::uint32_t partitions = 0) {
    INFO(verb.name << ", exchange " << n << ": " << to_string(fault));
    const std::string name = next_name();
    Rows rows;
    for (int key = 1; key < 4; ++key) {
        rows.rows[key] = {10 * key, 1};
    }
    Cache other{Store{Client{redis.plain()}, name, {.partitions = partitions}},
                std::ref(rows),
                patient,
                {.delay = 1h, .attempts = 1, .claim = 300ms, .drain = 0ms}};
    make_letter(other, rows);
    Values before{{1, 10}, {2, 20}, {3, 30}, {4, 40}, {5, std::nullopt}, {7, std::nullopt}};
    Cache cache{Store{Client{redis.hasty()}, name, {.partitions = partitions}}, std::ref(rows),
                patient, lazy};
    other.put(4, 40);
    (void)cache.get_many({1, 3});
    redis.faults().arm(fault, n);
    bool threw = false;
    try {
        verb.run(cache);
    } catch (const larder::Error&) {
        threw = true;
    }
    const bool hit = redis.faults().disarm() > 0;
    // A node that does not carry out a command has only sent it on.
    CHECK_FALSE((threw && fault >= ExchangeFault::moved));
    Values read = before;
    until([&] {  // what is late has come, and the breaker is closed
        bool agree = true;
        for (auto& [key, value] : read) {
            try {
                value = other.get(key);
                const auto after = verb.after.find(key);
                const bool changed = after != verb.after.end() && value == after->second;
                agree = agree && cache.get(key) == value &&
                        (changed || (value == before[key] && (threw || after == verb.after.end())));
            } catch (const StoreError&) {
                agree = false;
            }
        }
        return agree;
    });
    until([&] { return other.flush(10s) == 0; });
    for (const auto& [each, value] : read) {
        const int key = each;  // a lambda may not capture a binding
        CHECK(rows.load(key) == value);
        CHECK(other.get(key) == value);
        until([&] { return cache.get(key) == rows.load(key); });
    }
    until([&] {
        const auto waits = larder::detail::WaitGraph::count();
        return larder::detail::Inspect::in_hand(cache) == larder::detail::PolicyInHand{} &&
               waits.carried == 0 && waits.waits == 0;
    });
    return hit;
}

}  // namespace

TEST_CASE("each exchange of each verb of a write-behind fails once", "[redis][faults]") {
    FaultyRedis redis;
    for (const Verb& verb : verbs()) {
        for (const ExchangeFault fault : redis.every_fault()) {
            // The flusher makes exchanges, too.
            for (std::size_t n = 1; n < 8 && step(redis, verb, fault, n); ++n) {}
        }
    }
}

TEST_CASE("write-behind whose Redis is away fails clearly, and has lost nothing when it is back",
          "[redis][faults]") {
    RedisServer server{{"--appendonly", "yes", "--appendfsync", "always"}};
    Rows rows;
    rows.rows[1] = {10, 1};
    rows.rows[2] = {20, 1};
    Store store{Client{hasty(server.socket_path())}, "n"};
    Cache cache{store, std::ref(rows), patient, lazy};
    larder::WriteBehindOptions lenient = lazy;
    lenient.read_without_journal = true;
    Cache bypassing{store, std::ref(rows), patient, lenient};
    cache.put(1, 11);
    server.kill();
    CHECK_THROWS_AS(cache.get(1), StoreError);
    CHECK_THROWS_AS(cache.get(2), StoreError);
    CHECK_THROWS_AS(cache.get_many({1, 2}), StoreError);
    CHECK_THROWS_AS(cache.put(1, 12), StoreError);
    CHECK_THROWS_AS(cache.remove(2), StoreError);
    CHECK_THROWS_AS(cache.put_many(std::vector<std::pair<int, int>>{{1, 12}}), larder::Error);
    CHECK(bypassing.fetch(1).source == Source::bypassed);
    CHECK(bypassing.fetch(1).value == 10);
    CHECK(bypassing.get_many({1, 2}) == std::vector<std::optional<int>>{10, 20});
    server.start();
    until([&] {
        try {
            return cache.get(1) == 11 && bypassing.get(1) == 11;
        } catch (const StoreError&) {
            return false;
        }
    });
    CHECK(cache.get(2) == 20);
    until([&] { return cache.flush(10s) == 0; });
    CHECK(rows.load(1) == 11);
    CHECK(rows.load(2) == 20);
}

TEST_CASE("each exchange of a write-behind over four partitions fails once", "[redis][faults]") {
    FaultyRedis redis;
    for (const Verb& verb : verbs()) {
        if (verb.name == "put" || verb.name == "put_many" || verb.name == "flush") {
            for (const ExchangeFault fault : redis.every_fault()) {
                for (std::size_t n = 1; n < 8 && step(redis, verb, fault, n, 4); ++n) {}
            }
        }
    }
}

// Rule R11.
TEST_CASE("each exchange of each verb of a write-behind fails once, with each node of a cluster",
          "[redis][cluster][faults]") {
    FaultyRedis redis{FaultyRedis::Kind::cluster};
    for (const Verb& verb : verbs()) {
        if (verb.name == "put of a new key" || verb.name == "peek" || verb.name == "invalidate" ||
            verb.name == "refresh" || verb.name == "get") {
            continue;  // the exchanges of others, or of a store
        }
        for (const ExchangeFault fault : redis.every_fault()) {
            for (std::size_t n = 1; n < 8 && step(redis, verb, fault, n, 4); ++n) {}
        }
    }
}
