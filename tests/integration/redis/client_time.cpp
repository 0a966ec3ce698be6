// SPDX-License-Identifier: MIT

// How long a call of redis::Client takes, whatever happens on its way, and how long large replies may.

#include "support/catch.hpp"
#include "support/fake_server.hpp"

#include <larder/redis.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using larder::Breaker;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::ConnectError;
using larder::redis::ConnectionError;
using larder::redis::NoReply;
using larder::redis::Outcome;
using larder::redis::Pipeline;
using larder::redis::Script;
using larder::redis::TimeoutError;
using larder::redis::detail::ClientInHand;
using larder_test::FakeServer;
using namespace std::chrono_literals;
using Peer = FakeServer::Peer;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t mib = 1024 * 1024;
constexpr std::string_view small_get = "*2\r\n$3\r\nGET\r\n$5\r\nsmall\r\n";

ClientOptions options_for(const FakeServer& server, larder::Ttl command_timeout = 200ms) {
    ClientOptions options;
    options.port = (std::max)(server.port(), std::uint16_t{1});
    options.connections = 1;
    options.command_timeout = command_timeout;
    options.breaker = 10ms;
    options.max_breaker = 10ms;
    return options;
}

std::string socket_path() {
    return std::filesystem::temp_directory_path() /
           ("larder-client-time-" + std::to_string(::getpid()));
}

// How many bytes a unix socket holds that nobody reads.
std::size_t kernel_takes() {
    int fds[2];
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
    const std::string bytes(1 * mib, 'x');
    const ssize_t took = ::send(fds[0], bytes.data(), bytes.size(), MSG_NOSIGNAL);
    ::close(fds[0]);
    ::close(fds[1]);
    return took > 0 ? static_cast<std::size_t>(took) : 0;
}

std::string bulk_reply(std::size_t size) {
    return '$' + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n";
}
bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

template <class F>
steady::duration time_of(F&& f) {
    const auto began = steady::now();
    f();
    return steady::now() - began;
}
template <class E, class F>
std::optional<Outcome> outcome_of(F&& f) {
    try {
        f();
    } catch (const E& error) {
        return error.outcome();
    } catch (const std::exception& error) {
        FAIL("another exception: " << error.what());
    }
    return std::nullopt;
}

// Until so many calls are in hand, with a little time to get where they wait.
void wait_for_calls(const Client& client, std::size_t count) {
    const auto end = steady::now() + 20s;
    while (client.in_hand().calls < count) {
        REQUIRE(steady::now() < end);
        std::this_thread::yield();
    }
    std::this_thread::sleep_for(5ms);
}

}  // namespace

TEST_CASE("a large reply lives as long as its bytes arrive", "[redis][faults]") {
    constexpr std::size_t step = 256 * 1024;
    const std::string four = bulk_reply(4 * mib);  // made before: it takes its time
    const std::string eight = bulk_reply(8 * mib);
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (has(bytes, "small")) {
                peer.write("$1\r\nx\r\n");
            } else if (has(bytes, "MGET")) {
                peer.write("*2\r\n");
                peer.drip(four, 40ms, step);
                peer.drip(four, 40ms, step);
            } else {
                peer.drip(eight, 40ms, step);
            }
        }
    }};
    const Client client{options_for(server, 1s)};
    // Longer than a small one may take.
    CHECK(time_of([&] { CHECK(client.command("GET", "k").text().size() == 8 * mib); }) > 1s);
    CHECK(client.command("GET", "small").text() == "x");
    CHECK(client.command("MGET", "a", "b")[1].text().size() == 4 * mib);
    Pipeline pipeline;
    pipeline.command("GET", "a").bulk();
    CHECK(client.run(pipeline).back().text().size() == 8 * mib);
    CHECK(client.breaker() == Breaker::closed);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a large reply that comes too slowly fails alone", "[redis][faults]") {
    const std::string reply = bulk_reply(8 * mib);
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            // A third of the MiB a second that it must be.
            has(bytes, "small") ? peer.write("$1\r\nx\r\n") : peer.drip(reply, 100ms, 32 * 1024);
        }
    }};
    const Client client{options_for(server, 1s)};
    CHECK(time_of([&] {
              CHECK(outcome_of<TimeoutError>([&] { client.command("GET", "k"); }) ==
                    Outcome::unknown);
          }) < 5s);
    CHECK(client.breaker() == Breaker::closed);
    CHECK(client.command("GET", "small").text() == "x");
}

