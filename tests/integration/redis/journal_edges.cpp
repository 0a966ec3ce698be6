// SPDX-License-Identifier: MIT

// What a RedisJournal does where a process ends, a reply is too large, of an odd shape, or refused.

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/fake_server.hpp"
#include "support/redis_server.hpp"
#include "support/versioned_table.hpp"

#include <larder/codec/raw.hpp>
#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::StoreError;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::Durability;
using larder_test::FakeServer;
using larder_test::RedisServer;

namespace {

using Journal = larder::RedisJournal<int, int>;
using Texts = larder::RedisJournal<int, std::string, larder::RawCodec<std::string>>;

ClientOptions at(const RedisServer& server) {
    ClientOptions options;
    options.path = server.socket_path();
    return options;
}

const RedisServer& server() {
    static const RedisServer one;
    return one;
}

struct Accepting {
    std::optional<int> load(int) { return std::nullopt; }
    bool save(int, int, std::uint64_t) { return true; }
    bool remove(int, std::uint64_t) { return true; }
};

}  // namespace

// The first: this process must not have used a script yet.
TEST_CASE("a policy that ends with the program writes what waits", "[redis][journal]") {
    if (!larder_test::can_fork) {
        return;
    }
    const RedisServer own;  // what is static would end with the child
    REQUIRE(larder_test::in_child([&own]() -> const char* {
                static larder::WriteBehind cache{larder::RedisStore<int, int>{Client{at(own)}, "n"},
                                                 Accepting{},
                                                 {.ttl = 1h},
                                                 {.delay = 1h, .drain = 10s}};
                cache.put(1, 10);
                std::exit(0);
            }) == 0);
    const Journal journal{Client{at(own)}, "n"};
    CHECK(own.run("EXISTS", "~journal:n:claims") == "1");
    CHECK(journal.size() == 0);
}

