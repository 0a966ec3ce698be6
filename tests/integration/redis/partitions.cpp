// SPDX-License-Identifier: MIT

// A namespace that is divided into partitions, on a single server: what is called what, and who is
// refused.

#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/table.hpp"
#include "support/versioned_table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::RedisJournal;
using larder::RedisStore;
using larder::RedisStoreOptions;
using larder::StoreError;
using larder::Tagged;
using larder::WriteBehind;
using larder_test::RedisServer;
using larder_test::Table;

namespace {

using Store = RedisStore<int, int>;
using Journal = RedisJournal<int, int>;

const RedisServer& server() {
    static const RedisServer one;
    return one;
}

larder::redis::Client client() {
    return larder::redis::Client{server().unix_url()};
}

std::set<std::string> keys() {
    std::istringstream lines{server().run("KEYS", "*")};
    std::set<std::string> all;
    for (std::string line; std::getline(lines, line);) {
        all.insert(line);
    }
    return all;
}

std::vector<int> first(int count) {
    std::vector<int> some;
    for (int key = 0; key < count; ++key) {
        some.push_back(key);
    }
    return some;
}

std::string refusal_of(const std::function<void()>& call) {
    try {
        call();
    } catch (const StoreError& refused) {
        return refused.what();
    }
    return {};
}

bool names_all(const std::string& text, const std::vector<std::string>& parts) {
    return std::all_of(parts.begin(), parts.end(), [&](const std::string& part) {
        return text.find(part) != std::string::npos;
    });
}

}  // namespace

// Rule R10.
TEST_CASE("what belongs to a key of a partition has the partition's hash tag", "[redis]") {
    server().run("FLUSHALL");
    Table<> table;
    table.set(1, 10);
    Tagged cache{CacheAside{Store{client(), "n", {.partitions = 4}}, std::ref(table), {.ttl = 1h}},
                 [](int) { return larder::Tags{"red"}; }};
    CHECK(cache.get(1) == 10);
    for (const char* const key : {"n:{1}:1", "~clock:n:{1}", "~tag:n:{1}:red", "~partitions:n"}) {
        CHECK(keys().contains(key));
    }
    for (const std::string& key : keys()) {
        CHECK((key == "~partitions:n" || key.find("n:{1}") != std::string::npos));
    }
    Store other{client(), "n", {.partitions = 4}};
    const auto opening = other.open_refresh(1, true);
    CHECK(opening.slot == larder::detail::Slot::lead);
    CHECK(keys().contains("~refresh:n:{1}:1"));
    CHECK(server().run("GET", "~partitions:n") == "format=1 partitions=4");
}

TEST_CASE("many keys of all partitions, their tags among them, take as many round trips as of one",
          "[redis][tags]") {
    server().run("FLUSHALL");
    Table<> table;
    for (const int key : first(40)) {
        table.set(key, key % 3);
    }
    Store store{client(), "n", {.partitions = 4}};
    Tagged cache{CacheAside{store, std::ref(table), {.ttl = 1h}}, [](int value) {
                     return larder::Tags{"all", std::to_string(value)};
                 }};
    const auto cost = [&](const auto& call) {
        const auto before = store.client().stats();
        call();
        const auto after = store.client().stats();
        return std::pair{after.round_trips - before.round_trips, after.commands - before.commands};
    };
    static_cast<void>(cache.get_many(first(40)));
    cache.invalidate_tag("1");
    CHECK(table.loads == 40);
    const auto values = cache.get_many(first(40));
    CHECK(table.loads == 40 + 13);
    for (const int key : first(40)) {
        CHECK(values[static_cast<std::size_t>(key)] == key % 3);
    }
    // An MGET of the values for each partition, then one of the tags' versions.
    CHECK(cost([&] { CHECK(cache.get_many(first(40)) == values); }) == std::pair{2UL, 8UL});
    CHECK(cost([&] { cache.invalidate_tags({"1", "2"}); }) == std::pair{1UL, 4UL});
    static_cast<void>(store.begin_write(1, 1s));  // the server knows the script
    // A clock for each partition, and a begin for each key.
    CHECK(cost([&] { static_cast<void>(store.begin_write_many(first(40), 1s)); }) ==
          std::pair{1UL, 44UL});
}

