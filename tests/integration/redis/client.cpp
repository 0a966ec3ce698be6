// SPDX-License-Identifier: MIT

// redis::Client against a real server: commands, pipelines, scripts, users, callers at once.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/redis_server.hpp"

#include <larder/redis.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::Endpoint;
using larder::redis::Pipeline;
using larder::redis::Reply;
using larder::redis::Script;
using larder_test::caught_text;
using larder_test::RedisServer;
using namespace std::chrono_literals;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("commands over a unix socket and over TCP", "[redis]") {
    const RedisServer server;
    for (const std::string& url : {server.unix_url(), server.tcp_url()}) {
        CAPTURE(url);
        const Client client{url};
        CHECK(client.command("SET", "k", "v").is_status());
        CHECK(client.command("GET", "k").text() == "v");
        CHECK(client.command("get", "k").text() == "v");
        CHECK(client.command("GET", "none").is_nil());
        CHECK(client.command("INCRBY", "n" + url, 41).integer() == 41);
        CHECK(client.command("INCRBY", "n" + url, std::int64_t{-42}).integer() == -1);
        CHECK(client.command("GET", "n" + url).integer() == -1);
        const std::string odd{"\0\r\n\xff$5", 6};
        client.command("SET", odd, odd);
        CHECK(client.command("GET", odd).text() == odd);
        client.command("DEL", "l");
        client.command("RPUSH", "l", "a", "b");
        const Reply list = client.command("LRANGE", "l", 0, -1);
        REQUIRE(list.is_array());
        REQUIRE(list.size() == 2);
        CHECK(list[1].text() == "b");
        CHECK(client.breaker() == larder::Breaker::closed);
    }
}

TEST_CASE("one server is the only primary", "[redis]") {
    const RedisServer server;
    const Client by_path{server.unix_url()};
    const Client by_port{server.tcp_url()};
    CHECK(by_port.primaries() == std::vector<Endpoint>{{"127.0.0.1", server.port()}});
    for (const Client& client : {by_path, by_port}) {
        CHECK_FALSE(client.clustered());
        CHECK(client.topology() == 0);
        REQUIRE(client.primaries().size() == 1);
        Pipeline pipeline;
        pipeline.command("SET", "at", "it").command("GET", "at");
        std::vector<Reply> replies(2);
        client.run_at(client.primaries().front(), pipeline, replies);
        CHECK(replies[1].text() == "it");
        replies.resize(1);
        CHECK_THROWS_AS(client.run_at(client.primaries().front(), pipeline, replies),
                        std::invalid_argument);
    }
}

TEST_CASE("a pipeline is carried out in order, errors in their places", "[redis]") {
    const RedisServer server;
    const Client client{server.unix_url()};
    Pipeline pipeline;
    pipeline.command("SET", "k", "v").command("LPUSH", "k", "x").command("GET", "k");
    CHECK(pipeline.size() == 3);
    const std::vector<Reply> replies = client.run(pipeline);
    REQUIRE(replies.size() == 3);
    CHECK(replies[0].is_status());
    CHECK(replies[1].is_error());
    CHECK(replies[1].text().substr(0, 9) == "WRONGTYPE");
    CHECK(replies[2].text() == "v");
    CHECK(client.stats().round_trips == 1);
    CHECK(client.stats().commands == 3);
    CHECK(client.run(Pipeline{}).empty());
    pipeline.clear();
    CHECK(pipeline.empty());
}

TEST_CASE("a transaction travels in one pipeline", "[redis]") {
    const RedisServer server;
    const Client client{server.unix_url()};
    Pipeline pipeline;
    pipeline.command("MULTI").command("INCR", "n").command("INCR", "n").command("EXEC");
    const std::vector<Reply> replies = client.run(pipeline);
    REQUIRE(replies.size() == 4);
    REQUIRE(replies[3].size() == 2);
    CHECK(replies[3][1].integer() == 2);

    Pipeline open;
    open.command("MULTI").command("INCR", "n");
    CHECK_THROWS_AS(client.run(open), std::invalid_argument);
    CHECK_THROWS_AS(client.command("MULTI"), std::invalid_argument);
    CHECK_THROWS_AS(client.command("EXEC"), std::invalid_argument);
    CHECK_THROWS_AS(open.command("MULTI"), std::invalid_argument);
    CHECK(client.command("GET", "n").integer() == 2);
}

