// SPDX-License-Identifier: MIT

// The policies over RedisStore beside what is written by hand on hiredis, over a server of its own,
// interleaved, medians:
//   benchmark_redis_store hit    one thread, client and server on one core: CacheAside.get
//   benchmark_redis_store many   get_many of 100 keys, as many pipelined GETs
//   benchmark_redis_store put    WriteBehind.put over the journal beside the store, as many SETs
//   benchmark_redis_store trips  round trips and commands of each verb
//   benchmark_redis_store down   what a get costs while the server is not asked
//   benchmark_redis_store tags   invalidate_tag over 10 entries and over 100,000

#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sched.h>

namespace {

using clock_type = std::chrono::steady_clock;
using namespace std::chrono_literals;
using larder::redis::Client;
using larder_test::RedisServer;
using Strings = larder::RedisStore<int, std::string, larder::RawCodec<std::string>>;

struct Free {
    void operator()(redisContext* context) const noexcept { ::redisFree(context); }
};
using Raw = std::unique_ptr<redisContext, Free>;

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}
double percentile(std::vector<double> values, std::size_t of_thousand) {
    std::sort(values.begin(), values.end());
    return values[values.size() * of_thousand / 1000];
}
void check(bool right) {
    if (!right) {
        std::fputs("an answer is wrong\n", stderr);
        std::exit(1);
    }
}

// The calls of one round, in microseconds each.
template <class Call>
double time_of(int calls, Call&& call) {
    const auto began = clock_type::now();
    for (int i = 0; i < calls; ++i) {
        call(i);
    }
    return std::chrono::duration<double, std::micro>(clock_type::now() - began).count() / calls;
}

void fill(const RedisServer& server, int keys) {
    for (int key = 0; key < keys; ++key) {
        server.run("SET", "text:" + std::to_string(key), std::string(100, 'x'), "PX", "3600000");
    }
}

// One core for this process and the servers that it starts: else one measures the wake-up of a core.
struct Pinned {
    cpu_set_t before{};
    Pinned() {
        ::sched_getaffinity(0, sizeof before, &before);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(0, &one);
        ::sched_setaffinity(0, sizeof one, &one);
    }
    ~Pinned() { ::sched_setaffinity(0, sizeof before, &before); }
};

void hit() {
    const Pinned pinned;
    const RedisServer server;
    fill(server, 100);
    for (const bool tcp : {false, true}) {
        const Raw raw{tcp ? ::redisConnect("127.0.0.1", server.port())
                          : ::redisConnectUnix(server.socket_path().c_str())};
        Strings store{Client{tcp ? server.tcp_url() : server.unix_url()}, "text"};
        larder::CacheAside cache{store, [](int) { return std::string{}; }};
        std::vector<double> raws;
        std::vector<double> ours;
        std::vector<double> ratios;
        for (int round = 0; round < 101; ++round) {
            raws.push_back(time_of(1000, [&](int i) {
                auto* const reply =
                    static_cast<redisReply*>(::redisCommand(raw.get(), "GET text:%d", i % 100));
                const std::string value{reply->str, reply->len};
                ::freeReplyObject(reply);
                check(value.size() == 100);
            }));
            ours.push_back(time_of(1000, [&](int i) { check(cache.get(i % 100)->size() == 100); }));
            ratios.push_back(ours.back() / raws.back());
        }
        std::printf("hit    %-4s  raw GET %6.2f us  CacheAside.get %6.2f us  ratio %.3f\n",
                    tcp ? "tcp" : "unix", median(raws), median(ours), median(ratios));
    }
}

