// SPDX-License-Identifier: MIT

// A million puts on a thousand hot keys through WriteBehind, from several threads, into a database that
// takes a while for each batch: the counters say how many rows reached it, and in how many batches. It
// fails if one of the last values is not there.

#include <larder/larder.hpp>

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

using namespace std::chrono_literals;

struct Table {
    std::mutex mutex{};
    std::unordered_map<int, std::pair<std::optional<int>, std::uint64_t>> rows{};
    std::chrono::microseconds statement{0};
    std::int64_t written = 0;
    std::int64_t batches = 0;

    std::optional<int> load(int key) {
        const std::scoped_lock lock{mutex};
        return rows[key].first;
    }
    bool save(int key, int value, std::uint64_t version) {
        const larder::Change<int, int> change{key, value, version};
        return save_many({&change, 1})[0];
    }
    bool remove(int key, std::uint64_t version) {
        const larder::Change<int, int> change{key, std::nullopt, version};
        return save_many({&change, 1})[0];
    }
    std::vector<bool> save_many(std::span<const larder::Change<int, int>> changes) {
        std::this_thread::sleep_for(statement);
        const std::scoped_lock lock{mutex};
        ++batches;
        std::vector<bool> applied;
        for (const auto& change : changes) {
            auto& row = rows[change.key];
            applied.push_back(row.second <= change.version);
            if (applied.back()) {
                row = {change.value, change.version};
                ++written;
            }
        }
        return applied;
    }
};

// The argument: how long a statement takes, in microseconds.
void million_puts(benchmark::State& state) {
    constexpr int keys = 1000;
    constexpr int threads = 4;
    constexpr int puts = 1'000'000;
    double rows = 0;
    double batches = 0;
    for (auto _ : state) {
        Table table;
        table.statement = std::chrono::microseconds{state.range(0)};
        {
            larder::MemoryStore<int, int> store{{.capacity = 2 * keys}};
            larder::WriteBehind cache{store, std::ref(table), {.ttl = 1h}, {.drain = 60s}};
            std::vector<std::jthread> crowd;
            for (int thread = 0; thread < threads; ++thread) {
                crowd.emplace_back([&, thread] {
                    constexpr int mine = keys / threads;
                    for (int i = 0; i < puts / threads; ++i) {
                        cache.put(thread * mine + i % mine, i);
                    }
                });
            }
        }
        for (int key = 0; key < keys; ++key) {
            constexpr int mine = keys / threads;
            if (table.load(key) != puts / threads - mine + key % mine) {
                state.SkipWithError("the last value of a key is not in the database");
                return;
            }
        }
        rows += static_cast<double>(table.written);
        batches += static_cast<double>(table.batches);
    }
    const auto runs = static_cast<double>(state.iterations());
    state.counters["rows"] = rows / runs;
    state.counters["batches"] = batches / runs;
    state.counters["puts_per_row"] = puts * runs / rows;
}
BENCHMARK(million_puts)
    ->Arg(0)
    ->Arg(1000)
    ->Iterations(5)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
