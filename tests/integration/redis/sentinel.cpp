// SPDX-License-Identifier: MIT

// A primary that Redis Sentinel watches: found, followed through a failover, and seen to be one.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/child.hpp"
#include "support/fake_server.hpp"
#include "support/near_ear.hpp"
#include "support/redis_server.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>

using larder::Breaker;
using larder::redis::AuthError;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::ConnectError;
using larder::redis::Endpoint;
using larder::redis::detail::ClientInHand;
using larder_test::caught_text;
using larder_test::FakeServer;
using larder_test::NearEar;
using larder_test::Nobody;
using larder_test::RedisServer;
using larder_test::Table;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using Peer = FakeServer::Peer;

namespace {

std::string bulk(const std::string& text) {
    return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}
std::string address(std::uint16_t port) {
    return "*2\r\n" + bulk("127.0.0.1") + bulk(std::to_string(port));
}

// Answers ROLE as it is told, and everything else with its name; so many times, then it closes.
auto server_of_role(const std::atomic<bool>& primary, const std::string& name,
                    int times = 1'000'000) {
    return [&primary, name, times](const Peer& peer) {
        std::string bytes = peer.read();
        for (int left = times; left > 0 && !bytes.empty(); --left, bytes = peer.read()) {
            peer.write(bytes.find("ROLE") != std::string::npos
                           ? "*1\r\n" + bulk(primary ? "master" : "slave")
                           : "+" + name + "\r\n");
        }
    };
}

// What a sentinel says of a primary, all but its address.
std::string about(int epoch) {
    return "*4\r\n" + bulk("name") + bulk("mymaster") + bulk("config-epoch") +
           bulk(std::to_string(epoch));
}

// Answers PING, and what it is asked for with what it is told.
auto sentinel_of(
    const std::function<std::string()>& answer,
    const std::function<int()>& epoch = [] { return 0; }) {
    return [answer, epoch](const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            peer.write(bytes.find("PING") != std::string::npos ? "+PONG\r\n"
                                                               : about(epoch()) + answer());
        }
    };
}

ClientOptions options_for(const std::vector<std::uint16_t>& sentinels) {
    ClientOptions options;
    options.sentinel.primary = "mymaster";
    for (const std::uint16_t port : sentinels) {
        options.sentinel.sentinels.push_back({"127.0.0.1", port});
    }
    options.connect_timeout = 2s;
    options.command_timeout = 2s;
    options.breaker = options.max_breaker = 1ms;
    return options;
}

// A primary, a replica of it, and three sentinels. One of these only votes: two that want to lead a
// failover, and ask for its vote, never share the votes so that nobody leads it.
class Watched {
public:
    Watched() {
        for (int i = 0; i < 3; ++i) {
            const std::string monitor = "sentinel monitor mymaster 127.0.0.1 ";
            sentinels_.push_back(std::make_unique<RedisServer>(
                std::vector<std::string>{}, monitor + std::to_string(primary_->port()) +
                                                " 2\nsentinel down-after-milliseconds mymaster " +
                                                (i < 2 ? "500" : "100000") +
                                                "\nsentinel failover-timeout mymaster 3000\n"));
        }
        wait_until("the sentinels know each other and the replica", [&] {
            for (const auto& sentinel : sentinels_) {
                const std::string all = sentinel->run("SENTINEL", "MASTER", "mymaster");
                if (all.find("num-other-sentinels\n2") == std::string::npos ||
                    all.find("num-slaves\n1") == std::string::npos) {
                    return false;
                }
            }
            return replica_->run("INFO", "replication").find("master_link_status:up") !=
                   std::string::npos;
        });
    }

    [[nodiscard]] std::string url() const {
        std::string url = "redis+sentinel://";
        for (const auto& sentinel : sentinels_) {
            url += (url.back() == '/' ? "127.0.0.1:" : ",127.0.0.1:") +
                   std::to_string(sentinel->port());
        }
        return url + "/mymaster";
    }
    RedisServer& primary() noexcept { return *primary_; }
    RedisServer& replica() noexcept { return *replica_; }
    RedisServer& sentinel(std::size_t i) noexcept { return *sentinels_[i]; }

    void wait_for_promotion() {
        wait_until("the replica is promoted",
                   [&] { return replica_->run("ROLE").find("master") == 0; });
    }

