// SPDX-License-Identifier: MIT

// redis::Client against servers that die, freeze, drip, lie, and take no connections.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/fake_server.hpp"
#include "support/redis_server.hpp"

#include <larder/redis.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <latch>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

using larder::Breaker;
using larder::redis::AuthError;
using larder::redis::BreakerOpen;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::ConnectError;
using larder::redis::ConnectionError;
using larder::redis::NoReply;
using larder::redis::Outcome;
using larder::redis::Pipeline;
using larder::redis::TimeoutError;
using larder_test::caught_text;
using larder_test::FakeServer;
using larder_test::RedisServer;
using namespace std::chrono_literals;
using Peer = FakeServer::Peer;
using steady = std::chrono::steady_clock;

namespace {

ClientOptions options_for(const FakeServer& server) {
    ClientOptions options;
    options.port = server.port();
    options.connections = 1;
    options.command_timeout = 200ms;
    options.breaker = 20ms;
    options.max_breaker = 40ms;
    return options;
}

ClientOptions options_for(const RedisServer& server, bool tcp) {
    ClientOptions options;
    options.port = server.port();
    options.path = tcp ? "" : server.socket_path();
    options.connections = 1;
    options.command_timeout = 200ms;
    options.breaker = 20ms;
    options.max_breaker = 40ms;
    return options;
}

// Answers every read with the same bytes.
auto always(std::string reply) {
    return [reply = std::move(reply)](const Peer& peer) {
        while (!peer.read().empty() && peer.write(reply)) {}
    };
}

// A reply for each of the commands that came at once.
std::string done_for(const std::string& commands) {
    std::string replies;
    for (const char c : commands) {
        replies += c == '*' ? "+done\r\n" : "";
    }
    return replies;
}

// What there is instead of a reply.
template <class E, class F>
Outcome outcome_of(F&& f) {
    try {
        f();
    } catch (const E& error) {
        return error.outcome();
    } catch (const std::exception& error) {
        FAIL("another exception: " << error.what());
    }
    FAIL("it threw nothing");
    return Outcome::unknown;
}

// Asks until there is a reply.
void recover(const Client& client) {
    const auto end = steady::now() + 20s;
    for (;;) {
        try {
            client.command("PING");
            return;
        } catch (const NoReply&) {
            REQUIRE(steady::now() < end);
            std::this_thread::yield();
        }
    }
}

}  // namespace

