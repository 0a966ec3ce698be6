// SPDX-License-Identifier: MIT

// Ids from one counter in Redis, for all who ask.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using larder::Sequence;
using larder::redis::Client;
using larder_test::RedisServer;

TEST_CASE("a sequence in Redis begins above its floor, and two share it", "[redis][sequence]") {
    const RedisServer server;
    int floors = 0;
    const auto floor = [&floors] {
        ++floors;
        return 41;
    };
    Sequence first{Client{server.unix_url()}, "product", floor};
    Sequence second{Client{server.tcp_url()}, "product", floor};
    CHECK(first.next() == 42);
    CHECK(second.next() == 43);
    CHECK(first.reserve(10) == 44);
    CHECK(second.next() == 54);
    CHECK(floors == 2);
    Sequence other{Client{server.unix_url()}, "order", [] { return 0; }};
    CHECK(other.next() == 1);
}

TEST_CASE("a sequence whose counter is gone asks its floor again", "[redis][sequence]") {
    RedisServer server;
    std::int64_t greatest = 10;
    Sequence ids{Client{server.unix_url()}, "product", [&] { return greatest; }};
    CHECK(ids.next() == 11);
    greatest = 11;
    server.run("FLUSHALL");
    CHECK(ids.next() == 12);
    greatest = 500;  // rows that somebody else has made are seen at the next start only
    CHECK(ids.next() == 13);
    Sequence restarted{Client{server.unix_url()}, "product", [&] { return greatest; }};
    CHECK(restarted.next() == 501);
    CHECK(ids.next() == 502);
}

// A row that waits is one that the database does not know yet.
TEST_CASE("ids of rows that wait for the database are not given again", "[redis][sequence]") {
    const RedisServer server;
    const RedisServer other;
    using Journal = larder::RedisJournal<int, int, larder::RawCodec<int>>;
    Journal journal{Client{other.unix_url()}, "product"};
    const auto floor = [&] { return std::max(10, journal.greatest_key().value_or(0)); };
    CHECK_FALSE(journal.greatest_key());
    {
        Sequence ids{Client{server.unix_url()}, "product", floor};
        for (int id = 11; id < 15; ++id) {
            REQUIRE(ids.next() == id);
            journal.record({id, 1, 0});
        }
        // The last is a dead letter: it may be revived.
        for (const auto& claimed : journal.claim(10, larder::Ttl{1000}, larder::Ttl{0})) {
            if (claimed.change.key == 14) {
                REQUIRE(journal.bury(claimed, "no"));
            }
        }
    }
    server.run("FLUSHALL");
    Sequence restarted{Client{server.unix_url()}, "product", floor};
    CHECK(restarted.next() == 15);
    (void)other.run("HSET", "~journal:product:changes", "no number", "junk");
    CHECK(journal.greatest_key() == 14);
}

TEST_CASE("what a process was given it is not given again, whatever the floor says",
          "[redis][sequence]") {
    const RedisServer server;
    Sequence ids{Client{server.unix_url()}, "product", [] { return 10; }};
    CHECK(ids.next() == 11);
    CHECK(ids.reserve(5) == 12);
    server.run("FLUSHALL");  // with whatever waited in a journal there
    CHECK(ids.next() == 17);
}

TEST_CASE("ids are exact to the last bit, and end", "[redis][sequence]") {
    const RedisServer server;
    const std::int64_t last = (std::numeric_limits<std::int64_t>::max)();
    Sequence ids{Client{server.unix_url()}, "big", [&] { return last - 3; }};
    CHECK(ids.next() == last - 2);
    CHECK(ids.reserve(2) == last - 1);
    CHECK_THROWS_AS(ids.next(), std::overflow_error);
    Sequence below{Client{server.unix_url()}, "below", [] { return -1'000; }};
    CHECK(below.next() == -999);
    Sequence higher{Client{server.unix_url()}, "below", [] { return -99; }};
    CHECK(higher.next() == -98);
    CHECK_THROWS_AS(below.reserve(0), std::invalid_argument);
}

TEST_CASE("a floor that throws is asked again, and a counter that is none is an error",
          "[redis][sequence]") {
    const RedisServer server;
    bool broken = true;
    Sequence ids{Client{server.unix_url()}, "product", [&] {
                     if (broken) {
                         throw std::runtime_error{"no database"};
                     }
                     return 5;
                 }};
    CHECK_THROWS_AS(ids.next(), std::runtime_error);
    broken = false;
    CHECK(ids.next() == 6);
    server.run("SET", "~sequence:product", "many");
    CHECK_THROWS_AS(ids.next(), larder::redis::ReplyError);
    CHECK_THROWS_AS((Sequence{Client{server.unix_url()}, "~product", [] { return 0; }}),
                    std::invalid_argument);
}

TEST_CASE("no id is handed out twice, whoever asks", "[redis][sequence]") {
    const RedisServer server;
    std::set<std::int64_t> seen;
    std::mutex mutex;
    {
        std::vector<std::jthread> crowd;
        for (int i = 0; i < 4; ++i) {
            crowd.emplace_back([&] {
                Sequence ids{Client{server.unix_url()}, "product", [] { return 100; }};
                for (int n = 0; n < 200; ++n) {
                    const std::int64_t id = ids.next();
                    const std::scoped_lock lock{mutex};
                    seen.insert(id);
                }
            });
        }
    }
    CHECK(seen.size() == 800);
    CHECK(*seen.begin() == 101);
    CHECK(*seen.rbegin() == 900);
}