    static void wait_until(const std::string& what, const std::function<bool()>& is) {
        INFO(what);
        const auto until = steady::now() + 30s;
        bool well = is();
        while (!well && steady::now() < until) {
            std::this_thread::sleep_for(5ms);
            well = is();
        }
        REQUIRE(well);
    }

private:
    static std::vector<std::string> replica_of(const RedisServer& primary) {
        return {"--replicaof", "127.0.0.1", std::to_string(primary.port())};
    }

    std::unique_ptr<RedisServer> primary_ =
        std::make_unique<RedisServer>(std::vector<std::string>{"--repl-diskless-sync-delay", "0"});
    std::unique_ptr<RedisServer> replica_ = std::make_unique<RedisServer>(replica_of(*primary_));
    std::vector<std::unique_ptr<RedisServer>> sentinels_{};
};

}  // namespace

TEST_CASE("the sentinels are asked in turn for the primary", "[sentinel]") {
    const std::atomic<bool> yes{true};
    FakeServer primary{server_of_role(yes, "primary")};
    FakeServer knows{sentinel_of([&] { return address(primary.port()); })};
    enum class First {
        refuses,
        silent,
        unknown,
        error,
        junk,
        long_reply,
        no_port,
        bad_port,
        closes
    };
    const auto first =
        GENERATE(First::refuses, First::silent, First::unknown, First::error, First::junk,
                 First::long_reply, First::no_port, First::bad_port, First::closes);
    CAPTURE(static_cast<int>(first));
    FakeServer other{[&](const Peer& peer) {
        if (first == First::closes || peer.read().empty()) {
            return;
        }
        peer.write("+PONG\r\n");
        (void)peer.read();
        switch (first) {
            case First::silent: (void)peer.read(); break;
            case First::unknown: peer.write("-ERR No such master\r\n*-1\r\n"); break;
            case First::error: peer.write("-NOPERM no\r\n-NOPERM no\r\n"); break;
            case First::junk: peer.write("what?\r\n"); break;
            case First::long_reply:
                peer.write(about(1) + "*3\r\n" + bulk("a") + bulk("1") + bulk("c"));
                break;
            case First::no_port: peer.write(about(1) + "*2\r\n" + bulk("a") + bulk("x")); break;
            case First::bad_port:
                peer.write(about(1) + "*2\r\n" + bulk("a") + bulk("65536"));
                break;
            default: break;
        }
        (void)peer.read();
    }};
    const Nobody nobody;
    const std::uint16_t bad = first == First::refuses ? nobody.port() : other.port();
    {
        const Client client{options_for({bad, knows.port()})};
        CHECK(client.command("GET", "a").text() == "primary");
        CHECK(client.stats().connects == 1);
        CHECK(client.in_hand() == ClientInHand{});
    }
    const Client lost{options_for({bad, bad})};
    const auto began = steady::now();
    const std::string text = caught_text([&] { (void)lost.command("GET", "a"); });
    CHECK(steady::now() - began < 10s);
    INFO(text);
    CHECK(text.find("the sentinel 127.0.0.1:" + std::to_string(bad)) != std::string::npos);
    CHECK(text.find("mymaster of sentinel") != std::string::npos);
    CHECK(text.find("it was not sent") != std::string::npos);
    CHECK(
        (first != First::unknown || text.find("no primary called mymaster") != std::string::npos));
    CHECK(lost.in_hand() == ClientInHand{});
}

TEST_CASE("who is no primary is not written to", "[sentinel]") {
    std::atomic<bool> primary{false};
    FakeServer server{server_of_role(primary, "server")};
    FakeServer sentinel{sentinel_of([&] { return address(server.port()); })};
    const Client client{options_for({sentinel.port()})};
    CHECK_THROWS_AS(client.command("SET", "a", "1"), ConnectError);
    CHECK(caught_text([&] {
              (void)Client{options_for({sentinel.port()})}.command("SET", "a", "1");
          }).find("it is no primary") != std::string::npos);
    primary = true;
    Watched::wait_until("it is asked again", [&] {
        return caught_text([&] { (void)client.command("SET", "a", "1"); }).empty();
    });
}

