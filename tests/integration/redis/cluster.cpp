// SPDX-License-Identifier: MIT

// redis::Client on real clusters: routing, slots that move, nodes that die and freeze.
// Rule R11.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/eventually.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_faults.hpp"

#include <larder/redis.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using larder::redis::Client;
using larder::redis::Endpoint;
using larder::redis::Pipeline;
using larder::redis::Reply;
using larder::redis::ReplyError;
using larder::redis::Script;
using larder::redis::detail::ClientInHand;
using larder::redis::detail::hash_slot;
using larder_test::caught_text;
using larder_test::eventually;
using larder_test::RedisCluster;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;

namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::vector<Endpoint> sorted(std::vector<Endpoint> all) {
    std::ranges::sort(all, {}, &Endpoint::port);
    return all;
}

RedisCluster& common() {
    static RedisCluster cluster{3};
    return cluster;
}

// A key of a node.
std::string key_at(const RedisCluster& cluster, std::size_t node, std::string_view name = "key") {
    for (int i = 0;; ++i) {
        std::string key = std::string{name} + std::to_string(i);
        if (cluster.owner_of(key) == node) {
            return key;
        }
    }
}

}  // namespace

// One cluster for all that only changes its keys.
TEST_CASE("a client of a cluster", "[redis][cluster]") {
    SECTION("commands go to the node that has their key") {
        RedisCluster& cluster = common();
        const Client client{cluster.url() + "?name=shop"};
        CHECK(client.clustered());
        CHECK(client.topology() == 0);
        for (int i = 0; i < 100; ++i) {
            client.command("SET", "at" + std::to_string(i), i);
        }
        for (int i = 0; i < 100; ++i) {
            CHECK(client.command("GET", "at" + std::to_string(i)).integer() == i);
        }
        CHECK(client.topology() == 1);
        std::vector<Endpoint> nodes;
        for (std::size_t i = 0; i < 3; ++i) {
            nodes.push_back({"127.0.0.1", cluster.node(i).port()});
            CHECK(has(cluster.node(i).run("CLIENT", "LIST"), "name=shop"));
        }
        CHECK(sorted(client.primaries()) == sorted(nodes));
        // No command was sent twice: 200, the map, and nothing else.
        CHECK(client.stats().commands == 201);
        CHECK(client.in_hand() == ClientInHand{});
        CHECK(client.breaker() == larder::Breaker::closed);
    }

    SECTION("a pipeline over all nodes is one round trip to each, in order") {
        const Client client{common().url()};
        Pipeline set;
        Pipeline get;
        for (int i = 0; i < 300; ++i) {
            set.command("SET", "pipe" + std::to_string(i), i);
            get.command("GET", "pipe" + std::to_string(i));
        }
        get.command("PING")
            .command("LPUSH", "pipe1", "x")
            .command("EXISTS", "{pipe2}1", "{pipe2}2");
        static_cast<void>(client.run(set));
        const auto before = client.stats();
        const auto replies = client.run(get);
        CHECK(client.stats().round_trips == before.round_trips + 3);
        CHECK(client.stats().commands == before.commands + 303);
        for (int i = 0; i < 300; ++i) {
            REQUIRE(replies[static_cast<std::size_t>(i)].integer() == i);
        }
        CHECK(replies[300].text() == "PONG");
        CHECK(replies[301].text().starts_with("WRONGTYPE"));
        CHECK(replies[302].integer() == 0);
    }

    SECTION("scripts and transactions go by their first key") {
        const Client client{common().url()};
        const Script script{"return {redis.call('INCR', KEYS[1]), ARGV[1]}"};
        Pipeline pipeline;
        for (int i = 0; i < 20; ++i) {
            const std::string key = "{script" + std::to_string(i % 10) + "}";
            const std::string_view name = key;
            const std::string_view text = "text";
            pipeline.script(script, {&name, 1}, {&text, 1});
            pipeline.command("MULTI")
                .command("INCR", key + 'x')
                .command("INCR", key + 'y')
                .command("EXEC");
        }
        for (int run = 1; run <= 2; ++run) {
            const auto replies = client.run(pipeline);
            for (std::size_t i = 0; i < 20; ++i) {
                const std::int64_t count = 2 * run - (i < 10 ? 1 : 0);
                CHECK(replies[5 * i][0].integer() == count);
                CHECK(replies[5 * i][1].text() == "text");
                REQUIRE(replies[5 * i + 4].size() == 2);
                CHECK(replies[5 * i + 4][1].integer() == count);
            }
        }
        // A transaction that was given up says why.
        Pipeline spoilt;
        spoilt.command("MULTI").command("NONESUCH", "a").command("SET", "a", 1).command("EXEC");
        const auto replies = client.run(spoilt);
        CHECK(replies[1].text().starts_with("ERR unknown command"));
        CHECK(replies[3].text().starts_with("EXECABORT"));
    }

    SECTION("keys of several slots are refused before anything is sent") {
        const Client client{common().url()};
        client.command("PING");
        const auto before = client.stats().commands;
        const auto what = caught_text([&] { client.command("MGET", "a", "b"); });
        CHECK(has(what, "CROSSSLOT: MGET a names keys of several hash slots"));
        Pipeline pipeline;
        pipeline.command("SET", "a", 1).command("MSET", "a", 1, "b", 1);
        CHECK_THROWS_AS(client.run(pipeline), std::invalid_argument);
        CHECK(client.stats().commands == before);
        // What the client does not know of the server does.
        CHECK(caught_text([&] {
                  client.command("ZDIFFSTORE", "a", 2, "b", "c");
              }).find("CROSSSLOT") != std::string::npos);
    }

    SECTION("a primary is asked by its address") {
        RedisCluster& cluster = common();
        const Client client{cluster.url()};
        std::int64_t keys = 0;
        std::int64_t all = 0;
        for (const Endpoint& primary : client.primaries()) {
            Pipeline pipeline;
            pipeline.command("DBSIZE").command("GET", "wherever");
            std::vector<Reply> replies(2);
            client.run_at(primary, pipeline, replies);
            keys += replies[0].integer();
            CHECK((replies[1].is_nil() || replies[1].text().starts_with("MOVED ")));
        }
        for (std::size_t i = 0; i < 3; ++i) {
            all += std::stol(cluster.node(i).run("DBSIZE"));
        }
        CHECK(keys == all);
        CHECK(client.in_hand() == ClientInHand{});
    }

    SECTION("errors of a cluster name the node") {
        RedisCluster& cluster = common();
        const Client client{"redis+cluster://127.0.0.1:" + std::to_string(cluster.node(1).port())};
        CHECK(client.name() == "cluster 127.0.0.1:" + std::to_string(cluster.node(1).port()));
        CHECK(has(caught_text([&] { client.command("INCR", key_at(cluster, 0), "x"); }),
                  "redis cluster 127.0.0.1:"));
        const Client nobody{"redis+cluster://127.0.0.1:1,127.0.0.1:2"};
        CHECK(has(caught_text([&] { nobody.command("GET", "k"); }),
                  "cluster 127.0.0.1:1,127.0.0.1:2"));
        CHECK_THROWS_AS(nobody.primaries(), larder::redis::ConnectError);
        const Client plain{"redis://127.0.0.1:" + std::to_string(cluster.node(1).port())};
        CHECK(has(caught_text([&] { plain.command("GET", key_at(cluster, 0)); }),
                  "(the server is of a cluster: redis+cluster://)"));
        const larder_test::RedisServer single;
        const Client no_cluster{"redis+cluster://127.0.0.1:" + std::to_string(single.port())};
        CHECK(
            has(caught_text([&] { no_cluster.command("GET", "k"); }), "cluster support disabled"));
    }

    SECTION("what blocks, and what is large, goes over several nodes too") {
        const Client client{common().url()};
        Pipeline pipeline;
        const std::string large(300'000, 'x');
        for (int i = 0; i < 6; ++i) {
            pipeline.command("SET", "large" + std::to_string(i), large);
            pipeline.command("GET", "large" + std::to_string(i));
        }
        pipeline.command("BLPOP", "nothing", "0.05");
        const auto replies = client.run(pipeline);
        for (std::size_t i = 0; i < 6; ++i) {
            CHECK(replies[2 * i + 1].text() == large);
        }
        CHECK(replies[12].is_nil());
        CHECK(client.in_hand() == ClientInHand{});
    }

    SECTION("a crowd shares connections though its pipelines go over all nodes") {
        const Client client{common().url()};
        std::atomic<int> wrong{0};
        {
            std::vector<std::jthread> all;
            for (int t = 0; t < 32; ++t) {
                all.emplace_back([&, t] {
                    Pipeline pipeline;
                    for (int i = 0; i < 12; ++i) {
                        const std::string key =
                            "crowd" + std::to_string(t) + '/' + std::to_string(i);
                        pipeline.command("SET", key, i).command("GET", key);
                    }
                    for (int i = 0; i < 20; ++i) {
                        const auto replies = client.run(pipeline);
                        for (std::size_t j = 0; j < 12; ++j) {
                            wrong += replies[2 * j + 1].text() == std::to_string(j) ? 0 : 1;
                        }
                    }
                });
            }
        }
        CHECK(wrong == 0);
        CHECK(client.stats().connects < 3 * 32);  // of 1,920 pieces
        CHECK(client.in_hand() == ClientInHand{});
    }

    SECTION("nodes are found by whatever they call themselves") {
        RedisCluster& cluster = common();
        const auto configure = [&](const std::string& option, const std::string& value) {
            for (std::size_t i = 0; i < 3; ++i) {
                REQUIRE(cluster.node(i).run("CONFIG", "SET", option, value) == "OK");
            }
        };
        const std::string seed = std::to_string(cluster.node(1).port());
        const auto serves = [&](const std::string& by, const std::string& host) {
            const Client client{"redis+cluster://" + by + ':' + seed};
            for (int i = 0; i < 20; ++i) {
                client.command("SET", "named" + std::to_string(i), i);
            }
            for (const Endpoint& primary : client.primaries()) {
                CHECK(primary.host == host);
            }
        };
        configure("cluster-preferred-endpoint-type", "unknown-endpoint");
        serves("localhost", "localhost");  // as the one that was asked
        configure("cluster-announce-hostname", "localhost");
        configure("cluster-preferred-endpoint-type", "hostname");
        const auto knows_all = [&](std::size_t node) {
            const std::string nodes = cluster.node(node).run("CLUSTER", "NODES");
            int known = 0;
            for (auto at = nodes.find(",localhost"); at != std::string::npos;
                 at = nodes.find(",localhost", at + 1)) {
                ++known;
            }
            return known == 3;
        };
        REQUIRE(eventually([&] { return knows_all(0) && knows_all(1) && knows_all(2); }));
        serves("127.0.0.1", "localhost");
        configure("cluster-preferred-endpoint-type", "ip");
    }

    SECTION("a child has connections to the nodes of its own") {
        const Client client{common().url()};
        client.command("SET", "forked", 1);
        const auto before = client.stats().connects;
        const pid_t child = ::fork();
        if (child == 0) {
            const bool good = client.command("INCR", "forked").integer() == 2 &&
                              client.stats().connects > 0 && client.stats().commands == 2;
            ::_exit(good ? 0 : 1);
        }
        int status = 1;
        ::waitpid(child, &status, 0);
        CHECK(status == 0);
        CHECK(client.command("GET", "forked").integer() == 2);
        CHECK(client.stats().connects == before);
    }
}

TEST_CASE("slots that move under load cost no call, and no command its count", "[redis][cluster]") {
    RedisCluster cluster{3};
    const Client client{cluster.url()};
    const Script script{"return redis.call('INCR', KEYS[1])"};
    const std::string tag = "{" + key_at(cluster, 0) + "}";
    const auto key = [&](int i) { return tag + std::to_string(i); };
    constexpr int keys = 20;
    std::atomic<bool> ending{false};
    std::array<std::array<std::int64_t, keys>, 4> counted{};
    std::atomic<int> errors{0};
    std::string first_error;
    {
        std::vector<std::jthread> all;
        for (std::size_t t = 0; t < counted.size(); ++t) {
            all.emplace_back([&, t] {
                for (int i = 0; !ending; i = (i + 1) % keys) {
                    const std::string name = key(i);
                    const std::string_view view = name;
                    Pipeline pipeline;
                    pipeline.command("INCR", name)
                        .command("GET", name)
                        .script(script, {&view, 1}, {});
                    pipeline.command("GET", "elsewhere" + std::to_string(i));
                    if (t == 0) {  // waits until both are on the same side
                        pipeline.command("MGET", name, key((i + 7) % keys));
                    }
                    try {
                        const auto replies = client.run(pipeline);
                        const std::int64_t seen = replies[1].integer();
                        if (replies[0].integer() > seen || replies[2].integer() <= seen ||
                            replies[3].is_error() || replies.back().is_error()) {
                            throw ReplyError{"out of order", std::string{replies[3].text()}};
                        }
                        counted[t][static_cast<std::size_t>(i)] += 2;
                    } catch (const std::exception& error) {
                        if (errors++ == 0) {
                            first_error = error.what();
                        }
                    }
                }
            });
        }
        const std::size_t slot = hash_slot(key(0));
        for (std::size_t move = 1; move <= 12; ++move) {
            const std::size_t to = move % 3;
            cluster.begin_move(slot, to);
            for (int i = 0; i < 5; ++i) {  // half of it here, half of it there
                cluster.move_keys(slot, to, 3);
                std::this_thread::sleep_for(2ms);
            }
            cluster.end_move(slot, to);
        }
        ending = true;
    }
    CHECK(first_error.empty());
    CHECK(errors == 0);
    std::int64_t all = 0;
    for (int i = 0; i < keys; ++i) {
        std::int64_t sum = 0;
        for (const auto& of_thread : counted) {
            sum += of_thread[static_cast<std::size_t>(i)];
        }
        CHECK(client.command("GET", key(i)).text() == std::to_string(sum));
        all += sum;
    }
    CHECK(all > 400);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a primary that dies is followed by its replica, and the others go on",
          "[redis][cluster]") {
    RedisCluster cluster{3, 1};
    const Client client{cluster.url() + "?command_timeout=500ms&connect_timeout=500ms"};
    const std::string lost = key_at(cluster, 0);
    const std::string kept = key_at(cluster, 1);
    Pipeline record;
    record.command("SET", lost, "v").command("WAIT", 1, 1000);
    CHECK(client.run(record)[1].integer() == 1);
    const std::uint64_t before = client.topology();

    std::atomic<bool> ending{false};
    std::atomic<bool> recovered{false};
    std::atomic<int> failed_elsewhere{0};
    std::atomic<int> failed{0};
    std::atomic<steady::duration::rep> longest{0};
    std::jthread other{[&] {
        while (!ending) {
            failed_elsewhere += caught_text([&] { client.command("GET", kept); }).empty() ? 0 : 1;
        }
    }};
    std::jthread reader{[&] {
        while (!ending && !recovered) {
            const auto start = steady::now();
            const bool good =
                caught_text([&] { client.command("INCR", "{" + lost + "}n"); }).empty();
            longest = (std::max)(longest.load(), (steady::now() - start).count());
            failed += good ? 0 : 1;
            recovered = good && failed > 0;
            std::this_thread::sleep_for(1ms);
        }
    }};
    cluster.node(0).kill();
    CHECK(eventually([&] { return cluster.is_primary(3); }));
    const auto promoted = steady::now();
    CHECK(eventually([&] { return recovered.load(); }));
    const auto took = steady::now() - promoted;
    ending = true;
    reader.join();
    other.join();
    CHECK(took < 1s);
    CHECK(client.command("GET", lost).text() == "v");
    CHECK(failed_elsewhere == 0);
    CHECK(failed > 10);  // at once, but for one now and then
    CHECK(steady::duration{longest.load()} < 1s);
    CHECK(eventually([&] {
        static_cast<void>(caught_text([&] { client.command("GET", lost); }));
        return client.topology() > before;
    }));

    // It comes back as a replica, which sends on whoever still asks it.
    cluster.node(0).start();
    cluster.wait_until_ok();
    CHECK(client.command("GET", lost).text() == "v");
    // Another is replaced by agreement: no call fails.
    std::atomic<int> errors{0};
    std::atomic<int> writes{0};
    ending = false;
    std::jthread writer{[&] {
        while (!ending) {
            errors += caught_text([&] { client.command("SET", kept, "w"); }).empty() ? 0 : 1;
            ++writes;
        }
    }};
    cluster.fail_over(4);
    CHECK(eventually([&, until = writes + 100] { return writes >= until; }));
    ending = true;
    writer.join();
    CHECK(errors == 0);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a node that freezes fails its own calls, quickly, until it thaws", "[redis][cluster]") {
    RedisCluster cluster{3};
    const Client client{cluster.url() + "?command_timeout=200ms"};
    const std::string frozen = key_at(cluster, 2);
    const std::string lively = key_at(cluster, 1);
    client.command("SET", frozen, 1);
    ::kill(cluster.node(2).pid(), SIGSTOP);
    CHECK_THROWS_AS(client.command("INCR", frozen), larder::redis::TimeoutError);
    const auto start = steady::now();
    for (int i = 0; i < 100; ++i) {
        static_cast<void>(caught_text([&] { client.command("GET", frozen); }));
        CHECK(caught_text([&] { client.command("INCR", lively); }).empty());
    }
    CHECK(steady::now() - start < 1500ms);
    ::kill(cluster.node(2).pid(), SIGCONT);
    CHECK(eventually([&] { return caught_text([&] { client.command("GET", frozen); }).empty(); }));
    CHECK(client.command("GET", frozen).integer() == 2);  // carried out late, once
}

TEST_CASE("a request or a reply that any node loses is told, and nothing is done twice",
          "[redis][cluster][faults]") {
    RedisCluster cluster{3};
    larder_test::RedisFaults faults{cluster};
    larder::redis::ClientOptions options;
    for (std::size_t i = 0; i < 3; ++i) {
        options.cluster.seeds.push_back({"127.0.0.1", faults.port(i)});
    }
    options.command_timeout = 150ms;
    options.connect_timeout = 1s;
    options.breaker = options.max_breaker = 1ms;
    const std::array keys{key_at(cluster, 0), key_at(cluster, 1), key_at(cluster, 2)};
    int round = 0;
    for (const larder_test::ExchangeFault fault : larder_test::every_exchange_fault) {
        std::size_t n = 1;
        for (bool hit = true; hit; ++n) {
            CAPTURE(to_string(fault), n);
            const std::string name = "{" + std::to_string(++round) + "}";
            // New each time, so that the map, and each node, is asked for the first time.
            const Client client{options};
            faults.arm(fault, n);
            Pipeline pipeline;
            for (const std::string& key : keys) {
                pipeline.command("INCR", "{" + key + "}" + name)
                    .command("GET", "{" + key + "}" + name);
            }
            bool done = false;
            std::string what;
            try {
                const auto replies = client.run(pipeline);
                done = true;
                for (std::size_t i = 0; i < 3; ++i) {
                    CHECK(replies[2 * i].integer() == 1);
                    CHECK(replies[2 * i + 1].integer() == 1);
                }
            } catch (const larder::redis::NoReply& error) {
                what = error.what();
                CHECK(has(what, "cluster 127.0.0.1"));
                if (error.outcome() == larder::redis::Outcome::not_sent) {
                    for (std::size_t i = 0; i < 3; ++i) {
                        CHECK(cluster.node(i).run("GET", "{" + keys[i] + "}" + name) == "(nil)");
                    }
                }
            }
            hit = faults.disarm() > 0;
            CHECK((done || hit));
            for (std::size_t i = 0; i < 3; ++i) {
                const std::string value = cluster.node(i).run("GET", "{" + keys[i] + "}" + name);
                CHECK((value == "(nil)" || value == "1"));
                CHECK((!done || value == "1"));
            }
            CHECK(client.in_hand() == ClientInHand{});
        }
        CHECK(n > 5);  // the map, and three nodes
    }
}