TEST_CASE("a dripping server does not put the deadline off, nor do signals", "[redis][faults]") {
    const FakeServer server{[](const Peer& peer) {
        while (!peer.read().empty()) {
            peer.drip("$1000\r\n" + std::string(1000, 'x') + "\r\n", 5ms);
        }
    }};
    struct sigaction ignore {};
    ignore.sa_handler = [](int) {};  // without SA_RESTART
    struct sigaction before {};
    ::sigaction(SIGALRM, &ignore, &before);
    const itimerval often{{0, 7000}, {0, 7000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    const Client client{options_for(server)};
    const auto began = steady::now();
    CHECK(outcome_of<TimeoutError>([&] { client.command("INCR", "k"); }) == Outcome::unknown);
    const auto took = steady::now() - began;
    const itimerval none{};
    ::setitimer(ITIMER_REAL, &none, nullptr);
    ::sigaction(SIGALRM, &before, nullptr);
    CHECK(took >= 200ms);
    CHECK(took < 1500ms);
    CHECK(client.breaker() == Breaker::open);
}

TEST_CASE("signals alone do not put the deadline off", "[redis][faults]") {
    const FakeServer server{[](const Peer& peer) {
        while (!peer.read().empty()) {}
    }};
    struct sigaction ignore {};
    ignore.sa_handler = [](int) {};
    struct sigaction before {};
    ::sigaction(SIGALRM, &ignore, &before);
    const itimerval often{{0, 7000}, {0, 7000}};
    ::setitimer(ITIMER_REAL, &often, nullptr);
    const Client client{options_for(server)};
    const auto began = steady::now();
    CHECK(outcome_of<TimeoutError>([&] { client.command("GET", "k"); }) == Outcome::unknown);
    const auto took = steady::now() - began;
    const itimerval none{};
    ::setitimer(ITIMER_REAL, &none, nullptr);
    ::sigaction(SIGALRM, &before, nullptr);
    CHECK(took >= 200ms);
    CHECK(took < 1500ms);
}

TEST_CASE("a connection that broke in mid-reply", "[redis][faults]") {
    // The first connection ends in the middle of its first reply, all others serve.
    const auto serve = [](const Peer& peer) {
        while (!peer.read().empty()) {
            if (peer.number() == 0) {
                peer.write("$5\r\nhal");
                return;
            }
            peer.write(":7\r\n");
        }
    };
    SECTION("what only reads is sent again") {
        const FakeServer server{serve};
        const Client client{options_for(server)};
        CHECK(client.command("GET", "k").integer() == 7);
        CHECK(client.stats().resent == 1);
        CHECK(client.stats().connects == 2);
    }
    SECTION("what may have been carried out is not") {
        const FakeServer server{serve};
        const Client client{options_for(server)};
        CHECK(outcome_of<ConnectionError>([&] { client.command("INCR", "k"); }) ==
              Outcome::unknown);
        CHECK(client.stats().resent == 0);
        // There is a new connection already.
        CHECK(client.breaker() == Breaker::closed);
        CHECK(client.command("INCR", "k").integer() == 7);
        CHECK(client.stats().connects == 2);
    }
    SECTION("what is marked as repeatable is sent again") {
        const FakeServer server{serve};
        const Client client{options_for(server)};
        Pipeline pipeline;
        pipeline.command("DEL", "a").command("DEL", "b").repeatable();
        const FakeServer two{[](const Peer& peer) {
            while (!peer.read().empty()) {
                peer.write(peer.number() == 0 ? ":1\r\n" : ":2\r\n:3\r\n");
                if (peer.number() == 0) {
                    return;
                }
            }
        }};
        const auto replies = Client{options_for(two)}.run(pipeline);
        // Both of the second connection: replies of two connections are not mixed.
        CHECK(replies[0].integer() == 2);
        CHECK(replies[1].integer() == 3);
    }
}

TEST_CASE("a server that breaks every connection opens the breaker", "[redis][faults]") {
    const FakeServer server{[](const Peer& peer) { (void)peer.read(); }};
    const Client client{options_for(server)};
    CHECK(outcome_of<ConnectionError>([&] { client.command("GET", "k"); }) == Outcome::unknown);
    CHECK(server.connections() == 2);
    CHECK(client.breaker() == Breaker::open);
    const std::string text = caught_text([&] { client.command("GET", "k"); });
    CHECK(text.find("GET k") != std::string::npos);
    CHECK(text.find(client.name()) != std::string::npos);
}

TEST_CASE("bytes that are no reply break the connection, and nothing else", "[redis][faults]") {
    std::string deep;
    for (int i = 0; i < 400'000; ++i) {
        deep += "*1\r\n";
    }
    const std::array<std::string, 7> replies{"garbage\r\n",
                                             deep,
                                             "*2147483647\r\n",
                                             "*99999999999999999999\r\n",
                                             "$-7\r\n",
                                             std::string(100, '\0'),
                                             "*17000000\r\n:1\r\n"};
    for (const std::string& reply : replies) {
        CAPTURE(reply.substr(0, 20));
        const FakeServer server{always(reply)};
        const Client client{options_for(server)};
        CHECK(outcome_of<ConnectionError>([&] { client.command("GET", "k"); }) == Outcome::unknown);
    }
}

TEST_CASE("a reply has a bound", "[redis][faults]") {
    const std::string large = "$3000000\r\n" + std::string(3'000'000, 'x') + "\r\n";
    const FakeServer server{always(large)};
    ClientOptions options = options_for(server);
    options.max_reply_bytes = 4'000'000;
    options.command_timeout = 5s;
    const Client client{options};
    CHECK(client.command("GET", "k").text().size() == 3'000'000);
    CHECK(client.command("GET", "k").text().size() == 3'000'000);
    options.max_reply_bytes = 2'000'000;
    CHECK(caught_text([&] { Client{options}.command("GET", "k"); }).find("max_reply_bytes") !=
          std::string::npos);
}

TEST_CASE("a reply that nobody asked for is nobody's", "[redis][faults]") {
    SECTION("with the one that was asked for") {
        const FakeServer server{always("+one\r\n+two\r\n")};
        const Client client{options_for(server)};
        CHECK(client.command("INCR", "k").text() == "one");
        CHECK(client.command("INCR", "k").text() == "one");
        CHECK(client.stats().connects == 2);
    }
    SECTION("half of one") {
        const FakeServer server{always("+one\r\n$5\r\nha")};
        const Client client{options_for(server)};
        CHECK(client.command("INCR", "k").text() == "one");
        CHECK(client.command("INCR", "k").text() == "one");
        CHECK(client.stats().connects == 2);
    }
    SECTION("later") {
        std::latch late{1};
        std::atomic<bool> once{false};
        const FakeServer server{[&](const Peer& peer) {
            while (!peer.read().empty()) {
                peer.write("+one\r\n");
                if (!once.exchange(true)) {
                    pollfd polled{-1, 0, 0};
                    (void)::poll(&polled, 1, 5);  // not in one packet
                    peer.write("+late\r\n");
                    late.count_down();
                }
            }
        }};
        const Client client{options_for(server)};
        CHECK(client.command("INCR", "k").text() == "one");
        late.wait();
        CHECK(client.command("INCR", "k").text() == "one");
    }
}

TEST_CASE("a server that takes no connections is given up in time", "[redis][faults]") {
    ClientOptions options;
    options.connect_timeout = 150ms;
    std::vector<int> fds;
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("larder-full-" + std::to_string(::getpid()));
    std::filesystem::create_directory(folder);
    const auto fill = [&](const sockaddr* address, socklen_t size) {
        // Until one does not get through.
        for (int i = 0; i < 64; ++i) {
            const int fd =
                ::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
            fds.push_back(fd);
            if (::connect(fd, address, size) != 0) {
                pollfd polled{fd, POLLOUT, 0};
                if (errno == EAGAIN || ::poll(&polled, 1, 50) == 0) {
                    return;
                }
            }
        }
        FAIL("the backlog does not fill");
    };
    SECTION("TCP") {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        fds.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(fds[0], generic, size) == 0);
        REQUIRE(::listen(fds[0], 0) == 0);
        REQUIRE(::getsockname(fds[0], generic, &size) == 0);
        fill(generic, size);
        options.port = ntohs(address.sin_port);
    }
    SECTION("a unix socket") {
        options.path = folder / "full.sock";
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, options.path.data(), options.path.size());
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        fds.push_back(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
        REQUIRE(::bind(fds[0], generic, sizeof address) == 0);
        REQUIRE(::listen(fds[0], 0) == 0);
        fill(generic, sizeof address);
    }
    const Client client{options};
    const auto began = steady::now();
    CHECK(outcome_of<TimeoutError>([&] { client.command("INCR", "k"); }) == Outcome::not_sent);
    const auto took = steady::now() - began;
    CHECK(took >= 140ms);
    CHECK(took < 1500ms);
    CHECK(outcome_of<BreakerOpen>([&] { client.command("GET", "k"); }) == Outcome::not_sent);
    for (const int fd : fds) {
        ::close(fd);
    }
    std::filesystem::remove_all(folder);
}

TEST_CASE("two full buffers do not wait for each other", "[redis][faults]") {
    // This server reads no more while it cannot write.
    const std::string word(100'000, 'x');
    const std::string reply = "$100000\r\n" + word + "\r\n";
    const std::size_t command = std::string{"*2\r\n$4\r\nECHO\r\n"}.size() + reply.size();
    const FakeServer server{[&](const Peer& peer) {
        std::size_t got = 0;
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            for (got += bytes.size(); got >= command; got -= command) {
                if (!peer.write(reply)) {
                    return;
                }
            }
        }
    }};
    Pipeline pipeline;
    for (int i = 0; i < 200; ++i) {
        pipeline.command("ECHO", word);
    }
    const auto replies = Client{options_for(server)}.run(pipeline);
    CHECK(replies.back().text() == word);
}

TEST_CASE("a time-out closes the connections of others too", "[redis][faults]") {
    // Of two connections one does not answer any more: the other may be as dead.
    std::latch one{1};
    std::latch both{2};
    std::atomic<bool> silent{false};
    const FakeServer server{[&](const Peer& peer) {
        bool first = peer.number() < 2;
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (std::exchange(first, false)) {
                if (peer.number() == 0) {
                    one.count_down();
                }
                both.arrive_and_wait();
            }
            if (!silent || peer.number() >= 2) {
                peer.write(done_for(bytes));
            }
        }
    }};
    ClientOptions options = options_for(server);
    options.connections = 2;
    const Client client{options};
    {
        std::jthread other{[&] { client.command("GET", "a"); }};
        one.wait();  // the first connection is busy
        client.command("GET", "b");
    }
    CHECK(client.stats().connects == 2);
    silent = true;
    CHECK_THROWS_AS(client.command("GET", "a"), TimeoutError);
    recover(client);
    // Nobody meets the second silent one, whichever connection it is.
    std::latch start{2};
    const auto ask = [&] {
        start.arrive_and_wait();
        for (int i = 0; i < 50; ++i) {
            CHECK(client.command("GET", "a").text() == "done");
        }
    };
    std::jthread other{ask};
    ask();
}