TEST_CASE("a large reply that stops is given up in time, and the server too", "[redis][faults]") {
    const std::string reply = bulk_reply(16 * mib).substr(0, 12 * mib);
    const FakeServer server{[&](const Peer& peer) {
        (void)peer.read();
        peer.write(reply);
        while (!peer.read().empty()) {}
    }};
    ClientOptions options = options_for(server, 500ms);
    options.breaker = options.max_breaker = 60s;
    const Client client{options};
    const auto took = time_of([&] { CHECK_THROWS_AS(client.command("GET", "k"), TimeoutError); });
    CHECK(took >= 500ms);
    CHECK(took < 3s);  // not the twelve times half a second that the bytes would have earned
    CHECK(client.breaker() == Breaker::open);
}

TEST_CASE("nobody waits behind a large reply", "[redis][faults]") {
    // Sends some of a large reply, and more of it until the small ones have been answered.
    const std::string reply = bulk_reply(20 * mib);
    std::atomic<int> answered{0};
    std::atomic<int> wanted{1};
    std::atomic<bool> large{false};
    std::atomic<bool> in_vain{false};
    std::latch first{1};
    std::latch go{1};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (has(bytes, "first")) {
                first.count_down();
                go.wait();
                peer.write("$5\r\nfirst\r\n");
            }
            if (has(bytes, "before")) {
                peer.write("$6\r\nbefore\r\n");
            }
            if (has(bytes, "large")) {
                std::size_t sent = 512 * 1024;
                peer.write(std::string_view{reply}.substr(0, sent));
                large = true;
                const auto end = steady::now() + 20s;
                for (; answered < wanted && steady::now() < end && sent < 16 * mib;
                     sent += 32 * 1024) {
                    peer.drip(std::string_view{reply}.substr(sent, 32 * 1024), 2ms, 32 * 1024);
                }
                in_vain = answered < wanted;
                peer.write(std::string_view{reply}.substr(sent));
                peer.write(has(bytes, "INCR") ? ":1\r\n" : "");
            }
            if (has(bytes, small_get)) {
                peer.write("$5\r\nsmall\r\n");
            }
        }
    }};
    const Client client{options_for(server, 2s)};
    std::atomic<int> wrong{0};
    const auto get_large = [&] {
        wrong += client.command("GET", "large").text().size() != 20 * mib ? 1 : 0;
    };
    const auto get_small = [&](const char* key) {
        wrong += client.command("GET", key).text() != key ? 1 : 0;
        ++answered;
    };
    std::vector<std::jthread> all;
    // One connection, and the calls that come meanwhile are the next batch, in order.
    const auto batch = [&](auto... calls) {
        std::jthread holds{[&] { client.command("GET", "first"); }};
        first.wait();
        std::size_t count = 1;
        (..., (all.emplace_back(calls), wait_for_calls(client, ++count)));
        go.count_down();
    };
    SECTION("later") {
        all.emplace_back(get_large);
        while (!large) {
            std::this_thread::yield();
        }
        get_small("small");
    }
    SECTION("behind it in the same batch: it is asked for again") {
        batch(get_large, [&] { get_small("small"); });
    }
    SECTION("before it in the same batch: the one who leads goes on") {
        batch([&] { get_small("before"); }, get_large);
    }
    SECTION("on both sides") {
        wanted = 2;
        batch([&] { get_small("before"); }, get_large, [&] { get_small("small"); });
    }
    SECTION("what must not be sent twice waits for its own reply") {
        batch([&] { get_small("before"); }, get_large,
              [&] { wrong += client.command("INCR", "n").integer() != 1 ? 1 : 0; });
    }
    all.clear();
    CHECK(wrong == 0);
    CHECK_FALSE(in_vain);
    CHECK(client.breaker() == Breaker::closed);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("replies that nobody wants any more reach nobody", "[redis][faults]") {
    const std::string reply = bulk_reply(1 * mib);
    std::latch first{1};
    std::latch go{1};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (has(bytes, "first")) {
                first.count_down();
                go.wait();
                peer.write("$5\r\nfirst\r\n");
            } else if (has(bytes, "large")) {
                peer.drip(reply, 2ms, 64 * 1024);
                peer.pause(50ms);  // the client is asking for something else by now
                peer.write("+late\r\n");
            } else {
                peer.write("+fresh\r\n");
            }
        }
    }};
    const Client client{options_for(server, 5s)};
    std::vector<std::jthread> all;
    all.emplace_back([&] { client.command("GET", "first"); });
    first.wait();
    all.emplace_back([&] {
        CHECK(client.command("GET", "large").text().size() == 1 * mib);
        CHECK(client.command("BLPOP", "k", 1).text() == "fresh");
    });
    wait_for_calls(client, 2);
    all.emplace_back([&] { CHECK(client.command("GET", "small").text() == "fresh"); });
    wait_for_calls(client, 3);
    go.count_down();
    all.clear();
    CHECK(client.stats().resent == 1);  // the small one, to another connection
}

