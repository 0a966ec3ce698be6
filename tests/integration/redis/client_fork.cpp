// SPDX-License-Identifier: MIT

// redis::Client in the child of a process whose other threads were within a call.

#include "support/catch.hpp"
#include "support/fake_server.hpp"
#include "support/redis_server.hpp"

#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::Pipeline;
using larder::redis::detail::ClientInHand;
using larder_test::RedisServer;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

// What the child returns; it is killed if it does not end.
template <class F>
int in_child(F&& f) {
    const pid_t child = ::fork();
    if (child == 0) {
        int code = 99;
        try {
            code = f();
        } catch (...) {}
        ::_exit(code);
    }
    REQUIRE(child > 0);
    int status = -1;
    for (const auto end = steady::now() + 20s; ::waitpid(child, &status, WNOHANG) != child;) {
        if (steady::now() >= end) {
            ::kill(child, SIGKILL);
            ::waitpid(child, &status, 0);
            return -1;
        }
        std::this_thread::sleep_for(1ms);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -2;
}

}  // namespace

TEST_CASE("a child does not care where its parent's threads were", "[redis][faults]") {
    RedisServer server;
    ClientOptions options;
    options.port = server.port();
    options.connections = 1;
    options.bulk_connections = 1;
    options.command_timeout = 30s;
    auto client = std::make_unique<Client>(options);
    client->command("PING");
    // One blocks with a bulk permit, one waits for that, one leads the multiplexer, one waits behind it.
    std::vector<std::jthread> all;
    const auto start = [&](auto run) {
        all.emplace_back(run);
        const auto end = steady::now() + 20s;
        while (client->in_hand().calls < all.size()) {
            REQUIRE(steady::now() < end);
            std::this_thread::yield();
        }
        std::this_thread::sleep_for(5ms);
    };
    const auto pop = [&] {
        Pipeline pipeline;
        pipeline.command("BLPOP", "l", 20).bulk();
        CHECK(client->run_one(pipeline)[1].text() == "x");
    };
    start(pop);
    start(pop);
    while (server.run("CLIENT", "LIST").find("cmd=blpop") == std::string::npos) {
        std::this_thread::yield();
    }
    server.freeze();
    start([&] { CHECK(client->command("ECHO", "a").text() == "a"); });
    start([&] { CHECK(client->command("ECHO", "b").text() == "b"); });
    CHECK(client->in_hand() == ClientInHand{.probes = 0, .calls = 4, .bulk = 1, .leads = 1});

    SECTION("that never uses the client and ends it") {
        CHECK(in_child([&] {
                  client.reset();
                  return 0;
              }) == 0);
    }
    SECTION("that uses it and ends it") {
        std::jthread thaws{[&] {
            std::this_thread::sleep_for(20ms);
            server.thaw();
        }};
        CHECK(in_child([&] {
                  const bool idle = client->in_hand() == ClientInHand{};
                  const bool echoed = client->command("ECHO", "child").text() == "child";
                  Pipeline pipeline;
                  pipeline.command("ECHO", "bulk").bulk();
                  const bool bulk = client->run_one(pipeline).text() == "bulk";
                  client.reset();
                  return idle && echoed && bulk ? 0 : 1;
              }) == 0);
    }
    SECTION("and its own child neither") {
        server.thaw();
        CHECK(in_child([&] {
                  client->command("PING");
                  return in_child([&] {
                      const bool echoed = client->command("ECHO", "again").text() == "again";
                      client.reset();
                      return echoed ? 0 : 1;
                  });
              }) == 0);
    }
    // The parent's calls go on as if nothing had been.
    server.thaw();
    server.run("RPUSH", "l", "x", "x");
    all.clear();
    CHECK(client->in_hand() == ClientInHand{});
    CHECK(client->stats().connects == 2);
}
