// SPDX-License-Identifier: MIT

// What a client of a cluster decides without asking anybody: which slot a command belongs to, what a
// reply says of where it belongs, who has which slots, and what is sent again in which order.
// Rule R11.

#include "support/catch.hpp"
#include "support/caught.hpp"

#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/command_keys.hpp>
#include <larder/redis/detail/client/command_order.hpp>
#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/redis/detail/client/redirection.hpp>
#include <larder/redis/detail/client/reply_parser.hpp>
#include <larder/redis/detail/client/routed_unit.hpp>
#include <larder/redis/detail/client/slot_map.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>

#include <chrono>
#include <cstddef>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

using namespace larder::redis::detail;
using namespace std::chrono_literals;
using larder::redis::Endpoint;
using larder::redis::Pipeline;
using larder::redis::Reply;
using larder::redis::Script;
using larder_test::caught_text;
using Do = RedirectionSteps::Do;
using Kind = Redirection::Kind;

namespace {

const Endpoint asked{"10.0.0.1", 7000};

std::string bytes_of(const std::string& command) {
    std::istringstream words{command};
    std::vector<std::string> all;
    for (std::string word; words >> word;) {
        all.push_back(word);
    }
    std::string bytes;
    append_command(bytes, all);
    return bytes;
}

// The keys of a command, as the client sees them.
std::string keys_of(const std::string& command) {
    const std::string bytes = bytes_of(command);
    CommandReader words{bytes, 0};
    const KeyPlaces keys = key_places(lookup_command(words.next()), bytes, 0);
    std::string found;
    for (std::size_t i = 1; words.left() > 0; ++i) {
        const std::string_view word = words.next();
        if (i >= keys.first && i < keys.end && (i - keys.first) % keys.step == 0) {
            found += std::string{word} + ' ';
        }
    }
    return found;
}

Reply reply_of(const std::string& bytes) {
    ReplyParser parser{1 << 20};
    parser.feed(bytes.data(), bytes.size());
    Reply reply;
    REQUIRE(parser.next(reply));
    return reply;
}

std::string range(int first, int last, const std::string& host, int port) {
    return "*3\r\n:" + std::to_string(first) + "\r\n:" + std::to_string(last) + "\r\n*4\r\n$" +
           std::to_string(host.size()) + "\r\n" + host + "\r\n:" + std::to_string(port) +
           "\r\n$2\r\nid\r\n*0\r\n";
}

const Endpoint* owner(const SlotMap& map, std::uint16_t slot) {
    const auto place = map.owner(slot);
    return place ? &map.owners().at(*place) : nullptr;
}

}  // namespace

TEST_CASE("which words of a command are keys", "[redis][cluster]") {
    CHECK(keys_of("GET k") == "k ");
    CHECK(keys_of("get k") == "k ");
    CHECK(keys_of("SET k v PX 5") == "k ");
    CHECK(keys_of("MGET a b c") == "a b c ");
    CHECK(keys_of("MSET a 1 b 2") == "a b ");
    CHECK(keys_of("BLPOP a b 5") == "a b ");
    CHECK(keys_of("RENAME a b") == "a b ");
    CHECK(keys_of("EVALSHA sha 2 a b x y") == "a b ");
    CHECK(keys_of("EVAL body 0 x y").empty());
    CHECK(keys_of("EVAL body many x y").empty());
    CHECK(keys_of("EVAL body 9 x y") == "x y ");
    CHECK(keys_of("EVAL body").empty());
    CHECK(keys_of("ZMPOP 2 a b MIN") == "a b ");
    CHECK(keys_of("BLMPOP 5 2 a b LEFT") == "a b ");
    CHECK(keys_of("XREAD COUNT 1 BLOCK 5 STREAMS a b 0 0") == "a b ");
    CHECK(keys_of("XREADGROUP GROUP g c STREAMS a >") == "a ");
    CHECK(keys_of("XREAD COUNT 1").empty());
    CHECK(keys_of("BITOP AND d a b") == "d a b ");
    CHECK(keys_of("OBJECT ENCODING k") == "k ");
    CHECK(keys_of("PING").empty());
    CHECK(keys_of("WAIT 1 100").empty());
    CHECK(keys_of("SCAN 0 MATCH x").empty());
    CHECK(keys_of("CLUSTER SLOTS").empty());
    CHECK(keys_of("PUBLISH channel text").empty());
    CHECK(keys_of("GET").empty());
    // Most commands are made so.
    CHECK(keys_of("NONESUCH k v") == "k ");
    CHECK(keys_of("NONESUCH").empty());
}

TEST_CASE("a pipeline is taken apart by keys, transactions are not", "[redis][cluster]") {
    Pipeline pipeline;
    pipeline.command("GET", "a").command("WAIT", 1, 5).command("MULTI");
    pipeline.command("SET", "{b}1", "x").command("INCR", "{b}2").command("EXEC");
    pipeline.command("INCR", "c");
    const auto units = routed_units(pipeline);
    REQUIRE(units.size() == 4);
    CHECK(units[0].slot == hash_slot("a"));
    CHECK(units[0].repeatable);
    CHECK_FALSE(units[1].slot);
    CHECK(units[1].repeatable);
    CHECK(units[2].slot == hash_slot("b"));
    CHECK(units[2].first == 2);
    CHECK(units[2].count == 4);
    CHECK(units[3].key == "c");
    CHECK_FALSE(units[3].repeatable);
    CHECK(units[3].end == PipelineAccess::bytes(pipeline).size());
}