TEST_CASE("a primary that was replaced is left, though it knows nothing of it", "[sentinel]") {
    const std::atomic<bool> yes{true};
    FakeServer old{server_of_role(yes, "old")};
    FakeServer young{server_of_role(yes, "young")};
    std::atomic<bool> moved{false};
    std::atomic<int> asked{0};
    FakeServer sentinel{sentinel_of([&] {
        ++asked;
        return address(moved ? young.port() : old.port());
    })};
    const Client client{options_for({sentinel.port()})};
    CHECK(client.command("GET", "a").text() == "old");
    moved = true;
    const auto began = steady::now();
    Watched::wait_until("it goes to the new one",
                        [&] { return client.command("GET", "a").text() == "young"; });
    CHECK(steady::now() - began > 500ms);
    CHECK(asked < 5);  // once a second, not once a call
    CHECK(client.breaker() == Breaker::closed);

    SECTION("and one that no sentinel speaks of any more is kept") {
        FakeServer quiet{
            sentinel_of([&] { return moved ? std::string{"*-1\r\n"} : address(old.port()); })};
        moved = false;
        const Client other{options_for({quiet.port()})};
        CHECK(other.command("GET", "a").text() == "old");
        moved = true;
        const auto until = steady::now() + 1500ms;
        while (steady::now() < until) {
            CHECK(other.command("GET", "a").text() == "old");
            std::this_thread::sleep_for(5ms);
        }
    }
}

TEST_CASE("near copies are told by the primary of which the sentinels speak", "[sentinel]") {
    RedisServer old;
    RedisServer young;
    std::atomic<bool> moved{false};
    FakeServer sentinel{sentinel_of([&] { return address(moved ? young.port() : old.port()); })};
    const Client client{options_for({sentinel.port()})};
    NearEar ear;
    const larder::RedisStore<int, int> store{client, "number"};
    const auto feed = store.watch(ear, 200ms);
    REQUIRE(feed->reliable(steady::now()));
    moved = true;  // the old one knows nothing of it, and answers as before
    Watched::wait_until("near copies are of the new one",
                        [&] { return ear.heard("all topology"); });
    Watched::wait_until("near is served again", [&] { return feed->reliable(steady::now()); });
    young.run("SET", "number:1", "1");
    Watched::wait_until("it is told", [&] { return ear.heard("key 1"); });
    SECTION("and not by one that is no primary") {
        young.run("REPLICAOF", "127.0.0.1", std::to_string(old.port()));
        young.run("CLIENT", "KILL", "TYPE", "pubsub");
        Watched::wait_until("near is not served", [&] { return !feed->reliable(steady::now()); });
        young.run("REPLICAOF", "NO", "ONE");
        Watched::wait_until("near is served", [&] { return feed->reliable(steady::now()); });
        CHECK(ear.heard("all cut"));
    }
}

TEST_CASE("a sentinel that knows of no failover is not all that is asked", "[sentinel]") {
    const std::atomic<bool> yes{true};
    const std::atomic<bool> no{false};
    FakeServer young{server_of_role(yes, "young", 20)};
    enum class Old { gone, replica, primary };
    const auto what = GENERATE(Old::gone, Old::replica, Old::primary);
    const bool tell_epochs = what == Old::primary || GENERATE(true, false);
    CAPTURE(static_cast<int>(what), tell_epochs);
    FakeServer old{server_of_role(what == Old::primary ? yes : no, "old", 20)};
    const Nobody nobody;
    const std::uint16_t at = what == Old::gone ? nobody.port() : old.port();
    FakeServer cut_off{sentinel_of([&] { return address(at); })};
    FakeServer knows{
        sentinel_of([&] { return address(young.port()); }, [&] { return tell_epochs ? 1 : 0; })};
    const Client client{options_for({cut_off.port(), knows.port()})};
    std::string answer;
    Watched::wait_until("it goes to the new one", [&] {
        (void)caught_text([&] { answer = client.command("GET", "a").text(); });
        return answer == "young";
    });
    // Nor goes back to the old one, whoever is asked, and for each connection.
    const auto until = steady::now() + (what == Old::primary ? 2500ms : 0ms);
    while (steady::now() < until) {
        CHECK(client.command("GET", "a").text() == "young");
        std::this_thread::sleep_for(5ms);
    }
}

TEST_CASE("sentinels that do not answer have their time together", "[sentinel]") {
    FakeServer silent{[](const Peer& peer) {
        while (!peer.read().empty()) {}
    }};
    ClientOptions options = options_for(std::vector(5, silent.port()));
    options.connect_timeout = 1ms;  // less than what a wait is late by
    const auto began = steady::now();
    CHECK_FALSE(caught_text([&] { (void)Client{options}.command("GET", "a"); }).empty());
    CHECK(steady::now() - began < 5s);
}