TEST_CASE("clearing a namespace erases it in all partitions, and nothing else", "[redis]") {
    server().run("FLUSHALL");
    Store store{client(), "n", {.partitions = 4}};
    for (const int key : first(40)) {
        store.put(key, key, {1min});
    }
    server().run("SET", "n:plain", "1");
    server().run("SET", "nn:{1}:1", "1");
    store.clear();
    CHECK(keys() == std::set<std::string>{"n:plain", "nn:{1}:1", "~partitions:n"});
}

// Rule R10.
TEST_CASE("who has another number of partitions than the others is refused", "[redis]") {
    server().run("FLUSHALL");
    Store four{client(), "n", {.partitions = 4}};
    four.put(1, 10, {1min});
    Store eight{client(), "n", {.partitions = 8}};
    for (const auto& refused :
         {refusal_of([&] { static_cast<void>(eight.find(1)); }),
          refusal_of([&] { eight.put(1, 11, {1min}); }), refusal_of([&] { eight.erase(1); }),
          refusal_of([&] { eight.invalidate_tags(std::vector<std::string>{"a"}); }),
          refusal_of([&] { eight.clear(); })}) {
        CHECK(names_all(refused, {"n cannot be used with 8 partitions", "partitions=4"}));
    }
    CHECK(keys() == std::set<std::string>{"n:{1}:1", "~partitions:n"});
    CHECK(four.find(1)->value == 10);

    SECTION("a policy of theirs serves from the database") {
        Table<> table;
        table.set(1, 12);
        CacheAside cache{eight, std::ref(table), {.ttl = 1h}};
        CHECK(cache.fetch(1).source == larder::Source::bypassed);
        CHECK_THROWS_AS(cache.invalidate(1), StoreError);
    }
    SECTION("another schema is another namespace") {
        Store other{client(), "n", {.schema = 2, .partitions = 8}};
        other.put(1, 11, {1min});
        CHECK(other.find(1)->value == 11);
    }
    SECTION("so is who finds a format that is not known") {
        server().run("SET", "~partitions:n", "format=2 partitions=8 and more");
        CHECK(names_all(refusal_of([&] { static_cast<void>(eight.find(1)); }), {"format=2"}));
    }
    SECTION("the number may be changed once nobody uses it any more") {
        server().run("DEL", "~partitions:n");
        CHECK_FALSE(eight.find(1));
        Store late{client(), "n", {.partitions = 4}};
        CHECK(names_all(refusal_of([&] { static_cast<void>(late.find(1)); }), {"partitions=8"}));
    }
}

TEST_CASE("a namespace that has a clock under plain names is not divided", "[redis]") {
    server().run("FLUSHALL");
    Table<> table;
    table.set(1, 10);
    Tagged plain{CacheAside{Store{client(), "n"}, std::ref(table), {.ttl = 1h}},
                 [](int) { return larder::Tags{"red"}; }};
    CHECK(plain.get(1) == 10);
    const Store parted{client(), "n", {.partitions = 4}};
    CHECK(names_all(refusal_of([&] { static_cast<void>(parted.find(1)); }),
                    {"4 partitions", "as one partition", "~clock:n"}));
    CHECK_FALSE(keys().contains("~partitions:n"));
    server().run("DEL", "~clock:n");
    CHECK_FALSE(parted.find(1));
}

TEST_CASE("a server that is full is told from a number that differs", "[redis]") {
    server().run("FLUSHALL");
    server().run("CONFIG", "SET", "maxmemory", "1");
    const Store store{client(), "n", {.partitions = 4}};
    CHECK(names_all(refusal_of([&] { static_cast<void>(store.find(1)); }), {"OOM"}));
    server().run("CONFIG", "SET", "maxmemory", "0");
    CHECK_FALSE(store.find(1));
}

