// SPDX-License-Identifier: MIT

// Write-behind over Redis with a journal of one process: what it has put it reads, whatever copy
// another process has left on the server.

#include "support/catch.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <optional>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Source;
using larder::WriteBehind;
using larder_test::RedisServer;

TEST_CASE("a pending change comes before the copy that another process has made", "[redis]") {
    const RedisServer server;
    larder_test::RedisPair w{server};
    WriteBehind here{w.here,
                     w.rows,
                     larder::unshared(larder::MemoryJournal<int, int>{}),
                     {.ttl = 1h},
                     {.delay = 1h, .drain = 0ms}};
    CacheAside there{w.there, w.rows, {.ttl = 1h}};
    here.put(1, 11);
    CHECK(here.get(1) == 11);
    server.run("DEL", "n:1");   // as its ttl would
    CHECK(there.get(1) == 10);  // old, and kept
    CHECK(there.fetch(1).source == Source::hit);

    CHECK(here.get(1) == 11);
    CHECK(here.fetch(1).source == Source::pending);
    CHECK(here.fetch(2).source == Source::loaded);
    CHECK(here.fetch(2).source == Source::hit);
    CHECK(here.get_many({2, 1}) == std::vector<std::optional<int>>{20, 11});

    CHECK(here.flush(30s) == 0);
    CHECK(there.get(1) == 11);
    CHECK(here.fetch(1).source == Source::hit);
}
