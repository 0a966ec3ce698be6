// SPDX-License-Identifier: MIT

// Near copies beside a MemoryStore alone and beside Redis, and a cluster beside one server; servers of its own on
// loopback ports, interleaved, medians:
//   benchmark_near hit [ROUNDS]       one thread, CacheAside.get: how many times a MemoryStore's time
//   benchmark_near many [ROUNDS]      eight threads: how many times the throughput of hits in Redis
//   benchmark_near cluster [ROUNDS]   32 threads on three primaries, and on one: hits in Redis. All share this
//                                     machine's cores, which set the limit

#include "compare.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace std::chrono_literals;
using larder_bench::median;
using larder_bench::throughput;

constexpr int keys = 1000;

std::string load(int key) {
    return std::to_string(key) + std::string(96, 'x');
}

using Far = larder::RedisStore<int, std::string, larder::RawCodec<>>;
using Near = larder::MemoryStore<int, std::string>;

Near memory() {
    return Near{{.capacity = 10'000}};
}

// Reads keys in turn; gives the sum of what it has read.
template <class Cache>
auto reader(Cache& cache) {
    for (int round = 0; round < 2; ++round) {  // the first fills far, the second near
        for (int key = 0; key < keys; ++key) {
            static_cast<void>(cache.get(key));
        }
    }
    return [&cache](std::size_t, std::size_t at) {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < larder_bench::batch; ++i) {
            sum += cache.get(static_cast<int>((at + i) % keys)).value().size();
        }
        return sum;
    };
}

// One side of a comparison.
template <class Cache>
struct Side {
    const char* name;
    Cache& cache;
    std::chrono::milliseconds time;

    Side(const char* with_name, Cache& with_cache, std::chrono::milliseconds with_time)
        : name{with_name}, cache{with_cache}, time{with_time} {}  // clang 14 deduces no aggregate
};

// In turn, round after round.
template <class One, class Other>
void measure(std::size_t rounds, std::size_t threads, Side<One> one, Side<Other> other) {
    const auto read_one = reader(one.cache);
    const auto read_other = reader(other.cache);
    std::vector<double> first, second, ratios;
    for (std::size_t round = 0; round < rounds; ++round) {
        first.push_back(throughput(threads, one.time, round, read_one));
        second.push_back(throughput(threads, other.time, round, read_other));
        ratios.push_back(first.back() / second.back());
    }
    std::printf("%-28s %8.3f million a second\n%-28s %8.3f\nratio %.2f\n", one.name, median(first),
                other.name, median(second), median(ratios));
}

void hit(std::size_t rounds) {
    const larder_test::RedisServer server;
    const larder::redis::Client redis{server.tcp_url()};
    larder::CacheAside alone{memory(), load, {.ttl = 1h}};
    larder::CacheAside tiers{larder::TieredStore{memory(), Far{redis, "near"}}, load, {.ttl = 1h}};
    measure(rounds, 1, Side{"MemoryStore, strings", alone, 100ms},
            Side{"TieredStore, near hits", tiers, 100ms});
    const larder::Stats stats = tiers.stats();
    if (stats.near_hits * 100 < stats.hits * 99) {
        throw std::runtime_error{"these were no near hits"};
    }
}

void many(std::size_t rounds) {
    const larder_test::RedisServer server;
    const larder::redis::Client redis{server.tcp_url()};
    larder::CacheAside far{Far{redis, "far"}, load, {.ttl = 1h}};
    larder::CacheAside tiers{larder::TieredStore{memory(), Far{redis, "near"}}, load, {.ttl = 1h}};
    measure(rounds, 8, Side{"TieredStore, 8 threads", tiers, 200ms},
            Side{"RedisStore, 8 threads", far, 2s});
}

void cluster(std::size_t rounds) {
    larder_test::RedisCluster three{3};
    larder_test::RedisCluster one{1};
    const larder::redis::Client to_three{three.url()};
    const larder::redis::Client to_one{one.url()};
    larder::CacheAside spread{Far{to_three, "spread"}, load, {.ttl = 1h}};
    larder::CacheAside together{Far{to_one, "together"}, load, {.ttl = 1h}};
    measure(rounds, 32, Side{"three primaries, 32 threads", spread, 4s},
            Side{"one primary, 32 threads", together, 4s});
}

}  // namespace

int main(int argc, char** argv) try {
    const std::string_view what = argc > 1 ? argv[1] : "";
    const std::size_t rounds = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 9;
    if (what == "hit") {
        hit(rounds);
    } else if (what == "many") {
        many(rounds);
    } else if (what == "cluster") {
        cluster(rounds);
    } else {
        std::fputs("usage: benchmark_near hit|many|cluster [ROUNDS]\n", stderr);
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return EXIT_FAILURE;
}