TEST_CASE("keys of several slots are refused by name", "[redis][cluster]") {
    const auto refused = [](const Pipeline& pipeline) {
        return caught_text([&] { static_cast<void>(routed_units(pipeline)); });
    };
    Pipeline many;
    many.command("GET", "x").command("MGET", "a", "b");
    CHECK(refused(many).find("CROSSSLOT: MGET a names keys") != std::string::npos);
    Pipeline both;
    both.command("MULTI").command("SET", "a", 1).command("SET", "b", 1).command("EXEC");
    CHECK(refused(both).find("CROSSSLOT: MULTI and what follows") != std::string::npos);
    Pipeline one;
    one.command("MGET", "{t}a", "{t}b").command("EVAL", "body", 2, "a", "{a}b", "c");
    CHECK(routed_units(one).size() == 2);
}

TEST_CASE("what a reply says of where a command belongs", "[redis][cluster]") {
    const auto of = [](std::string_view text) { return Redirection::of(text, asked); };
    CHECK(of("MOVED 3999 127.0.0.1:6381").kind == Kind::moved);
    CHECK(of("MOVED 3999 127.0.0.1:6381").to == Endpoint{"127.0.0.1", 6381});
    CHECK(of("ASK 0 node.example:1").kind == Kind::ask);
    CHECK(of("ASK 0 node.example:1").to == Endpoint{"node.example", 1});
    CHECK(of("MOVED 1 2001:db8::1:6381").to == Endpoint{"2001:db8::1", 6381});
    // The host that was asked.
    CHECK(of("MOVED 1 :6381").to == Endpoint{"10.0.0.1", 6381});
    CHECK(of("MOVED 1 ?:6381").to == Endpoint{"10.0.0.1", 6381});
    CHECK(of("TRYAGAIN Multiple keys request during rehashing of slot").kind == Kind::try_again);
    CHECK(of("CLUSTERDOWN Hash slot not served").kind == Kind::down);
    for (const char* const answer :
         {"ERR no", "MOVED", "MOVED ", "MOVED 1", "MOVED 1 h", "MOVED 1 h:", "MOVED 1 h:0",
          "MOVED 1 h:65536", "MOVED 16384 h:1", "MOVED x h:1", "MOVED -1 h:1", "MOVED 1 h :1",
          "MOVED 1 h\x7f:1", "MOVED 1:2 h", "MOVED  h:1", "ASK 1 h:1x", "ask 1 h:1", ""}) {
        CAPTURE(answer);
        CHECK(of(answer).kind == Kind::none);
    }
}

TEST_CASE("redirected commands go at once, then give the nodes time", "[redis][cluster]") {
    RedirectionSteps steps;
    for (std::size_t i = 0; i < RedirectionSteps::at_once; ++i) {
        const auto step = steps.next(i % 2 == 0 ? Kind::moved : Kind::ask, 1s);
        CHECK(step.what == (i % 2 == 0 ? Do::go : Do::ask));
        CHECK(step.pause == 0ms);
    }
    CHECK(steps.next(Kind::moved, 1s).pause == 1ms);
    CHECK(steps.next(Kind::ask, 1s).pause == 2ms);
    CHECK(steps.next(Kind::none, 1s).what == Do::deliver);
}

TEST_CASE("a slot that is on its way is waited for, no longer than there is time",
          "[redis][cluster]") {
    RedirectionSteps steps;
    for (const auto pause : {1ms, 2ms, 4ms, 8ms, 16ms, 32ms, 32ms}) {
        const auto step = steps.next(pause < 8ms ? Kind::try_again : Kind::down, 1s);
        CHECK(step.what == Do::reroute);
        CHECK(step.pause == pause);
    }
    CHECK(steps.next(Kind::down, 32ms).what == Do::deliver);
    CHECK(steps.next(Kind::try_again, -1ms).what == Do::deliver);
    CHECK(RedirectionSteps{}.next(Kind::moved, 0ms).what == Do::deliver);
}

TEST_CASE("redirections end, however long the command may take", "[redis][cluster]") {
    RedirectionSteps steps;
    std::size_t count = 0;
    while (steps.next(Kind::moved, 24h).what != Do::deliver) {
        ++count;
    }
    CHECK(count == RedirectionSteps::most);
}