TEST_CASE("callers do not wait behind a reply that takes its time", "[redis][faults]") {
    std::latch asked{1};
    std::latch release{1};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (peer.number() == 0 && !release.try_wait()) {
                asked.count_down();
                release.wait();
            }
            peer.write(done_for(bytes));
        }
    }};
    ClientOptions options = options_for(server);
    options.connections = 2;
    options.command_timeout = 30s;
    const Client client{options};
    std::jthread slow{[&] { CHECK(client.command("GET", "large").text() == "done"); }};
    asked.wait();
    const auto asked_at = steady::now();
    do {
        CHECK(client.command("GET", "small").text() == "done");
    } while (steady::now() < asked_at + 2ms);
    // Nor does a crowd.
    std::atomic<int> wrong{0};
    std::vector<std::jthread> all;
    for (int t = 0; t < 8; ++t) {
        all.emplace_back([&] {
            for (int i = 0; i < 100; ++i) {
                wrong += client.command("GET", "small").text() != "done" ? 1 : 0;
            }
        });
    }
    all.clear();
    CHECK(wrong == 0);
    release.count_down();
}

TEST_CASE("a server that was started again is asked again, without a loss", "[redis][faults]") {
    RedisServer server;
    for (const bool tcp : {false, true}) {
        CAPTURE(tcp);
        const Client client{options_for(server, tcp)};
        CHECK(client.command("INCR", "k").integer() == 1);
        server.restart();
        // Not repeatable, and yet: the dead connection is noticed before anything is sent.
        CHECK(client.command("INCR", "k").integer() == 1);
        server.run("CLIENT", "KILL", "TYPE", "normal");
        CHECK(client.command("INCR", "k").integer() == 2);
        CHECK(client.breaker() == Breaker::closed);
        server.run("DEL", "k");
    }
}