TEST_CASE("changes that do not fit into one reply are claimed one after the other",
          "[redis][journal]") {
    (void)server().run("FLUSHALL");
    ClientOptions options = at(server());
    options.max_reply_bytes = 100'000;
    Texts journal{Client{options}, "n"};
    for (int key = 0; key < 10; ++key) {
        journal.record({key, std::string(60'000, 'x'), 0});
    }
    int claimed = 0;
    for (int rounds = 0; rounds < 10; ++rounds) {
        const auto claims = journal.claim(100, 1min, 0ms);
        CHECK(claims.size() == 1);
        claimed += static_cast<int>(claims.size());
        (void)journal.settle(claims);
    }
    CHECK(claimed == 10);
    CHECK(journal.size() == 0);
    journal.record({1, std::string(99'000, 'x'), 0});
    std::string why;
    try {
        journal.record({2, std::string(100'000, 'x'), 0});
    } catch (const StoreError& error) {
        why = error.what();
    }
    CHECK(why.find("the change of key 2 in ~journal:n is not recorded") != std::string::npos);
    CHECK(why.find("max_reply_bytes is 100000") != std::string::npos);
    CHECK(journal.size() == 1);
    CHECK(journal.claim(100, 1min, 0ms).size() == 1);
}

TEST_CASE("a change that waits for longer than a next try comes first", "[redis][journal]") {
    (void)server().run("FLUSHALL");
    Journal journal{Client{at(server())}, "n"};
    journal.record({1, 10, 0});
    journal.record({2, 20, 0});
    journal.defer(journal.claim(1, 1min, 0ms).at(0), 0ms);
    (void)server().run("ZADD", "~journal:n:waiting", "1000", "2");
    CHECK(journal.claim(1, 1min, 0ms).at(0).change.key == 2);
    CHECK(journal.claim(1, 1min, 0ms).at(0).change.key == 1);
}

TEST_CASE("a put whose WAIT is refused may be recorded", "[redis][journal][durability]") {
    (void)server().run("FLUSHALL");
    (void)server().run("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-wait");
    ClientOptions options = at(server());
    options.user = "app";
    options.password = "secret";
    const Client client{options};
    larder::RedisStore<int, int> store{client, "n"};
    Journal journal{client, "n", {.durability = Durability::replicas(1)}};
    larder::WriteBehind cache{
        store, Accepting{}, journal, {.ttl = 1h}, {.delay = 1h, .drain = 0ms}};
    try {
        cache.put(1, 10);
        FAIL("it cannot be acknowledged");
    } catch (const larder::redis::NoReply& error) {
        CHECK(error.outcome() == larder::redis::Outcome::unknown);
        CHECK(std::string_view{error.what()}.find("NOPERM") != std::string_view::npos);
    }
    CHECK(journal.pending(1)->value == 10);
    try {
        cache.put_many(std::vector<std::pair<int, int>>{{2, 12}});
        FAIL("it cannot be acknowledged");
    } catch (const larder::PartialWrite<int>& partial) {
        CHECK(partial.keys().at(0).second == larder::Written::unknown);
    }
}

TEST_CASE("primaries of other names are other servers", "[redis][journal]") {
    const auto named = [](const std::string& primary, const std::string& sentinel) {
        return Client{"redis+sentinel://" + sentinel + '/' + primary};
    };
    const Client here = named("a", "127.0.0.1:1");
    const larder::redis::detail::SlotPut put{.client = &here, .slot = "n:1"};
    const auto beside = [&](const Client& client) {
        return larder::redis::detail::JournalCore{client, "n", {}}.is_beside(put);
    };
    CHECK(beside(here));
    CHECK(beside(named("a", "127.0.0.1:1")));
    CHECK_FALSE(beside(named("b", "127.0.0.1:1")));
    CHECK_FALSE(beside(named("a", "127.0.0.1:2")));
    CHECK_FALSE(beside(Client{ClientOptions{}}));
}

TEST_CASE("replies that are none of a journal's are errors", "[redis][journal]") {
    const std::string reply = GENERATE(":7\r\n", "+OK\r\n", "$2\r\nno\r\n", "*0\r\n");
    FakeServer odd{[reply](const FakeServer::Peer& peer) {
        while (!peer.read().empty() && peer.write(reply)) {}
    }};
    ClientOptions options;
    options.port = odd.port();
    options.connections = 1;
    Journal journal{Client{options}, "n", {.assume_no_eviction = true}};
    INFO(reply);
    CHECK_THROWS_AS(journal.record({1, 10, 0}), StoreError);
    CHECK_THROWS_AS(journal.record({1, 10, 0}, 5), StoreError);
    CHECK_THROWS_AS(journal.pending(1), StoreError);
}

TEST_CASE("a user with the rights that the page names may do all that a journal does",
          "[redis][journal]") {
    (void)server().run("FLUSHALL");
    (void)server().run("ACL", "SETUSER", "shop", "reset", "on", ">secret", "~n:*", "~~clock:n",
                       "~~tag:n:*", "~~refresh:n:*", "~~journal:n:*", "-@all", "+get", "+mget",
                       "+set", "+del", "+pttl", "+pexpire", "+pexpiretime", "+time", "+eval",
                       "+evalsha", "+ping", "+select", "+client|setname");
    (void)server().run("ACL", "SETUSER", "shop", "+getrange", "+persist", "+hget", "+hset", "+hdel",
                       "+hmget", "+hlen", "+hexists", "+hkeys", "+hgetall", "+zadd", "+zrem",
                       "+zrange", "+zrangebyscore", "+zcard", "+zscore", "+info", "+wait");
    ClientOptions options = at(server());
    options.user = "shop";
    options.password = "secret";
    const Client client{options};
    larder::RedisStore<int, int> store{client, "n"};
    Journal journal{client, "n"};
    larder_test::Rows rows;
    {
        larder::WriteBehind cache{
            store, std::ref(rows), journal, {.ttl = 1h}, {.delay = 1h, .drain = 0ms}};
        const auto ticket = store.begin_write(1, 1h);
        cache.put(1, 10);
        CHECK_FALSE(store.find(1));  // it has seen the other write
        store.finish_write(1, ticket, larder::detail::Finish::nothing, std::nullopt, {});
        cache.remove(2);
        CHECK(cache.get(1) == 10);
        CHECK(cache.flush(30s) == 0);
    }
    {
        larder::Tagged tagged{
            larder::WriteBehind{
                store, std::ref(rows), journal, {.ttl = 1h}, {.delay = 1h, .drain = 10s}},
            [](const std::optional<int>&) { return larder::Tags{"t"}; }};
        tagged.put(3, 30);
        CHECK(tagged.fetch(3).source == larder::Source::hit);
    }
    journal.record({4, 40, 0});
    CHECK(journal.oldest());
    journal.defer(journal.claim(1, 1min, 0ms).at(0), 0ms);
    auto claims = journal.claim(1, 1min, 0ms);
    journal.renew(claims, 2min);
    CHECK(journal.bury(claims.at(0), "no"));
    CHECK(journal.dead_letters().size() == 1);
    CHECK(journal.revive(4));
    (void)server().run("DEL", "~journal:n:waiting");
    CHECK(journal.claim(1, 1min, 0ms).empty());
    claims = journal.claim(1, 1min, 0ms);
    CHECK(journal.bury(claims.at(0), "no"));
    CHECK(journal.discard(4));
    CHECK(journal.size() == 0);
    Journal durable{client, "n", {.durability = Durability::replicas(1)}};
    CHECK_THROWS_AS(durable.record({5, 50, 0}), larder::redis::NoReply);
    CHECK(journal.pending(5)->value == 50);
}