TEST_CASE("who has which slots", "[redis][cluster]") {
    const auto map =
        SlotMap::parse(reply_of("*3\r\n" + range(0, 5460, "b", 2) + range(5461, 5461, "", 7001) +
                                range(6000, 16383, "?", 7002)),
                       asked);
    REQUIRE(map);
    REQUIRE(owner(*map, 0));
    CHECK(*owner(*map, 5460) == Endpoint{"b", 2});
    CHECK(*owner(*map, 5461) == Endpoint{"10.0.0.1", 7001});
    CHECK(owner(*map, 5462) == nullptr);
    CHECK(*owner(*map, 16383) == Endpoint{"10.0.0.1", 7002});
    CHECK(map->owners().size() == 3);

    // The same in another order, and another one.
    const auto same = SlotMap::parse(
        reply_of("*4\r\n" + range(6000, 16383, "10.0.0.1", 7002) + range(100, 5460, "b", 2) +
                 range(5461, 5461, "10.0.0.1", 7001) + range(0, 99, "b", 2)),
        asked);
    CHECK(*same == *map);
    const auto other = SlotMap::parse(
        reply_of("*3\r\n" + range(0, 5460, "b", 2) + range(5461, 5461, "10.0.0.1", 7002) +
                 range(6000, 16383, "10.0.0.1", 7002)),
        asked);
    CHECK_FALSE(*other == *map);
}

TEST_CASE("what makes no sense in a map is left out", "[redis][cluster]") {
    const std::string good = range(1, 2, "h", 1);
    for (const std::string& bad :
         {range(3, 16384, "h", 1), range(-1, 3, "h", 1), range(5, 4, "h", 1), range(3, 4, "h", 0),
          range(3, 4, "h", 65536), range(3, 4, "h x", 1), range(3, 4, std::string(256, 'h'), 1),
          std::string{"*0\r\n"}, std::string{"$-1\r\n"}, std::string{":1\r\n"},
          std::string{"*2\r\n:3\r\n:4\r\n"}, std::string{"*3\r\n:3\r\n:4\r\n$1\r\nx\r\n"},
          std::string{"*3\r\n$1\r\n3\r\n$1\r\n4\r\n*2\r\n$1\r\nh\r\n:1\r\n"},
          std::string{"*3\r\n:3\r\n:4\r\n*2\r\n$1\r\nh\r\n$1\r\n1\r\n"}}) {
        CAPTURE(bad);
        const auto map = SlotMap::parse(reply_of("*2\r\n" + bad + good), asked);
        REQUIRE(map);
        CHECK(map->owners() == std::vector<Endpoint>{{"h", 1}});
        CHECK_FALSE(map->owner(3));
        CHECK_FALSE(SlotMap::parse(reply_of("*1\r\n" + bad), asked));
    }
    for (const char* const none : {"*0\r\n", "$-1\r\n", "-ERR no\r\n", "+OK\r\n", ":1\r\n"}) {
        CHECK_FALSE(SlotMap::parse(reply_of(none), asked));
    }
}

// As a node has answered them: G read, W written, K without a key; a digit: of that key. Lower case: to
// be sent again.
TEST_CASE("what is sent again keeps the order of a key", "[redis][cluster]") {
    const auto ordered = [](std::string_view word) {
        std::vector<RoutedUnit> units;
        for (; !word.empty(); word.remove_prefix(2)) {
            RoutedUnit unit;
            const char kind = upper(word[0]);
            if (kind != 'K') {
                unit.slot = std::uint16_t{1};
                unit.key = word.substr(1, 1);
            }
            unit.repeatable = kind != 'W';
            unit.sent = true;
            unit.pending = kind != word[0] || word[0] == 'N';
            unit.late = kind == 'N';
            units.push_back(unit);
        }
        keep_order(units);
        std::string pending;
        for (const RoutedUnit& unit : units) {
            pending += unit.pending ? '+' : '-';
        }
        return pending;
    };
    CHECK(ordered("g1G2") == "+-");  // another key
    CHECK(ordered("g1G1") == "++");  // PTTL, then GET: never the other way round
    CHECK(ordered("g1W1") == "--");  // too late to read what was before
    CHECK(ordered("w1W1") == "--");  // or to write it
    CHECK(ordered("w1W1w1") == "--+");
    CHECK(ordered("w1W2") == "+-");
    CHECK(ordered("w1K ") == "++");  // WAIT goes with what it waits for
    CHECK(ordered("W1K ") == "--");
    CHECK(ordered("w1W2K ") == "+-+");
    CHECK(ordered("w1K W2K K ") == "++---");
    CHECK(ordered("N1G1") == "+-");  // a script that was not known
    CHECK(ordered("N1W1") == "+-");
    CHECK(ordered("N1K ") == "++");
}

TEST_CASE("a script that a node does not know is sent with its body once", "[redis][cluster]") {
    const Script script{"return 1"};
    Pipeline pipeline;
    const std::string_view key = "k";
    pipeline.command("PING").script(script, {&key, 1}, {}).script(script, {&key, 1}, {});
    CHECK_FALSE(PipelineAccess::is_script(pipeline, 0));
    CHECK(PipelineAccess::is_script(pipeline, 1));
    CHECK_FALSE(PipelineAccess::is_script(pipeline, 3));
    std::string bytes;
    std::vector<std::string_view> sent;
    PipelineAccess::append_script(pipeline, 1, bytes, sent);
    PipelineAccess::append_script(pipeline, 2, bytes, sent);
    CHECK(bytes == "*4\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n1\r\n$1\r\nk\r\n" +
                       bytes_of("EVALSHA " + script.sha() + " 1 k"));
}