TEST_CASE("a dead server costs one failure, then nothing, and is found again", "[redis][faults]") {
    RedisServer server;
    ClientOptions options = options_for(server, true);
    options.breaker = 60s;  // no probe of its own accord
    options.max_breaker = 60s;
    const Client patient{options};
    const Client client{options_for(server, true)};
    CHECK(patient.command("PING").text() == "PONG");
    CHECK(client.command("PING").text() == "PONG");
    server.kill();
    CHECK(outcome_of<ConnectError>([&] { patient.command("INCR", "k"); }) == Outcome::not_sent);
    for (int i = 0; i < 100; ++i) {
        CHECK(outcome_of<BreakerOpen>([&] { patient.command("GET", "k"); }) == Outcome::not_sent);
    }
    CHECK(patient.stats().connects == 2);
    CHECK_THROWS_AS(client.command("GET", "k"), NoReply);
    server.start();
    recover(client);
    CHECK(client.breaker() == Breaker::closed);
    CHECK_THROWS_AS(patient.command("GET", "k"), BreakerOpen);
}

TEST_CASE("a frozen server costs one time-out a window", "[redis][faults]") {
    const RedisServer server;
    for (const bool tcp : {false, true}) {
        CAPTURE(tcp);
        ClientOptions options = options_for(server, tcp);
        options.breaker = 60s;
        options.max_breaker = 60s;
        const Client client{options};
        client.command("SET", "a", "1");
        server.freeze();
        const auto began = steady::now();
        CHECK(outcome_of<TimeoutError>([&] { client.command("INCR", "a"); }) == Outcome::unknown);
        CHECK(steady::now() - began < 1500ms);
        for (int i = 0; i < 100; ++i) {
            CHECK_THROWS_AS(client.command("GET", "a"), BreakerOpen);
        }
        CHECK(client.stats().round_trips == 2);
        server.thaw();
    }
}

