// SPDX-License-Identifier: MIT

// Tags over Redis: an invalidation reaches other processes, loads and writes, and what was
// invalidated stays so, whatever of it the server loses.

#include "support/catch.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"
#include "support/stop.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Source;
using larder::Tagged;
using larder::Tags;
using larder::WriteThrough;
using larder_test::pass_time;
using larder_test::RedisServer;
using larder_test::Stop;
using Values = std::vector<std::optional<int>>;

namespace {

const RedisServer& server() {
    static const RedisServer one;
    return one;
}

// Every entry carries "all", and those whose value is odd "odd".
Tags tags_of(int value) {
    return value % 2 == 0 ? Tags{"all"} : Tags{"all", "odd"};
}

template <template <class, class> class P>
using Policy = Tagged<P<larder_test::RedisPair::Store, larder_test::RedisPair::Rows>>;

struct Pair : larder_test::RedisPair {
    Pair() : RedisPair{(server().run("FLUSHALL"), server())} {}

    template <template <class, class> class P = CacheAside>
    [[nodiscard]] Policy<P> policy(const Store& store, larder::Options options = {.ttl = 1h}) {
        return {P<Store, Rows>{store, rows, std::move(options)}, tags_of};
    }
};

std::int64_t left(const std::string& key) {
    return std::stoll(server().run("PTTL", key));
}

}  // namespace

TEST_CASE("the invalidation of a tag here reaches there", "[redis][tags]") {
    Pair w;
    w.table.set(1, 11);
    auto here = w.policy(w.here);
    auto there = w.policy(w.there);
    CHECK(there.get_many({1, 2}) == Values{11, 20});
    CHECK(here.fetch(1).source == Source::hit);

    here.invalidate_tag("odd");
    CHECK(there.fetch(1).source == Source::loaded);
    CHECK(there.fetch(2).source == Source::hit);
    CHECK(here.fetch(1).source == Source::hit);
    here.invalidate_tags({"none", "all"});
    CHECK(w.table.loads == 3);
    CHECK(there.get_many({1, 2}) == Values{11, 20});
    CHECK(w.table.loads == 5);
    CHECK(here.get_many({1, 2}) == Values{11, 20});
    CHECK(w.table.loads == 5);
}

TEST_CASE("an entry that is invalidated is not stale, it is gone", "[redis][tags]") {
    Pair w;
    auto here = w.policy(w.here, {.ttl = 100s, .grace = 100s});
    CHECK(here.get(2) == 20);
    pass_time(server(), 150s);
    here.invalidate_tag("all");
    w.table.hooks.before_load = [](int) { throw std::runtime_error{"database down"}; };
    CHECK_THROWS_AS(here.get(2), std::runtime_error);
    CHECK_THROWS_AS(here.get_many({2}), std::runtime_error);
}

TEST_CASE("the invalidation of a tag wins over what is under way", "[redis][tags]") {
    Pair w;
    auto here = w.policy(w.here);
    auto there = w.policy(w.there);
    // The tag has a version.
    w.table.set(3, 31);
    REQUIRE(there.get(3) == 31);
    w.table.set(1, 11);
    Stop step;

    SECTION("a load") {
        w.table.hooks.after_load = [&](int) { step.pause(); };
        auto slow = std::async(std::launch::async, [&] { return here.get(1); });
        step.wait_until_reached();
        w.table.set(1, 13);
        there.invalidate_tag("odd");
        step.go();
        CHECK(slow.get() == 11);
        CHECK(here.stats().fenced_fills == 1);
    }
    SECTION("a load whose tag had no version yet") {
        server().run("DEL", "~tag:n:odd");
        w.table.hooks.after_load = [&](int) { step.pause(); };
        auto slow = std::async(std::launch::async, [&] { return here.get(1); });
        step.wait_until_reached();
        w.table.set(1, 13);
        there.invalidate_tag("odd");
        step.go();
        CHECK(slow.get() == 11);
        CHECK(here.stats().fenced_fills == 1);
    }
    SECTION("a batch") {
        w.table.hooks.after_load = [&](int) { step.pause(); };
        auto slow = std::async(std::launch::async, [&] { return here.get_many({1, 2}); });
        step.wait_until_reached();
        w.table.set(1, 13);
        there.invalidate_tag("odd");
        step.go();
        CHECK(slow.get()[0] == 11);
    }
    SECTION("a refresh by name") {
        REQUIRE(here.get(1) == 11);
        w.table.hooks.after_load = [&](int) { step.pause(); };
        auto slow = std::async(std::launch::async, [&] { return here.refresh(1); });
        step.wait_until_reached();
        w.table.set(1, 13);
        there.invalidate_tag("odd");
        step.go();
        CHECK(slow.get() == 11);
    }
    SECTION("a write") {
        auto writer = w.policy<WriteThrough>(w.here);
        w.table.hooks.after_commit = [&](int, const std::optional<int>&) { step.pause(); };
        auto slow = std::async(std::launch::async, [&] { writer.put(1, 15); });
        step.wait_until_reached();
        w.table.set(1, 13);  // what the tag stands for has changed
        there.invalidate_tag("odd");
        step.go();
        slow.get();
        CHECK(server().run("EXISTS", "n:1") == "0");
    }
    SECTION("a write whose clock was lost meanwhile") {
        auto writer = w.policy<WriteThrough>(w.here);
        w.table.hooks.after_commit = [&](int, const std::optional<int>&) { step.pause(); };
        auto slow = std::async(std::launch::async, [&] { writer.put(1, 15); });
        step.wait_until_reached();
        w.table.set(1, 13);
        there.invalidate_tag("odd");
        server().run("DEL", "~clock:n");
        there.invalidate_tag("other");
        step.go();
        slow.get();
    }
    CHECK(there.get(1) == 13);
    CHECK(here.get(1) == 13);
    CHECK(here.fetch(1).source == Source::hit);
}

