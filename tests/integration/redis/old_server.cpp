// SPDX-License-Identifier: MIT

// Servers from before 7.0: SET does not take NX and GET together, and there is no PEXPIRETIME.

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/redis_front.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/stop.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::RefreshAhead;
using larder::Source;
using larder::WriteThrough;
using larder::redis::ClientOptions;
using larder_test::ManualExecutor;
using larder_test::RedisFront;
using larder_test::RedisPair;
using larder_test::RedisServer;
using larder_test::Stop;
using Values = std::vector<std::optional<int>>;

namespace {

// A server from before 7.0: each SET … NX GET is spoilt, so that a newer one says what that would.
class OldServer {
public:
    explicit OldServer(const RedisServer& server)
        : front_{server, [this](std::size_t, RedisFront::Way way, std::string& bytes) {
                     constexpr std::string_view both = "\r\nNX\r\n$3\r\nGET\r\n";
                     if (way == RedisFront::Way::request) {
                         for (std::size_t at = 0; (at = bytes.find(both, at)) != std::string::npos;
                              ++at) {
                             bytes[at + 3] = '?';
                             ++spoilt_;
                         }
                     }
                     return RedisFront::Fate::pass;
                 }} {}

    [[nodiscard]] const std::string& path() const noexcept { return front_.path(); }
    [[nodiscard]] int spoilt() const noexcept { return spoilt_; }

private:
    std::atomic<int> spoilt_{0};
    RedisFront front_;
};

ClientOptions through(const OldServer& front) {
    ClientOptions options;
    options.path = front.path();
    return options;
}

}  // namespace

TEST_CASE("a lease is taken by a script where SET does not do it", "[redis][old]") {
    const RedisServer server;
    const OldServer front{server};
    RedisPair w{through(front)};
    WriteThrough here{w.here, w.rows, {.ttl = 1h}};
    CacheAside there{w.there, w.rows, {.ttl = 1h, .wait = 1h}};

    CHECK(here.get(1) == 10);
    CHECK(front.spoilt() == 1);
    CHECK(here.fetch(1).source == Source::hit);
    CHECK(here.get(2) == 20);
    CHECK(here.fetch(2).source == Source::hit);
    CHECK(front.spoilt() == 1);  // it is not tried again
    CHECK(there.get_many({1, 2, 3, 4, 4}) == Values{10, 20, 30, 40, 40});
    CHECK(front.spoilt() == 3);  // in one batch
    CHECK(there.get_many({3, 4, 5}) == Values{30, 40, 50});
    CHECK(front.spoilt() == 3);
    CHECK(w.table.loads == 5);
    here.put(1, 11);
    CHECK(there.get(1) == 11);
    server.run("SET", "n:6", "junk");
    CHECK(here.get(6) == 60);
    server.run("RPUSH", "n:7", "x");
    CHECK(here.get(7) == 70);
    CHECK(here.get_many({7, 8}) == Values{70, 80});
    CHECK(server.run("LLEN", "n:7") == "1");

    // Others wait.
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    w.table.loads = 0;
    auto mine = std::async(std::launch::async, [&] { return here.get(9); });
    loaded.wait_until_reached();
    auto theirs = std::async(std::launch::async, [&] { return there.get(9); });
    larder_test::until([&] { return there.stats().joined == 1; });
    loaded.go();
    CHECK(mine.get() == 90);
    CHECK(theirs.get() == 90);
    CHECK(w.table.loads == 1);
}

// Rule R6.
TEST_CASE("a lease beside a value knows it where PEXPIRETIME is unknown", "[redis][old]") {
    const RedisServer server{{"--rename-command", "PEXPIRETIME", ""}};
    REQUIRE(server.run("PEXPIRETIME", "n:1").starts_with("ERR unknown"));
    RedisPair w{server};
    ManualExecutor background;
    // Near its end all the time.
    RefreshAhead here{
        w.here,
        w.rows,
        {.ttl = 100s, .grace = 100s, .refresh_below = 1.0, .executor = background.handle()}};
    WriteThrough there{w.there, w.rows, {.ttl = 50s, .grace = 100s}};
    REQUIRE(here.get(1) == 10);
    const auto due = [&] {
        larder_test::until([&] { return here.fetch(1).remaining < 100s; });
        background.run_inline(false);
        larder_test::until([&] {
            (void)here.get(1);
            return background.pending() == 1;
        });
    };
    w.table.set(1, 11);
    due();
    w.table.hooks.before_load = [&](int) {
        const auto left = [&] { return std::stoll(server.run("PTTL", "n:1")); };
        const auto first = left();
        larder_test::until([&] { return left() <= first - 20; });
    };
    background.run_all();
    w.table.hooks.before_load = nullptr;
    CHECK(here.get(1) == 11);
    CHECK(here.stats().fenced_fills == 0);

    // A value that was written meanwhile stays, though its bytes are those that were refreshed.
    due();
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    w.table.set(1, 12);
    auto refresh = std::async(std::launch::async, [&] { background.run_all(); });
    loaded.wait_until_reached();
    const auto fenced = here.stats().fenced_fills;
    there.put(1, 13);
    there.put(1, 11);
    loaded.go();
    refresh.get();
    CHECK(here.stats().fenced_fills == fenced + 1);
    CHECK(there.get(1) == 11);

    CHECK(there.refresh(1) == 11);
    CHECK(there.fetch(1).source == Source::hit);
    CHECK(server.run("EXISTS", "~refresh:n:1") == "0");
}
