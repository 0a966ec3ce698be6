// SPDX-License-Identifier: MIT

/// @file
/// Contenders measured in turn, round after round: medians of throughput and of ratios within a round.

#ifndef LARDER_TESTS_BENCHMARKS_COMPARE_HPP
#define LARDER_TESTS_BENCHMARKS_COMPARE_HPP

#include "svg.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <latch>
#include <limits>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_bench {

using Seconds = std::chrono::duration<double>;

inline double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    const std::size_t middle = values.size() / 2;
    return values.empty()           ? std::numeric_limits<double>::quiet_NaN()
           : values.size() % 2 != 0 ? values[middle]
                                    : (values[middle - 1] + values[middle]) / 2;
}

/// What has been read goes here, so that it has to be.
inline std::atomic<std::uint64_t> read_sum{0};  // NOLINT: seen by all

/// Million operations a second of so many threads: each calls `work(thread, position)`, which does
/// `batch` operations from there on and gives what it has read, a quarter of `time` for nothing, so
/// that its own data is in the caches, then until `time` is over. A thread's rate is of its own time:
/// none is counted that waits for the others.
inline constexpr std::size_t batch = 1024;
template <class Work>
double throughput(std::size_t threads, std::chrono::milliseconds time, std::size_t start,
                  const Work& work) {
    std::latch ready{static_cast<std::ptrdiff_t>(threads + 1)};
    std::atomic<bool> warm{false};
    std::atomic<bool> over{false};
    std::vector<double> rates(threads);
    {
        std::vector<std::jthread> all;
        for (std::size_t thread = 0; thread < threads; ++thread) {
            all.emplace_back([&, thread] {
                std::size_t at = start + thread * 7'919'777;
                std::uint64_t sum = 0;
                const auto until = [&](const std::atomic<bool>& flag) {
                    std::size_t done = 0;
                    while (!flag.load(std::memory_order_relaxed)) {
                        sum += work(thread, at += batch);
                        done += batch;
                    }
                    return done;
                };
                ready.arrive_and_wait();
                until(warm);
                const auto begin = std::chrono::steady_clock::now();
                const std::size_t done = until(over);
                const Seconds took = std::chrono::steady_clock::now() - begin;
                rates[thread] = static_cast<double>(done) / took.count() / 1e6;
                read_sum += sum;
            });
        }
        ready.arrive_and_wait();
        std::this_thread::sleep_for(time / 4);
        warm = true;
        std::this_thread::sleep_for(time);
        over = true;
    }
    double rate = 0;
    for (const double one : rates) {
        rate += one;
    }
    return rate;
}

/// One of those that are compared.
struct Contender {
    std::string name;
    /// Million operations a second of so many threads.
    std::function<double(std::size_t threads, std::size_t round)> run;
    std::size_t most_threads = static_cast<std::size_t>(-1);
    /// More of it for the table, once all is measured.
    std::function<std::string()> note{};
};

/// How a comparison is carried out.
struct Settings {
    std::vector<std::size_t> threads{1, 2};
    std::size_t rounds = 5;
    std::chrono::milliseconds time{200};
    std::string folder{"."};  ///< for the plots
};

/// Measures all contenders in turn, `rounds` times after one that does not count, and prints a table:
/// the first contender is what the others are compared with. A plot goes to `folder`/`file`.svg.
inline void compare(const std::string& title, const std::string& file,
                    const std::vector<Contender>& contenders, const Settings& settings) {
    std::map<std::pair<std::size_t, std::size_t>, std::vector<double>> rates;  // contender, threads
    for (std::size_t round = 0; round <= settings.rounds; ++round) {
        for (const std::size_t threads : settings.threads) {
            for (std::size_t i = 0; i < contenders.size(); ++i) {
                if (threads <= contenders[i].most_threads) {
                    const double rate = contenders[i].run(threads, round);
                    if (round > 0) {
                        rates[{i, threads}].push_back(rate);
                    }
                }
            }
        }
    }
    std::printf("\n%s: million a second (times slower than the first)\n%-30s", title.c_str(), "");
    for (const std::size_t threads : settings.threads) {
        std::printf("  %4zu thread%s     ", threads, threads == 1 ? " " : "s");
    }
    std::printf("\n");
    Plot plot{title,
              "interleaved, medians of " + std::to_string(settings.rounds) + " rounds",
              {"threads"},
              {"million operations a second"}};
    for (std::size_t i = 0; i < contenders.size(); ++i) {
        std::printf("%-30s", contenders[i].name.c_str());
        std::vector<std::pair<double, double>> line;
        for (const std::size_t threads : settings.threads) {
            const auto& own = rates[{i, threads}];
            if (own.empty()) {
                std::printf("  %8s %9s", "", "");
                continue;
            }
            std::vector<double> ratios;
            for (std::size_t round = 0; round < own.size(); ++round) {
                ratios.push_back(rates[{0, threads}][round] / own[round]);
            }
            line.emplace_back(static_cast<double>(threads), median(own));
            std::printf("  %8.2f  (%5.2f)", median(own), median(ratios));
        }
        std::printf("  %s\n", contenders[i].note ? contenders[i].note().c_str() : "");
        if (line.size() > 1) {
            plot.add(contenders[i].name, line);
        }
    }
    std::fflush(stdout);
    if (!plot.empty()) {
        plot.write(settings.folder + "/" + file + ".svg");
    }
}

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_COMPARE_HPP
