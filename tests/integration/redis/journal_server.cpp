// SPDX-License-Identifier: MIT

// What a RedisJournal asks of its server, and what it makes of bytes there that are not its own.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/journal_time.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::StoreError;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::Durability;
using larder_test::RedisServer;

namespace {

using Journal = larder::RedisJournal<int, int, larder::RawCodec<int>>;

ClientOptions at(const RedisServer& server, larder::Ttl command_timeout = 1s) {
    ClientOptions options;
    options.path = server.socket_path();
    options.command_timeout = command_timeout;
    options.breaker = 1ms;
    options.max_breaker = 1ms;
    return options;
}

// What recording is refused with; empty: it is not.
std::string refusal(Journal& journal, int key = 1) {
    try {
        journal.record({key, 10, 0});
        return "";
    } catch (const StoreError& error) {
        return error.what();
    }
}

bool says(const std::string& text, std::string_view words) {
    return text.find(words) != std::string::npos;
}

// The server has closed every connection, and is seen to have.
void reconnect(const RedisServer& server) {
    (void)server.run("CLIENT", "KILL", "TYPE", "normal");
    larder_test::until([&] {
        const std::string all = server.run("CLIENT", "LIST");
        return all.find("id=") == all.rfind("id=");  // who asks
    });
}

// The breaker closes.
void until_recorded(Journal& journal, int key) {
    larder_test::until([&] { return refusal(journal, key).empty(); });
}

}  // namespace

TEST_CASE("a server that may evict changes is refused", "[redis][journal]") {
    const std::string policy =
        GENERATE(as<std::string>{}, "allkeys-lru", "allkeys-lfu", "allkeys-random");
    const RedisServer server{{"--maxmemory-policy", policy}};
    Journal journal{Client{at(server)}, "n"};
    const std::string why = refusal(journal);
    CHECK(says(why, policy));
    CHECK(says(why, "noeviction"));
    CHECK(says(why, server.socket_path()));
    CHECK(server.run("KEYS", "*").empty());
    Journal assuming{Client{at(server)}, "n", {.assume_no_eviction = true}};
    CHECK(refusal(assuming) == "");
}

TEST_CASE("a server that evicts what has a life only is not refused", "[redis][journal]") {
    const std::string policy = GENERATE(as<std::string>{}, "noeviction", "volatile-lru",
                                        "volatile-lfu", "volatile-random", "volatile-ttl");
    const RedisServer server{{"--maxmemory-policy", policy}};
    Journal journal{Client{at(server)}, "n"};
    CHECK(refusal(journal) == "");
    journal.defer(journal.claim(1, 1min, 0ms).at(0), 1h);
    CHECK(refusal(journal, 2) == "");
    REQUIRE(journal.bury(journal.claim(1, 1min, 0ms).at(0), "no"));
    CHECK(refusal(journal, 3) == "");
    CHECK(refusal(journal, 4) == "");
    CHECK(journal.claim(1, 1min, 0ms).size() == 1);
    for (const char* const part :
         {"changes", "waiting", "letters", "later", "held", "claims", "hands"}) {
        CHECK(server.run("TTL", std::string{"~journal:n:"} + part) == "-1");
    }
}

TEST_CASE("the server is asked for its policy after every reconnect", "[redis][journal]") {
    const RedisServer server;
    Journal journal{Client{at(server)}, "n"};
    CHECK(refusal(journal) == "");
    (void)server.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    reconnect(server);
    std::string why;
    larder_test::until([&] {
        why = refusal(journal, 2);
        CHECK_FALSE(why.empty());  // the first over the new connection is not acknowledged either
        return says(why, "allkeys-lru");
    });
    (void)server.run("CONFIG", "SET", "maxmemory-policy", "volatile-lru");
    CHECK(refusal(journal, 2) == "");
}