// Rule T5.
TEST_CASE("who joins a load whose tags were invalidated opens again", "[redis][tags]") {
    Pair w;
    w.table.set(1, 11);
    auto here = w.policy(w.here);
    Stop loaded;
    w.table.hooks.after_load = [&](int) { loaded.pause(); };
    auto slow = std::async(std::launch::async, [&] { return here.get(1); });
    loaded.wait_until_reached();
    w.table.set(1, 13);
    w.policy(w.there).invalidate_tag("odd");
    auto joins = std::async(std::launch::async, [&] { return here.get(1); });
    larder_test::until([&] { return here.stats().joined == 1; });
    loaded.go();
    CHECK(slow.get() == 11);
    CHECK(joins.get() == 13);
}

// Rule T3.
TEST_CASE("what the server loses revives nothing", "[redis][tags]") {
    Pair w;
    w.table.set(1, 11);
    auto here = w.policy(w.here);
    auto there = w.policy(w.there);
    REQUIRE(here.get_many({1, 2}) == Values{11, 20});
    const std::string entry = server().run("GET", "n:1");
    // The entry as it was, as a program that restores it may bring it back.
    const auto restored = [&] {
        server().run("SET", "n:1", entry, "PX", "3600000");
        const bool revived = there.fetch(1).source == Source::hit;
        return revived;
    };
    REQUIRE(restored());
    w.table.set(1, 13);

    SECTION("a tag's version") {
        server().run("DEL", "~tag:n:odd");
        CHECK(there.get(1) == 13);
        CHECK(there.fetch(1).source == Source::hit);
        here.invalidate_tag("odd");
        server().run("DEL", "~tag:n:odd");
        CHECK(there.get(1) == 13);
        CHECK(there.fetch(1).source == Source::hit);
        CHECK_FALSE(restored());
    }
    SECTION("the clock, before an invalidation") {
        server().run("DEL", "~clock:n");
        here.invalidate_tag("odd");
        CHECK_FALSE(restored());
        CHECK(there.get(1) == 13);
    }
    SECTION("the clock, after an invalidation") {
        here.invalidate_tag("odd");
        server().run("DEL", "~clock:n");
        CHECK(there.get(1) == 13);
        CHECK_FALSE(restored());
    }
    SECTION("the clock, with as many invalidations since as before") {
        for (int i = 0; i < 3; ++i) {
            server().run("DEL", "~clock:n");
            here.invalidate_tag("odd");
            CHECK_FALSE(restored());
            CHECK(there.get(1) == 13);
        }
    }
    SECTION("clock and version") {
        here.invalidate_tag("odd");
        server().run("DEL", "~clock:n", "~tag:n:odd");
        CHECK(there.get(1) == 13);
        CHECK_FALSE(restored());
    }
    SECTION("everything") {
        here.invalidate_tag("odd");
        server().run("FLUSHALL");
        CHECK(there.get(1) == 13);
        CHECK_FALSE(restored());
    }
    SECTION("nor does what is no version") {
        for (const char* odd : {"", "garbage", "0123456789abcdef", "0123456789abcdefx"}) {
            server().run("SET", "~tag:n:odd", odd);
            CHECK_FALSE(restored());
            server().run("SET", "~clock:n", odd);
            CHECK(there.get(1) == 13);
        }
        server().run("DEL", "~tag:n:odd");
        server().run("RPUSH", "~tag:n:odd", "x");
        CHECK_FALSE(restored());
        here.invalidate_tag("odd");
    }
    // And what is loaded now is kept.
    CHECK(there.get_many({1, 2}) == Values{13, 20});
    CHECK(here.fetch(1).source == Source::hit);
    CHECK(here.fetch(2).source == Source::hit);
    here.invalidate_tag("odd");
    CHECK(there.fetch(1).source == Source::loaded);
    CHECK(there.fetch(2).source == Source::hit);
}