TEST_CASE("what waits behind a large reply and is not sent twice fails in its own time",
          "[redis][faults]") {
    const std::string reply = bulk_reply(20 * mib);
    std::latch first{1};
    std::latch go{1};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (has(bytes, "first")) {
                first.count_down();
                go.wait();
                peer.write("$5\r\nfirst\r\n");
            } else {
                // Some four MiB a time-out, for five of them.
                peer.drip(reply, 25ms, 256 * 1024);
                peer.write(":1\r\n");
            }
        }
    }};
    const Client client{options_for(server, 400ms)};
    std::vector<std::jthread> all;
    all.emplace_back([&] { client.command("GET", "first"); });
    first.wait();
    all.emplace_back([&] { CHECK(client.command("GET", "large").text().size() == 20 * mib); });
    wait_for_calls(client, 2);
    std::atomic<bool> unknown{false};
    steady::duration took{};
    all.emplace_back([&] {
        took = time_of([&] {
            unknown =
                outcome_of<TimeoutError>([&] { client.command("INCR", "n"); }) == Outcome::unknown;
        });
    });
    wait_for_calls(client, 3);
    go.count_down();
    all.clear();
    CHECK(unknown);
    CHECK(took < 1500ms);
    CHECK(client.breaker() == Breaker::closed);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a peer that drips does not hold what is still being sent", "[redis][faults]") {
    const FakeServer server{[](const Peer& peer) { peer.drip('$' + std::string(2000, '0'), 5ms); },
                            socket_path()};
    ClientOptions options = options_for(server, 100ms);
    options.path = socket_path();
    const Client client{options};
    const std::string large(6 * mib, 'x');
    const auto took = time_of([&] {
        CHECK(outcome_of<NoReply>([&] { client.command("SET", "k", large); }) == Outcome::unknown);
    });
    CHECK(took < 4s);  // seven tenths of a second, and a busy machine
}

