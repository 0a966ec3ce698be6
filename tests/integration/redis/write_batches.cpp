// SPDX-License-Identifier: MIT

// Writes of many keys that end together: what a failure of some does to the others.

#include "support/catch.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Source;
using larder::StoreError;
using larder::WriteThrough;
using larder::redis::Client;
using larder_test::RedisServer;
using larder_test::until;

namespace {

// A codec as a user writes it, that refuses some values.
struct Picky {
    static constexpr bool textual = true;
    std::string encode(int value) const {
        if (value < 0) {
            throw std::domain_error{"below zero"};
        }
        return std::to_string(value);
    }
    int decode(std::string_view bytes) const { return std::stoi(std::string{bytes}); }
};

using Store = larder::RedisStore<int, int, Picky>;
using Rows = std::vector<std::pair<int, int>>;

const larder::Options patient{.ttl = 1h, .ticket = 50min};

struct World {
    RedisServer server{};
    Client client;
    Store store;
    larder_test::Table<> table{};

    explicit World(const std::string& user = "")
        : client{(server.run("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all"),
                  "unix://" + user + server.socket_path())},
          store{client, "n"} {}
};

Rows rows(int count, int from = 0) {
    Rows all;
    for (int key = 0; key < count; ++key) {
        all.emplace_back(key, from + key);
    }
    return all;
}

// Some of the keys cannot be told of once the database is asked.
void shut(RedisServer& server, std::initializer_list<std::string> open) {
    std::vector<std::string> words{"ACL", "SETUSER", "app", "resetkeys", "~~*"};
    for (const std::string& key : open) {
        words.push_back("~n:" + key);
    }
    (void)server.run_words(words);
}

}  // namespace

// Rule S16.
TEST_CASE("the end of a batch that is refused in part queues that part", "[redis][faults]") {
    World w{"app:secret@"};
    WriteThrough cache{w.store, std::ref(w.table), patient};
    cache.put_many(rows(3));  // its scripts are known
    w.table.hooks.after_commit = [&](int key, auto&) {
        if (key == 0) {
            shut(w.server, {"0", "2"});
        }
    };
    SECTION("put_many") {
        cache.put_many(rows(3, 10));
    }
    SECTION("a transaction") {
        auto write = cache.writing(0, 1, 2);
        w.table.save(1, 11);
        w.table.save(2, 12);
        w.table.save(0, 10);
        write.commit();
    }
    CHECK(w.store.queued_invalidations() == 1);
    w.table.hooks = {};
    for (int key = 0; key < 3; ++key) {
        CHECK(cache.get(key) == 10 + key);
        CHECK(cache.fetch(key).source == (key == 1 ? Source::bypassed : Source::hit));
    }
    w.server.run("ACL", "SETUSER", "app", "~*");
    until([&] { return w.store.queued_invalidations() == 0; });
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(cache.fetch(1).source == Source::hit);
}

// Rule S15.
TEST_CASE("a value of a batch that does not encode leaves no copy, and the others theirs",
          "[redis][faults]") {
    World w;
    WriteThrough cache{w.store, std::ref(w.table), patient};
    cache.put_many(rows(3));
    cache.put_many(Rows{{0, 10}, {1, -1}, {2, 12}});
    CHECK(w.store.queued_invalidations() == 0);
    CHECK(w.server.run("EXISTS", "n:1") == "0");
    CHECK(cache.fetch(0).source == Source::hit);
    CHECK(cache.fetch(2).source == Source::hit);
    CHECK(cache.get(1) == -1);
}

TEST_CASE("a put_many of which the database refuses a part ends the others", "[redis][faults]") {
    World w;
    WriteThrough cache{w.store, std::ref(w.table), patient};
    cache.put_many(rows(4));
    w.table.hooks.before_commit = [](int key, auto&) {
        if (key == 2) {
            throw larder_test::Refused{"no"};
        }
    };
    CHECK_THROWS_AS(cache.put_many(rows(4, 10)), larder::PartialWrite<int>);
    for (int key = 0; key < 4; ++key) {
        CHECK(cache.fetch(key).source == (key < 2 ? Source::hit : Source::loaded));
        CHECK(cache.get(key) == (key < 2 ? 10 + key : key));
    }
}

TEST_CASE("a batch is one round trip however many commands it has", "[redis][trips]") {
    World w;
    WriteThrough cache{w.store, std::ref(w.table), patient};
    cache.put_many(rows(1));
    const auto trips = [&](auto&& call) {
        const auto before = w.client.stats().round_trips;
        call();
        return w.client.stats().round_trips - before;
    };
    for (const int count : {1, 2, 511, 512, 513, 2000}) {
        INFO(count);
        CHECK(trips([&] { cache.put_many(rows(count, count)); }) == 2);
        CHECK(cache.get(count - 1) == 2 * count - 1);
    }
    // The last of duplicates wins, and costs no more.
    CHECK(trips([&] { cache.put_many(Rows{{1, 1}, {2, 2}, {1, 3}}); }) == 2);
    CHECK(cache.get(1) == 3);
}

TEST_CASE("values that are too large are served, and not kept, in batches too", "[redis]") {
    World w;
    Store small{w.client, "s", {.max_value_bytes = 3}};
    WriteThrough cache{small, std::ref(w.table), patient};
    cache.put_many(Rows{{1, 999}, {2, 1000}, {3, 998}});
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.get(2) == 1000);
    CHECK(w.server.run("EXISTS", "s:2") == "0");
    CHECK(cache.fetch(3).source == Source::hit);
    CHECK(small.stats().oversized > 0);
}

TEST_CASE("a batch whose store was away when it began is erased at once when it ends",
          "[redis][trips]") {
    World w{"app:secret@"};
    CacheAside cache{w.store, std::ref(w.table), patient};
    (void)cache.get(1);
    shut(w.server, {});
    auto write = cache.writing(1, 2, 3);
    CHECK(w.store.queued_invalidations() == 3);
    w.server.run("ACL", "SETUSER", "app", "~*");
    until([&] { return w.store.queued_invalidations() == 0; });
    const auto before = w.client.stats().round_trips;
    write.commit();
    CHECK(w.client.stats().round_trips - before == 1);
    CHECK(w.store.queued_invalidations() == 0);
}
