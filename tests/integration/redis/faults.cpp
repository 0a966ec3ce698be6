// SPDX-License-Identifier: MIT

// Policies over a Redis that dies, freezes, forgets, is full, or refuses: reads go on, and none is
// older than what was acknowledged.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/history.hpp"
#include "support/redis_front.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/stop.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::OnStoreFailure;
using larder::Source;
using larder::Tagged;
using larder::WriteThrough;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder_test::caught;
using larder_test::caught_text;
using larder_test::RedisFront;
using larder_test::RedisPair;
using larder_test::RedisServer;
using larder_test::Stop;
using larder_test::until;
using Values = std::vector<std::optional<int>>;

namespace {

// Little time for a server that will freeze, much for one that is merely slow today.
constexpr larder::Ttl little = 400ms;

ClientOptions hasty(const RedisServer& server, larder::Ttl breaker = 20ms,
                    larder::Ttl command_timeout = 5s) {
    ClientOptions options;
    options.path = server.socket_path();
    options.command_timeout = command_timeout;
    options.breaker = breaker;
    options.max_breaker = breaker;
    return options;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

// Reads until the store has been told of every drop; each read must give the same.
template <class Cache>
void catch_up(Cache& cache, int key, int value) {
    until([&] {
        CHECK(cache.get(key) == value);
        return cache.stats().queued_invalidations == 0;
    });
}

}  // namespace

// ---- down ----

TEST_CASE("while the server is down reads load, and writes go on", "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server)};
    WriteThrough cache{w.here, w.rows, {.ttl = 1h}};
    REQUIRE(cache.get_many({1, 2}) == Values{10, 20});
    server.kill();

    CHECK(cache.get(1) == 10);
    CHECK(cache.fetch(3).source == Source::bypassed);
    CHECK(cache.get_many({1, 2, 3}) == Values{10, 20, 30});
    CHECK(cache.refresh(4) == 40);
    cache.put(1, 11);
    cache.put_many({{2, 21}, {3, 31}});
    cache.remove(5);
    {
        auto write = cache.writing(6);
        w.table.set(6, 61);
        write.commit();
    }
    CHECK(cache.get_many({1, 2, 3}) == Values{11, 21, 31});
    CHECK_FALSE(cache.get(5));
    CHECK(cache.get(6) == 61);
    CHECK(cache.stats().queued_invalidations == 6);  // 4 too: its refresh could not be announced
    CHECK(cache.stats().breaker != larder::Breaker::closed);
    CHECK(cache.stats().store_errors > 0);

    // An invalidation must not be lost in silence.
    CHECK(caught([&] { cache.invalidate(1); }) == Errc::store_failed);
    CHECK(caught([&] { cache.invalidate_many({1, 2}); }) == Errc::store_failed);
    Tagged tagged{CacheAside{w.here, w.rows}, [](int) { return larder::Tags{"t"}; }};
    CHECK(caught([&] { tagged.invalidate_tag("t"); }) == Errc::store_failed);
    CHECK(tagged.get(1) == 11);

    server.start();
    catch_up(cache, 1, 11);
    until([&] { return cache.fetch(1).source == Source::hit; });
    CHECK(cache.get_many({1, 2, 3}) == Values{11, 21, 31});
    cache.put(1, 12);
    CHECK(w.there.find(1)->value == 12);
}

TEST_CASE("a drop that a frozen server missed is replayed, and until then its copy not trusted",
          "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server, 20ms, little)};
    CacheAside cache{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    REQUIRE(cache.get_many({1, 2}) == Values{10, 20});
    server.freeze();
    cache.put(1, 11);
    CHECK(cache.stats().queued_invalidations == 1);
    CHECK(cache.get(1) == 11);
    server.thaw();
    catch_up(cache, 1, 11);
    CHECK(there.get(1) == 11);
    CHECK(there.fetch(2).source == Source::hit);
}

TEST_CASE("a copy whose invalidation is queued is not served, even while the server answers",
          "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server)};
    CacheAside cache{w.here, w.rows, {.ttl = 1h, .negative_ttl = 1h}};
    REQUIRE(cache.get_many({1, 2}) == Values{10, 20});
    server.run("CONFIG", "SET", "min-replicas-to-write", "1");
    REQUIRE(w.here.queue_invalidation(1, 10, {}));
    w.table.set(1, 11);
    CHECK(cache.get(1) == 11);
    CHECK(cache.fetch(1).source == Source::bypassed);
    CHECK(cache.get_many({1, 2}) == Values{11, 20});
    CHECK(cache.fetch(2).source == Source::hit);
    CHECK_FALSE(w.here.find(1));
    CHECK_FALSE(w.here.find_many(std::vector{1, 2})[0]);
    CHECK(w.here.open_refresh(1, false).slot == larder::detail::Slot::bypass);
    CHECK(server.run("GET", "n:1") == "10");
    server.run("CONFIG", "SET", "min-replicas-to-write", "0");
    catch_up(cache, 1, 11);
    CHECK(cache.fetch(2).source == Source::hit);
}

TEST_CASE("many drops that were missed are replayed in few steps, whether or not anybody calls",
          "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server)};
    std::vector<std::pair<int, std::optional<int>>> copies;
    for (int key = 0; key < 1000; ++key) {
        copies.emplace_back(key, -1);
    }
    w.there.put_many(copies, {1h});
    server.run("CONFIG", "SET", "min-replicas-to-write", "1");
    for (const auto& [key, value] : copies) {
        REQUIRE(w.here.queue_invalidation(key, 2000, {}));
    }
    CHECK_FALSE(w.here.find(1));
    server.run("CONFIG", "SET", "min-replicas-to-write", "0");
    const auto before = w.here.client().stats().round_trips;
    until([&] { return w.here.queued_invalidations() == 0; });
    CHECK(w.here.client().stats().round_trips <= before + 12);
    CHECK_FALSE(w.there.find(0));
    CHECK_FALSE(w.there.find(999));
}

TEST_CASE("a frozen server costs one time-out a window", "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server, 1min, little)};
    WriteThrough cache{w.here, w.rows, {.ttl = 1h}};
    REQUIRE(cache.get(1) == 10);
    const auto trips = [&] { return w.here.client().stats().round_trips; };
    const auto before = trips();
    server.freeze();
    SECTION("of a read") {
        CHECK(cache.get(2) == 20);
    }
    SECTION("of a batch") {
        CHECK(cache.get_many({1, 2}) == Values{10, 20});
    }
    SECTION("of a write") {
        cache.put(2, 20);
    }
    SECTION("of a batch of writes") {
        cache.put_many({{1, 10}, {2, 20}});
    }
    SECTION("of a refresh") {
        CHECK(cache.refresh(2) == 20);
    }
    SECTION("in the middle of a load") {
        server.thaw();
        CHECK(cache.get(3, [&](int) -> std::optional<int> {
            CHECK(trips() == before + 2);
            server.freeze();
            return 30;
        }) == 30);
        CHECK(trips() == before + 3);
    }
    SECTION("in the middle of a write") {
        server.thaw();
        w.table.hooks.after_commit = [&](int, const std::optional<int>&) { server.freeze(); };
        cache.put(3, 31);
        w.table.hooks.after_commit = nullptr;
        CHECK(cache.get(3) == 31);
        CHECK(cache.stats().queued_invalidations == 1);
    }
    const auto once = trips();
    CHECK(once <= before + 3);
    for (int i = 0; i < 20; ++i) {
        CHECK(cache.get(1) == 10);
        CHECK(cache.get_many({1, 2}) == Values{10, 20});
        cache.put(1, 10);
        CHECK(cache.refresh(2) == 20);
    }
    CHECK(trips() == once);
    server.thaw();
}

TEST_CASE("what must not go on without the store is refused before the database is touched",
          "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server, 1min, little)};
    SECTION("fail") {
        WriteThrough cache{w.here, w.rows, {.on_store_failure = OnStoreFailure::fail}};
        REQUIRE(cache.get(1) == 10);
        SECTION("dead") {
            server.kill();
        }
        std::size_t perhaps_begun = 0;
        SECTION("frozen") {
            server.freeze();
            perhaps_begun = 1;  // it is ended when the server is back
        }
        SECTION("read-only") {
            server.run("CONFIG", "SET", "min-replicas-to-write", "1");
        }
        CHECK(caught([&] { cache.put(1, 11); }) == Errc::store_failed);
        CHECK(caught([&] { cache.put_many({{1, 11}, {2, 21}}); }) == Errc::store_failed);
        CHECK(caught([&] { cache.remove(1); }) == Errc::store_failed);
        CHECK(caught([&] { (void)cache.writing(1, 2); }) == Errc::store_failed);
        CHECK(cache.get(1) == 10);
        CHECK(cache.stats().queued_invalidations == perhaps_begun);
        server.thaw();
    }
    SECTION("a full queue") {
        CacheAside cache{w.here, w.rows, {.max_queued_invalidations = 2}};
        server.kill();
        cache.put(1, 10);
        cache.put(2, 20);
        cache.put(1, 10);  // it takes no more room
        w.table.saves = 0;
        CHECK(caught([&] { cache.put(3, 31); }) == Errc::store_full);
        CHECK(caught([&] { cache.put_many({{1, 11}, {3, 31}}); }) == Errc::store_full);
        CHECK(caught([&] { cache.remove(3); }) == Errc::store_full);
        CHECK(cache.get(3) == 30);
        CHECK(cache.stats().queued_invalidations == 2);
    }
    CHECK(w.table.saves == 0);
    CHECK(w.table.row(1) == 10);
}

// ---- a server that serves reads and refuses writes ----

// Rule R8.
TEST_CASE("a server that refuses writes counts as down for them", "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server)};
    WriteThrough cache{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    REQUIRE(cache.get_many({1, 2}) == Values{10, 20});
    std::function<void()> mend;
    std::string_view says;
    SECTION("NOREPLICAS") {
        server.run("CONFIG", "SET", "min-replicas-to-write", "1");
        mend = [&] { server.run("CONFIG", "SET", "min-replicas-to-write", "0"); };
        says = "NOREPLICAS";
    }
    SECTION("READONLY") {
        server.run("REPLICAOF", "127.0.0.1", "1");
        mend = [&] { server.run("REPLICAOF", "NO", "ONE"); };
        says = "READONLY";
    }
    SECTION("MISCONF") {
        // A dump cannot take the place of a folder.
        std::filesystem::create_directory(server.folder() / "dump.rdb");
        server.run("CONFIG", "SET", "save", "3600 1");
        server.run("BGSAVE");
        until([&] { return has(server.run("INFO", "persistence"), "rdb_last_bgsave_status:err"); });
        mend = [&] { server.run("CONFIG", "SET", "save", ""); };
        says = "MISCONF";
    }
    const std::string why = caught_text([&] { cache.invalidate(2); });
    CHECK(has(why, says));
    // What a demoted server has not, its primary may have.
    CHECK(has(caught_text([&] { cache.invalidate(3); }), says));
    CHECK(has(caught_text([&] { cache.invalidate_many({3, 4}); }), says));
    CHECK(has(caught_text([&] { w.here.erase(3); }), says));
    cache.put(1, 11);
    CHECK(cache.stats().queued_invalidations == 1);
    CHECK(cache.stats().breaker == larder::Breaker::closed);
    CHECK(cache.get(1) == 11);
    CHECK(cache.get_many({1, 2, 3}) == Values{11, 20, 30});
    CHECK(cache.fetch(2).source == Source::hit);  // reads go on
    CHECK(there.fetch(2).source == Source::hit);
    CHECK(cache.fetch(3).source == Source::bypassed);
    server.run("SET", "n:3", "30");
    cache.put(1, 12);
    CHECK(cache.get(1) == 12);
    mend();
    catch_up(cache, 1, 12);
    CHECK(there.get(1) == 12);
    CHECK(cache.fetch(1).source == Source::hit);
}

// ---- full ----

// Rule R4.
TEST_CASE("a full server takes writes and drops, and keeps no copies", "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server)};
    WriteThrough cache{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    Tagged tagged{CacheAside{w.here, w.rows, {.ttl = 1h}}, [](int) { return larder::Tags{"t"}; }};
    REQUIRE(cache.get_many({1, 2, 3}) == Values{10, 20, 30});
    REQUIRE(tagged.get(4) == 40);
    server.run("CONFIG", "SET", "maxmemory", "1000");
    REQUIRE(server.run("SET", "more", "x").starts_with("OOM"));
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(tagged.fetch(4).source == Source::hit);
    CHECK(cache.get(5) == 50);
    CHECK(cache.get_many({1, 5, 6}) == Values{10, 50, 60});
    CHECK(server.run("EXISTS", "n:5") == "0");

    cache.put(1, 11);
    CHECK(cache.stats().queued_invalidations == 0);
    CHECK(there.get(1) == 11);
    CHECK(cache.refresh(2) == 20);
    w.table.set(2, 21);
    CHECK(cache.invalidate(2));
    CHECK(there.get(2) == 21);
    w.table.set(4, 41);
    tagged.invalidate_tag("t");
    CHECK(tagged.get(4) == 41);
    // A write hides its key from others.
    {
        auto write = cache.writing(3);
        CHECK(server.run("GET", "n:3").starts_with("\x01\x01W"));
        CHECK(there.fetch(3).source == Source::bypassed);
        write.rollback();
    }
    // Bytes that do not decode give way.
    server.run("CONFIG", "SET", "maxmemory", "0");
    server.run("SET", "n:7", "junk");
    server.run("CONFIG", "SET", "maxmemory", "1000");
    CHECK(cache.get(7) == 70);
    server.run("CONFIG", "SET", "maxmemory", "0");
    CHECK(cache.get_many({1, 2, 3}) == Values{11, 21, 30});
    CHECK(cache.get(5) == 50);
    CHECK(cache.fetch(5).source == Source::hit);
}

TEST_CASE("a server that evicts what it likes hides nothing", "[redis][faults]") {
    RedisServer server{{"--maxmemory-policy", "allkeys-lru"}};
    larder::RedisStore<int, std::string> here{Client{server.unix_url()}, "n"};
    larder::RedisStore<int, std::string> there{Client{server.unix_url()}, "n"};
    larder_test::Table<int, std::string> table;
    const larder::Options options{.ttl = 1h};
    Tagged writer{WriteThrough{here, std::ref(table), options}, [](int key, const std::string&) {
                      return larder::Tags{std::to_string(key % 7)};
                  }};
    Tagged reader{CacheAside{there, std::ref(table), options}, [](int key, const std::string&) {
                      return larder::Tags{std::to_string(key % 7)};
                  }};
    const std::string filling(6'000, 'x');
    int stale = 0;
    const int keys = 90;
    REQUIRE_FALSE(here.find(1));
    REQUIRE_FALSE(there.find(1));
    const std::string memory = server.run("INFO", "memory");
    const auto used = std::stoul(memory.substr(memory.find("used_memory:") + 12));
    server.run("CONFIG", "SET", "maxmemory", std::to_string(used + 300'000));
    for (int round = 0; round < 3; ++round) {
        for (int key = 0; key < keys; ++key) {
            const std::string now = std::to_string(round) + filling;
            switch (key % 3) {
                case 0: writer.put(key, now); break;
                case 1:
                    table.set(key, now);
                    writer.invalidate(key);
                    break;
                default: table.set(key, now); writer.invalidate_tag(std::to_string(key % 7));
            }
            stale += reader.get(key) == now ? 0 : 1;
            const int other = (key * 37) % keys;
            stale += reader.get(other) == table.row(other) ? 0 : 1;
        }
    }
    CHECK(stale == 0);
    CHECK_FALSE(has(server.run("INFO", "stats"), "evicted_keys:0\r"));
    CHECK(reader.stats().hits > 0);
}

// ---- users ----

TEST_CASE("a user without rights of administration can do everything", "[redis][faults]") {
    RedisServer server;
    server.run("ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all", "-@admin",
               "-@dangerous");
    const Client client{"unix://app:secret@" + server.socket_path() + "?db=1&name=larder"};
    RedisPair::Store store{client, "n"};
    larder_test::Table<> table;
    for (int key = 1; key < 10; ++key) {
        table.set(key, 10 * key);
    }
    std::vector<std::string> failures;
    std::mutex mutex;
    const larder::Options options{.ttl = 1h,
                                  .negative_ttl = 1h,
                                  .grace = 1h,
                                  .on_store_failure = OnStoreFailure::fail,
                                  .observer = [&](const larder::Event& event) {
                                      const std::scoped_lock lock{mutex};
                                      failures.push_back(event.key);
                                  }};
    Tagged cache{WriteThrough{store, std::ref(table), options},
                 [](int) { return larder::Tags{"t"}; }};
    CHECK(cache.get(1) == 10);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK_FALSE(cache.get(404));
    CHECK(cache.get_many({1, 2, 3}) == Values{10, 20, 30});
    cache.put(1, 11);
    CHECK(cache.fetch(1).value == 11);
    cache.remove(2);
    CHECK(cache.refresh(1) == 11);
    CHECK(cache.invalidate(3));
    CHECK(cache.get(3) == 30);
    cache.invalidate_tag("t");
    CHECK(cache.fetch(3).source == Source::loaded);
    client.command("SET", "n:5", "5");
    client.command("SET", "n:6", "junk");
    WriteThrough plain{store, std::ref(table), options};
    CHECK(plain.fetch(5).value == 5);
    CHECK(client.command("PTTL", "n:5").integer() > 0);
    CHECK(plain.get(6) == 60);
    // LeaseRenewer beside values, and what becomes of them.
    const auto beside = store.open_refresh(5, false);
    REQUIRE(beside.slot == larder::detail::Slot::lead);
    CHECK(store.remote_lease(5, beside.lease));
    store.release(5, beside.lease);
    const auto forced = store.open_refresh(5, true);
    CHECK(store.fill(5, forced.lease, 50, {{1h}, {}}).kept);
    store.put(7, 70, {1h});
    CHECK(store.find(7)->value == 70);
    store.clear();
    CHECK_FALSE(store.find(7));
    CHECK(cache.stats().store_errors == 0);
    CHECK(failures.empty());
    CHECK(server.run("ACL", "LOG").empty());
}

TEST_CASE("a user who may not is told so", "[redis][faults]") {
    RedisServer server;
    server.run("ACL", "SETUSER", "reads", "on", ">secret", "~*", "+@read", "+@connection");
    server.run("ACL", "SETUSER", "other", "on", ">secret", "~other:*", "+@all");
    for (const std::string user : {"reads", "other"}) {
        CAPTURE(user);
        const Client client{"unix://" + user + ":secret@" + server.socket_path()};
        RedisPair::Store store{client, "n"};
        larder_test::Table<> table;
        table.set(1, 10);
        std::vector<std::string> told;
        WriteThrough cache{
            store,
            std::ref(table),
            {.on_store_failure = OnStoreFailure::fail, .observer = [&](const larder::Event& event) {
                 if (!event.error) {
                     return;  // how many more there were
                 }
                 try {
                     std::rethrow_exception(event.error);
                 } catch (const std::exception& error) {
                     told.emplace_back(error.what());
                 }
             }}};
        CHECK(cache.get(1) == 10);  // reads go on
        REQUIRE_FALSE(told.empty());
        CHECK(has(told.front(), "NOPERM"));
        for (const std::string& text :
             {caught_text([&] { cache.put(1, 11); }), caught_text([&] { cache.invalidate(1); }),
              caught_text([&] { store.put(1, 1, {1h}); })}) {
            CHECK(has(text, "NOPERM"));
            CHECK(has(text, server.socket_path()));
            CHECK_FALSE(has(text, "secret"));
        }
        CHECK(table.row(1) == 10);
    }
    const Client wrong{"unix://reads:guess@" + server.socket_path()};
    RedisPair::Store store{wrong, "n"};
    CHECK(has(caught_text([&] { store.erase(1); }), "WRONGPASS"));
    CacheAside cache{store, [](int key) { return std::optional{key}; }};
    CHECK(cache.get(1) == 1);
}

// ---- a server that forgets ----

TEST_CASE("what the server forgets under a load or a write is not covered by something older",
          "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server)};
    WriteThrough here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    const auto forget = [&](int how) {
        switch (how) {
            case 0: server.run("FLUSHALL"); break;
            case 1: server.restart(); break;
            default:
                server.run("SCRIPT", "FLUSH");
                server.run("FLUSHALL", "ASYNC");
                server.run("CLIENT", "KILL", "TYPE", "normal");
        }
    };
    for (int how = 0; how < 3; ++how) {
        CAPTURE(how);
        w.table.set(1, 10);
        here.invalidate(1);
        Stop step;
        SECTION("a load" + std::to_string(how)) {
            w.table.hooks.after_load = [&](int) { step.pause(); };
            auto slow = std::async(std::launch::async, [&] { return here.get(1); });
            step.wait_until_reached();
            forget(how);
            w.table.set(1, 11);
            until([&] { return caught([&] { there.invalidate(1); }) == std::nullopt; });
            CHECK(there.get(1) == 11);
            step.go();
            CHECK(slow.get() == 10);
            CHECK(here.get(1) == 11);
        }
        SECTION("a write before its commit" + std::to_string(how)) {
            w.table.hooks.before_commit = [&](int, const std::optional<int>&) { step.pause(); };
            auto slow = std::async(std::launch::async, [&] { here.put(1, 11); });
            step.wait_until_reached();
            forget(how);
            until([&] { return there.fetch(1).source == Source::hit; });  // the row as it still is
            step.go();
            slow.get();
            CHECK(there.get(1) == 11);
            CHECK(here.get(1) == 11);
            CHECK(here.stats().lost_tickets >= 1);
        }
        SECTION("a write after its commit" + std::to_string(how)) {
            w.table.hooks.after_commit = [&](int, const std::optional<int>&) { step.pause(); };
            auto slow = std::async(std::launch::async, [&] { here.put(1, 11); });
            step.wait_until_reached();
            forget(how);
            WriteThrough other{w.there, w.rows, {.ttl = 1h}};
            other.put(1, 12);
            step.go();
            slow.get();
            CHECK(there.get(1) == 12);
            CHECK(here.get(1) == 12);
        }
        w.table.hooks = {};
    }
}

// ---- a reply that is lost ----

TEST_CASE("a step whose reply is lost", "[redis][faults]") {
    RedisServer server;
    // The server carries out what it was asked; the connection is cut ahead of the reply.
    std::atomic<int> replies_to_lose{0};
    const RedisFront front{server, [&](std::size_t, RedisFront::Way way, std::string&) {
                               const bool lost = way == RedisFront::Way::reply &&
                                                 replies_to_lose > 0 && replies_to_lose-- > 0;
                               return lost ? RedisFront::Fate::cut : RedisFront::Fate::pass;
                           }};
    ClientOptions options;
    options.path = front.path();
    RedisPair w{options};
    WriteThrough cache{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    cache.put(1, 10);
    REQUIRE(cache.get_many({1, 2}) == Values{10, 20});

    SECTION("the beginning of a write: another takes its place, and meets no other write") {
        replies_to_lose = 1;
        cache.put(1, 11);
        CHECK(cache.stats().queued_invalidations == 0);
        CHECK(server.run("GET", "n:1") == "11");
    }
    SECTION("of a batch of writes") {
        replies_to_lose = 1;
        cache.put_many({{1, 11}, {2, 21}});
        CHECK(server.run("GET", "n:1") == "11");
        CHECK(server.run("GET", "n:2") == "21");
    }
    SECTION("the end of a write: told again, it leaves nothing older") {
        w.table.hooks.after_commit = [&](int, const std::optional<int>&) { replies_to_lose = 1; };
        cache.put(1, 11);
        CHECK(cache.stats().queued_invalidations == 0);
        CHECK(server.run("GET", "n:1") != "10");
    }
    SECTION("the lease of a load: that load fills nothing") {
        w.table.set(1, 11);
        cache.invalidate(1);
        RedisPair::Store::Query query{.remaining = true};
        CHECK_FALSE(w.here.peek(
            1, [](const int*, auto, auto, bool) {}, query));
        replies_to_lose = 1;
        CHECK(caught([&] { (void)w.here.open(1, query); }) == Errc::store_failed);
        CHECK(server.run("GET", "n:1").starts_with("\x01\x01L"));
        server.run("DEL", "n:1");  // its time has passed
    }
    SECTION("a fill: told again, it is dropped") {
        cache.invalidate(1);
        w.table.set(1, 11);
        w.table.hooks.after_load = [&](int) { replies_to_lose = 1; };
        CHECK(cache.get(1) == 11);
        w.table.hooks.after_load = nullptr;
        CHECK(server.run("GET", "n:1") == "11");
    }
    SECTION("an invalidation: told again") {
        w.table.set(1, 11);
        replies_to_lose = 1;
        cache.invalidate(1);
    }
    CHECK(replies_to_lose == 0);
    CHECK(cache.get(1) == w.table.row(1));
    CHECK(there.get(1) == w.table.row(1));
    CHECK(there.get(2) == w.table.row(2));
}

// ---- under load ----

namespace {

// Rows are versions that grow with each commit.
class Versions {
public:
    std::optional<int> load(int key) {
        std::this_thread::yield();
        const int version = rows_[at(key)].load();
        std::this_thread::yield();
        return version;
    }
    int save(int key, int) {
        std::this_thread::yield();
        const int version = rows_[at(key)].fetch_add(1) + 1;
        last_written() = version;
        std::this_thread::yield();
        return version;
    }
    void remove(int) {}

    // What this thread wrote last.
    static int& last_written() {
        thread_local int version = 0;
        return version;
    }
    static constexpr std::size_t keys = 192;

private:
    static std::size_t at(int key) { return static_cast<std::size_t>(key); }
    std::array<std::atomic<int>, keys> rows_{};
};

// Readers and writers here and there, on few keys, while a fault strikes again and again. After each
// strike they go on to others: a ticket whose writer could not end it hides its key for long.
class Torment {
public:
    // Whose reads must be explained by one order; else no read may be older than what was
    // acknowledged before it began.
    enum class Judge : std::uint8_t { linearizable, acknowledged };

    explicit Torment(Judge judge) : judge_{judge} {}

    template <class Cache>
    void add(Cache& cache) {
        threads_.emplace_back([this, &cache] {
            work([&](int key) {
                const int floor = acknowledged_[at(key)].load();
                const int got =
                    histories_[at(key)].read([&] { return cache.get(key).value_or(-1); });
                late_ += got < floor ? 1 : 0;
            });
        });
        threads_.emplace_back([this, &cache] {
            work([&](int key) {
                const int floor = acknowledged_[at(key)].load();
                const auto got =
                    cache.get_many({key, (key + 1) % static_cast<int>(Versions::keys)});
                late_ += got[0].value_or(-1) < floor ? 1 : 0;
            });
        });
        threads_.emplace_back([this, &cache] {
            work([&](int key) {
                try {
                    const int version = histories_[at(key)].write([&] {
                        cache.put(key, 0);
                        return Versions::last_written();
                    });
                    int known = acknowledged_[at(key)].load();
                    while (known < version &&
                           !acknowledged_[at(key)].compare_exchange_weak(known, version)) {}
                    ++writes_;
                } catch (const larder::StoreError&) {
                    ++refused_;  // before the database was touched
                }
            });
        });
    }

    template <class Strike>
    void run(int strikes, Strike&& strike) {
        for (int i = 0; i < strikes; ++i) {
            const auto before = writes_.load();
            const auto began = std::chrono::steady_clock::now();
            until([&] {
                return writes_ > before + 3 || std::chrono::steady_clock::now() - began > 500ms;
            });
            strike();
            base_ += together;
        }
        stop_ = true;
        threads_.clear();
        CHECK(late_ == 0);
        CHECK(writes_ > strikes);
        if (judge_ == Judge::linearizable) {
            for (const auto& history : histories_) {
                CHECK(history.unexplained().empty());
            }
        }
    }

private:
    static std::size_t at(int key) { return static_cast<std::size_t>(key); }

    template <class Step>
    void work(Step step) {
        for (int i = 0; !stop_; ++i) {
            step((base_ + i % together) % static_cast<int>(Versions::keys));
        }
    }

    static constexpr int together = 3;

    Judge judge_;
    std::atomic<int> base_{0};
    std::array<larder_test::History, Versions::keys> histories_{};
    std::array<std::atomic<int>, Versions::keys> acknowledged_{};
    std::atomic<int> late_{0};
    std::atomic<int> writes_{0};
    std::atomic<int> refused_{0};
    std::atomic<bool> stop_{false};
    std::vector<std::jthread> threads_{};
};

}  // namespace

TEST_CASE("reads are explained while connections and scripts go away", "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server, 5ms)};
    Versions rows;
    // A write that the store cannot be told of is refused: so nobody is served what it has replaced.
    const larder::Options options{
        .ttl = 1h, .ticket = 1h, .on_store_failure = OnStoreFailure::fail};
    WriteThrough here{w.here, std::ref(rows), options};
    CacheAside there{w.there, std::ref(rows), options};
    Torment torment{Torment::Judge::linearizable};
    torment.add(here);
    torment.add(there);
    SECTION("CLIENT KILL") {
        torment.run(20, [&] { server.run("CLIENT", "KILL", "TYPE", "normal"); });
    }
    SECTION("SCRIPT FLUSH") {
        torment.run(40, [&] { server.run("SCRIPT", "FLUSH"); });
    }
}

TEST_CASE("nothing acknowledged is hidden while the server forgets all", "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server, 5ms)};
    Versions rows;
    const larder::Options options{
        .ttl = 1h, .ticket = 1h, .on_store_failure = OnStoreFailure::fail};
    WriteThrough here{w.here, std::ref(rows), options};
    CacheAside there{w.there, std::ref(rows), options};
    Torment torment{Torment::Judge::acknowledged};
    torment.add(here);
    torment.add(there);
    torment.run(30, [&] { server.run("FLUSHALL"); });
}

TEST_CASE("this process reads what it wrote while the server comes and goes", "[redis][faults]") {
    RedisServer server;
    RedisPair w{hasty(server, 5ms, little)};
    Versions rows;
    const larder::Options options{.ttl = 1h, .ticket = 1h};
    WriteThrough through{w.here, std::ref(rows), options};
    CacheAside aside{w.here, std::ref(rows), options};
    Torment torment{Torment::Judge::acknowledged};
    torment.add(through);
    torment.add(aside);
    SECTION("killed, and started again") {
        torment.run(5, [&] { server.restart(); });
    }
    SECTION("frozen, and thawed") {
        bool frozen = false;
        torment.run(8, [&] {
            frozen ? server.thaw() : server.freeze();
            frozen = !frozen;
        });
    }
    SECTION("refuses writes, and takes them") {
        bool refuses = false;
        torment.run(12, [&] {
            refuses = !refuses;
            server.run("CONFIG", "SET", "min-replicas-to-write", refuses ? "1" : "0");
        });
    }
}