TEST_CASE("a wait for a bulk connection is a part of a call's time", "[redis][faults]") {
    std::latch asked{1};
    const FakeServer server{[&](const Peer& peer) {
        (void)peer.read();
        if (peer.number() == 0) {
            asked.count_down();
            peer.pause(800ms);
            peer.write("+done\r\n");
        }
        while (!peer.read().empty()) {}
    }};
    ClientOptions options = options_for(server, 1s);
    options.bulk_connections = 1;
    const Client client{options};
    Pipeline pipeline;
    pipeline.command("GET", "k").bulk();
    std::jthread first{[&] { CHECK(client.run_one(pipeline).text() == "done"); }};
    asked.wait();
    const auto took = time_of([&] { CHECK_THROWS_AS(client.run_one(pipeline), TimeoutError); });
    CHECK(took >= 1s);
    CHECK(took < 1600ms);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("the body of an unknown script is a part of a call's time", "[redis][faults]") {
    const FakeServer server{[&](const Peer& peer) {
        (void)peer.read();
        if (peer.number() == 0) {
            peer.pause(800ms);
            peer.write("-NOSCRIPT No matching script.\r\n");
        } else {
            peer.write("+PONG\r\n");  // it serves, and takes long
        }
        while (!peer.read().empty()) {}
    }};
    const Client client{options_for(server, 1s)};
    Pipeline pipeline;
    pipeline.script(Script{"return 1"}, {}, {});
    const auto took = time_of([&] { CHECK_THROWS_AS(client.run_one(pipeline), TimeoutError); });
    CHECK(took >= 1s);
    CHECK(took < 1600ms);
}

TEST_CASE("the connections of one call have one connect_timeout", "[redis][faults]") {
    // The first accepts late and breaks, the second does not accept.
    const FakeServer server{[&](const Peer& peer) {
        (void)peer.read();
        if (peer.number() == 0) {
            peer.pause(800ms);
            peer.write("+OK\r\n");
            (void)peer.read();
            return;
        }
        while (!peer.read().empty()) {}
    }};
    ClientOptions options = options_for(server, 200ms);
    options.database = 1;
    options.connect_timeout = 1s;
    const Client client{options};
    const auto took = time_of([&] { CHECK_THROWS_AS(client.command("GET", "k"), TimeoutError); });
    CHECK(took >= 1s);
    CHECK(took < 1600ms);
}

TEST_CASE("who waits while others connect has the time of a command afterwards",
          "[redis][faults]") {
    const FakeServer server{[](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (has(bytes, "SELECT")) {
                peer.drip("+OK\r\n", 300ms, 5);
            } else {
                for (std::size_t at = bytes.find("GET"); at != std::string::npos;
                     at = bytes.find("GET", at + 1)) {
                    peer.write("$1\r\nx\r\n");
                }
            }
        }
    }};
    ClientOptions options = options_for(server, 100ms);
    options.database = 1;
    options.connect_timeout = 5s;
    const Client client{options};
    auto first = std::async(std::launch::async, [&] { return client.command("GET", "small"); });
    wait_for_calls(client, 1);
    auto second = std::async(std::launch::async, [&] { return client.command("GET", "small"); });
    CHECK(first.get().text() == "x");
    CHECK(second.get().text() == "x");
    CHECK(client.stats().connects == 1);
}

TEST_CASE("what a server may have seen is not reported as not sent", "[redis][faults]") {
    // Four calls that fill the kernel's buffer, and one behind them that finds no room.
    const std::size_t size = kernel_takes() / 4 + 1000;
    constexpr std::size_t last_size = 8000;
    REQUIRE(4 * size + last_size < 256 * 1024);  // one batch
    std::latch asked{1};
    std::latch go{1};
    std::atomic<std::size_t> seen{0};
    const FakeServer server{[&](const Peer& peer) {
                                if (peer.number() > 0) {
                                    while (seen < last_size) {
                                        seen += peer.read().size();
                                    }
                                    return;
                                }
                                (void)peer.read();
                                asked.count_down();
                                go.wait();
                                peer.write("+done\r\n");
                                peer.pause(50ms);
                            },
                            socket_path()};
    ClientOptions options = options_for(server, 5s);
    options.path = socket_path();
    options.bulk = 1 * mib;
    const Client client{options};
    std::vector<std::jthread> all;
    all.emplace_back([&] { client.command("GET", "first"); });
    asked.wait();
    std::atomic<int> unknown{0};
    for (std::size_t i = 0; i < 5; ++i) {
        all.emplace_back([&, i] {
            const std::string value(i < 4 ? size : last_size, 'x');
            unknown += outcome_of<ConnectionError>([&] { client.command("SET", "k", value); }) ==
                               Outcome::unknown
                           ? 1
                           : 0;
        });
        wait_for_calls(client, i + 2);
    }
    go.count_down();
    all.clear();
    // The last went over the second connection, whole.
    CHECK(client.stats().resent == 1);
    CHECK(unknown == 5);
}

