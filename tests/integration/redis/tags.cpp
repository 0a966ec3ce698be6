// SPDX-License-Identifier: MIT

// A tag's invalidation takes the same time whatever carries the tag, and reaches all that does.
//
// Full size: LARDER_TAGGED_KEYS=1000000 test_integration_redis_tags

#include "support/catch.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <span>
#include <string>
#include <vector>

using namespace std::chrono_literals;

namespace {

// The row of every key is its generation.
struct Generations {
    int now = 1;

    [[nodiscard]] std::optional<int> load(int) const { return now; }
    [[nodiscard]] std::vector<std::optional<int>> load_many(std::span<const int> keys) const {
        return std::vector<std::optional<int>>(keys.size(), now);
    }
};

constexpr int few = 10;

int all_keys() {
    const char* const text = std::getenv("LARDER_TAGGED_KEYS");
    return text == nullptr ? 4'000 : std::atoi(text);
}

using Micros = std::chrono::duration<double, std::micro>;

Micros median(std::vector<Micros> times) {
    std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2),
                     times.end());
    return times[times.size() / 2];
}

}  // namespace

// Rule T2.
TEST_CASE("a tag's invalidation reaches many keys in the time that it takes for ten", "[redis]") {
    const larder_test::RedisServer server;
    Generations rows;
    const int all = all_keys();
    larder::redis::ClientOptions options;
    options.path = server.socket_path();
    options.command_timeout = 10s;
    larder::Tagged cache{
        larder::CacheAside{larder::RedisStore<int, int, larder::RawCodec<int>>{
                               larder::redis::Client{options}, "tagged", {.lease = 1min}},
                           std::ref(rows),
                           {.ttl = 1h}},
        [](int key, int) { return larder::Tags{key < few ? "few" : "many"}; }};
    // How many of all keys came out of the store, and of which generation all are.
    const auto read_all = [&](int generation) {
        const auto before = cache.stats().hits;
        std::vector<int> keys;
        for (int key = 0; key < all; key += 1000) {
            keys.clear();
            for (int i = key; i < (std::min)(key + 1000, all); ++i) {
                keys.push_back(i);
            }
            for (const auto& row : cache.get_many(keys)) {
                if (row != generation) {
                    FAIL("generation " << row.value_or(0) << " is served after " << generation);
                }
            }
        }
        return cache.stats().hits - before;
    };
    read_all(1);
    REQUIRE(read_all(1) == static_cast<std::uint64_t>(all));

    // One that carries ten and one that carries the rest, in turn.
    std::vector<Micros> of_few;
    std::vector<Micros> of_many;
    const auto timed = [&](const std::string& tag) {
        const auto start = std::chrono::steady_clock::now();
        cache.invalidate_tag(tag);
        return Micros{std::chrono::steady_clock::now() - start};
    };
    ++rows.now;
    for (int i = 0; i < 101; ++i) {
        of_few.push_back(timed("few"));
        of_many.push_back(timed("many"));
    }
    INFO("us: " << median(of_few).count() << " for ten, " << median(of_many).count() << " for "
                << all - few);
    CHECK(median(of_many) < 2 * median(of_few) + 50us);
    CHECK(read_all(2) == 0);
    CHECK(read_all(2) == static_cast<std::uint64_t>(all));
}