// Rule T6.
TEST_CASE("a tag's version lasts longer than what carries it", "[redis][tags]") {
    Pair w;
    using Loaded = larder::Loaded<int>;
    Tagged cache{CacheAside{w.here,
                            [](int key) -> Loaded {
                                return {key, std::chrono::hours{key}, {"own"}};
                            }},
                 [](int) { return Tags{"tag"}; }};
    CHECK(cache.get(2) == 2);
    const auto first = left("~tag:n:tag");
    CHECK(first > 4 * 3'600'000);
    CHECK(first <= 5 * 3'600'000);
    CHECK(left("~tag:n:own") > 4 * 3'600'000);
    CHECK(left("~clock:n") == -1);

    CHECK(cache.get(1) == 1);  // it needs no more
    CHECK(cache.get(4) == 4);  // nor does that
    CHECK(left("~tag:n:tag") <= first);
    CHECK(cache.get(9) == 9);
    CHECK(left("~tag:n:tag") > 18 * 3'600'000);
    cache.invalidate_tag("tag");
    CHECK(left("~tag:n:tag") > 18 * 3'600'000);
    CHECK(cache.fetch(9).source == Source::loaded);
    CHECK(cache.fetch(9).source == Source::hit);

    // A tag that nothing carries takes no room.
    cache.invalidate_tag("nothing");
    CHECK(server().run("EXISTS", "~tag:n:nothing") == "0");
}

TEST_CASE("everything can be invalidated, known absences too", "[redis][tags]") {
    Pair w;
    auto here = w.policy(w.here, {.ttl = 1h, .negative_ttl = 1h});
    auto there = w.policy(w.there, {.ttl = 1h, .negative_ttl = 1h});
    CHECK_FALSE(here.get(404));
    CHECK(here.get(2) == 20);
    CHECK(there.fetch(404).source == Source::hit);
    w.table.set(404, 4);
    there.invalidate_all();
    CHECK(here.get(404) == 4);
    CHECK(here.fetch(2).source == Source::loaded);

    Tagged absent{CacheAside{w.here, w.rows, {.ttl = 1h, .negative_ttl = 1h}}, tags_of,
                  [](int key) { return Tags{"id:" + std::to_string(key)}; }};
    CHECK_FALSE(absent.get(405));
    CHECK(there.fetch(405).source == Source::hit);
    absent.invalidate_tag("id:405");
    CHECK(there.fetch(405).source == Source::loaded);
}

TEST_CASE("a value without tags is none for who needs them", "[redis][tags]") {
    Pair w;
    auto tagged = w.policy(w.here);
    CacheAside untagged{w.there, w.rows, {.ttl = 1h}};
    const auto foreign = [] { server().run("SET", "n:1", "5", "PX", "3600000"); };
    foreign();
    CHECK(untagged.get(1) == 5);
    SECTION("one") {
        CHECK(tagged.get(1) == 10);
    }
    SECTION("with its time") {
        CHECK(tagged.fetch(1).value == 10);
    }
    SECTION("a batch") {
        CHECK(tagged.get_many({1, 2}) == Values{10, 20});
    }
    CHECK(tagged.fetch(1).source == Source::hit);
    CHECK(untagged.fetch(1).source == Source::hit);
    CHECK(untagged.get(1) == 10);
    // What has tags is invalidated for who does not ask for them, too.
    w.table.set(1, 12);
    tagged.invalidate_tag("all");
    CHECK(untagged.get(1) == 12);
    CHECK(tagged.stats().undecodable == 0);
}

TEST_CASE("tags may be any bytes", "[redis][tags]") {
    Pair w;
    const Tags odd{std::string{"a\0b", 3}, "", "*:{}~ \r\n\xff", std::string(60'000, 'x')};
    Tagged cache{CacheAside{w.here, w.rows, {.ttl = 1h}}, [&](int) { return odd; }};
    for (const std::string& tag : odd) {
        CHECK(cache.get(1) == 10);
        CHECK(cache.fetch(1).source == Source::hit);
        cache.invalidate_tag(tag);
        CHECK(cache.fetch(1).source == Source::loaded);
    }
    // One too long is not cut: the value is not kept.
    Tagged longer{CacheAside{w.here, w.rows, {.ttl = 1h}},
                  [](int) { return Tags{std::string(70'000, 'x')}; }};
    CHECK(longer.get(2) == 20);
    CHECK(longer.fetch(2).source == Source::loaded);
    CHECK(server().run("EXISTS", "n:2") == "0");
}
