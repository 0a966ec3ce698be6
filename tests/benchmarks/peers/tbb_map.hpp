// SPDX-License-Identifier: MIT

/// @file
/// oneTBB's concurrent_hash_map: no eviction, no lifetimes.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_TBB_MAP_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_TBB_MAP_HPP

#include <oneapi/tbb/concurrent_hash_map.h>

#include <cstddef>
#include <utility>

namespace larder_bench {

template <class K, class V>
class TbbMap {
    using Map = tbb::concurrent_hash_map<K, V>;

public:
    static constexpr const char* name = "oneTBB concurrent_hash_map";

    explicit TbbMap(std::size_t capacity) : map_{capacity} {}

    void put(const K& key, V value) {
        typename Map::accessor at;
        map_.insert(at, key);
        at->second = std::move(value);
    }

    template <class F>
    bool read(const K& key, F&& f) const {
        typename Map::const_accessor at;
        if (!map_.find(at, key)) {
            return false;
        }
        const V value = at->second;
        at.release();
        f(value);
        return true;
    }
    /// Without a copy, the entry locked meanwhile.
    template <class F>
    bool visit(const K& key, F&& f) const {
        typename Map::const_accessor at;
        if (!map_.find(at, key)) {
            return false;
        }
        f(at->second);
        return true;
    }

    [[nodiscard]] std::size_t size() const { return map_.size(); }

private:
    Map map_;
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_TBB_MAP_HPP
