// SPDX-License-Identifier: MIT

// Whatever fails on its way, a call leaves nothing behind: no probe, no permit, no lead of a multiplexer.

#include "support/catch.hpp"
#include "support/fake_server.hpp"
#include "support/redis_server.hpp"

#include <larder/redis.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <functional>
#include <latch>
#include <new>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using larder::Breaker;
using larder::redis::AuthError;
using larder::redis::BreakerOpen;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::NoReply;
using larder::redis::Pipeline;
using larder::redis::Script;
using larder::redis::TimeoutError;
using larder::redis::detail::ClientInHand;
using larder_test::FakeServer;
using larder_test::RedisServer;
using namespace std::chrono_literals;
using Peer = FakeServer::Peer;
using steady = std::chrono::steady_clock;

namespace {

// Which of this thread's allocations fails: the first is 1; from 0 on none. All after it too, if so.
thread_local long fails_at = 0;
thread_local bool fails_on = false;
thread_local bool failed = false;

bool fails_now() noexcept {
    if (fails_at <= 0 || (--fails_at > 0)) {
        return false;
    }
    fails_at = fails_on ? 1 : 0;
    failed = true;
    return true;
}

}  // namespace

// Out of line: g++ warns of pairs that it has inlined.
[[gnu::noinline]] void* operator new(std::size_t size) {
    if (!fails_now()) {
        if (void* const bytes = std::malloc(size > 0 ? size : 1)) {
            return bytes;
        }
    }
    throw std::bad_alloc{};
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return fails_now() ? nullptr : std::malloc(size > 0 ? size : 1);
}
[[gnu::noinline]] void operator delete(void* bytes) noexcept {
    std::free(bytes);
}
[[gnu::noinline]] void operator delete(void* bytes, std::size_t) noexcept {
    std::free(bytes);
}

namespace {

template <class Server>
ClientOptions options_for(const Server& server) {
    ClientOptions options;
    options.port = server.port();
    options.connections = 1;
    options.command_timeout = 200ms;
    options.breaker = options.max_breaker = 1ms;
    return options;
}

// Asks until there is a reply: not for ever.
void recover(const Client& client) {
    const auto end = steady::now() + 20s;
    for (;;) {
        try {
            client.command("PING");
            return;
        } catch (const NoReply&) {
            REQUIRE(steady::now() < end);
            std::this_thread::sleep_for(1ms);
        }
    }
}

// Opens the breaker, and waits until the next call probes.
void open_breaker(const Client& client) {
    CHECK_THROWS_AS(client.command("GET", "fails"), NoReply);
    REQUIRE(client.breaker() == Breaker::open);
    std::this_thread::sleep_for(5ms);
}

// Runs it with the first allocation failing, then the second, until none fails any more.
void fail_each_allocation(
    const Client& client, bool persistent, const std::function<void()>& run,
    const std::function<void()>& before = [] {}) {
    for (long n = 1;; ++n) {
        before();
        failed = false;
        fails_on = persistent;
        fails_at = n;
        try {
            run();
        } catch (const std::exception&) {
            // Whatever it says.
        }
        fails_at = 0;
        CHECK(client.in_hand() == ClientInHand{});
        recover(client);
        CHECK(client.breaker() == Breaker::closed);
        if (!failed) {
            REQUIRE(n > 1);
            return;
        }
        REQUIRE(n < 1000);
    }
}

}  // namespace

