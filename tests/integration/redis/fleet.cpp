// SPDX-License-Identifier: MIT

// Histories of four processes over one Redis and one database: delays, deaths and disturbances
// between any two steps, each history judged against what the database has committed.
//
// More and longer runs: tests/run.sh fleet 1000, or
//   LARDER_FLEET_RUNS=1000 LARDER_FLEET_SEED=7 test_integration_redis_fleet "[fleet]"

#include "support/fleet/fleet.hpp"
#include "support/catch.hpp"
#include "support/fleet/folder.hpp"
#include "support/fleet/policies.hpp"
#include "support/fleet/twenty_lines.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/redis/detail/store/slot_names.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace larder_test;
using larder::CacheAside;
using larder::RedisStoreOptions;
using larder::RefreshAhead;
using larder::Tagged;
using larder::WriteThrough;

namespace {

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

const std::uint64_t first_seed = number_from("LARDER_FLEET_SEED", 1);

/// One Redis, one database, and what runs over them came to.
struct World {
    RedisServer redis{};
    Folder folder{};
    std::string database = folder.path() / "rows.db";
    Shared<Tally> tally{};
    std::size_t wrong = 0;
    std::string first_wrong{};
    std::size_t reads = 0;
    std::size_t writes = 0;
    std::size_t unreturned = 0;
    std::size_t killed = 0;

    /// Has been where it matters.
    [[nodiscard]] bool was_everywhere() const {
        return killed > 0 && unreturned > 0 && tally->hits > 0 && tally->joined > 0 &&
               tally->bypassed > 0 && tally->fenced_fills > 0;
    }

    /// Runs until it has been everywhere, `least` times at the least.
    template <class Run>
    void repeat(std::uint64_t least, Run&& one) {
        std::uint64_t runs = 0;
        while (runs < least || (!was_everywhere() && runs < 10 * least)) {
            one(first_seed + runs++);
        }
        CHECK(was_everywhere());
        if (std::getenv("LARDER_FLEET_REPORT") != nullptr) {
            std::fprintf(
                stderr,
                "reads %zu writes %zu unreturned %zu killed %zu wrong %zu: hits %lu stale %lu "
                "loads %lu joined %lu bypassed %lu fenced %lu lost tickets %lu refreshes %lu "
                "store errors %lu\n",
                reads, writes, unreturned, killed, wrong, tally->hits.load(),
                tally->stale_hits.load(), tally->loads.load(), tally->joined.load(),
                tally->bypassed.load(), tally->fenced_fills.load(), tally->lost_tickets.load(),
                tally->refreshes.load(), tally->store_errors.load());
        }
    }

