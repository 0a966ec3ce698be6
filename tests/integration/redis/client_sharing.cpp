// SPDX-License-Identifier: MIT

// Who shares a connection with whom: few callers have one each, a crowd shares the first, and none
// wait for each other while batches take long. Has threads: std::jthread.

#include "support/catch.hpp"
#include "support/fake_server.hpp"

#include <larder/redis.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sched.h>

using larder::redis::ClientOptions;
using larder::redis::Reply;
using larder::redis::detail::Call;
using larder::redis::detail::ClientInHand;
using larder::redis::detail::Multiplexer;
using larder::redis::detail::ProcessConnections;
using larder::redis::detail::ScopedCount;
using larder::redis::detail::Server;
using larder::redis::detail::time_point;
using larder_test::FakeServer;
using namespace std::chrono_literals;
using Peer = FakeServer::Peer;
using steady = std::chrono::steady_clock;

namespace {

std::atomic<int> yields{0};
std::atomic<bool> first_waits{false};

}  // namespace

// In place of the C library's: counts, and lets the first wait for the second if a test wants it.
extern "C" int sched_yield() noexcept {
    if (const int number = ++yields; number == 1 && first_waits) {
        const auto end = steady::now() + 10s;
        while (yields < 2 && steady::now() < end) {
            std::this_thread::sleep_for(100us);
        }
    }
    return 0;
}

namespace {

constexpr std::string_view ping = "*1\r\n$4\r\nPING\r\n";
constexpr std::string_view get = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";

template <class Met>
void until(Met&& met) {
    const auto end = steady::now() + 20s;
    bool is = met();
    for (; !is && steady::now() < end; is = met()) {
        std::this_thread::sleep_for(100us);
    }
    REQUIRE(is);
}

// Answers nothing until it is told to, and counts what comes over each connection.
class HoldingServer {
public:
    [[nodiscard]] ClientOptions options() const {
        ClientOptions options;
        options.port = server_.port();
        options.connections = 16;
        options.command_timeout = 60s;
        return options;
    }

    void hold() { holds_ = true; }
    void let_go() { holds_ = false; }

    // No further connections.
    void give(std::size_t count) { gives_ = count; }

    [[nodiscard]] std::size_t open() const { return open_; }

    [[nodiscard]] std::size_t seen() const {
        std::size_t all = 0;
        for (const auto& one : seen_) {
            all += one;
        }
        return all;
    }

    // Over each connection that was used, in the order in which they were opened; forgets it.
    [[nodiscard]] std::vector<std::size_t> take_seen() {
        std::vector<std::size_t> all;
        for (auto& one : seen_) {
            if (const std::size_t count = one.exchange(0)) {
                all.push_back(count);
            }
        }
        return all;
    }

private:
    void serve(const Peer& peer) {
        if (peer.number() >= gives_) {
            peer.write("-ERR max number of clients reached\r\n");
            return;
        }
        const ScopedCount counted{open_};
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (bytes == ping) {  // whether it is served
                peer.write("+PONG\r\n");
                continue;
            }
            const auto count =
                static_cast<std::size_t>(std::count(bytes.begin(), bytes.end(), '*'));
            seen_.at(peer.number()) += count;
            const auto end = steady::now() + 30s;
            while (holds_ && steady::now() < end) {
                std::this_thread::sleep_for(1ms);
            }
            for (std::size_t i = 0; i < count; ++i) {
                peer.write("+x\r\n");
            }
        }
    }

    std::atomic<bool> holds_{false};
    std::atomic<std::size_t> open_{0};
    std::atomic<std::size_t> gives_{64};
    std::array<std::atomic<std::size_t>, 64> seen_{};
    FakeServer server_{[this](const Peer& peer) { serve(peer); }};
};

struct OneCall {
    explicit OneCall(time_point start) {
        call.bytes = get;
        call.commands = 1;
        call.replies = &reply;
        call.repeatable = true;
        call.time.start = start;
    }
    OneCall(const OneCall&) = delete;
    OneCall& operator=(const OneCall&) = delete;

    Reply reply{};
    Call call{};
};

// So many callers at the same time, one after the other: how many of them each connection had.
//
// @param apart  so many are expected to be sent before any is answered
std::vector<std::size_t> meet(HoldingServer& server, ProcessConnections& process, std::size_t count,
                              std::size_t apart, time_point start) {
    server.hold();
    std::atomic<std::size_t> answered{0};
    {
        std::vector<std::jthread> all;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t seen = server.seen();
            all.emplace_back([&] {
                OneCall one{start};
                process.run(one.call);
                answered += one.reply.text() == "x" ? 1 : 0;
            });
            until([&] { return i < apart ? server.seen() > seen : process.in_hand().calls > i; });
        }
        server.let_go();
    }
    CHECK(answered == count);
    CHECK(process.in_hand() == ClientInHand{});
    return server.take_seen();
}

using Seen = std::vector<std::size_t>;

// The first with more than one.
Seen ones(std::size_t count, std::size_t first) {
    Seen all(count, 1);
    all.front() = first;
    return all;
}

}  // namespace

TEST_CASE("few callers have a connection each, and a crowd shares the first", "[redis]") {
    HoldingServer server;
    const ClientOptions options = server.options();
    ProcessConnections process{options, "server", nullptr, 64};
    const time_point start = steady::now();
    CHECK(meet(server, process, 1, 1, start) == Seen{1});
    CHECK(meet(server, process, 8, 8, start) == ones(8, 1));
    CHECK(meet(server, process, 20, 8, start) == ones(8, 13));
    CHECK(meet(server, process, 8, 8, start) == ones(8, 1));
}

