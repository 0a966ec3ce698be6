// SPDX-License-Identifier: MIT

// redis::Client against nodes that send it in circles, to nowhere, wait, lie, and are many at once.
// Rule R11.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/eventually.hpp"
#include "support/fake_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/redis/detail/store/slot_format.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using larder::Breaker;
using larder::redis::BreakerOpen;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder::redis::ConnectError;
using larder::redis::Endpoint;
using larder::redis::NoReply;
using larder::redis::Outcome;
using larder::redis::Pipeline;
using larder::redis::Reply;
using larder::redis::ReplyError;
using larder::redis::Script;
using larder::redis::detail::ClientInHand;
using larder::redis::detail::CommandReader;
using larder::redis::detail::hash_slot;
using larder_test::caught_text;
using larder_test::eventually;
using larder_test::FakeServer;
using larder_test::Nobody;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using Peer = FakeServer::Peer;

namespace {

std::string port_text(std::uint16_t port) {
    return std::to_string(port);
}

// One node, which answers each command, "GET k", as it is told. What is said of the slots is the same
// everywhere. No answer: the connection is closed.
class FakeNode {
public:
    using Answer = std::function<std::optional<std::string>(const std::string& command)>;

    explicit FakeNode(Answer answer)
        : answer_{std::move(answer)}, server_{[this](const Peer& peer) { serve(peer); }} {}

    [[nodiscard]] std::uint16_t port() const noexcept { return server_.port(); }
    [[nodiscard]] std::string moved(std::string_view key) const {
        return "-MOVED " + std::to_string(hash_slot(key)) + " 127.0.0.1:" + port_text(port()) +
               "\r\n";
    }
    [[nodiscard]] std::string ask(std::string_view key) const {
        return "-ASK " + moved(key).substr(7);
    }

    // All that it was asked, but for the slots.
    [[nodiscard]] std::vector<std::string> asked() const {
        const std::scoped_lock lock{mutex_};
        return asked_;
    }

    std::atomic<int> slots_asked{0};
    std::function<std::string()> slots{};

private:
    void serve(const Peer& peer) {
        for (std::string bytes = peer.read(); !bytes.empty(); bytes = peer.read()) {
            for (std::size_t at = 0; at < bytes.size();) {
                CommandReader words{bytes, at};
                std::string command;
                while (words.left() > 0) {
                    command += (command.empty() ? "" : " ") + std::string{words.next()};
                }
                at = words.at();
                const auto reply = command == "CLUSTER SLOTS" ? tell_slots() : tell(command);
                if (!reply || !peer.write(*reply)) {
                    return;
                }
            }
        }
    }
    std::optional<std::string> tell_slots() {
        ++slots_asked;
        return slots();
    }
    std::optional<std::string> tell(const std::string& command) {
        {
            const std::scoped_lock lock{mutex_};
            asked_.push_back(command);
        }
        return answer_(command);
    }

    Answer answer_;
    mutable std::mutex mutex_{};
    std::vector<std::string> asked_{};
    FakeServer server_;
};

// "All slots up to here are at that port", in order.
std::string slots_at(const std::vector<std::pair<int, std::uint16_t>>& ranges,
                     const std::string& host = "127.0.0.1") {
    std::string reply = '*' + std::to_string(ranges.size()) + "\r\n";
    int first = 0;
    for (const auto& [last, port] : ranges) {
        reply += "*3\r\n:" + std::to_string(first) + "\r\n:" + std::to_string(last) +
                 "\r\n*2\r\n$" + std::to_string(host.size()) + "\r\n" + host +
                 "\r\n:" + port_text(port) + "\r\n";
        first = last + 1;
    }
    return reply;
}

ClientOptions options_for(const FakeNode& seed) {
    ClientOptions options;
    options.cluster.seeds = {{"127.0.0.1", seed.port()}};
    options.command_timeout = 300ms;
    options.connect_timeout = 300ms;
    options.breaker = 100ms;
    options.max_breaker = 100ms;
    return options;
}

// Two nodes; the first has all slots, until it is said otherwise.
struct Pair {
    Pair(FakeNode::Answer first, FakeNode::Answer second)
        : a{std::move(first)}, b{std::move(second)} {
        a.slots = b.slots = [this] { return slots_at({{16383, a.port()}}); };
    }
    [[nodiscard]] int slots_asked() const { return a.slots_asked + b.slots_asked; }

