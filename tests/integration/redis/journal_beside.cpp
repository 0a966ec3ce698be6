// SPDX-License-Identifier: MIT

// Write-behind over Redis with the journal beside the store: a put is one script, which leaves the slot as
// a write that begins and ends there would.

#include "support/catch.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/unflushed_journal.hpp"
#include "support/versioned_table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::Tagged;
using larder::WriteBehind;
using larder_test::RedisServer;
using larder_test::Rows;

namespace {

using Store = larder::RedisStore<int, int>;
using Journal = larder::RedisJournal<int, int>;

// Nothing is written until `flush`.
constexpr larder::WriteBehindOptions lazy{.delay = 1h, .drain = 0ms};
const larder::Options remembering{.ttl = 1h, .negative_ttl = 1h};

const RedisServer& server() {
    static const RedisServer one;
    return one;
}

struct World {
    World() { (void)server().run("FLUSHALL"); }

    larder::redis::Client client{server().unix_url()};
    Store store{client, "n"};
    Store there{larder::redis::Client{server().unix_url()}, "n"};  // as another process has it
    Journal journal{larder::redis::Client{server().unix_url()}, "n"};
    Rows rows{};

    auto cache(larder::Options options = remembering, larder::WriteBehindOptions behind = lazy) {
        return WriteBehind{store, std::ref(rows), std::move(options), behind};
    }
    // Of which every exchange is a call's.
    auto unflushed() {
        return WriteBehind{store, std::ref(rows), larder_test::UnflushedJournal{client, "n"},
                           remembering, lazy};
    }
    std::string slot(int key) const { return server().run("GET", "n:" + std::to_string(key)); }
    std::optional<int> recorded(int key) const {
        const auto change = journal.pending(key);
        return change ? change->value : std::optional{-1};
    }
};

}  // namespace

TEST_CASE("a write beside a journal in Redis is one step of the slot", "[redis][behind]") {
    World w;
    {
        auto counted = w.unflushed();
        counted.put(1, 10);  // the server learns of the script, and is asked for its policy
        const auto before = w.client.stats().round_trips;
        counted.put(1, 11);
        counted.remove(2);
        CHECK(w.client.stats().round_trips - before == 2);
    }
    auto cache = w.cache();
    CHECK(w.slot(1) == "11");
    CHECK(w.recorded(1) == 11);
    CHECK(w.recorded(2) == std::nullopt);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.fetch(2).source == Source::hit);
    CHECK(cache.fetch(2).value == std::nullopt);
    CHECK(cache.stats().pending == 2);
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.load(1) == 11);
    CHECK(w.slot(1) == "11");
}

TEST_CASE("a write in one step leaves no copy beside another in flight, nor does that",
          "[redis][behind]") {
    World w;
    auto cache = w.cache();
    const bool removal = GENERATE(false, true);
    const auto ticket = w.there.begin_write(1, 1h);
    removal ? cache.remove(1) : cache.put(1, 11);
    CHECK_FALSE(w.store.find(1));
    CHECK(w.there.finish_write(1, ticket, larder::detail::Finish::value, 10, {{1h}}));
    CHECK_FALSE(w.store.find(1));
    CHECK(cache.fetch(1).source == Source::pending);
    CHECK(cache.get(1) == (removal ? std::nullopt : std::optional{11}));
}

TEST_CASE("a write in one step takes the lease of a load", "[redis][behind]") {
    World w;
    auto cache = w.cache({.ttl = 1h});
    const bool beside = GENERATE(false, true);
    if (beside) {
        w.there.put(1, 5, {1h});
    }
    const auto opening = beside ? w.there.open_refresh(1, true) : w.there.open(1);
    REQUIRE(opening.slot == larder::detail::Slot::lead);
    const bool removal = GENERATE(false, true);
    removal ? cache.remove(1) : cache.put(1, 11);
    CHECK_FALSE(w.there.fill(1, opening.lease, 10, {{1h}}).kept);
    CHECK(cache.get(1) == (removal ? std::nullopt : std::optional{11}));
}

TEST_CASE("a removal that is not remembered takes the copy", "[redis][behind]") {
    World w;
    auto cache = w.cache({.ttl = 1h});
    cache.put(1, 10);
    CHECK(w.slot(1) == "10");
    cache.remove(1);
    CHECK(w.slot(1) == "(nil)");
    CHECK_FALSE(cache.get(1));
}