TEST_CASE("what would spoil a shared connection is refused", "[redis]") {
    const RedisServer server;
    const Client client{server.unix_url()};
    for (const char* name : {"SUBSCRIBE", "select", "AUTH", "HELLO", "MONITOR", "WATCH", "QUIT"}) {
        CAPTURE(name);
        CHECK_THROWS_AS(client.command(name, "1"), std::invalid_argument);
    }
    CHECK_THROWS_AS(client.command("client", "reply", "off"), std::invalid_argument);
    CHECK_THROWS_AS(client.command(""), std::invalid_argument);
    CHECK(client.command("CLIENT", "ID").integer() > 0);
}

TEST_CASE("error replies are typed, and name server, command and key", "[redis]") {
    const RedisServer server;
    const Client client{server.tcp_url()};
    client.command("SET", "k", "v");
    try {
        client.command("LPUSH", "k", "a secret");
        FAIL("it threw nothing");
    } catch (const larder::redis::ReplyError& error) {
        const std::string what = error.what();
        CHECK(error.prefix() == "WRONGTYPE");
        CHECK(has(what, client.name()));
        CHECK(has(what, "LPUSH k"));
        CHECK_FALSE(has(what, "secret"));
        CHECK(error.code() == larder::Errc::store_failed);
    }
    // The server repeats what it was asked.
    CHECK_FALSE(has(caught_text([&] { client.command("NONESUCH", "a secret"); }), "secret"));
    CHECK_THROWS_AS(client.command("GET", "k").integer(), larder::redis::ReplyError);
}

TEST_CASE("a script is sent by name, and with its body where it is not known", "[redis]") {
    const RedisServer server;
    const Client client{server.unix_url()};
    const Script add{"return redis.call('INCRBY', KEYS[1], ARGV[1])"};
    const std::array<std::string_view, 1> key{"n"};
    const std::array<std::string_view, 1> by{"2"};
    Pipeline pipeline;
    pipeline.command("PING").script(add, key, by).script(add, key, by).command("ECHO", "x");
    for (const std::int64_t so_far : {0, 4}) {
        const std::vector<Reply> replies = client.run(pipeline);
        REQUIRE(replies.size() == 4);
        CHECK(replies[1].integer() == so_far + 2);
        CHECK(replies[2].integer() == so_far + 4);
        CHECK(replies[3].text() == "x");
    }
    CHECK(client.stats().round_trips == 3);  // by name, with the body, by name
    server.run("SCRIPT", "FLUSH");
    CHECK(client.run(pipeline)[2].integer() == 12);

    Pipeline within;
    server.run("SCRIPT", "FLUSH");
    within.command("MULTI").script(add, key, by).command("EXEC");
    const std::vector<Reply> replies = client.run(within);
    REQUIRE(replies[2].size() == 1);
    CHECK(replies[2][0].integer() == 14);
}

TEST_CASE("user, database and name", "[redis]") {
    const RedisServer server{{"--requirepass", "top secret"}};
    const auto admin = [&](const std::vector<std::string>& words) {
        ClientOptions options;
        options.path = server.socket_path();
        options.password = "top secret";
        Pipeline pipeline;
        const std::vector<std::string_view> views{words.begin(), words.end()};
        pipeline.command(views);
        return Client{options}.run_one(pipeline);
    };
    REQUIRE(admin({"ACL", "SETUSER", "app", "on", ">p@ss", "~*", "&*", "+@all", "-@admin",
                   "-@dangerous"})
                .is_status());
    const std::string end = "@" + server.socket_path() + "?db=3&name=larder";
    {
        const Client client{"unix://app:p%40ss" + end};
        CHECK(client.command("SET", "k", "v").is_status());
        CHECK(client.command("CLIENT", "GETNAME").text() == "larder");
        CHECK(client.command("ACL", "WHOAMI").text() == "app");
        CHECK_THROWS_AS(client.command("FLUSHALL"), larder::redis::ReplyError);
        ClientOptions same = client.options();
        same.database = 0;
        CHECK(Client{same}.command("GET", "k").is_nil());
    }
    for (const std::string& url :
         {"unix://app:wrong" + end, "unix://:wrong" + end,
          "unix://" + server.socket_path() + "?db=3", "unix://" + server.socket_path()}) {
        CAPTURE(url);
        const Client client{url};
        // Again and again, not "it failed a moment ago".
        for (int i = 0; i < 3; ++i) {
            CHECK_THROWS_AS(client.command("GET", "k"), larder::redis::AuthError);
        }
        const std::string text = caught_text([&] { client.command("GET", "k"); });
        CHECK_FALSE(has(text, "wrong"));
        CHECK(client.stats().connects <= 1);
    }
    const Client far{"unix://app:p%40ss@" + server.socket_path() + "?db=9999"};
    CHECK(has(caught_text([&] { far.command("GET", "k"); }), "out of range"));
}