    FakeNode a;
    FakeNode b;
};

// Keys below and above the middle of the slots.
const std::string low = "b";   // 3300
const std::string high = "a";  // 15495

}  // namespace

TEST_CASE("nodes that send a command in circles are left in time", "[redis][cluster]") {
    FakeNode* one = nullptr;
    FakeNode* other = nullptr;
    Pair pair{[&](const std::string&) { return other->moved(high); },
              [&](const std::string&) { return one->moved(high); }};
    one = &pair.a;
    other = &pair.b;
    const Client client{options_for(pair.a)};
    const auto start = steady::now();
    CHECK(caught_text([&] { client.command("GET", high); }).find("MOVED 15495") !=
          std::string::npos);
    const auto took = steady::now() - start;
    CHECK(took < 1s);
    // At once at first, then more and more slowly.
    const std::size_t times = pair.a.asked().size() + pair.b.asked().size();
    CHECK(times > 5);
    CHECK(times < 40);
    CHECK(pair.slots_asked() == 1);  // a second has not passed
    CHECK(client.breaker() == Breaker::closed);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a node that cannot be reached fails its own calls only, and at once",
          "[redis][cluster]") {
    const Nobody nobody;
    const std::uint16_t gone = nobody.port();
    FakeNode node{[&](const std::string& command) -> std::optional<std::string> {
        return command == "GET " + low ? "$1\r\nx\r\n"
                                       : "-MOVED 15495 127.0.0.1:" + port_text(gone) + "\r\n";
    }};
    node.slots = [&] { return slots_at({{8191, node.port()}, {16383, gone}}); };
    const Client client{options_for(node)};
    for (int i = 0; i < 50; ++i) {
        const auto what = caught_text([&] { client.command("INCR", high); });
        CHECK(what.find("127.0.0.1:" + port_text(gone) + " of cluster") != std::string::npos);
        CHECK(client.command("GET", low).text() == "x");
    }
    CHECK_THROWS_AS(client.command("INCR", high), NoReply);
    CHECK(client.breaker() == Breaker::closed);
    // Now and then the other is asked who has replaced it: not for every call.
    const auto asked = node.asked();
    const auto detours = std::count(asked.begin(), asked.end(), "INCR " + high);
    CHECK(detours >= 1);
    CHECK(detours < 20);
    // Both at once: the exception says that the other part may have been carried out.
    Pipeline both;
    both.command("GET", low).command("INCR", high);
    try {
        static_cast<void>(client.run(both));
        FAIL("it was carried out by nobody");
    } catch (const NoReply& error) {
        CHECK(error.outcome() == Outcome::unknown);
    }
    try {
        client.command("INCR", high);
        FAIL("it was carried out by nobody");
    } catch (const NoReply& error) {
        CHECK(error.outcome() == Outcome::not_sent);
    }
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("whoever took over is found by the node that knows", "[redis][cluster]") {
    // The map, which is asked for once a second at the most, names a node that is gone.
    const Nobody nobody;
    const std::uint16_t gone = nobody.port();
    FakeNode heir{[&](const std::string&) { return "+heir\r\n"; }};
    FakeNode witness{[&](const std::string&) { return heir.moved(high); }};
    witness.slots = heir.slots = [&] { return slots_at({{8191, witness.port()}, {16383, gone}}); };
    const Client client{options_for(witness)};
    Pipeline pipeline;
    pipeline.command("INCR", high).command("GET", '{' + high + "}2");
    for (int i = 0; i < 10; ++i) {
        CHECK(client.run(pipeline)[1].text() == "heir");
        CHECK(client.command("INCR", high).text() == "heir");
    }
    CHECK(heir.asked().size() == 30);
}

TEST_CASE("a node that fails has the map asked for again", "[redis][cluster]") {
    const Nobody nobody;
    const std::uint16_t gone = nobody.port();
    std::atomic<bool> taken_over{false};
    FakeNode heir{[](const std::string&) { return "+heir\r\n"; }};
    heir.slots = [&] {
        return taken_over ? slots_at({{16383, heir.port()}})
                          : slots_at({{8191, heir.port()}, {16383, gone}});
    };
    const Client client{options_for(heir)};
    CHECK(client.command("GET", low).text() == "heir");
    taken_over = true;
    int calls = 0;
    for (const auto start = steady::now(); client.topology() == 1; ++calls) {
        REQUIRE(steady::now() - start < 10s);
        CHECK(client.command("INCR", high).text() == "heir");
        std::this_thread::sleep_for(10ms);
    }
    CHECK(calls > 0);  // served before the map was asked for
    CHECK(heir.slots_asked == 2);
}

TEST_CASE("ASKING goes ahead of each command that is asked for once", "[redis][cluster]") {
    FakeNode* next = nullptr;
    Pair pair{[&](const std::string& command) {
                  return command.find("stays") != std::string::npos ? "+here\r\n"
                                                                    : next->ask("{t}");
              },
              [](const std::string& command) {
                  return command == "ASKING"              ? "+OK\r\n"
                         : command.starts_with("EVALSHA") ? "-NOSCRIPT No matching script.\r\n"
                         : command.starts_with("EVAL return 1") ? ":1\r\n"
                                                                : "+there\r\n";
              }};
    next = &pair.b;
    const Client client{options_for(pair.a)};
    const Script script{"return 1"};
    const std::string_view key = "{t}s";
    Pipeline pipeline;
    pipeline.command("INCR", "{t}1").command("INCR", "{t}stays").command("INCR", "{t}2");
    pipeline.script(script, {&key, 1}, {});
    pipeline.command("MULTI").command("INCR", "{t}3").command("EXEC");
    const auto replies = client.run(pipeline);
    CHECK(replies[0].text() == "there");
    CHECK(replies[1].text() == "here");
    CHECK(replies[2].text() == "there");
    CHECK(replies[3].integer() == 1);
    CHECK(replies[6].text() == "there");
    CHECK(pair.b.asked() ==
          std::vector<std::string>{"ASKING", "INCR {t}1", "ASKING", "INCR {t}2", "ASKING",
                                   "EVALSHA " + script.sha() + " 1 {t}s", "ASKING", "MULTI",
                                   "INCR {t}3", "EXEC", "ASKING", "EVAL return 1 1 {t}s"});
    CHECK(pair.a.asked().size() == 7);
    CHECK(client.topology() == 1);
}

TEST_CASE("what is not ready yet is waited for, and nobody counts as down", "[redis][cluster]") {
    std::atomic<int> left{5};
    FakeNode node{[&](const std::string& command) -> std::optional<std::string> {
        const int now = command == "INCR k" ? left.fetch_sub(1) : 0;
        return now <= 0       ? ":1\r\n"
               : now % 2 == 0 ? "-TRYAGAIN Multiple keys request during rehashing of slot\r\n"
                              : "-CLUSTERDOWN Hash slot not served\r\n";
    }};
    node.slots = [&] { return slots_at({{16383, node.port()}}); };
    const Client client{options_for(node)};
    CHECK(client.command("INCR", "k").integer() == 1);
    CHECK(client.breaker() == Breaker::closed);
    const auto asked = node.asked();
    CHECK(std::count(asked.begin(), asked.end(), "INCR k") == 6);
}

TEST_CASE("a cluster that stays down fails a call at its deadline, and the next at once",
          "[redis][cluster]") {
    FakeNode node{[&](const std::string&) { return "-CLUSTERDOWN The cluster is down\r\n"; }};
    node.slots = [&] { return slots_at({{16383, node.port()}}); };
    const Client client{options_for(node)};
    const auto start = steady::now();
    try {
        client.command("INCR", "k");
        FAIL("it is down");
    } catch (const ReplyError& error) {
        CHECK(error.prefix() == "CLUSTERDOWN");
    }
    const auto took = steady::now() - start;
    CHECK(took > 200ms);
    CHECK(took < 900ms);
    CHECK(client.breaker() == Breaker::open);
    CHECK_THROWS_AS(client.command("INCR", "k"), BreakerOpen);
}

TEST_CASE("a command whose time passes before it is sent again was refused, not lost",
          "[redis][cluster]") {
    // Another's bulk pipeline takes the one connection for those as soon as it is free, and blocks.
    const std::string refusal = GENERATE("TRYAGAIN", "MOVED");
    const bool alone = refusal == "TRYAGAIN";
    CAPTURE(refusal);
    std::latch refused{1};
    std::latch over{1};
    std::atomic<int> carried_out{0};
    FakeNode* one = nullptr;
    FakeNode* other = nullptr;
    const auto answer = [&](FakeNode*& next) {
        return [&](const std::string& command) -> std::optional<std::string> {
            if (command.starts_with("BLPOP")) {
                over.wait();
                return "*-1\r\n";
            }
            if (command == "PING") {
                return "+PONG\r\n";  // over a further connection
            }
            if (command != "INCR " + high) {
                return ':' + std::to_string(++carried_out) + "\r\n";
            }
            if (!refused.try_wait()) {
                refused.count_down();
            }
            return alone ? "-TRYAGAIN not now\r\n" : next->moved(high);
        };
    };
    Pair pair{answer(other), answer(one)};
    one = &pair.a;
    other = &pair.b;
    pair.a.slots = pair.b.slots = [&] {
        return slots_at({{8191, pair.a.port()}, {16383, pair.b.port()}});
    };
    ClientOptions options = options_for(pair.a);
    options.bulk_connections = 1;
    options.command_timeout = 2s;
    const Client client{options};
    static_cast<void>(client.primaries());
    std::jthread keeps{[&] {
        refused.wait();
        Pipeline bulk;
        bulk.bulk().command("BLPOP", high, 60);
        if (!alone) {
            bulk.command("BLPOP", low, 60);
        }
        static_cast<void>(caught_text([&] { static_cast<void>(client.run(bulk)); }));
    }};
    Pipeline pipeline;
    pipeline.bulk().command("INCR", high);
    if (!alone) {
        pipeline.command("INCR", low);
    }
    const auto text = caught_text([&] {
        const auto replies = client.run(pipeline);
        CHECK(replies[0].text().starts_with(refusal));
        CHECK((alone || replies[1].integer() == 1));
    });
    over.count_down();
    keeps.join();
    CHECK(text.empty());
    CHECK(carried_out == (alone ? 0 : 1));
    CHECK(client.breaker() == Breaker::closed);
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("a command that was sent again, and not answered, may have been carried out",
          "[redis][cluster]") {
    std::atomic<bool> refused{false};
    std::latch over{1};
    FakeNode node{[&](const std::string& command) -> std::optional<std::string> {
        if (command == "PING") {
            return "+PONG\r\n";  // over a further connection
        }
        if (!refused.exchange(true)) {
            return "-TRYAGAIN not now\r\n";
        }
        over.wait();
        return ":1\r\n";
    }};
    node.slots = [&] { return slots_at({{16383, node.port()}}); };
    ClientOptions options = options_for(node);
    options.command_timeout = 1s;
    const Client client{options};
    const auto text = caught_text([&] { client.command("INCR", "k"); });
    over.count_down();
    CHECK(text.find("it may have been carried out") != std::string::npos);
}

TEST_CASE("garbage for a redirection is an error reply", "[redis][cluster]") {
    FakeNode node{[](const std::string& command) {
        return '-' + command.substr(command.find('{') + 1, command.find('}') - 6) + "\r\n";
    }};
    node.slots = [&] { return slots_at({{16383, node.port()}}); };
    const Client client{options_for(node)};
    for (const char* const text : {"MOVED", "MOVED 1", "MOVED 1 2", "MOVED 99999 h:1",
                                   "MOVED 1 h:99999", "ASK x y:z", "MOVED 1 :"}) {
        CAPTURE(text);
        CHECK(caught_text([&] {
                  client.command("INCR", '{' + std::string{text} + '}');
              }).find(text) != std::string::npos);
    }
}

TEST_CASE("garbage for a map fails the call, and the next that is good serves",
          "[redis][cluster]") {
    std::atomic<bool> good{false};
    FakeNode node{[](const std::string&) { return "+OK\r\n"; }};
    node.slots = [&]() -> std::string {
        return good ? slots_at({{16383, node.port()}}, "") : "*2\r\n:1\r\n*3\r\n:0\r\n:5\r\n*0\r\n";
    };
    const Client client{options_for(node)};
    CHECK(caught_text([&] { client.command("INCR", "k"); }).find("it knows of no slots") !=
          std::string::npos);
    CHECK_THROWS_AS(client.primaries(), ConnectError);
    good = true;
    CHECK(client.command("INCR", "k").text() == "OK");
    // The host that was asked.
    CHECK(client.primaries() == std::vector<Endpoint>{{"127.0.0.1", node.port()}});
}

TEST_CASE("the map is asked for by one, and at most once a second", "[redis][cluster]") {
    std::atomic<int> at_once{0};
    std::atomic<int> most{0};
    FakeNode* next = nullptr;
    Pair pair{[&](const std::string&) { return next->moved(high); },
              [](const std::string&) { return "+OK\r\n"; }};
    next = &pair.b;
    pair.a.slots = [&] {
        most = (std::max)(most.load(), ++at_once);
        std::this_thread::sleep_for(20ms);
        --at_once;
        return slots_at({{16383, pair.a.port()}});
    };
    const Client client{options_for(pair.a)};
    std::latch ready{8};
    {
        std::vector<std::jthread> all;
        for (int t = 0; t < 8; ++t) {
            all.emplace_back([&] {
                ready.arrive_and_wait();
                for (int i = 0; i < 20; ++i) {
                    client.command("INCR", high);
                }
            });
        }
    }
    CHECK(most == 1);
    CHECK(pair.slots_asked() == 1);
    // A second later the node that was named is asked: it knows best.
    pair.b.slots = [&] { return slots_at({{16383, pair.b.port()}}); };
    CHECK(eventually([&] {
        client.command("INCR", high);
        return pair.b.slots_asked == 1;
    }));
    CHECK(client.topology() == 2);
    const std::size_t before = pair.a.asked().size();
    client.command("INCR", high);
    CHECK(pair.a.asked().size() == before);
}

TEST_CASE("any seed that answers will do, whatever the nodes are called", "[redis][cluster]") {
    // The map names addresses that cannot be reached, until it is put right.
    std::atomic<bool> reachable{false};
    const Nobody nobody;
    const std::uint16_t gone = nobody.port();
    FakeNode node{[](const std::string&) { return "-ERR it is not me\r\n"; }};
    node.slots = [&] { return slots_at({{16383, reachable ? node.port() : gone}}); };
    ClientOptions options = options_for(node);
    options.cluster.seeds.insert(options.cluster.seeds.begin(), 5, {"127.0.0.1", gone});
    const Client client{options};
    CHECK_FALSE(caught_text([&] { client.command("GET", "k"); }).empty());
    CHECK(client.primaries() == std::vector<Endpoint>{{"127.0.0.1", gone}});
    reachable = true;
    for (const auto start = steady::now(); client.topology() == 1;) {
        REQUIRE(steady::now() - start < 10s);
        static_cast<void>(caught_text([&] { client.command("GET", "k"); }));
        std::this_thread::sleep_for(10ms);
    }
    CHECK(client.primaries() == std::vector<Endpoint>{{"127.0.0.1", node.port()}});
}

TEST_CASE("a map that changes unseen is asked for now and then", "[redis][cluster]") {
    Pair pair{[](const std::string&) { return "+a\r\n"; },
              [](const std::string&) { return "+b\r\n"; }};
    ClientOptions options = options_for(pair.a);
    options.cluster.refresh = 50ms;
    const Client client{options};
    CHECK(client.command("GET", high).text() == "a");
    pair.a.slots = [&] { return slots_at({{16383, pair.b.port()}}); };
    CHECK(eventually([&] { return client.command("GET", high).text() == "b"; }));
    CHECK(client.topology() == 2);
    CHECK(client.primaries() == std::vector<Endpoint>{{"127.0.0.1", pair.b.port()}});
}

TEST_CASE("who asks for the primaries is told of one that was added", "[redis][cluster]") {
    std::atomic<bool> added{false};
    Pair pair{[](const std::string&) { return "+OK\r\n"; },
              [](const std::string&) { return "+OK\r\n"; }};
    pair.a.slots = pair.b.slots = [&] {
        return added ? slots_at({{8191, pair.a.port()}, {16383, pair.b.port()}})
                     : slots_at({{16383, pair.a.port()}});
    };
    ClientOptions options = options_for(pair.a);
    options.cluster.refresh = 1h;
    const Client client{options};
    CHECK(client.primaries().size() == 1);
    added = true;
    CHECK(larder_test::eventually([&] { return client.primaries().size() == 2; }));
    CHECK(pair.slots_asked() == 2);
}

TEST_CASE("all nodes are sent to before a reply is read", "[redis][cluster]") {
    // Neither answers before both have been asked.
    std::latch both{2};
    const auto together = [&](const std::string&) {
        both.arrive_and_wait();
        return "+OK\r\n";
    };
    Pair pair{together, together};
    pair.a.slots = [&] { return slots_at({{8191, pair.a.port()}, {16383, pair.b.port()}}); };
    const Client client{options_for(pair.a)};
    Pipeline pipeline;
    pipeline.command("INCR", low).command("INCR", high);
    const auto replies = client.run(pipeline);
    CHECK(replies[0].text() == "OK");
    CHECK(replies[1].text() == "OK");
    CHECK(pair.a.asked() == std::vector{"INCR " + low});
    CHECK(pair.b.asked() == std::vector{"INCR " + high});
}

TEST_CASE("a node that does not answer costs the others nothing", "[redis][cluster]") {
    std::atomic<bool> frozen{true};
    FakeNode* next = nullptr;
    Pair pair{[&](const std::string& command) {
                  return command == "GET " + high ? next->moved(high) : "$1\r\nx\r\n";
              },
              [&](const std::string&) {
                  while (frozen) {
                      std::this_thread::sleep_for(1ms);
                  }
                  return "$1\r\ny\r\n";
              }};
    next = &pair.b;
    pair.a.slots = [&] { return slots_at({{8191, pair.a.port()}, {16383, pair.b.port()}}); };
    const Client client{options_for(pair.a)};
    Pipeline pipeline;
    pipeline.command("GET", low).command("GET", high);
    CHECK(client.command("GET", low).text() == "x");
    std::atomic<bool> ended{false};
    std::chrono::nanoseconds longest{0};
    {
        const std::jthread other{[&] {
            try {
                static_cast<void>(client.run(pipeline));
            } catch (const NoReply&) {
                // It took its time.
            }
            ended = true;
        }};
        while (!ended) {
            const auto start = steady::now();
            CHECK(client.command("GET", low).text() == "x");
            longest = (std::max)(longest, std::chrono::nanoseconds{steady::now() - start});
        }
    }
    CHECK(longest < 150ms);
    CHECK_THROWS_AS(client.command("GET", high), NoReply);
    frozen = false;
    for (int tries = 0; tries < 200; ++tries) {
        std::this_thread::sleep_for(10ms);
        if (caught_text([&] { client.command("GET", high); }).empty()) {
            break;
        }
    }
    CHECK(client.run(pipeline)[1].text() == "y");
    CHECK(client.in_hand() == ClientInHand{});
}

TEST_CASE("what is sent again has less time than others, and does not wait with them",
          "[redis][cluster]") {
    std::latch redirected{1};
    FakeNode* next = nullptr;
    Pair pair{[&](const std::string&) { return next->moved(low); },
              [&](const std::string& command) {
                  if (command == "GET " + high) {
                      redirected.wait();
                  }
                  return "+OK\r\n";
              }};
    next = &pair.b;
    pair.a.slots = [&] { return slots_at({{8191, pair.a.port()}, {16383, pair.b.port()}}); };
    ClientOptions options = options_for(pair.a);
    options.connections = 1;
    options.command_timeout = 5s;
    const Client client{options};
    std::string waited;
    std::jthread first{[&] { waited = client.command("GET", high).text(); }};
    while (pair.b.asked().empty()) {
        std::this_thread::sleep_for(1ms);
    }
    const auto what = caught_text([&] { client.command("INCR", low); });
    redirected.count_down();
    first.join();
    CHECK(what.empty());
    CHECK(waited == "OK");
}

TEST_CASE("what follows a command that is sent elsewhere follows it", "[redis][cluster]") {
    FakeNode* next = nullptr;
    Pair pair{[&](const std::string& command) -> std::optional<std::string> {
                  return command.starts_with("WAIT") ? ":0\r\n" : next->moved("k");
              },
              [&](const std::string& command) -> std::optional<std::string> {
                  return command.starts_with("WAIT") ? ":1\r\n" : "+OK\r\n";
              }};
    next = &pair.b;
    const Client client{options_for(pair.a)};
    Pipeline pipeline;
    pipeline.command("SET", "k", "v").command("WAIT", 1, 100);
    const auto replies = client.run(pipeline);
    CHECK(replies[1].integer() == 1);
    CHECK(pair.b.asked() == std::vector<std::string>{"SET k v", "WAIT 1 100"});
}

TEST_CASE("a node that lets connections wait costs the others of a pipeline nothing",
          "[redis][cluster]") {
    std::atomic<bool> stalls{false};
    Pair pair{[&](const std::string&) -> std::optional<std::string> {
                  while (stalls) {
                      std::this_thread::sleep_for(1ms);
                  }
                  return "+OK\r\n";
              },
              [](const std::string&) { return "+OK\r\n"; }};
    pair.b.slots = [&] { return slots_at({{8191, pair.a.port()}, {16383, pair.b.port()}}); };
    ClientOptions options = options_for(pair.b);
    options.password = "secret";  // without a reply to AUTH there is no connection
    options.command_timeout = 100ms;
    options.connect_timeout = 300ms;
    const Client client{options};
    Pipeline both;
    both.command("SET", low, 1).command("SET", high, 1);
    CHECK(client.run(both)[1].text() == "OK");
    stalls = true;
    CHECK_THROWS_AS(client.command("SET", low, 1), NoReply);
    std::this_thread::sleep_for(130ms);  // it is probed, over a new connection
    static_cast<void>(caught_text([&] { static_cast<void>(client.run(both)); }));
    CHECK(caught_text([&] { client.command("SET", high, 2); }).empty());
    const auto asked = pair.b.asked();
    CHECK(std::count(asked.begin(), asked.end(), "SET " + high + " 1") == 2);
    stalls = false;
}

TEST_CASE("what comes too late behind another of its key has an error for a reply",
          "[redis][cluster]") {
    std::atomic<int> asked{0};
    FakeNode node{[&](const std::string&) -> std::optional<std::string> {
        return asked++ == 0 ? "-CLUSTERDOWN Hash slot not served\r\n" : ":1\r\n";
    }};
    node.slots = [&] { return slots_at({{16383, node.port()}}); };
    const Client client{options_for(node)};
    Pipeline pipeline;
    pipeline.command("INCR", "k").command("INCR", "k");
    const auto replies = client.run(pipeline);
    CHECK(replies[0].text().starts_with("CLUSTERDOWN"));
    CHECK(replies[1].integer() == 1);
    CHECK(asked == 2);
}

TEST_CASE("a copy of whose tags some are not told of is none, and its server has failed",
          "[redis][cluster]") {
    const larder::detail::Epoch moment{1, 1};
    const auto bulk = [](const std::string& text) {
        return '$' + std::to_string(text.size()) + "\r\n" + text + "\r\n";
    };
    const std::string copy = larder::redis::detail::write_slot("7", 1min, 0ms, moment, {"a", "b"});
    FakeNode node{[&](const std::string& command) -> std::optional<std::string> {
        if (command == "GET ~partitions:n") {
            return bulk("format=1 partitions=1");
        }
        if (command.starts_with("PTTL")) {
            return ":60000\r\n";
        }
        if (command.starts_with("GET n:")) {
            return bulk(copy);
        }
        if (command.starts_with("MGET") && command.ends_with(":a")) {
            return "*1\r\n" + bulk(larder::redis::detail::to_text(moment));
        }
        return std::nullopt;
    }};
    node.slots = [&] { return slots_at({{16383, node.port()}}); };
    ClientOptions options = options_for(node);
    options.max_reply_bytes = 1024;  // each version is asked for by itself
    using Store = larder::RedisStore<int, int>;
    const auto store = [&] { return Store{Client{options}, "n", {.partitions = 1}}; };
    CHECK_THROWS_AS(store().find(1), NoReply);
    Store one = store();
    larder::CacheAside cache{one, [](int) { return std::optional{8}; }, {.ttl = 1h}};
    CHECK(cache.get(1) == 8);
    CHECK(one.in_hand().leases == 0);
}