TEST_CASE("a probe that waits in vain for a bulk connection is given back", "[redis][faults]") {
    std::atomic<bool> silent{false};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (!silent && bytes.find("BLPOP") == std::string::npos) {
                peer.write("+done\r\n");
            }
        }
    }};
    ClientOptions options = options_for(server);
    options.bulk_connections = 1;
    const Client client{options};
    std::jthread holds{[&] {
        Pipeline pipeline;
        pipeline.command("BLPOP", "k", 3).bulk();
        CHECK_THROWS_AS(client.run_one(pipeline), TimeoutError);
    }};
    while (client.in_hand().bulk == 0) {
        std::this_thread::yield();
    }
    silent = true;
    open_breaker(client);
    silent = false;
    CHECK_THROWS_AS(client.command("SET", "b", std::string(100'000, 'y')), TimeoutError);
    CHECK(client.in_hand() == ClientInHand{.probes = 0, .calls = 1, .bulk = 1, .leads = 0});
    recover(client);
    CHECK(client.breaker() == Breaker::closed);
}

TEST_CASE("a probe of every kind that fails leaves the next its turn", "[redis][faults]") {
    std::atomic<int> kind{0};  // of failure: silence, a cut, no reply, a wrong password
    std::atomic<bool> well{false};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            const bool introduced = bytes.find("SELECT") == std::string::npos;
            if (well) {
                peer.write(introduced ? "*0\r\n" : "+OK\r\n");
            } else if (kind == 3 && !introduced) {
                peer.write("-WRONGPASS invalid\r\n");
            } else if (!introduced) {
                peer.write("+OK\r\n");
            } else if (kind == 1) {
                return;
            } else if (kind == 2) {
                peer.write("garbage\r\n");
            }
        }
    }};
    ClientOptions options = options_for(server);
    options.database = 1;
    options.command_timeout = 50ms;
    const Client client{options};
    const std::vector<std::function<void()>> probes{
        [&] { client.command("GET", "k"); },
        [&] { client.command("SET", "k", "v"); },
        [&] { client.command("BLPOP", "k", 1); },
        [&] { client.command("SET", "k", std::string(100'000, 'x')); },
        [&] {
            Pipeline pipeline;
            pipeline.command("MULTI").command("SET", "k", "v").command("EXEC");
            (void)client.run(pipeline);
        },
        [&] {
            Pipeline pipeline;
            pipeline.script(Script{"return 1"}, {}, {});
            (void)client.run_one(pipeline);
        }};
    for (kind = 0; kind < 4; ++kind) {
        for (std::size_t i = 0; i < probes.size(); ++i) {
            CAPTURE(kind.load(), i);
            well = false;
            CHECK_THROWS_AS(client.command("GET", "fails"), larder::StoreError);
            REQUIRE(client.breaker() == Breaker::open);
            std::this_thread::sleep_for(3ms);
            CHECK_THROWS_AS(probes[i](), larder::StoreError);
            CHECK(client.in_hand() == ClientInHand{});
            well = true;
            const auto end = steady::now() + 20s;
            while (client.breaker() != Breaker::closed) {
                REQUIRE(steady::now() < end);
                try {
                    client.command("GET", "k");
                } catch (const larder::StoreError&) {
                    std::this_thread::sleep_for(1ms);
                }
            }
        }
    }
}

TEST_CASE("no allocation that fails leaves anything behind", "[redis][faults]") {
    const RedisServer server;
    ClientOptions options = options_for(server);
    options.command_timeout = 5s;
    options.name = "larder";
    const Client client{options};
    const bool persistent = GENERATE(false, true);
    const Script script{"return redis.call('INCR', KEYS[1])"};
    const std::array<std::string_view, 1> key{"n"};
    const std::string large(100'000, 'x');
    const auto each = [&](
                          const std::function<void()>& run,
                          const std::function<void()>& before = [] {}) {
        fail_each_allocation(client, persistent, run, before);
    };
    server.run("SET", "large", large);
    SECTION("a command") {
        each([&] { client.command("GET", "k"); });
    }
    SECTION("a large reply") {
        each([&] { client.command("GET", "large"); });
    }
    SECTION("an error") {
        each([&] { client.command("LPUSH", "large", "x"); });
    }
    SECTION("a transaction") {
        each([&] {
            Pipeline pipeline;
            pipeline.command("MULTI").command("SET", "k", "v").command("EXEC");
            (void)client.run(pipeline);
        });
    }
    SECTION("a bulk pipeline") {
        each([&] { client.command("SET", "k", large); });
    }
    SECTION("a blocking command") {
        each([&] { client.command("BLPOP", "none", "0.001"); });
    }
    SECTION("a script that is not known") {
        each(
            [&] {
                Pipeline pipeline;
                pipeline.command("PING").script(script, key, {}).script(script, key, {});
                (void)client.run(pipeline);
            },
            [&] { server.run("SCRIPT", "FLUSH"); });
    }
    SECTION("a connection that must be opened") {
        each([&] { client.command("GET", "k"); },
             [&] { server.run("CLIENT", "KILL", "TYPE", "normal"); });
    }
}

TEST_CASE("an allocation that fails while a connection breaks, or a probe runs",
          "[redis][faults]") {
    std::atomic<bool> well{true};
    const FakeServer server{[&](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            if (!well) {
                return;
            }
            peer.write("+done\r\n");
        }
    }};
    const Client client{options_for(server)};
    const bool persistent = GENERATE(false, true);
    SECTION("breaks") {
        fail_each_allocation(
            client, persistent,
            [&] {
                well = false;
                try {
                    client.command("GET", "k");
                } catch (...) {
                    well = true;
                    throw;
                }
            },
            [&] { recover(client); });
    }
    SECTION("probes") {
        fail_each_allocation(
            client, persistent, [&] { client.command("GET", "k"); },
            [&] {
                well = false;
                open_breaker(client);
                well = true;
            });
    }
}

TEST_CASE("what was sent before memory ran out is not reported as not sent", "[redis][faults]") {
    // A reply that outgrows the buffer in which it is read: by then the command is there.
    const std::string reply = "$100000\r\n" + std::string(100'000, 'x') + "\r\n";
    std::atomic<int> carried_out{0};
    const FakeServer server{[&](const Peer& peer) {
        while (!peer.read().empty()) {
            ++carried_out;
            peer.write(reply);
        }
    }};
    int unknown = 0;
    failed = true;
    for (long n = 1; std::exchange(failed, false); ++n) {
        const Client client{options_for(server)};
        const int before = carried_out;
        fails_on = false;
        fails_at = n;
        try {
            client.command("GETSET", "k", "v");
        } catch (const NoReply& error) {
            const bool seen = carried_out > before;
            CHECK((!seen || error.outcome() == larder::redis::Outcome::unknown));
            unknown += seen ? 1 : 0;
        } catch (const std::bad_alloc&) {
            // It says nothing.
        }
        fails_at = 0;
        CHECK(client.in_hand() == ClientInHand{});
    }
    CHECK(unknown > 0);
}

TEST_CASE("a crowd whose connections are cut leaves nothing behind", "[redis][faults]") {
    // Fewer connections than callers, and as many as there are by default.
    const auto [connections, callers] =
        GENERATE(std::pair<std::size_t, int>{2, 6}, std::pair<std::size_t, int>{16, 20});
    RedisServer server;
    ClientOptions options = options_for(server);
    options.connections = connections;
    options.bulk_connections = 1;
    const Client client{options};
    server.run("SET", "large", std::string(300'000, 'x'));
    std::atomic<bool> ending{false};
    std::atomic<int> wrong{0};
    std::atomic<int> right{0};
    std::vector<std::jthread> all;
    const std::string bulk(70'000, 'x');
    for (int t = 0; t < callers; ++t) {
        all.emplace_back([&, t] {
            for (int i = 0; !ending; ++i) {
                const std::string mine = std::to_string(t) + ':' + std::to_string(i);
                try {
                    switch ((t + i) % 4) {
                        case 0:
                            wrong += client.command("GET", "large").text().size() < 300'000;
                            break;
                        case 1: client.command("SET", "bulk", bulk); break;
                        case 2: client.command("BLPOP", "none", "0.001"); break;
                        default: wrong += client.command("ECHO", mine).text() != mine ? 1 : 0;
                    }
                    ++right;
                } catch (const larder::StoreError&) {}
            }
        });
    }
    const auto end = steady::now() + 60s;
    for (int i = 0; i < 100; ++i) {
        for (const int enough = right + 5; right < enough && steady::now() < end;) {
            std::this_thread::yield();
        }
        server.run("CLIENT", "KILL", "TYPE", "normal");
    }
    ending = true;
    all.clear();
    CHECK(steady::now() < end);
    CHECK(wrong == 0);
    CHECK(client.in_hand() == ClientInHand{});
    recover(client);
}