TEST_CASE("callers at once share round trips, and each gets its own reply", "[redis]") {
    const RedisServer server;
    ClientOptions options;
    options.path = server.socket_path();
    options.connections = 1;
    const Client client{options};
    constexpr int threads = 16;
    constexpr int rounds = 500;
    std::atomic<int> wrong{0};
    std::latch start{threads};
    {
        std::vector<std::jthread> all;
        for (int t = 0; t < threads; ++t) {
            all.emplace_back([&, t] {
                start.arrive_and_wait();
                for (int i = 0; i < rounds; ++i) {
                    const std::string mine = std::to_string(t) + ':' + std::to_string(i);
                    Pipeline pipeline;
                    pipeline.command("SET", std::to_string(t), mine)
                        .command("GET", std::to_string(t))
                        .command("ECHO", mine);
                    const std::vector<Reply> replies = client.run(pipeline);
                    wrong += replies[1].text() != mine || replies[2].text() != mine ? 1 : 0;
                    wrong += client.command("ECHO", mine).text() != mine ? 1 : 0;
                }
            });
        }
    }
    CHECK(wrong == 0);
    const auto stats = client.stats();
    CHECK(stats.commands == 4U * threads * rounds);
    CHECK(stats.round_trips < stats.commands / 4);
    CHECK(stats.connects == 1);
}

TEST_CASE("what blocks does not hold up others, and has its own time", "[redis]") {
    const RedisServer server;
    ClientOptions options;
    options.path = server.socket_path();
    options.connections = 1;
    options.command_timeout = 200ms;
    const Client client{options};
    std::jthread blocked{[&] { CHECK(client.command("BLPOP", "l", 0)[1].text() == "x"); }};
    while (server.run("CLIENT", "LIST").find("cmd=blpop") == std::string::npos) {
        std::this_thread::yield();
    }
    const auto began = std::chrono::steady_clock::now();
    CHECK(client.command("PING").text() == "PONG");
    // Longer than a command may take.
    CHECK(client.command("BLPOP", "none", "0.3").is_nil());
    CHECK(std::chrono::steady_clock::now() - began >= 300ms);
    client.command("RPUSH", "l", "x");
}

TEST_CASE("a bulk pipeline has a connection of its own", "[redis]") {
    const RedisServer server;
    ClientOptions options;
    options.path = server.socket_path();
    options.connections = 1;
    options.bulk_connections = 2;
    const Client client{options};
    const std::string large(300'000, 'x');
    std::vector<std::jthread> all;
    for (int t = 0; t < 4; ++t) {
        all.emplace_back([&, t] {
            // More than fits into the buffers of both sides, in both directions.
            Pipeline pipeline;
            for (int i = 0; i < 40; ++i) {
                pipeline.command("SET", t, large).command("GET", t);
            }
            const std::vector<Reply> replies = client.run(pipeline);
            CHECK(replies.back().text() == large);
        });
    }
    for (int i = 0; i < 100; ++i) {
        CHECK(client.command("PING").text() == "PONG");
    }
    all.clear();
    CHECK(client.stats().connects >= 2);
    CHECK(client.stats().connects <= 3);
}

TEST_CASE("a child has connections of its own", "[redis]") {
    const RedisServer server;
    const Client client{server.unix_url()};
    const std::int64_t ours = client.command("CLIENT", "ID").integer();
    const pid_t child = ::fork();
    if (child == 0) {
        int code = 1;
        try {
            code = client.command("CLIENT", "ID").integer() != ours &&
                           client.command("ECHO", "child").text() == "child"
                       ? 0
                       : 2;
        } catch (...) {}
        ::_exit(code);
    }
    int status = -1;
    REQUIRE(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    CHECK(client.command("CLIENT", "ID").integer() == ours);
}