// Rules R10 and W11.
TEST_CASE("a change is recorded beside its copy, in the partition of both", "[redis]") {
    server().run("FLUSHALL");
    Store store{client(), "n", {.partitions = 4}};
    larder_test::Rows rows;
    WriteBehind cache{store, std::ref(rows), {.ttl = 1h}, {.delay = 1h, .drain = 0s}};
    cache.put(1, 10);
    cache.pause();  // its flusher asks, too
    const auto before = store.client().stats().round_trips;
    cache.put(2, 20);
    CHECK(store.client().stats().round_trips == before + 1);
    cache.resume();
    CHECK(server().run("HKEYS", "~journal:n:{1}:changes") == "1");
    CHECK(server().run("HKEYS", "~journal:n:{2}:changes") == "2");
    CHECK(server().run("GET", "n:{1}:1") == "10");
    CHECK(server().run("GET", "n:{2}:2") == "20");
    const Journal beside = store.journal();
    CHECK(beside.size() == 2);
    CHECK(beside.greatest_key() == 2);
    CHECK(beside.pending(1)->value == 10);
    CHECK(cache.flush(10s) == 0);
}

TEST_CASE("a journal is of one number of partitions, too", "[redis]") {
    server().run("FLUSHALL");
    SECTION("that of its store") {
        Journal{client(), "n", {.partitions = 4}}.record({1, 10, 0});
        Journal eight{client(), "n", {.partitions = 8}};
        CHECK(names_all(refusal_of([&] { eight.record({1, 10, 0}); }), {"8 partitions", "=4"}));
        CHECK(names_all(refusal_of([&] { static_cast<void>(eight.claim(1, 1s, 0s)); }), {"=4"}));
        CHECK(names_all(refusal_of([&] { static_cast<void>(eight.size()); }), {"=4"}));
    }
    SECTION("one that was begun under plain names is not divided") {
        Journal{client(), "n"}.record({1, 10, 0});
        Journal parted{client(), "n", {.partitions = 4}};
        CHECK(names_all(refusal_of([&] { parted.record({1, 10, 0}); }), {"~journal:n:claims"}));
    }
    CHECK_THROWS_AS(Journal(client(), "n", {.partitions = 16385}), std::invalid_argument);
}

// Rule W9.
TEST_CASE("the bound of a journal is that of all its partitions", "[redis]") {
    server().run("FLUSHALL");
    Journal journal{client(), "n", {.partitions = 4}};
    std::size_t taken = 0;
    for (int key = 0; key < 100; ++key) {
        taken += journal.record(larder::Change<int, int>{key, key, 0}, 10) ? 1U : 0U;
    }
    CHECK(taken == 10);
    CHECK(journal.size() == 10);
    CHECK(journal.record(larder::Change<int, int>{3, 4, 0}, 10));  // it waits already
    CHECK(journal.claim(4, 1min, 0s).size() == 4);
    CHECK(journal.claim(100, 1min, 0s).size() == 6);
}

TEST_CASE("a journal of many partitions that has nothing to do asks little", "[redis]") {
    {
        Journal first{client(), "first"};  // so that the server knows the scripts
        first.record({1, 10, 0});
        CHECK(first.claim(1, 1min, 0s).size() == 1);
    }
    server().run("FLUSHALL");
    const larder::redis::Client asked = client();
    Journal journal{asked, "n", {.partitions = 64}};
    static_cast<void>(journal.claim(100, 1min, 0s));
    const auto cost = [&](std::size_t found) {
        const auto before = asked.stats();
        CHECK(journal.claim(100, 1min, 0s).size() == found);
        const auto after = asked.stats();
        return std::pair{after.round_trips - before.round_trips, after.commands - before.commands};
    };
    server().run("CONFIG", "RESETSTAT");
    CHECK(cost(0) == std::pair{1UL, 64UL});
    CHECK(server().run("INFO", "commandstats").find("evalsha") == std::string::npos);
    journal.record({1, 10, 0});
    CHECK(cost(1) == std::pair{1UL, 64UL});
    Journal{client(), "n", {.partitions = 64}}.record(
        {2, 20, 0});  // another process, for all it knows
    CHECK(cost(1) == std::pair{2UL, 65UL});
}
