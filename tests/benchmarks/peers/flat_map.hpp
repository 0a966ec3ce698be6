// SPDX-License-Identifier: MIT

/// @file
/// boost::concurrent_flat_map, of Boost 1.83 and later: no eviction, no lifetimes.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_FLAT_MAP_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_FLAT_MAP_HPP

#include <boost/unordered/concurrent_flat_map.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace larder_bench {

template <class K, class V>
class FlatMap {
public:
    static constexpr const char* name = "boost::concurrent_flat_map";

    explicit FlatMap(std::size_t capacity) : map_{capacity} {}

    void put(const K& key, V value) { map_.insert_or_assign(key, std::move(value)); }

    template <class F>
    bool read(const K& key, F&& f) const {
        std::optional<V> value;
        map_.cvisit(key, [&](const auto& entry) { value.emplace(entry.second); });
        if (value) {
            f(*value);
        }
        return value.has_value();
    }
    /// Without a copy, the entry locked meanwhile.
    template <class F>
    bool visit(const K& key, F&& f) const {
        return map_.cvisit(key, [&](const auto& entry) { f(entry.second); }) != 0;
    }

    [[nodiscard]] std::size_t size() const { return map_.size(); }

private:
    boost::concurrent_flat_map<K, V> map_;
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_FLAT_MAP_HPP
