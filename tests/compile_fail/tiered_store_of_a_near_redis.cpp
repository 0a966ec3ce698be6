// SPDX-License-Identifier: MIT
// expect: larder: the near store of a TieredStore keeps copies in this process: it is a larder::MemoryStore
#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

auto store(larder::redis::Client redis) {
    using Far = larder::RedisStore<int, int>;
#ifdef LARDER_FIXED
    return larder::TieredStore{larder::MemoryStore<int, int>{}, Far{redis, "far"}, {}};
#else
    return larder::TieredStore{Far{redis, "near"}, Far{redis, "far"}, {}};
#endif
}
