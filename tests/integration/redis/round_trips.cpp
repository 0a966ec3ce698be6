// SPDX-License-Identifier: MIT

// What each verb costs on the wire, counted.

#include "support/catch.hpp"
#include "support/manual_executor.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::RefreshAhead;
using larder::Source;
using larder::Tagged;
using larder::WriteThrough;
using larder_test::pass_time;
using larder_test::RedisServer;

namespace {

const RedisServer& server() {
    static const RedisServer one;
    return one;
}

struct World : larder_test::SeasonedPair {
    World() : SeasonedPair{server()} {}

    template <class F>
    std::uint64_t trips(F&& f) const {
        const auto before = here.client().stats().round_trips;
        f();
        return here.client().stats().round_trips - before;
    }
};

}  // namespace

TEST_CASE("round trips of reads", "[redis][trips]") {
    World w;
    CacheAside cache{w.here, w.rows, {.ttl = 1h, .negative_ttl = 1h}};
    const auto get = [&](int key) { return w.trips([&] { (void)cache.get(key); }); };
    CHECK(get(1) == 3);  // look, lease, fill
    CHECK(get(1) == 1);
    CHECK(w.trips([&] { (void)cache.fetch(1); }) == 1);
    CHECK(get(404) == 3);
    CHECK(get(404) == 1);
    CHECK(w.trips([&] { cache.invalidate(1); }) == 1);
    CHECK(w.trips([&] { cache.invalidate_many({1, 2, 3}); }) == 1);
    CHECK(w.trips([&] { (void)cache.refresh(1); }) == 2);  // lease, fill
    CHECK(w.trips([&] { (void)cache.refresh(1); }) == 2);
    server().run("SET", "n:1", "junk");
    CHECK(get(1) == 3);  // look, the lease in its place, fill
    CHECK(w.trips([&] {
        CHECK_THROWS_AS(
            cache.get(9, [](int) -> std::optional<int> { throw std::runtime_error{""}; }),
            std::runtime_error);
    }) == 3);  // look, lease, release

    CacheAside graced{w.here, w.rows, {.ttl = 1h, .grace = 1h}};
    CHECK(w.trips([&] { (void)graced.get(3); }) == 3);
    CHECK(w.trips([&] { (void)graced.get(3); }) == 1);
    pass_time(server(), 90min);
    CHECK(w.trips([&] { CHECK(graced.fetch(3).source == Source::loaded); }) == 3);

    const std::vector<int> keys{1, 2, 4, 5, 6, 7, 8};
    (void)cache.get_many(keys);
    CHECK(w.trips([&] { (void)cache.get_many(keys); }) == 1);
    CHECK(w.trips([&] { (void)w.here.find_many(keys); }) == 1);
    CHECK(w.trips([&] { w.here.erase_many(keys); }) == 1);
    CHECK(w.trips([&] {
        w.here.put_many(std::vector<std::pair<int, std::optional<int>>>{{1, 1}, {2, 2}}, {1h});
    }) == 1);
}

TEST_CASE("round trips of a batch of misses", "[redis][trips]") {
    World w;
    CacheAside cache{w.here, w.rows, {.ttl = 1h}};
    const std::vector<int> keys{1, 2, 3, 4, 5, 6, 7, 8};
    const auto misses = w.trips([&] { (void)cache.get_many(keys); });
    CHECK(misses <= 2 + keys.size());
    // Without a clock, one more for all where one is needed.
    server().run("FLUSHALL");
    CHECK(w.trips([&] { (void)cache.get_many(keys); }) == misses);
    server().run("FLUSHALL");
    Tagged tagged{CacheAside{w.here, w.rows, {.ttl = 1h}}, [](int) { return larder::Tags{"a"}; }};
    CHECK(w.trips([&] { (void)tagged.get_many(keys); }) == misses + 1);
}

TEST_CASE("round trips of writes", "[redis][trips]") {
    World w;
    WriteThrough through{w.here, w.rows, {.ttl = 1h}};
    CacheAside aside{w.here, w.rows, {.ttl = 1h}};
    Tagged tagged{WriteThrough{w.here, w.rows, {.ttl = 1h}}, [](int) {
                      return larder::Tags{"a", "b", "c"};
                  }};
    CHECK(w.trips([&] { through.put(1, 11); }) == 2);
    CHECK(w.trips([&] { through.put(1, 12); }) == 2);
    CHECK(w.trips([&] { through.remove(1); }) == 2);
    CHECK(w.trips([&] { aside.put(1, 13); }) == 2);
    CHECK(w.trips([&] { tagged.put(1, 14); }) == 2);
    CHECK(server().run("GET", "n:1").ends_with("14"));
}

TEST_CASE("round trips of tags", "[redis][trips]") {
    World w;
    Tagged cache{CacheAside{w.here, w.rows, {.ttl = 1h}}, [](int) {
                     return larder::Tags{"a", "b", "c"};
                 }};
    CHECK(w.trips([&] { (void)cache.get(1); }) == 3);
    CHECK(w.trips([&] { (void)cache.get(1); }) == 2);  // slot, tags
    CHECK(w.trips([&] { cache.invalidate_tags({"b", "c"}); }) == 1);
    CHECK(w.trips([&] { CHECK(cache.fetch(1).source == Source::loaded); }) == 4);
    (void)cache.get_many({1, 2, 3});
    CHECK(w.trips([&] { (void)cache.get_many({1, 2, 3}); }) == 2);
}

TEST_CASE("round trips of a refresh in the background", "[redis][trips]") {
    World w;
    larder_test::ManualExecutor background;
    RefreshAhead cache{w.here, w.rows, {.ttl = 100s, .executor = background.handle()}};
    (void)cache.get(1);
    CHECK(w.trips([&] { (void)cache.get(1); }) == 1);
    pass_time(server(), 90s);
    CHECK(w.trips([&] { (void)cache.get(1); }) == 1);
    CHECK(w.trips([&] { background.run_all(); }) == 2);  // lease, fill
    CHECK(w.table.loads == 2);
}

TEST_CASE("who waits for a load elsewhere asks once a look", "[redis][trips]") {
    World w;
    CacheAside there{w.there, w.rows, {.ttl = 1h, .wait = 1h}};
    const auto opening = w.there.open(1);
    REQUIRE(opening.slot == larder::detail::Slot::lead);
    const auto before = w.here.client().stats().round_trips;
    std::jthread waits{[&] {
        CacheAside here{w.here, w.rows, {.ttl = 1h, .wait = 1h}};
        CHECK(here.get(1) == 10);
    }};
    const auto spent = [&] { return w.here.client().stats().round_trips - before; };
    larder_test::until([&] { return spent() >= 20; });
    const auto commands = w.here.client().stats().commands;
    const auto from = spent();
    larder_test::until([&] { return spent() >= from + 10; });
    // A look is two commands that travel together.
    CHECK(w.here.client().stats().commands - commands <= 2 * (spent() - from) + 2);
    w.there.fill(1, opening.lease, 10, {{1h}, {}});
}
