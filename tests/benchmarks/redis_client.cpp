// SPDX-License-Identifier: MIT

// redis::Client beside raw hiredis, over a server of its own, interleaved, medians:
//   benchmark_redis_client                 all of it
//   benchmark_redis_client alone           one thread, client and server on one core
//   benchmark_redis_client crowd [THREADS...] many threads, 100 byte values
//   benchmark_redis_client down            what a call costs while the server is not asked

#include "support/redis_server.hpp"

#include <larder/redis.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>
#include <sys/resource.h>

namespace {

using clock_type = std::chrono::steady_clock;
using larder::redis::Client;
using larder_test::RedisServer;

struct Free {
    void operator()(redisContext* context) const noexcept { ::redisFree(context); }
};
using Raw = std::unique_ptr<redisContext, Free>;

Raw connect_raw(const RedisServer& server, bool tcp) {
    return Raw{tcp ? ::redisConnect("127.0.0.1", server.port())
                   : ::redisConnectUnix(server.socket_path().c_str())};
}
std::size_t get_raw(const Raw& raw, const char* key) {
    auto* const reply = static_cast<redisReply*>(::redisCommand(raw.get(), "GET %s", key));
    const std::size_t size = reply != nullptr ? reply->len : 0;
    ::freeReplyObject(reply);
    return size;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void check(std::size_t size) {
    if (size != 100) {
        std::fputs("a reply is wrong\n", stderr);
        std::exit(1);
    }
}

void alone() {
    cpu_set_t before;
    ::sched_getaffinity(0, sizeof before, &before);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    ::sched_setaffinity(0, sizeof one, &one);
    const RedisServer server;
    server.run("SET", "key", std::string(100, 'x'));
    for (const bool tcp : {false, true}) {
        const Raw raw = connect_raw(server, tcp);
        const Client client{tcp ? server.tcp_url() : server.unix_url()};
        constexpr int calls = 1000;
        const auto time = [&](auto&& get) {
            const auto began = clock_type::now();
            for (int i = 0; i < calls; ++i) {
                check(get());
            }
            return std::chrono::duration<double, std::micro>(clock_type::now() - began).count() /
                   calls;
        };
        std::vector<double> raws;
        std::vector<double> ours;
        std::vector<double> ratios;
        for (int round = 0; round < 101; ++round) {
            raws.push_back(time([&] { return get_raw(raw, "key"); }));
            ours.push_back(time([&] { return client.command("GET", "key").text().size(); }));
            ratios.push_back(ours.back() / raws.back());
        }
        std::printf("alone  %-4s  raw %6.2f us  client %6.2f us  ratio %.3f (of rounds: %.3f)\n",
                    tcp ? "tcp" : "unix", median(raws), median(ours), median(ours) / median(raws),
                    median(ratios));
    }
    ::sched_setaffinity(0, sizeof before, &before);
}

struct Crowd {
    double per_second{0};
    double p50{0};
    double p99{0};
    double sleeps{0};     // voluntary context switches of the client, an operation
    double evictions{0};  // involuntary ones
    double cpu{0};  // of client and server, an operation: what others on the machine do not change
};

double cpu_of(const rusage& used) {
    const auto micros = [](const timeval& time) {
        return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
    };
    return micros(used.ru_utime) + micros(used.ru_stime);
}
double cpu_of(const RedisServer& server) {
    std::ifstream in{"/proc/" + std::to_string(server.pid()) + "/schedstat"};
    double nanos = 0;
    in >> nanos;
    return nanos / 1000;
}

template <class Get>
Crowd run_crowd(const RedisServer& server, int threads, std::chrono::milliseconds time, Get&& get) {
    std::vector<std::vector<float>> times(static_cast<std::size_t>(threads));
    std::atomic<bool> ending{false};
    std::latch ready{threads + 1};
    rusage before{};
    double server_before = 0;
    clock_type::time_point began;
    {
        std::vector<std::jthread> all;
        for (int t = 0; t < threads; ++t) {
            all.emplace_back([&, t] {
                auto& mine = times[static_cast<std::size_t>(t)];
                mine.reserve(200'000);
                check(get(t));
                ready.arrive_and_wait();
                auto last = clock_type::now();
                while (!ending.load(std::memory_order_relaxed)) {
                    check(get(t));
                    const auto now = clock_type::now();
                    mine.push_back(std::chrono::duration<float, std::micro>(now - last).count());
                    last = now;
                }
            });
        }
        ready.arrive_and_wait();
        ::getrusage(RUSAGE_SELF, &before);
        server_before = cpu_of(server);
        began = clock_type::now();
        std::this_thread::sleep_for(time);
        ending = true;
    }
    const double seconds = std::chrono::duration<double>(clock_type::now() - began).count();
    rusage after{};
    ::getrusage(RUSAGE_SELF, &after);
    const double server_cpu = cpu_of(server) - server_before;
    std::vector<float> merged;
    for (const auto& mine : times) {
        merged.insert(merged.end(), mine.begin(), mine.end());
    }
    std::sort(merged.begin(), merged.end());
    const auto count = static_cast<double>(merged.size());
    return {count / seconds,
            static_cast<double>(merged[merged.size() / 2]),
            static_cast<double>(merged[merged.size() * 99 / 100]),
            static_cast<double>(after.ru_nvcsw - before.ru_nvcsw) / count,
            static_cast<double>(after.ru_nivcsw - before.ru_nivcsw) / count,
            (cpu_of(after) - cpu_of(before) + server_cpu) / count};
}

void crowd(int threads) {
    const RedisServer server;
    server.run("SET", "key", std::string(100, 'x'));
    std::vector<Raw> raws;
    for (int t = 0; t < threads; ++t) {
        raws.push_back(connect_raw(server, true));
    }
    larder::redis::ClientOptions options;
    options.port = server.port();
    if (const char* const connections = std::getenv("CONNECTIONS")) {
        options.connections = static_cast<std::size_t>(std::atoi(connections));
    }
    const Client client{options};
    std::vector<Crowd> raw;
    std::vector<Crowd> ours;
    std::vector<double> batches;
    for (int round = 0; round < 5; ++round) {
        raw.push_back(run_crowd(server, threads, std::chrono::milliseconds{400}, [&](int t) {
            return get_raw(raws[static_cast<std::size_t>(t)], "key");
        }));
        const auto before = client.stats();
        ours.push_back(run_crowd(server, threads, std::chrono::milliseconds{400},
                                 [&](int) { return client.command("GET", "key").text().size(); }));
        const auto after = client.stats();
        batches.push_back(static_cast<double>(after.commands - before.commands) /
                          static_cast<double>(after.round_trips - before.round_trips));
    }
    const auto of = [](const std::vector<Crowd>& rounds, double Crowd::*member) {
        std::vector<double> values;
        for (const Crowd& round : rounds) {
            values.push_back(round.*member);
        }
        return median(values);
    };
    const auto ratio = [&](double Crowd::*member) {
        std::vector<double> values;
        for (std::size_t i = 0; i < raw.size(); ++i) {
            values.push_back(ours[i].*member / (raw[i].*member));
        }
        return median(values);
    };
    std::printf("%7d  %5.2f %5.2f %5.2f", threads, ratio(&Crowd::per_second), ratio(&Crowd::p50),
                ratio(&Crowd::p99));
    for (const auto& rounds : {raw, ours}) {
        std::printf("  %8.0f %6.0f %6.0f %5.2f %5.2f %5.1f", of(rounds, &Crowd::per_second),
                    of(rounds, &Crowd::p50), of(rounds, &Crowd::p99), of(rounds, &Crowd::sleeps),
                    of(rounds, &Crowd::evictions), of(rounds, &Crowd::cpu));
    }
    std::printf("  %5.1f\n", median(batches));
    std::fflush(stdout);
}

void down() {
    larder::redis::ClientOptions options;
    options.port = 1;
    options.breaker = std::chrono::hours{1};
    options.max_breaker = options.breaker;
    const Client client{options};
    std::vector<double> times;
    for (int i = 0; i < 100'000; ++i) {
        const auto began = clock_type::now();
        try {
            client.command("GET", "key");
        } catch (const larder::StoreError&) {}
        times.push_back(
            std::chrono::duration<double, std::micro>(clock_type::now() - began).count());
    }
    std::sort(times.begin(), times.end());
    std::printf("down   p50 %.2f us  p99 %.2f us\n", times[times.size() / 2],
                times[times.size() * 99 / 100]);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "all";
    if (what == "alone" || what == "all") {
        alone();
    }
    if (what == "crowd" || what == "all") {
        std::puts(
            "         ratios: client / raw  raw: a connection a thread, times in us               "
            "client\n"
            "threads  tput   p50   p99     per s    p50    p99 sleep evict   cpu     per s    p50  "
            "  p99 sleep evict   cpu  batch");
        std::vector<int> rows{1, 2, 4, 5, 6, 8, 12, 16, 24, 32, 64};
        if (argc > 2) {
            rows.clear();
            std::transform(argv + 2, argv + argc, std::back_inserter(rows), &std::atoi);
        }
        for (const int threads : rows) {
            crowd(threads);
        }
    }
    if (what == "down" || what == "all") {
        down();
    }
}