TEST_CASE("a late reply reaches nobody", "[redis][faults]") {
    const RedisServer server;
    const Client client{options_for(server, true)};
    client.command("SET", "a", "of a");
    client.command("SET", "b", "of b");
    for (int i = 0; i < 3; ++i) {
        server.freeze();
        CHECK_THROWS_AS(client.command("GET", "a"), TimeoutError);
        server.thaw();
        recover(client);
        CHECK(client.command("GET", "b").text() == "of b");
    }
}

TEST_CASE("all who wait learn of a failure in time, each by an error of its own",
          "[redis][faults]") {
    RedisServer server;
    const Client client{options_for(server, true)};
    CHECK(client.command("PING").text() == "PONG");
    const bool frozen = GENERATE(true, false);
    frozen ? server.freeze() : server.kill();
    constexpr int threads = 8;
    std::atomic<int> failures{0};
    std::atomic<int> late{0};
    {
        std::latch start{threads};
        std::vector<std::jthread> all;
        for (int t = 0; t < threads; ++t) {
            all.emplace_back([&, t] {
                start.arrive_and_wait();
                for (int i = 0; i < 20; ++i) {
                    const auto began = steady::now();
                    try {
                        client.command(i % 2 == 0 ? "INCR" : "GET", "of" + std::to_string(t));
                    } catch (const NoReply& error) {
                        const std::string what = error.what();
                        failures +=
                            what.find("of" + std::to_string(t)) != std::string::npos ? 1 : 0;
                    }
                    late += steady::now() - began > 2s ? 1 : 0;
                }
            });
        }
    }
    CHECK(failures == threads * 20);
    CHECK(late == 0);
    frozen ? server.thaw() : server.start();
    recover(client);
}

TEST_CASE("callers survive a server that comes and goes", "[redis][faults]") {
    RedisServer server;
    const Client client{options_for(server, false)};
    std::atomic<bool> ending{false};
    std::atomic<int> wrong{0};
    std::atomic<int> right{0};
    std::vector<std::jthread> all;
    for (int t = 0; t < 6; ++t) {
        all.emplace_back([&, t] {
            for (int i = 0; !ending; ++i) {
                const std::string mine = std::to_string(t) + ':' + std::to_string(i);
                try {
                    wrong += client.command("ECHO", mine).text() != mine ? 1 : 0;
                    ++right;
                } catch (const larder::StoreError&) {}
            }
        });
    }
    for (int i = 0; i < 6; ++i) {
        for (const int enough = right + 50; right < enough;) {
            std::this_thread::yield();
        }
        switch (i % 3) {
            case 0: server.restart(); break;
            case 1: server.run("CLIENT", "KILL", "TYPE", "normal"); break;
            default:
                server.freeze();
                while (client.breaker() == Breaker::closed) {
                    std::this_thread::yield();
                }
                server.thaw();
        }
    }
    ending = true;
    all.clear();
    CHECK(wrong == 0);
    CHECK(right > 0);
    CHECK(client.in_hand() == larder::redis::detail::ClientInHand{});
}

