// SPDX-License-Identifier: MIT

// Random walks of RedisStore, over a real server, beside the model.

#include "slot_walk.hpp"
#include "support/catch.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace {

// Takes a copy away as a server that evicts does.
struct Evicting {
    const larder_test::RedisServer* server;
    bool evict(int key) const {
        const std::string name = "walk:" + std::to_string(key);
        const std::string held = server->run("GET", name);
        const bool in_hand = held.rfind("\x01\x01L", 0) == 0 || held.rfind("\x01\x01W", 0) == 0;
        return !in_hand && server->run("DEL", name) == "1";
    }
};

}  // namespace

TEST_CASE("RedisStore walks as the model does", "[model][redis]") {
    const larder_test::RedisServer server;
    const larder::redis::Client client{server.unix_url()};
    long kept = 0;
    long lost = 0;
    constexpr int walks = 60;
    for (std::uint64_t seed = 1; seed <= walks; ++seed) {
        server.run("FLUSHALL");
        larder::RedisStore<int, int> store{client, "walk"};
        larder_test::Walk walk{seed, store, Evicting{&server},
                               [&](larder::Ttl by) { larder_test::pass_time(server, by); },
                               std::chrono::seconds{20}};
        const std::string difference = walk.run(600);
        INFO("seed " << seed << ": " << difference);
        REQUIRE(difference.empty());
        kept += walk.kept;
        lost += walk.lost;
    }
    CHECK(kept > walks);
    CHECK(lost > walks);
}
