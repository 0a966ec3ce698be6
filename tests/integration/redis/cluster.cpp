// SPDX-License-Identifier: MIT

// redis::Client on real clusters: routing, slots that move, nodes that die and freeze.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/redis_cluster.hpp"

#include <larder/redis.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using larder::redis::Client;
using larder::redis::Endpoint;
using larder::redis::Pipeline;
using larder::redis::Reply;
using larder::redis::ReplyError;
using larder::redis::Script;
using larder::redis::detail::ClientInHand;
using larder::redis::detail::hash_slot;
using larder_test::caught_text;
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

// For the tests that change no more than the keys. They run one after the other.
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

TEST_CASE("commands go to the node that has their key", "[redis][cluster]") {
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

TEST_CASE("a pipeline over all nodes is one round trip to each, in order", "[redis][cluster]") {
    const Client client{common().url()};
    Pipeline set;
    Pipeline get;
    for (int i = 0; i < 300; ++i) {
        set.command("SET", "pipe" + std::to_string(i), i);
        get.command("GET", "pipe" + std::to_string(i));
    }
    get.command("PING").command("LPUSH", "pipe1", "x").command("EXISTS", "{pipe2}1", "{pipe2}2");
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

TEST_CASE("scripts and transactions go by their first key", "[redis][cluster]") {
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

TEST_CASE("keys of several slots are refused before anything is sent", "[redis][cluster]") {
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
    CHECK(caught_text([&] { client.command("ZDIFFSTORE", "a", 2, "b", "c"); }).find("CROSSSLOT") !=
          std::string::npos);
}

TEST_CASE("a primary is asked by its address", "[redis][cluster]") {
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

TEST_CASE("errors of a cluster name the node", "[redis][cluster]") {
    RedisCluster& cluster = common();
    const Client client{"redis+cluster://127.0.0.1:" + std::to_string(cluster.node(1).port())};
    CHECK(client.name() == "cluster 127.0.0.1:" + std::to_string(cluster.node(1).port()));
    CHECK(has(caught_text([&] { client.command("INCR", key_at(cluster, 0), "x"); }),
              "redis cluster 127.0.0.1:"));
    const Client nobody{"redis+cluster://127.0.0.1:1,127.0.0.1:2"};
    CHECK(has(caught_text([&] { nobody.command("GET", "k"); }), "cluster 127.0.0.1:1,127.0.0.1:2"));
    CHECK_THROWS_AS(nobody.primaries(), larder::redis::ConnectError);
    const larder_test::RedisServer single;
    const Client no_cluster{"redis+cluster://127.0.0.1:" + std::to_string(single.port())};
    CHECK(has(caught_text([&] { no_cluster.command("GET", "k"); }), "cluster support disabled"));
}