TEST_CASE("what was recorded while a connection was opened is looked at again",
          "[redis][journal]") {
    const RedisServer server;
    const Client client{at(server)};
    larder::redis::detail::ServerCheck check{client, {}, "n"};
    const auto then = check.require();
    check.still(then);
    (void)server.run("CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    check.still(then);
    reconnect(server);
    larder_test::until([&] {
        try {
            (void)client.command("PING");
            return true;
        } catch (const StoreError&) {
            return false;
        }
    });
    CHECK_THROWS_AS(check.still(then), StoreError);
}

TEST_CASE("who may not ask for the policy is told what to say", "[redis][journal]") {
    const RedisServer server;
    (void)server.run("ACL", "SETUSER", "app", "on", ">secret", "~*", "+@all", "-@admin",
                     "-@dangerous");
    ClientOptions options = at(server);
    options.user = "app";
    options.password = "secret";
    Journal journal{Client{options}, "n"};
    const std::string why = refusal(journal);
    CHECK(says(why, "assume_no_eviction"));
    CHECK_FALSE(says(why, "secret"));
    Journal assuming{Client{options}, "n", {.assume_no_eviction = true}};
    CHECK(refusal(assuming) == "");
    // One of the two ways to ask is enough.
    const std::string allowed = GENERATE(as<std::string>{}, "+info", "+config|get");
    (void)server.run("ACL", "SETUSER", "app", allowed);
    CHECK(refusal(journal) == "");
}

TEST_CASE("a full server refuses puts, and what waits is written and settled", "[redis][journal]") {
    const RedisServer server;
    Journal journal{Client{at(server)}, "n"};
    for (int key = 0; key < 4; ++key) {
        CHECK(refusal(journal, key) == "");
    }
    (void)server.run("CONFIG", "SET", "maxmemory", "1");
    CHECK(says(refusal(journal, 5), "OOM"));
    CHECK_FALSE(journal.pending(5));
    auto claims = journal.claim(10, 1min, 0ms);
    REQUIRE(claims.size() == 4);
    journal.renew(claims, 1h);
    journal.defer(claims[0], 0ms);
    CHECK(journal.bury(claims[1], "no"));
    CHECK(journal.settle(std::vector{claims[2]}) == std::vector<bool>{true});
    CHECK(journal.revive(claims[1].change.key));
    CHECK(journal.claim(10, 1min, 0ms).size() == 2);
    CHECK(journal.size() == 3);
}

TEST_CASE("a change waits for replicas", "[redis][journal][durability]") {
    const RedisServer server{{"--repl-diskless-sync-delay", "0"}};
    const larder::RedisJournalOptions replicated{.durability = Durability::replicas(1)};
    Journal journal{Client{at(server, 20s)}, "n", replicated};
    Journal hasty{Client{at(server, 500ms)}, "n", replicated};
    std::string why;
    larder_test::until([&] {
        why = refusal(hasty);
        CHECK_FALSE(why.empty());
        return says(why, "0 of 1 replicas");
    });
    CHECK(journal.pending(1)->value == 10);  // as it said: it may be recorded
    const RedisServer replica{{"--replicaof", "127.0.0.1 " + std::to_string(server.port())}};
    until_recorded(hasty, 2);
    CHECK(replica.run("HEXISTS", "~journal:n:changes", "2") == "1");
    CHECK(refusal(journal, 3) == "");
    CHECK(replica.run("HEXISTS", "~journal:n:changes", "3") == "1");
    // It waits for what it has written itself, also where the server had forgotten the script.
    (void)server.run("SCRIPT", "FLUSH");
    CHECK(refusal(journal, 4) == "");
    CHECK(replica.run("HEXISTS", "~journal:n:changes", "4") == "1");
    replica.freeze();
    CHECK(says(refusal(hasty, 5), "0 of 1 replicas"));
    (void)server.run("SCRIPT", "FLUSH");
    CHECK(says(refusal(hasty, 6), "0 of 1 replicas"));
    replica.thaw();
    CHECK(refusal(journal, 5) == "");
    CHECK_THROWS_AS(Durability::replicas(0), std::invalid_argument);
}

TEST_CASE("a put that is not durable is not acknowledged", "[redis][journal][durability]") {
    const RedisServer server;
    Client client{at(server, 500ms)};
    larder::RedisStore<int, int, larder::RawCodec<int>> store{client, "n"};
    struct Rows {
        std::optional<int> load(int) { return 1; }
        bool save(int, int, std::uint64_t) { return true; }
        bool remove(int, std::uint64_t) { return true; }
    };
    Journal journal{client, "n", {.durability = Durability::replicas(1)}};
    larder::WriteBehind cache{store, Rows{}, journal, {.ttl = 1h}, {.delay = 1h, .drain = 0ms}};
    CHECK_THROWS_AS(cache.put(1, 11), StoreError);
    CHECK(cache.get(1) == 11);  // whichever outcome it is: copy and journal agree
    CHECK(journal.pending(1)->value == 11);
    try {
        cache.put_many(std::vector<std::pair<int, int>>{{2, 12}, {3, 13}});
        FAIL("it cannot be acknowledged");
    } catch (const larder::PartialWrite<int>& partial) {
        CHECK(partial.keys().at(0).second == larder::Written::unknown);
        CHECK(partial.keys().at(1).second == larder::Written::unknown);
    }
}

TEST_CASE("a change waits for the disk", "[redis][journal][durability]") {
    const bool waits = RedisServer{}.run("COMMAND", "INFO", "WAITAOF") != "(nil)";
    SECTION("not without an append-only file") {
        const RedisServer server;
        Journal journal{Client{at(server)}, "n", {.durability = Durability::fsync}};
        CHECK(says(refusal(journal), "appendonly yes"));
        CHECK(journal.size() == 0);
    }
    SECTION("at each write") {
        RedisServer server{{"--appendonly", "yes", "--appendfsync", "always"}};
        Journal journal{Client{at(server)}, "n", {.durability = Durability::fsync}};
        CHECK(refusal(journal) == "");
        server.restart();
        until_recorded(journal, 2);
        CHECK(journal.pending(1)->value == 10);
    }
    SECTION("once a second, where the server has WAITAOF") {
        const RedisServer server{{"--appendonly", "yes", "--appendfsync", "everysec"}};
        Journal journal{Client{at(server, 5s)}, "n", {.durability = Durability::fsync}};
        const std::string why = refusal(journal);
        CHECK(says(why, "appendfsync always") != waits);
        CHECK(journal.size() == (waits ? 1 : 0));
    }
    SECTION("never: not in time, and not acknowledged") {
        const RedisServer server{{"--appendonly", "yes", "--appendfsync", "no"}};
        Journal journal{Client{at(server, 500ms)}, "n", {.durability = Durability::fsync}};
        CHECK(says(refusal(journal), waits ? "not on the disk" : "appendfsync always"));
    }
}

TEST_CASE("keys of another type are an error, and nothing is lost", "[redis][journal]") {
    const RedisServer server;
    Journal journal{Client{at(server)}, "n"};
    CHECK(refusal(journal, 1) == "");
    const std::string part = GENERATE(as<std::string>{}, "changes", "waiting", "letters", "later",
                                      "held", "claims", "hands");
    const std::string name = "~journal:n:" + part;
    const bool there = server.run("EXISTS", name) == "1";
    if (there) {
        (void)server.run("RENAME", name, "aside");
    }
    (void)server.run("SET", name, "junk");
    INFO(name);
    const std::string why = refusal(journal, 2);
    CHECK((why.empty() || says(why, "WRONGTYPE")));
    const bool recorded = why.empty();
    try {
        for (const auto& claimed : journal.claim(10, 1min, 0ms)) {
            (void)journal.bury(claimed, "no");
        }
    } catch (const StoreError& error) {
        CHECK(says(error.what(), "WRONGTYPE"));
    }
    (void)server.run("DEL", name);
    if (there) {
        (void)server.run("RENAME", "aside", name);
    }
    larder_test::pass_journal_time(server, 1h);
    std::size_t found = journal.dead_letters().size();
    for (int round = 0; round < 3; ++round) {  // the second finds what the first has listed
        found += journal.claim(10, 1h, 0ms).size();
    }
    CHECK(found >= (recorded ? 2 : 1));
    CHECK(journal.size() + journal.dead_letters().size() >= (recorded ? 2 : 1));
}

TEST_CASE("fields that are not ours", "[redis][journal]") {
    const RedisServer server;
    Journal journal{Client{at(server)}, "n"};
    CHECK(refusal(journal, 1) == "");
    SECTION("a change that is none becomes a dead letter, as bytes") {
        const std::string junk = GENERATE(as<std::string>{}, "", "junk", "1", "2000000000000000+5",
                                          "1000000000000000a+5", "10000000000000001*5");
        (void)server.run("HSET", "~journal:n:changes", "2", junk);
        CHECK_THROWS_AS(journal.pending(2), StoreError);
        CHECK(journal.pending(1)->value == 10);
        CHECK(journal.claim(10, 1min, 0ms).size() == 1);  // lists the other
        CHECK(journal.claim(10, 1min, 0ms).empty());
        CHECK(journal.claim(10, 1min, 0ms).empty());
        REQUIRE(journal.undecodable().size() == 1);
        CHECK(journal.undecodable()[0].change.key == "2");
        CHECK(journal.undecodable()[0].change.value == junk);
        CHECK(says(journal.undecodable()[0].why, "bytes that are no change"));
        CHECK(journal.dead_letters().empty());
        CHECK_FALSE(journal.pending(2));
        CHECK_THROWS_AS(journal.revive(2), StoreError);
        CHECK(journal.size() == 1);
        CHECK(refusal(journal, 2) == "");
        CHECK(journal.undecodable().empty());
    }
    SECTION("a value and a key that do not decode become dead letters, and keep no other") {
        larder::RedisJournal<std::string, std::string, larder::RawCodec<std::string>> texts{
            Client{at(server)}, "n"};
        texts.record({"2", "not a number", 0});
        texts.record({"x", "30", 0});
        CHECK(refusal(journal, 4) == "");
        CHECK_THROWS_AS(journal.pending(2), StoreError);
        CHECK(journal.claim(10, 1min, 0ms).size() == 2);
        const auto letters = journal.undecodable();
        REQUIRE(letters.size() == 2);
        CHECK(letters[0].change.value == "not a number");
        CHECK(says(letters[0].why, "value does not decode"));
        CHECK(letters[0].attempts == 1);
        CHECK(says(letters[1].why, "key does not decode"));
        CHECK(texts.revive("2"));  // by who can read it
        CHECK(texts.pending("2")->value == "not a number");
    }
    SECTION("a counter that is no number") {
        const std::string junk = GENERATE(as<std::string>{}, "junk", "nan", "inf", "1e300", "");
        (void)server.run("HSET", "~journal:n:claims", "counter", junk);
        CHECK(says(refusal(journal, 2), "holds no version"));
        CHECK_FALSE(journal.pending(2));
        (void)server.run("HDEL", "~journal:n:claims", "counter");
        CHECK(refusal(journal, 2) == "");
    }
    SECTION("letters that are none are listed as they are") {
        const std::string junk =
            GENERATE(as<std::string>{}, "", "junk", "1", std::string(70, '1') + " 999 a");
        (void)server.run("HSET", "~journal:n:letters", "7", junk);
        CHECK(journal.dead_letters().empty() == (journal.undecodable().size() == 1));
        CHECK(journal.discard(7));
        CHECK(journal.undecodable().empty());
    }
    SECTION("what is listed without a change is forgotten") {
        (void)server.run("ZADD", "~journal:n:waiting", "1", "8");
        (void)server.run("ZADD", "~journal:n:later", "1", "9");
        CHECK(journal.claim(10, 1min, 0ms).size() == 1);
        CHECK(server.run("ZSCORE", "~journal:n:waiting", "8") == "(nil)");
        CHECK(server.run("ZSCORE", "~journal:n:later", "9") == "(nil)");
    }
    SECTION("a hand whose list is lost or damaged is over in time, and its changes are listed") {
        REQUIRE(journal.claim(10, 1min, 0ms).size() == 1);
        const std::string hand = server.run("ZRANGE", "~journal:n:hands", "0", "-1");
        const std::string field = '!' + hand.substr(hand.find_first_of("0123456789abcdef"), 12);
        const std::string junk = GENERATE(as<std::string>{}, "", "junk", "00000000000000000001\xc1",
                                          "000000000000000000010000000000000000\xc1");
        if (junk.empty()) {
            CHECK(server.run("HDEL", "~journal:n:claims", field) == "1");
        } else {
            CHECK(server.run("HSET", "~journal:n:claims", field, junk) == "0");
        }
        CHECK(journal.claim(10, 1min, 0ms).empty());  // somebody has it in hand
        (void)server.run("ZADD", "~journal:n:hands", "XX", "1", hand);
        CHECK(journal.claim(10, 1min, 0ms).empty());  // lists it
        CHECK(journal.claim(10, 1min, 0ms).size() == 1);
        CHECK(journal.oldest());
    }
    SECTION("a change that is listed nowhere is listed") {
        (void)server.run("DEL", "~journal:n:waiting");
        CHECK(journal.claim(10, 1min, 0ms).empty());
        CHECK(journal.claim(10, 1min, 0ms).size() == 1);
    }
}