void many() {
    const RedisServer server;
    constexpr int count = 100;
    fill(server, count);
    for (const bool tcp : {false, true}) {
        const Raw raw{tcp ? ::redisConnect("127.0.0.1", server.port())
                          : ::redisConnectUnix(server.socket_path().c_str())};
        Strings store{Client{tcp ? server.tcp_url() : server.unix_url()}, "text"};
        larder::CacheAside cache{store, [](int) { return std::string{}; }};
        std::vector<int> keys;
        for (int key = 0; key < count; ++key) {
            keys.push_back(key);
        }
        std::vector<double> ratios;
        std::vector<double> ours;
        std::vector<double> raws;
        for (int round = 0; round < 51; ++round) {
            raws.push_back(time_of(50, [&](int) {
                for (const int key : keys) {
                    ::redisAppendCommand(raw.get(), "GET text:%d", key);
                }
                std::vector<std::string> values;
                for (int i = 0; i < count; ++i) {
                    void* reply = nullptr;
                    check(::redisGetReply(raw.get(), &reply) == REDIS_OK);
                    auto* const one = static_cast<redisReply*>(reply);
                    values.emplace_back(one->str, one->len);
                    ::freeReplyObject(reply);
                }
                check(values.back().size() == 100);
            }));
            ours.push_back(
                time_of(50, [&](int) { check(cache.get_many(keys).back()->size() == 100); }));
            ratios.push_back(raws.back() / ours.back());
        }
        std::printf("many   %-4s  pipeline %6.0f keys/ms  get_many %6.0f keys/ms  ratio %.2f\n",
                    tcp ? "tcp" : "unix", count * 1000 / median(raws), count * 1000 / median(ours),
                    median(ratios));
    }
}

struct VersionedRows {
    std::optional<std::string> load(int) const { return std::nullopt; }
    bool save(int, const std::string&, std::uint64_t) { return true; }
    bool remove(int, std::uint64_t) { return true; }
};

void put() {
    const RedisServer server;
    const std::string value(100, 'x');
    for (const bool tcp : {false, true}) {
        const Raw raw{tcp ? ::redisConnect("127.0.0.1", server.port())
                          : ::redisConnectUnix(server.socket_path().c_str())};
        Strings store{Client{tcp ? server.tcp_url() : server.unix_url()}, "text"};
        for (const int keys : {100, 1'000'000}) {  // the same ones again, and new ones
            larder::WriteBehind cache{store,
                                      VersionedRows{},
                                      {.ttl = 1h},
                                      {.max_pending = 2'000'000, .delay = 1h, .drain = 0ms}};
            std::vector<double> raws;
            std::vector<double> ours;
            std::vector<double> ratios;
            int key = 0;
            for (int round = 0; round < 101; ++round) {
                raws.push_back(time_of(200, [&](int i) {
                    auto* const reply = static_cast<redisReply*>(::redisCommand(
                        raw.get(), "SET other:%d %b PX 3600000", i, value.data(), value.size()));
                    check(reply->type == REDIS_REPLY_STATUS);
                    ::freeReplyObject(reply);
                }));
                ours.push_back(time_of(200, [&](int) { cache.put(key++ % keys, value); }));
                ratios.push_back(ours.back() / raws.back());
            }
            std::printf(
                "put    %-4s %-8s  raw SET %6.2f us  WriteBehind.put %6.2f us  ratio %.3f\n",
                tcp ? "tcp" : "unix", keys == 100 ? "old keys" : "new keys", median(raws),
                median(ours), median(ratios));
        }
    }
}

struct Rows {
    std::map<int, std::string> rows{};
    std::optional<std::string> load(int key) const {
        const auto at = rows.find(key);
        return at == rows.end() ? std::nullopt : std::optional{at->second};
    }
    void save(int key, const std::string& value) { rows[key] = value; }
    void remove(int key) { rows.erase(key); }
};

