// SPDX-License-Identifier: MIT

// What a hit costs: a policy's get beside the store's own find, and beside the mutex, list and
// unordered_map that people write by hand. Compare within one run, interleaved:
//   benchmark_hit --benchmark_enable_random_interleaving=true --benchmark_repetitions=9
//                 --benchmark_report_aggregates_only=true

#include <larder/larder.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t entries = 100'000;

template <class K>
K key_of(std::uint64_t n) {
    if constexpr (std::is_same_v<K, std::string>) {
        std::string key = std::to_string(n);
        key.insert(0, 16 - key.size(), 'k');
        return key;
    } else {
        return n * 0x9e3779b97f4a7c15U;
    }
}
template <class V>
V value_of(std::uint64_t n) {
    if constexpr (std::is_same_v<V, std::string>) {
        return std::string(100, static_cast<char>('a' + n % 26));
    } else {
        return n;
    }
}

// Keys by Zipf's law with exponent 0.99, drawn beforehand.
template <class K>
const std::vector<K>& zipf_keys() {
    static const std::vector<K> keys = [] {
        std::vector<double> sums;
        double sum = 0;
        for (std::size_t i = 1; i <= entries; ++i) {
            sums.push_back(sum += 1 / std::pow(static_cast<double>(i), 0.99));
        }
        std::mt19937_64 random{42};
        std::uniform_real_distribution<double> draw{0, sum};
        std::vector<K> drawn;
        for (std::size_t i = 0; i < (std::size_t{1} << 20U); ++i) {
            const auto at = std::lower_bound(sums.begin(), sums.end(), draw(random));
            drawn.push_back(key_of<K>(static_cast<std::uint64_t>(at - sums.begin())));
        }
        return drawn;
    }();
    return keys;
}

template <class K, class V>
class HandWrittenLru {
public:
    std::optional<V> find(const K& key) {
        const std::scoped_lock lock{mutex_};
        const auto at = index_.find(key);
        if (at == index_.end()) {
            return {};
        }
        order_.splice(order_.begin(), order_, at->second);
        return at->second->second;
    }
    void put(const K& key, V value) {
        const std::scoped_lock lock{mutex_};
        order_.emplace_front(key, std::move(value));
        index_[key] = order_.begin();
    }

private:
    std::mutex mutex_;
    std::list<std::pair<K, V>> order_;
    std::unordered_map<K, typename std::list<std::pair<K, V>>::iterator> index_;
};

template <class K, class V>
struct Filled {
    larder::MemoryStore<K, V> store{{.capacity = 2 * entries}};
    larder::CacheAside<larder::MemoryStore<K, V>, V (*)(const K&)> policy{
        store, [](const K&) { return V{}; }};
    HandWrittenLru<K, V> lru{};

    Filled() {
        for (std::size_t i = 0; i < entries; ++i) {
            store.put(key_of<K>(i), value_of<V>(i), {.fresh = std::chrono::hours{1}});
            lru.put(key_of<K>(i), value_of<V>(i));
        }
    }
    static Filled& instance() {
        static Filled filled;
        return filled;
    }
};

template <class K, class V, class Get>
void run(benchmark::State& state, Get&& get) {
    const auto& keys = zipf_keys<K>();
    auto& filled = Filled<K, V>::instance();
    std::size_t at = static_cast<std::size_t>(state.thread_index()) * 7919;
    for (auto _ : state) {
        benchmark::DoNotOptimize(get(filled, keys[at++ & (keys.size() - 1)]));
    }
    state.SetItemsProcessed(state.iterations());
}

template <class K, class V>
void store_find(benchmark::State& state) {
    run<K, V>(state, [](auto& filled, const K& key) { return filled.store.find(key); });
}
template <class K, class V>
void policy_get(benchmark::State& state) {
    run<K, V>(state, [](auto& filled, const K& key) { return filled.policy.get(key); });
}
template <class K, class V>
void hand_written_lru(benchmark::State& state) {
    run<K, V>(state, [](auto& filled, const K& key) { return filled.lru.find(key); });
}

using U64 = std::uint64_t;
BENCHMARK(store_find<U64, U64>)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(policy_get<U64, U64>)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(hand_written_lru<U64, U64>)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(store_find<std::string, std::string>)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(policy_get<std::string, std::string>)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(hand_written_lru<std::string, std::string>)->Threads(1)->Threads(2)->UseRealTime();

}  // namespace
