// SPDX-License-Identifier: MIT

// redis::Client and servers that change their role behind one address.

#include "support/catch.hpp"
#include "support/fake_server.hpp"

#include <larder/redis.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <string>
#include <thread>

using larder::Breaker;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::ReplyError;
using larder_test::FakeServer;
using namespace std::chrono_literals;
using Peer = FakeServer::Peer;

namespace {

ClientOptions options_for(const FakeServer& server) {
    ClientOptions options;
    options.port = server.port();
    options.connections = 1;
    options.breaker = options.max_breaker = 60s;
    return options;
}

// Its connections say what they are from their first to their last: the first some say `demoted`.
auto demoted(std::size_t connections, std::string error) {
    return [connections, error = std::move(error)](const Peer& peer) {
        while (!peer.read().empty() &&
               peer.write(peer.number() < connections ? error : "+promoted\r\n")) {}
    };
}

}  // namespace

TEST_CASE("a server that is not what it was is looked for by its name", "[redis][faults]") {
    const std::string error = GENERATE(
        as<std::string>{}, "-READONLY You can't write against a read only replica.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
        "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
        "-ERR Error running script (call to f_1): @user_script:1: -READONLY You can't write "
        "against a read only replica.\r\n");
    CAPTURE(error);
    const FakeServer server{demoted(1, error)};
    const Client client{options_for(server)};
    CHECK_THROWS_AS(client.command("SET", "k", "v"), ReplyError);
    CHECK(client.command("SET", "k", "v").text() == "promoted");
    CHECK(client.breaker() == Breaker::closed);
    CHECK(client.stats().connects == 2);
}

TEST_CASE("any other error says nothing of the role", "[redis][faults]") {
    const FakeServer server{demoted(1, "-WRONGTYPE READONLY LOADING MASTERDOWN\r\n")};
    const Client client{options_for(server)};
    for (int i = 0; i < 3; ++i) {
        CHECK_THROWS_AS(client.command("SET", "k", "v"), ReplyError);
    }
    CHECK(client.stats().connects == 1);
}

TEST_CASE("a replica that stays one is looked for once a window", "[redis][faults]") {
    const FakeServer server{demoted(1000, "-READONLY no\r\n")};
    const Client client{options_for(server)};
    for (int i = 0; i < 20; ++i) {
        CHECK_THROWS_AS(client.command("SET", "k", "v"), ReplyError);
    }
    CHECK(client.stats().connects == 2);
    ClientOptions options = options_for(server);
    options.breaker = 1ms;
    const Client often{options};
    for (int i = 0; i < 3; ++i) {
        CHECK_THROWS_AS(often.command("SET", "k", "v"), ReplyError);
        std::this_thread::sleep_for(2ms);
    }
    CHECK(often.stats().connects == 3);
}

TEST_CASE("no connection to a demoted server is left", "[redis][faults]") {
    // Two that are shared, and one for what blocks.
    std::atomic<int> met{0};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (bytes.find("meet") != std::string::npos) {
                // Not for ever: calls that come while one connects may share its connection.
                ++met;
                const auto end = std::chrono::steady_clock::now() + 100ms;
                while (met < 2 && std::chrono::steady_clock::now() < end) {
                    std::this_thread::yield();
                }
            }
            // Calls that come together are sent together: each has its reply.
            for (auto left = std::count(bytes.begin(), bytes.end(), '*'); left > 0; --left) {
                peer.write(peer.number() >= 3                       ? "+promoted\r\n"
                           : bytes.find("SET") != std::string::npos ? "-READONLY no\r\n"
                                                                    : "+demoted\r\n");
            }
        }
    }};
    ClientOptions options = options_for(server);
    options.connections = 2;
    const Client client{options};
    for (int i = 0; i < 100 && client.stats().connects < 2; ++i) {
        met = 0;
        std::jthread other{[&] { client.command("GET", "meet"); }};
        client.command("GET", "meet");
    }
    CHECK(client.command("BLPOP", "k", 1).text() == "demoted");
    REQUIRE(client.stats().connects == 3);
    CHECK_THROWS_AS(client.command("SET", "k", "v"), ReplyError);
    CHECK(client.command("BLPOP", "k", 1).text() == "promoted");
    std::latch start{2};
    const auto ask = [&] {
        start.arrive_and_wait();
        for (int i = 0; i < 20; ++i) {
            CHECK(client.command("GET", "k").text() == "promoted");
        }
    };
    std::jthread other{ask};
    ask();
}
