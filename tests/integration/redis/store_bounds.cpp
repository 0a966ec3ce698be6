// SPDX-License-Identifier: MIT

// A RedisStore at its bounds: lives without an end or with hardly any, values that nobody could read,
// keys of which nothing but a name is known, users who may do little, processes that fork.

#include "support/catch.hpp"
#include "support/child.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/redis.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <limits>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using larder::Lifetime;
using larder::StoreError;
using larder::Ttl;
using larder::detail::CopyTerms;
using larder::detail::Finish;
using larder::detail::Lease;
using larder::detail::Slot;
using larder::detail::Ticket;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder_test::RedisServer;
using larder_test::until;

namespace {

using Store = larder::RedisStore<std::string, std::string, larder::RawCodec<std::string>>;

constexpr Lifetime hour{1h, 0h};
constexpr Ttl century = larder::detail::longest_life;

// Refuses to encode what begins with "no".
struct Picky {
    static constexpr bool textual = true;
    std::string encode(const std::string& text) const {
        if (text.starts_with("no")) {
            throw std::runtime_error{"not encodable"};
        }
        return text;
    }
    std::string decode(std::string_view bytes) const { return std::string{bytes}; }
};

// A key that has a name, and neither a hash nor a default.
struct Isbn {
    explicit Isbn(std::string t) : text{std::move(t)} {}
    std::string text;

    friend std::string to_key(const Isbn& isbn) { return isbn.text; }
};

}  // namespace

// ---- lives ----

TEST_CASE("a life of any length is a hit for as long as it lasts", "[redis]") {
    const RedisServer server;
    Store store{Client{server.unix_url()}, "n"};
    constexpr auto max = (Ttl::max)();
    constexpr auto min = (Ttl::min)();
    const std::array<Lifetime, 9> all{{{max, max},
                                       {max, 0ms},
                                       {max, min},
                                       {1h, max},
                                       {century, century},
                                       {2 * century, 0ms},
                                       {1h, min},
                                       {1min, -1ms},
                                       {24h * 365 * 292, 1ms}}};
    for (const Lifetime& life : all) {
        INFO(life.fresh.count() << " and " << life.grace.count());
        const Ttl cut = (std::min)(life.fresh, century);
        const auto there = [&] {
            const auto entry = store.find("1");
            REQUIRE(entry);
            CHECK(entry->value == "new");
            CHECK(entry->remaining <= cut);
            CHECK(entry->remaining > cut - 10s);
            CHECK(store.open("1").slot == Slot::hit);
            store.erase("1");
        };
        store.put("1", "new", life);
        there();
        for (const bool own : {false, true}) {
            const CopyTerms terms{life, {}, own};
            const auto opening = store.open("1");
            CHECK(store.fill("1", opening.lease, "new", terms).kept);
            Ttl shown{0};
            store.peek("1", [&](const std::string*, auto, Ttl whole, bool) { shown = whole; });
            CHECK(shown == (own ? cut : Ttl{0}));
            there();
            const Ticket ticket = store.begin_write("1", 30s);
            CHECK(store.finish_write("1", ticket, Finish::value, "new", terms));
            there();
            store.put("1", "old", hour);
            const auto refresh = store.open_refresh("1", false);
            CHECK(store.fill("1", refresh.lease, "new", terms).kept);
            there();
        }
    }
    for (const Ttl none : {Ttl{0}, Ttl{-1}, min}) {
        store.put("1", "old", hour);
        store.put("1", "new", {none, 1h});
        CHECK_FALSE(store.find("1"));
        store.put("1", "old", hour);
        const auto refresh = store.open_refresh("1", false);
        CHECK_FALSE(store.fill("1", refresh.lease, "new", {{none, 1h}, {}}).kept);
        CHECK_FALSE(store.find("1"));
        const Ticket ticket = store.begin_write("1", 30s);
        CHECK(store.finish_write("1", ticket, Finish::value, "new", {{none, 1h}, {}}));
        CHECK_FALSE(store.find("1"));
    }
    store.put("1", "new", {1ms, 1h});
    until([&] { return store.find("1")->remaining <= 0ms; });
}

