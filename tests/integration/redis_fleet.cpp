// SPDX-License-Identifier: MIT

// Histories of four processes over one Redis and one database: delays, deaths and disturbances
// between any two steps, each history judged against what the database has committed.
//
// More and longer runs: tests/run.sh fleet 1000, or
//   LARDER_FLEET_RUNS=1000 LARDER_FLEET_SEED=7 test_integration_redis_fleet "[fleet]"

#include "support/catch.hpp"
#include "support/fleet/fleet.hpp"
#include "support/fleet/policies.hpp"
#include "support/fleet/twenty_lines.hpp"
#include "support/redis_server.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace larder_test;
using larder::CacheAside;
using larder::RefreshAhead;
using larder::Tagged;
using larder::WriteThrough;

namespace {

[[maybe_unused]] std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// One Redis, one database, and what runs over them came to.
struct World {
    RedisServer redis{};
    std::string database = redis.folder() / "rows.db";
    Shared<Tally> tally{};
    std::size_t wrong = 0;
    std::size_t reads = 0;
    std::size_t writes = 0;
    std::size_t unreturned = 0;
    std::size_t killed = 0;

    template <class Make>
    void run(const FleetPlan& plan, Make make) {
        const Verdict verdict = run_fleet(plan, *tally, database, make);
        wrong += verdict.wrong.size();
        reads += verdict.reads;
        writes += verdict.writes;
        unreturned += verdict.unreturned;
        killed += verdict.killed;
        for (std::size_t i = 0; i < verdict.wrong.size() && i < 3; ++i) {
            UNSCOPED_INFO("seed " << plan.seed << ", " << verdict.wrong[i]);
        }
        CAPTURE(plan.seed);
        CHECK(verdict.failures == std::vector<std::string>{});
    }
};

/// No copies at all: reads and writes of the database.
class Uncached final : public Strategy {
public:
    explicit Uncached(FleetTable& table) : table_{table} {}

    Row get(int key) override { return table_.load(key); }
    void put(int key) override { table_.save(key, {}); }
    void remove(int key) override { table_.remove(key); }
    void invalidate(int) override {}
    void write(int, const std::function<void()>& transaction) override { transaction(); }

private:
    FleetTable& table_;
};

template <class P>
std::unique_ptr<Strategy> strategy(P policy) {
    return std::make_unique<PolicyStrategy<P>>(std::move(policy));
}

/// Delays and deaths at every step, and processes that are killed or stand still wherever they are.
FleetPlan rough(std::uint64_t seed) {
    return {.seed = seed, .chaos = {.die_one_in = 2000}, .kill_one_in = 100, .freeze_one_in = 20};
}

}  // namespace

TEST_CASE("the fleet's checker has nothing against a database without copies", "[fleet]") {
    World world;
    for (std::uint64_t seed = 1; seed <= 5; ++seed) {
        world.run(rough(seed), [](FleetTable& t) { return std::make_unique<Uncached>(t); });
    }
    CHECK(world.wrong == 0);
    CHECK(world.reads > 0);
    CHECK(world.writes > 0);
    CHECK(world.unreturned > 0);
    CHECK(world.killed > 0);
}

TEST_CASE("the fleet's checker sees what the twenty lines get wrong", "[fleet]") {
    World world;
    const auto run = [&](auto make) {
        for (std::uint64_t seed = 1; seed <= 20 && world.wrong == 0; ++seed) {
            world.run({.seed = seed}, make);
        }
        CHECK(world.wrong > 0);
    };
    const std::string socket = world.redis.socket_path();
    SECTION("cache-aside") {
        run([&](FleetTable& t) { return std::make_unique<TwentyLinesCacheAside>(socket, t); });
    }
    SECTION("write-through") {
        run([&](FleetTable& t) { return std::make_unique<TwentyLinesWriteThrough>(socket, t); });
    }
    SECTION("refresh-ahead") {
        run([&](FleetTable& t) { return std::make_unique<TwentyLinesRefreshAhead>(socket, t); });
    }
}

TEST_CASE("the fleet's checker sees copies that other processes are not told of", "[fleet]") {
    World world;
    const auto make = [](FleetTable& t) {
        return strategy(WriteThrough{larder::MemoryStore<int, std::string>{}, std::ref(t)});
    };
    for (std::uint64_t seed = 1; seed <= 20 && world.wrong == 0; ++seed) {
        world.run({.seed = seed}, make);
    }
    CHECK(world.wrong > 0);
    world.wrong = 0;
    for (std::uint64_t seed = 21; seed <= 25; ++seed) {
        world.run({.seed = seed, .members = 1, .readers = 6, .writers = 6}, make);
    }
    CHECK(world.wrong == 0);
}