// Rule R9.
TEST_CASE("not a byte of a write is sent twice", "[redis][faults]") {
    std::atomic<int> writes{0};
    const FakeServer server{[&](const Peer& peer) {
        const std::string bytes = peer.read();
        writes += has(bytes, "SET") ? 1 : 0;
        // The reply is lost.
    }};
    const Client client{options_for(server)};
    Pipeline pipeline;
    pipeline.command("GET", "k").command("SET", "k", "v");
    CHECK(outcome_of<ConnectionError>([&] { (void)client.run(pipeline); }) == Outcome::unknown);
    CHECK(writes == 1);
    CHECK(client.stats().resent == 0);
}

TEST_CASE("half a pipeline with scripts is not reported as not sent", "[redis][faults]") {
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (has(bytes, "SELECT")) {
                peer.write(peer.number() == 0 ? "+OK\r\n" : "-ERR no more\r\n");
            } else {
                peer.write(has(bytes, "SET") ? "+OK\r\n" : "");
                peer.write("-NOSCRIPT No matching script.\r\n");
            }
        }
    }};
    ClientOptions options = options_for(server);
    options.database = 1;
    const Script script{"return 1"};
    Pipeline pipeline;
    SECTION("a part has been carried out") {
        pipeline.command("SET", "k", "v").script(script, {}, {});
        const Client client{options};
        CHECK(outcome_of<ConnectError>([&] { (void)client.run(pipeline); }) == Outcome::unknown);
    }
    SECTION("nothing has") {
        pipeline.script(script, {}, {});
        const Client client{options};
        CHECK(outcome_of<ConnectError>([&] { (void)client.run(pipeline); }) == Outcome::not_sent);
    }
}

TEST_CASE("who had no time left to ask says nothing of the server", "[redis][faults]") {
    std::latch asked{1};
    // The second call waits for most of its time behind the first, and this server takes longer
    // than what is left.
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (has(bytes, "slow")) {
                asked.count_down();
            }
            peer.pause(450ms);
            peer.write("+done\r\n");
        }
    }};
    const Client client{options_for(server, 600ms)};
    std::jthread first{[&] { CHECK(client.command("GET", "slow").text() == "done"); }};
    asked.wait();
    CHECK_THROWS_AS(client.command("GET", "k"), TimeoutError);
    CHECK(client.breaker() == Breaker::closed);
}

TEST_CASE("times at their ends are refused by name", "[redis]") {
    using larder::Ttl;
    for (const auto member : {&ClientOptions::connect_timeout, &ClientOptions::command_timeout,
                              &ClientOptions::breaker, &ClientOptions::max_breaker}) {
        for (const Ttl value : {Ttl{0}, Ttl{-1}, (Ttl::min)(), (Ttl::max)(), Ttl{24h} + 1ms}) {
            ClientOptions options;
            options.*member = value;
            CHECK_THROWS_AS(Client{options}, std::invalid_argument);
        }
    }
    // A day is the most, and no sum of days overflows.
    const FakeServer server{[](const Peer& peer) {
        while (!peer.read().empty() && peer.write("+done\r\n")) {}
    }};
    ClientOptions options = options_for(server);
    options.connect_timeout = options.command_timeout = options.breaker = options.max_breaker = 24h;
    const Client client{options};
    CHECK(client.command("PING").text() == "done");
    CHECK(client.command("BLPOP", "k", "99999999999").text() == "done");
    CHECK(client.command("BLPOP", "k", "-1").text() == "done");
    CHECK(client.command("SET", "k", std::string(2 * mib, 'x')).text() == "done");
}