TEST_CASE("a ticket of any length hides its key, for an hour at most", "[redis]") {
    const RedisServer server;
    Store store{Client{server.unix_url()}, "n"};
    for (const Ttl life : {(Ttl::max)(), century, Ttl{2h}, Ttl{1min}}) {
        const Ticket ticket = store.begin_write("1", life);
        CHECK(store.open("1").writing);
        CHECK(std::stoll(server.run("PTTL", "n:1")) <= 3'600'000);
        CHECK(store.finish_write("1", ticket, Finish::value, "new", {hour, {}}));
    }
    for (const Ttl life : {Ttl{0}, Ttl{-1}, (Ttl::min)(), Ttl{1}}) {
        (void)store.begin_write("1", life);
        until([&] { return server.run("EXISTS", "n:1") == "0"; });
    }
}

TEST_CASE("a foreign value that lasts for ever is a hit, of the usual life or for ever",
          "[redis]") {
    const RedisServer server;
    Store store{Client{server.unix_url()}, "n"};
    server.run("SET", "n:1", "theirs");
    CHECK(store.find("1")->remaining == century);
    for (const Ttl usual : {(Ttl::max)(), Ttl{1h}}) {
        server.run("SET", "n:1", "theirs");
        Store::Query query{.remaining = true, .usual = usual};
        Ttl left{0};
        CHECK(store.peek(
            "1",
            [&](const std::string*, auto remaining, Ttl, bool) {
                left = larder::detail::whole(remaining);
            },
            query));
        CHECK(left <= (std::min)(usual, century));
        CHECK(left > 59min);
        CHECK(std::stoll(server.run("PTTL", "n:1")) > 0);
    }
}

// ---- values ----

TEST_CASE("what cannot be kept takes the place of what was, and leaves nothing", "[redis]") {
    const RedisServer server;
    using Strings = larder::RedisStore<std::string, std::string, Picky>;
    Strings store{Client{server.unix_url()}, "n", {.max_value_bytes = 100}};
    const std::string large(101, 'x');
    const auto refill = [&](const std::string& value, const larder::Tags& tags) {
        store.put("1", "old", hour);
        const auto refresh = store.open_refresh("1", false);
        REQUIRE(refresh.slot == Slot::lead);
        return store.fill("1", refresh.lease, value, {hour, tags});
    };
    SECTION("too large") {
        CHECK_FALSE(refill(large, {}).kept);
        CHECK(store.stats().oversized == 1);
    }
    SECTION("too large, with tags") {
        const auto filled = refill(large, {"t"});
        CHECK_FALSE(filled.kept);
        CHECK(filled.tags_stand);
        CHECK(server.run("EXISTS", "~tag:n:t") == "0");
    }
    SECTION("it does not encode") {
        CHECK_THROWS_AS(refill("no", {}), std::runtime_error);
    }
    SECTION("it does not encode, with tags") {
        CHECK_THROWS_AS(refill("no", {"t"}), std::runtime_error);
    }
    SECTION("its tags do not stand") {
        store.put("1", "old", hour);
        const auto refresh = store.open_refresh("1", false);
        store.invalidate_tags(std::vector<std::string>{"t"});
        const auto filled = store.fill("1", refresh.lease, "new", {hour, {"t"}});
        CHECK_FALSE(filled.kept);
        CHECK_FALSE(filled.tags_stand);
    }
    CHECK_FALSE(store.find("1"));
    CHECK(server.run("EXISTS", "n:1", "~refresh:n:1") == "0");
    CHECK(store.open("1").slot == Slot::lead);
}

TEST_CASE("one value of many that does not encode is withdrawn alone", "[redis]") {
    const RedisServer server;
    using Strings = larder::RedisStore<std::string, std::string, Picky>;
    Strings store{Client{server.unix_url()}, "n"};
    const std::vector<std::string> keys{"1", "2"};
    const auto openings = store.open_many(keys);
    const std::optional<std::string> bad{"no"};
    const std::optional<std::string> good{"yes"};
    const CopyTerms terms{hour, {}};
    const std::array<larder::detail::FillRequest<std::string, std::string>, 2> rows{
        {{&keys[0], openings[0].lease, &bad, &terms},
         {&keys[1], openings[1].lease, &good, &terms}}};
    const auto filled = store.fill_many(rows);
    CHECK(filled[0].failure);
    CHECK_FALSE(filled[0].kept);
    CHECK_FALSE(filled[1].failure);
    CHECK(filled[1].kept);
    CHECK(server.run("EXISTS", "n:1") == "0");
    CHECK(store.in_hand().leases == 0);
}