TEST_CASE("on few processors fewer callers are a crowd, while yields are quick", "[redis]") {
    HoldingServer server;
    const ClientOptions options = server.options();
    ProcessConnections process{options, "server", nullptr, 1};
    const time_point start = steady::now();
    // The real yields of this test say nothing of the time that is played here.
    const time_point later = start + 1h;
    CHECK(meet(server, process, 12, 3, later) == ones(3, 10));
    process.server.give_way.took(later, later + 1s, 1);
    CHECK(meet(server, process, 12, 8, later) == ones(8, 5));
    CHECK(meet(server, process, 12, 3, later + 1h) == ones(3, 10));
}

TEST_CASE("nobody waits for a batch while batches take long and there are connections", "[redis]") {
    HoldingServer server;
    const ClientOptions options = server.options();
    ProcessConnections process{options, "server", nullptr, 64};
    const time_point start = steady::now() + 1h;
    for (int i = 0; i < 16; ++i) {
        process.server.pace.took(start - 2ms, start, 1);
    }
    CHECK(meet(server, process, 16, 16, start) == ones(16, 1));
    const Seen crowded = meet(server, process, 20, 16, start);
    CHECK(crowded.size() == 16);
    // It is found out again.
    CHECK(meet(server, process, 20, 8, start + 1h) == ones(8, 13));
}

TEST_CASE("a batch that is under way for long is not joined", "[redis]") {
    HoldingServer server;
    const ClientOptions options = server.options();
    ProcessConnections process{options, "server", nullptr, 1};
    const time_point start = steady::now() + 1h;
    server.hold();
    std::vector<std::jthread> all;
    // Each comes two milliseconds after the one before.
    for (int i = 0; i < 12; ++i) {
        const std::size_t seen = server.seen();
        all.emplace_back([&, i] {
            OneCall one{start + i * 2ms};
            process.run(one.call);
        });
        until([&] { return server.seen() > seen; });
    }
    server.let_go();
    all.clear();
    CHECK(server.take_seen() == ones(12, 1));
}

TEST_CASE("a crowd finds out that batches take long", "[redis]") {
    const FakeServer server{[](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            peer.pause(2ms);
            for (auto left = std::count(bytes.begin(), bytes.end(), '*'); left > 0; --left) {
                peer.write("+x\r\n");
            }
        }
    }};
    ClientOptions options;
    options.port = server.port();
    options.connections = 1;
    options.command_timeout = 60s;
    ProcessConnections process{options, "server", nullptr, 1};
    std::vector<std::jthread> all;
    for (int t = 0; t < 4; ++t) {
        all.emplace_back([&](const std::stop_token& stop) {
            while (!stop.stop_requested()) {
                OneCall one{steady::now()};
                process.run(one.call);
            }
        });
    }
    until([&] { return !process.server.pace.quick(steady::now()); });
}

TEST_CASE("connections that nobody uses are closed by whoever passes by", "[redis]") {
    HoldingServer server;
    const ClientOptions options = server.options();
    ProcessConnections process{options, "server", nullptr, 64};
    const time_point start = steady::now();
    CHECK(meet(server, process, 8, 8, start) == ones(8, 1));
    CHECK(meet(server, process, 1, 1, start + 9s) == Seen{1});
    CHECK(server.open() == 8);
    // That call's own was used a moment ago.
    CHECK(meet(server, process, 1, 1, start + 15s) == Seen{1});
    until([&] { return server.open() == 1; });
    CHECK(process.server.counters.sum(Server::connects) == 8);
    CHECK(meet(server, process, 8, 8, start + 16s) == ones(8, 1));
}

TEST_CASE("no further connection is tried for a while after a server gave none", "[redis]") {
    HoldingServer server;
    server.give(2);
    const ClientOptions options = server.options();
    ProcessConnections process{options, "server", nullptr, 64};
    const auto connects = [&] { return process.server.counters.sum(Server::connects); };
    // The third may come when one of the others is idle again, and which of them serves it is a
    // matter of time.
    const auto try_third = [&](time_point now) {
        const std::size_t before = connects();
        until([&] {
            CHECK(meet(server, process, 3, 2, now).size() == 2);
            return connects() > before;
        });
    };
    const time_point start = steady::now();
    CHECK(meet(server, process, 2, 2, start) == ones(2, 1));
    try_third(start);
    CHECK(connects() == 3);
    CHECK(meet(server, process, 4, 2, start).size() == 2);
    CHECK(connects() == 3);
    try_third(start + 9s);
    CHECK(connects() == 4);
    CHECK(process.server.breaker.era() == 0);
}

TEST_CASE("the leader of a crowd sends with its own what comes while it gives way", "[redis]") {
    const FakeServer fake{[](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            for (auto left = std::count(bytes.begin(), bytes.end(), '*'); left > 0; --left) {
                peer.write("+x\r\n");
            }
        }
    }};
    ClientOptions options;
    options.port = fake.port();
    Server server{options, "server"};
    Multiplexer multiplexer;
    // The first gives way until the second does so too, which is queued by then.
    yields = 0;
    first_waits = true;
    OneCall one{steady::now()};
    OneCall other{steady::now()};
    std::jthread first{[&] { multiplexer.run(server, one.call, 2); }};
    until([] { return yields > 0; });
    multiplexer.run(server, other.call, 2);
    first.join();
    first_waits = false;
    CHECK(one.reply.text() == "x");
    CHECK(other.reply.text() == "x");
    CHECK(server.counters.sum(Server::commands) == 2);
    CHECK(server.counters.sum(Server::round_trips) == 1);
}