TEST_CASE("a write in one step over bytes of others", "[redis][behind]") {
    World w;
    auto cache = w.cache();
    SECTION("a value of another type is replaced") {
        (void)server().run("LPUSH", "n:1", "a");
        cache.put(1, 11);
        CHECK(w.slot(1) == "11");
    }
    SECTION("a format that a newer build knows ends, and no copy is left") {
        (void)server().run("SET", "n:1", "\1\2newer", "PX", "60000");
        cache.put(1, 11);
        CHECK(w.slot(1) == "(nil)");
    }
    SECTION("bytes that are nobody's are replaced") {
        (void)server().run("SET", "n:1", "\1\1L-");
        cache.put(1, 11);
        CHECK(w.slot(1) == "11");
    }
    CHECK(w.recorded(1) == 11);
    CHECK(cache.get(1) == 11);
}

TEST_CASE("a tagged write in one step is of the moment at which it is made", "[redis][behind]") {
    World w;
    Tagged cache{w.unflushed(), [](const std::optional<int>& value) {
                     return larder::Tags{value && *value < 50 ? "low" : "high"};
                 }};
    cache.put(1, 10);
    const auto before = w.client.stats().round_trips;
    cache.put(2, 60);
    CHECK(w.client.stats().round_trips - before == 1);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.fetch(2).source == Source::hit);
    cache.invalidate_tag("low");
    CHECK(cache.fetch(1).source == Source::pending);
    CHECK(cache.fetch(2).source == Source::hit);
    cache.put(1, 11);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.get(1) == 11);
    cache.invalidate_all();
    CHECK(cache.fetch(2).source == Source::pending);
    (void)server().run("DEL", "~clock:n");
    cache.put(2, 61);  // begins another era
    CHECK(cache.fetch(2).source == Source::hit);
    CHECK(cache.fetch(1).source == Source::pending);
}

TEST_CASE("many writes are as many steps, in one round trip", "[redis][behind]") {
    World w;
    std::vector<std::pair<int, int>> pairs;
    for (int key = 0; key < 100; ++key) {
        pairs.emplace_back(key, key + 1000);
    }
    {
        auto counted = w.unflushed();
        counted.put(1, 1);
        const auto before = w.client.stats().round_trips;
        counted.put_many(pairs);
        CHECK(w.client.stats().round_trips - before == 1);
    }
    auto cache = w.cache();
    CHECK(cache.stats().pending == 100);
    CHECK(w.slot(99) == "1099");
    CHECK(w.recorded(99) == 1099);
    CHECK(cache.flush(30s) == 0);
    CHECK(w.rows.load(50) == 1050);
}

TEST_CASE("many writes that find no room", "[redis][behind]") {
    World w;
    auto cache = w.cache(
        remembering,
        {.max_pending = 2, .when_full = larder::WhenFull::reject, .delay = 1h, .drain = 0ms});
    cache.put(1, 1);
    std::vector<std::pair<int, int>> pairs{{1, 11}, {2, 12}, {3, 13}};
    try {
        w.rows.down = true;
        cache.put_many(pairs);
        FAIL("there is no room");
    } catch (const larder::PartialWrite<int>& partial) {
        CHECK(partial.keys() ==
              std::vector<std::pair<int, larder::Written>>{
                  {1, larder::Written::yes}, {2, larder::Written::yes}, {3, larder::Written::no}});
        CHECK_THROWS_AS(std::rethrow_exception(partial.cause()), larder::Error);
    }
    CHECK(w.recorded(1) == 11);
    CHECK(w.recorded(3) == -1);
    w.rows.down = false;
}

TEST_CASE("a journal on another server is told by itself", "[redis][behind]") {
    World w;
    const RedisServer other;
    Journal journal{larder::redis::Client{other.unix_url()}, "n"};
    WriteBehind cache{w.store, std::ref(w.rows), journal, remembering, lazy};
    cache.put(1, 11);
    cache.put_many(std::vector<std::pair<int, int>>{{2, 12}, {3, 13}});
    CHECK(w.slot(1) == "11");
    CHECK(w.slot(3) == "13");
    CHECK(w.recorded(1) == -1);
    CHECK(journal.pending(1)->value == 11);
    CHECK(journal.size() == 3);
    CHECK(other.run("EXISTS", "n:1") == "0");
}

TEST_CASE("a store with a schema has a journal with it", "[redis][behind]") {
    World w;
    Store versioned{w.client, "v", {.schema = 3}};
    WriteBehind cache{versioned, std::ref(w.rows), remembering, lazy};
    cache.put(1, 11);
    CHECK(server().run("GET", "v@3:1") == "11");
    CHECK(Journal{w.client, "v", {.schema = 3}}.size() == 1);
    CHECK(Journal{w.client, "v"}.size() == 0);
}