TEST_CASE("a child leaves the sentinels to its parent", "[sentinel]") {
    if (!larder_test::can_fork) {
        return;
    }
    const std::atomic<bool> yes{true};
    FakeServer primary{server_of_role(yes, "primary")};
    FakeServer sentinel{sentinel_of([&] { return address(primary.port()); })};
    const Client client{options_for({sentinel.port()})};
    CHECK(client.command("GET", "a").text() == "primary");
    const auto open = [] {
        std::ptrdiff_t count = 0;
        for (int fd = 0; fd < 1024; ++fd) {
            count += ::fcntl(fd, F_GETFD) != -1 ? 1 : 0;
        }
        return count;
    };
    const std::ptrdiff_t before = open();
    CHECK(larder_test::in_child([&]() -> const char* {
              (void)client.command("GET", "a");
              return open() <= before ? nullptr : "connections of the parent are open in its child";
          }) == 0);
}

TEST_CASE("sentinels have a password of their own", "[sentinel]") {
    RedisServer primary{{"--requirepass", "hush"}};
    RedisServer sentinel{{"--requirepass", "hear"},
                         "sentinel monitor mymaster 127.0.0.1 " + std::to_string(primary.port()) +
                             " 1\nsentinel auth-pass mymaster hush\n"};
    ClientOptions options = options_for({sentinel.port()});
    options.password = "hush";
    CHECK_THROWS_AS(Client{options}.command("PING"), AuthError);
    options.sentinel.password = "hear";
    CHECK(Client{options}.command("PING").text() == "PONG");
    options.password = "wrong";
    CHECK_THROWS_AS(Client{options}.command("PING"), AuthError);
}

TEST_CASE("a failover under load reaches no reader", "[sentinel]") {
    Watched w;
    const Client client{w.url()};
    const larder::RedisStore<int, int> store{client, "number"};
    Table<> table;
    for (int key = 0; key < 50; ++key) {
        table.set(key, key);
    }
    const larder::WriteThrough cache{store, std::ref(table), {.ttl = 100s}};
    NearEar ear;
    const auto feed = store.watch(ear, 2s);
    CHECK(feed->reliable(steady::now()));
    std::atomic<int> reads{0};
    std::atomic<int> writes{0};
    std::atomic<int> failed{0};
    std::atomic<int> wrong{0};
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&, thread](const std::stop_token& done) {
            for (int i = 0; !done.stop_requested(); ++i) {
                const int key = (i * 7 + thread) % 50;
                const std::string text = caught_text([&] {
                    if (thread == 0) {
                        cache.put(key, key + 50 * i);
                        ++writes;
                    } else {
                        const auto value = cache.get(key);
                        wrong += value && *value % 50 == key ? 0 : 1;
                        ++reads;
                    }
                });
                failed += text.empty() ? 0 : 1;
            }
        });
    }
    Watched::wait_until("some work is done", [&] { return reads > 1000; });
    w.primary().kill();
    w.wait_for_promotion();
    const int then = reads;
    Watched::wait_until("hits come from the new primary", [&] {
        return reads > then + 1000 && w.replica().run("DBSIZE") != "0" &&
               client.breaker() == Breaker::closed;
    });
    threads.clear();
    CHECK(failed == 0);
    CHECK(wrong == 0);
    CHECK(writes > 0);
    // What could not be invalidated meanwhile is replayed; then all are hits again.
    for (int key = 0; key < 50; ++key) {
        Watched::wait_until("a hit", [&] {
            return cache.fetch(key).source == larder::Source::hit &&
                   cache.get(key) == table.row(key);
        });
    }
    Watched::wait_until("near copies are served again",
                        [&] { return feed->reliable(steady::now()); });
    CHECK(ear.heard("all cut"));
    static_cast<void>(ear.take());
    cache.put(1, 1);
    Watched::wait_until("they are told", [&] { return ear.heard("key 1"); });
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a primary that was frozen through a failover is not written to", "[sentinel]") {
    Watched w;
    const Client client{w.url()};
    CHECK(client.command("SET", "a", "1").text() == "OK");
    CHECK(w.primary().run("GET", "a") == "1");
    w.primary().freeze();
    w.wait_for_promotion();
    w.primary().thaw();  // it takes itself for the primary until a sentinel tells it
    Watched::wait_until("writes go to the new one", [&] {
        return caught_text([&] { (void)client.command("SET", "a", "2"); }).empty() &&
               w.replica().run("GET", "a") == "2";
    });
    CHECK(client.command("SET", "b", "3").text() == "OK");
    CHECK(w.replica().run("GET", "b") == "3");
    w.sentinel(0).kill();
    w.sentinel(1).kill();
    CHECK(Client{w.url()}.command("GET", "b").text() == "3");  // one of three is enough to ask
}