TEST_CASE("a value that no reply could hold is not written", "[redis]") {
    const RedisServer server;
    ClientOptions options;
    options.path = server.socket_path();
    options.max_reply_bytes = 1'000'000;
    Store store{Client{options}, "n", {.max_value_bytes = 600'000}};
    Store large{Client{options}, "m"};
    large.put("1", std::string(999'900, 'x'), hour);
    CHECK_FALSE(large.find("1"));
    CHECK(large.stats().oversized == 1);
    // Neither by itself nor in a batch.
    const std::vector<std::string> keys{"1", "2", "3"};
    for (const std::string& key : keys) {
        store.put(key, std::string(600'000, 'x'), {1h, 1h});
    }
    CHECK(store.find("1"));
    for (const auto& entry : store.find_many(keys)) {
        CHECK(entry);
    }
    std::size_t seen = 0;
    store.peek_many(
        keys, [&](std::size_t, auto...) { ++seen; }, decltype(store)::Query{});
    CHECK(seen == 3);
    CHECK(store.open_many(keys)[2].slot == Slot::hit);
}

// ---- keys ----

TEST_CASE("a key needs a name, and nothing else", "[redis]") {
    const RedisServer server;
    larder::RedisStore<Isbn, std::string, larder::RawCodec<std::string>> store{
        Client{server.unix_url()}, "n"};
    const Isbn key{"3-16"};
    store.put(key, "old", hour);
    CHECK(store.find(key)->value == "old");
    server.run("CONFIG", "SET", "min-replicas-to-write", "1");
    CHECK(store.queue_invalidation(key, 10, {}));
    CHECK_FALSE(store.find(key));
    CHECK_THROWS_AS(store.erase(key), StoreError);
    server.run("CONFIG", "SET", "min-replicas-to-write", "0");
    until([&] { return store.queued_invalidations() == 0; });
    CHECK(server.run("EXISTS", "n:3-16") == "0");
    const Ticket ticket = store.begin_write(key, 30s);
    CHECK(store.finish_write(key, ticket, Finish::value, "new", {hour, {}}));
    CHECK(store.erase(key));
}

// ---- users ----

TEST_CASE(
    "a user who may touch nothing but slots can do all that needs no tags and no leases beside",
    "[redis]") {
    const RedisServer server;
    server.run("ACL", "SETUSER", "app", "on", ">secret", "~n:*", "-@all", "+get", "+mget", "+set",
               "+del", "+pttl", "+pexpire", "+time", "+eval", "+evalsha", "+scan");
    Store store{Client{"unix://app:secret@" + server.socket_path()}, "n"};
    const auto opening = store.open("1");
    REQUIRE(opening.slot == Slot::lead);
    CHECK(store.fill("1", opening.lease, "new", {hour, {}}).kept);
    CHECK(store.find("1")->value == "new");
    const std::vector<std::string> keys{"1", "2", "3"};
    const auto openings = store.open_many(keys);
    CHECK(openings[0].slot == Slot::hit);
    REQUIRE(openings[1].slot == Slot::lead);
    store.release("2", openings[1].lease);
    store.withdraw("3", openings[2].lease);
    const auto tickets = store.begin_write_many(keys, 30s);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        CHECK(store.finish_write(keys[i], tickets[i], Finish::value, "newer", {hour, {}}));
    }
    CHECK(store.find_many(keys)[2]->value == "newer");
    server.run("SET", "n:4", "\x01junk");
    CHECK(store.open("4").slot == Slot::lead);
    server.run("SET", "n:5", "theirs");
    Store::Query query{.remaining = true, .usual = 1h};
    CHECK(store.peek(
        "5", [](auto...) {}, query));
    store.put("1", "put", hour);
    CHECK(store.erase("1"));
    CHECK(store.queue_invalidation("2", 10, {.ticket = {7, {}}}));
    until([&] { return store.queued_invalidations() == 0; });
    CHECK_FALSE(store.find("2"));
    store.clear();
    CHECK(server.run("KEYS", "*").empty());
    CHECK(store.stats().store_errors == 0);
    // Whoever uses what needs more is told so.
    CHECK_THROWS_AS(store.invalidate_tags(std::vector<std::string>{"t"}), StoreError);
    CHECK_THROWS_AS(store.open_refresh("3", true), StoreError);
}

TEST_CASE("a user with the rights that the page of Redis lists can do everything", "[redis]") {
    const RedisServer server;
    server.run("ACL", "SETUSER", "shop", "on", ">secret", "~n:*", "~~clock:n", "~~tag:n:*",
               "~~refresh:n:*", "-@all", "+get", "+mget", "+set", "+del", "+pttl", "+pexpire",
               "+pexpiretime", "+time", "+eval", "+evalsha", "+ping", "+select", "+client|setname",
               "+scan");
    Store store{Client{"unix://shop:secret@" + server.socket_path() + "?db=1&name=shop"}, "n"};
    const CopyTerms tagged{{1h, 1h}, {"t"}};
    const auto opening = store.open("1");
    CHECK(store.fill("1", opening.lease, "new", tagged).kept);
    const auto refresh = store.open_refresh("1", false);
    CHECK(store.remote_lease("1", refresh.lease));
    CHECK(store.fill("1", refresh.lease, "newer", tagged).kept);
    const auto forced = store.open_refresh("1", true);
    store.erase("1");
    store.put("1", "put", {1h, 1h});
    CHECK_FALSE(store.fill("1", forced.lease, "forced", tagged).kept);
    store.erase("1");
    CHECK_FALSE(store.find("1"));
    const Ticket ticket = store.begin_write("1", 30s);
    CHECK(store.finish_write("1", ticket, Finish::value, "written", tagged));
    CHECK(store.find("1")->value == "written");
    store.invalidate_tags(tagged.tags);
    CHECK_FALSE(store.find("1"));
    store.put("1", "put", {1ms, 1h});
    until([&] { return store.find("1")->remaining <= 0ms; });
    const auto stale = store.open("1");
    CHECK(stale.slot == Slot::lead);
    CHECK(stale.copy);
    store.release("1", stale.lease);
    store.clear();
    CHECK_FALSE(store.find("1"));
    CHECK(store.stats().store_errors == 0);
}

// ---- forks ----

TEST_CASE("a child renews nothing of its parent's", "[redis]") {
    if (!larder_test::can_fork) {
        return;
    }
    const RedisServer server;
    const auto child = [&] {
        Store store{Client{server.unix_url()}, "n", {.lease = 90ms}};
        const auto opening = store.open("1");
        if (::fork() != 0) {
            return;  // it dies with its lease
        }
        if (store.in_hand().leases != 0 || store.underway("1")) {
            server.run("SET", "wrong", "1");
        }
        const auto mine = store.open("2");  // its own is renewed
        server.run("SET", "child", "1");
        while (server.run("EXISTS", "stop") == "0") {  // throws when the server has gone
            std::this_thread::sleep_for(10ms);
        }
    };
    const pid_t parent = ::fork();
    if (parent == 0) {
        try {
            child();
        } catch (...) {
            ::_exit(1);
        }
        ::_exit(0);
    }
    ::waitpid(parent, nullptr, 0);
    until([&] { return server.run("EXISTS", "child") == "1"; });
    until([&] { return server.run("EXISTS", "n:1") == "0"; });
    const auto began = std::chrono::steady_clock::now();
    until([&] {
        CHECK(server.run("EXISTS", "n:2") == "1");
        return std::chrono::steady_clock::now() - began > 300ms;
    });
    CHECK(server.run("EXISTS", "wrong") == "0");
    server.run("SET", "stop", "1");
}
