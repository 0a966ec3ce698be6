// SPDX-License-Identifier: MIT

/// @file
/// oneTBB's concurrent_lru_cache: a bounded cache that loads by itself.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_TBB_LRU_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_TBB_LRU_HPP

#ifndef TBB_PREVIEW_CONCURRENT_LRU_CACHE
#define TBB_PREVIEW_CONCURRENT_LRU_CACHE 1
#endif
#include <oneapi/tbb/concurrent_lru_cache.h>

#include <cstddef>
#include <functional>
#include <utility>

namespace larder_bench {

/// It cannot be put into: what it holds is what it has loaded.
template <class K, class V>
class TbbLru {
public:
    using Load = std::function<V(const K&)>;

    static constexpr const char* name = "oneTBB concurrent_lru_cache";

    TbbLru(std::size_t capacity, Load load) : cache_{std::move(load), capacity} {}

    V get(const K& key) { return cache_[key].value(); }

    template <class F>
    bool read(const K& key, F&& f) {
        f(get(key));
        return true;
    }

private:
    tbb::concurrent_lru_cache<K, V, Load> cache_;
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_TBB_LRU_HPP