    template <class Make>
    void run(const FleetPlan& plan, Make make) {
        const Verdict verdict = run_fleet(plan, *tally, database, make);
        wrong += verdict.wrong.size();
        reads += verdict.reads;
        writes += verdict.writes;
        unreturned += verdict.unreturned;
        killed += verdict.killed;
        if (!verdict.wrong.empty() && first_wrong.empty()) {
            first_wrong = "seed " + std::to_string(plan.seed);
            for (const std::string& what : verdict.wrong) {
                first_wrong += "\n  " + what;
            }
            first_wrong += "\n" + verdict.story;
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

using Store = larder::RedisStore<int, std::string, larder::RawCodec<std::string>>;

larder::redis::Client connect(const std::string& url) {
    larder::redis::ClientOptions options = larder::redis::parse_url(url);
    // A machine that is busy elsewhere is not a server that is away.
    options.connect_timeout = options.command_timeout = 10s;
    return larder::redis::Client{options};
}

template <class P>
std::unique_ptr<Strategy> strategy(P policy) {
    return std::make_unique<PolicyStrategy<P>>(std::move(policy));
}

/// Delays and deaths at every step, and processes that are killed or stand still wherever they are.
FleetPlan rough(std::uint64_t seed) {
    return {.seed = seed,
            .chaos = {.die_one_in = 700},
            .rest = std::chrono::milliseconds{1 << seed % 7},
            .kill_one_in = 300,
            .freeze_one_in = 60};
}

}  // namespace

TEST_CASE("the fleet's checker has nothing against a database without copies", "[fleet]") {
    World world;
    for (std::uint64_t seed = 1; seed <= 5 || (world.unreturned == 0 && seed <= 50); ++seed) {
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
        world.run({.seed = seed, .members = 1, .readers = 9, .writers = 6}, make);
    }
    CHECK(world.wrong == 0);
}

namespace {

/// Options that differ from seed to seed: copies that end all the time or stay, known absences,
/// copies that stand in for loads that fail or are late, refreshes.
larder::Options options_of(std::uint64_t seed, larder::Ttl ticket) {
    std::mt19937_64 random{seed};
    const auto one_in = [&](unsigned of) { return random() % of == 0; };
    larder::Options options{.ttl = one_in(3) ? 10ms : 10s,
                            .negative_ttl = one_in(2) ? 10s : 0s,
                            .grace = one_in(2) ? 200ms : 0ms,
                            .wait = 1s,
                            .ticket = ticket,
                            .refresh_backoff = 5ms,
                            .on_store_failure = larder::OnStoreFailure::fail};
    if (one_in(4)) {
        options.load_timeout = 3ms;
    }
    return options;
}

/// Every strategy, as a section: `run(make)`, where `make` is told the table, and `options(seed)`.
template <class Run>
void each_strategy(const std::string& url, const RedisStoreOptions& tuning, Run&& run) {
    const auto store = [url, tuning] { return Store{connect(url), "fleet", tuning}; };
    SECTION("cache-aside") {
        run([store](FleetTable& t, const larder::Options& options) {
            return strategy(CacheAside{store(), std::ref(t), options});
        });
    }
    SECTION("write-through") {
        run([store](FleetTable& t, const larder::Options& options) {
            return strategy(WriteThrough{store(), std::ref(t), options});
        });
    }
    SECTION("refresh-ahead") {
        run([store](FleetTable& t, larder::Options options) {
            options.ttl = 30ms;
            options.refresh_below = 0.9;
            return strategy(RefreshAhead{store(), std::ref(t), options});
        });
    }
    SECTION("tagged cache-aside") {
        run([store](FleetTable& t, const larder::Options& options) {
            return strategy(
                Tagged{CacheAside{store(), std::ref(t), options}, tags_of_row, tags_of_absence});
        });
    }
    SECTION("tagged write-through") {
        run([store](FleetTable& t, const larder::Options& options) {
            return strategy(
                Tagged{WriteThrough{store(), std::ref(t), options}, tags_of_row, tags_of_absence});
        });
    }
}

}  // namespace

TEST_CASE("a fleet's reads and writes are linearizable while tickets last", "[fleet]") {
    World world;
    const std::uint64_t runs = number_from("LARDER_FLEET_RUNS", 6);
    each_strategy(world.redis.unix_url(), {.lease = 200ms}, [&](auto make) {
        world.repeat(runs, [&](std::uint64_t seed) {
            FleetPlan plan = rough(seed);
            // Connections that are cut and scripts that are forgotten are no excuse.
            plan.disturb = [&](int, std::uint64_t random) {
                if (random % 1000 == 0) {
                    world.redis.run("SCRIPT", "FLUSH");
                } else if (random % 1000 == 1) {
                    world.redis.run("CLIENT", "KILL", "TYPE", "normal");
                }
            };
            world.run(plan, [&](FleetTable& t) { return make(t, options_of(seed, 60s)); });
        });
        INFO(world.first_wrong);
        CHECK(world.wrong == 0);
    });
}

TEST_CASE("a fleet that loses tickets, leases and copies hides nothing acknowledged", "[fleet]") {
    World world;
    const std::uint64_t runs = number_from("LARDER_FLEET_RUNS", 3);
    each_strategy(world.redis.unix_url(), {.lease = 30ms}, [&](auto make) {
        world.repeat(runs, [&](std::uint64_t seed) {
            FleetPlan plan = rough(seed);
            plan.length = 1200;
            plan.turn = plan.length + 1;
            plan.kill_one_in = 150;
            plan.freeze_one_in = 30;
            plan.chaos.longest = 10ms;
            plan.stand_still = 100ms;
            larder::Options options = options_of(seed, 3ms);
            options.ttl = (std::min)(options.ttl, larder::Ttl{100ms});
            options.grace = (std::min)(options.grace, larder::Ttl{50ms});
            options.negative_ttl = (std::min)(options.negative_ttl, larder::Ttl{100ms});
            plan.promise = {.flight = History::Flight::loose, .life = options.ttl + options.grace};
            plan.disturb = [&](int key, std::uint64_t random) {
                if (random % 240 == 0) {
                    world.redis.run("FLUSHALL");
                } else if (random % 12 == 0) {
                    world.redis.run("DEL", "fleet:" + std::to_string(key));
                }
            };
            world.run(plan, [&](FleetTable& t) { return make(t, options); });
        });
        INFO(world.first_wrong);
        CHECK(world.wrong == 0);
        CHECK(world.tally->lost_tickets > 0);
    });
}

TEST_CASE("a fleet's reads and writes are linearizable on a cluster whose slots move", "[fleet]") {
    World world;
    RedisCluster cluster{3};
    const std::uint64_t runs = number_from("LARDER_FLEET_RUNS", 1);
    const larder::redis::detail::SlotNames names{"fleet", 0, 64};
    std::size_t moved = 0;
    each_strategy(cluster.url(), {.lease = 200ms}, [&](auto make) {
        for (std::uint64_t seed = first_seed; seed < first_seed + runs; ++seed) {
            FleetPlan plan = rough(seed);
            plan.disturb = [&](int key, std::uint64_t random) {
                if (random % 50 == 0) {
                    const std::size_t slot =
                        larder::redis::detail::hash_slot(names.slot(larder::redis::key_name(key)));
                    const std::size_t to = (cluster.owner_of(slot) + 1) % cluster.size();
                    cluster.begin_move(slot, to);
                    std::this_thread::sleep_for(2ms);
                    cluster.move_keys(slot, to, 1);
                    std::this_thread::sleep_for(2ms);
                    cluster.end_move(slot, to);
                    ++moved;
                }
            };
            world.run(plan, [&](FleetTable& t) { return make(t, options_of(seed, 60s)); });
        }
        INFO(world.first_wrong);
        CHECK(world.wrong == 0);
        CHECK(moved > 0);
        CHECK(world.tally->hits > 0);
    });
}