TEST_CASE("a blocking command does not probe", "[redis][faults]") {
    RedisServer server;
    const Client client{options_for(server, false)};
    server.kill();
    CHECK_THROWS_AS(client.command("GET", "k"), NoReply);
    server.start();
    std::jthread blocked{[&] {
        for (;;) {
            try {
                client.command("BLPOP", "l", 0);
                return;
            } catch (const NoReply&) {
                std::this_thread::yield();
            }
        }
    }};
    while (server.run("CLIENT", "LIST").find("cmd=blpop") == std::string::npos) {
        std::this_thread::yield();
    }
    CHECK(client.command("PING").text() == "PONG");
    server.run("RPUSH", "l", "x");
}

TEST_CASE("a program that is executed does not inherit sockets", "[redis][faults]") {
    const RedisServer server;
    const Client client{server.tcp_url()};
    client.command("PING");
    int sockets = 0;
    for (const auto& entry : std::filesystem::directory_iterator{"/proc/self/fd"}) {
        std::error_code ignored;
        const std::string target = std::filesystem::read_symlink(entry.path(), ignored);
        if (target.starts_with("socket:")) {
            ++sockets;
            const int fd = std::stoi(entry.path().filename());
            CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
        }
    }
    CHECK(sockets >= 1);
}

TEST_CASE("every address of a name is tried", "[redis][faults]") {
    const RedisServer server;  // on 127.0.0.1 alone
    ClientOptions options;
    options.host = "localhost";
    options.port = server.port();
    CHECK(Client{options}.command("PING").text() == "PONG");
    options.host = "no.such.host.invalid";
    CHECK_THROWS_AS(Client{options}.command("PING"), ConnectError);
}

TEST_CASE("a server that gives no further connection serves over those that it gave",
          "[redis][faults]") {
    const RedisServer server{{"--maxclients", "4"}};
    for (const char* const name : {"", "shop"}) {
        ClientOptions options;
        options.port = server.port();
        options.name = name;
        options.command_timeout = 20s;
        const Client client{options};
        constexpr int count = 16;
        std::atomic<int> served{0};
        std::atomic<int> lost{0};
        {
            std::latch begin{count};
            std::vector<std::jthread> all;
            for (int t = 0; t < count; ++t) {
                all.emplace_back([&] {
                    begin.arrive_and_wait();
                    for (int i = 0; i < 500; ++i) {
                        try {
                            client.command("INCR", "n");
                            if (i % 50 == 0) {
                                Pipeline alone;
                                alone.bulk().command("INCR", "n");
                                lost += client.run_one(alone).is_error() ? 1 : 0;
                            }
                            ++served;
                        } catch (const larder::Error&) {
                            ++lost;
                        }
                    }
                });
            }
        }
        CHECK(lost == 0);
        CHECK(served == count * 500);
        CHECK(client.breaker() == Breaker::closed);
        CHECK(client.in_hand() == larder::redis::detail::ClientInHand{});
        CHECK(client.command("GETDEL", "n").text() == std::to_string(count * 510));
    }
}

TEST_CASE("that a server gives no connection at all is no reply", "[redis][faults]") {
    const RedisServer server{{"--maxclients", "1"}};
    ClientOptions options = options_for(server, false);
    options.breaker = 1ms;
    options.max_breaker = 1ms;
    const Client holds{options};
    const auto end = steady::now() + 10s;
    for (bool held = false; !held && steady::now() < end;) {  // until the last one to look has left
        try {
            held = holds.command("PING").text() == "PONG";
        } catch (const NoReply&) {
            std::this_thread::yield();
        }
    }
    // What blocks must not share the one that there is.
    CHECK_THROWS_AS(holds.command("BLPOP", "k", 1), ConnectError);
    CHECK(holds.breaker() == Breaker::closed);
    CHECK(holds.command("PING").text() == "PONG");
    for (const char* const password : {"", "secret"}) {
        options.password = password;
        const Client client{options};
        bool told = false;
        while (!told && steady::now() < end + 10s) {  // the breaker is in between
            try {
                client.command("GET", "k");
                FAIL("served");
            } catch (const NoReply& error) {
                told = std::string_view{error.what()}.find("max number of clients") !=
                       std::string_view::npos;
            }
        }
        CHECK(told);
    }
}