void trips() {
    const RedisServer server;
    const Client client{server.unix_url()};
    Strings store{client, "text"};
    Rows rows;
    for (int key = 0; key < 1000; ++key) {
        rows.rows[key] = "row";
    }
    larder::WriteThrough cache{store, std::ref(rows)};
    larder::Tagged tagged{larder::CacheAside{store, std::ref(rows)},
                          [](const std::string&) { return larder::Tags{"all"}; }};
    (void)cache.get(999);
    (void)tagged.get(998);
    tagged.invalidate_tag("all");
    (void)tagged.get(998);
    cache.invalidate(999);
    cache.put(997, "new");  // the scripts and the clock are there now
    const auto show = [&](const char* what, auto&& act) {
        const auto before = client.stats();
        act();
        const auto after = client.stats();
        std::printf("trips  %-34s %llu round trips, %llu commands\n", what,
                    static_cast<unsigned long long>(after.round_trips - before.round_trips),
                    static_cast<unsigned long long>(after.commands - before.commands));
    };
    show("get, a miss that leads", [&] { (void)cache.get(1); });
    show("get, a hit", [&] { (void)cache.get(1); });
    show("get, tagged, a miss that leads", [&] { (void)tagged.get(2); });
    show("get, tagged, a hit", [&] { (void)tagged.get(2); });
    tagged.invalidate_tag("all");
    show("get, tagged, after invalidate_tag", [&] { (void)tagged.get(2); });
    show("put", [&] { cache.put(3, "new"); });
    show("remove", [&] { cache.remove(3); });
    show("invalidate", [&] { cache.invalidate(1); });
    show("invalidate_tag", [&] { tagged.invalidate_tag("all"); });
    std::vector<int> keys;
    for (int key = 100; key < 200; ++key) {
        keys.push_back(key);
    }
    show("get_many of 100, all missing", [&] { (void)cache.get_many(keys); });
    show("get_many of 100, all there", [&] { (void)cache.get_many(keys); });
    std::vector<std::pair<int, std::string>> pairs;
    for (const int key : keys) {
        pairs.emplace_back(key, "new");
    }
    show("put_many of 100", [&] { cache.put_many(pairs); });
    show("writing of 100, commit", [&] { cache.writing(keys).commit(); });
    (void)tagged.get_many(keys);
    show("get_many of 100, tagged, all there", [&] { (void)tagged.get_many(keys); });
    tagged.invalidate_tag("all");
    show("the same after invalidate_tag", [&] { (void)tagged.get_many(keys); });
}

void down() {
    larder::redis::ClientOptions options;
    options.port = 1;
    options.breaker = 1h;
    options.max_breaker = 1h;
    Strings store{Client{options}, "text"};
    larder::CacheAside cache{store, [](int key) { return std::to_string(key); }};
    (void)cache.get(0);
    std::vector<double> times;
    std::vector<double> puts;
    for (int i = 0; i < 100'000; ++i) {
        times.push_back(time_of(1, [&](int) { (void)cache.get(i); }));
    }
    std::printf("down   get, load of no time: p50 %.2f us  p99 %.2f us\n", percentile(times, 500),
                percentile(times, 990));
}

void tags() {
    const RedisServer server;
    const Client client{server.unix_url()};
    larder::RedisStore<int, int, larder::RawCodec<int>> store{client, "number"};
    larder::Tagged cache{larder::CacheAside{store, [](int key) { return key; }, {.ttl = 1h}},
                         [](int key) { return larder::Tags{key < 10 ? "few" : "many"}; }};
    const std::size_t most = std::getenv("ENTRIES") != nullptr
                                 ? static_cast<std::size_t>(std::atoll(std::getenv("ENTRIES")))
                                 : 100'000;
    std::vector<int> keys;
    for (std::size_t key = 0; key < most; ++key) {
        keys.push_back(static_cast<int>(key));
    }
    (void)cache.warm(keys, {.batch = 1000, .parallel = 1});
    std::vector<double> few;
    std::vector<double> lots;
    for (int i = 0; i < 1001; ++i) {
        few.push_back(time_of(1, [&](int) { cache.invalidate_tag("few"); }));
        lots.push_back(time_of(1, [&](int) { cache.invalidate_tag("many"); }));
    }
    std::printf("tags   invalidate_tag of 10 entries %.1f us, of %zu %.1f us\n", median(few), most,
                median(lots));
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "all";
    const auto wants = [&](const char* part) { return what == part || what == "all"; };
    if (wants("trips")) {
        trips();
    }
    if (wants("hit")) {
        hit();
    }
    if (wants("many")) {
        many();
    }
    if (wants("put")) {
        put();
    }
    if (wants("down")) {
        down();
    }
    if (wants("tags")) {
        tags();
    }
}
