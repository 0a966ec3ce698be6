// SPDX-License-Identifier: MIT

/// @file
/// The cache that people write by hand: a mutex, a list and an unordered_map.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_LIST_LRU_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_LIST_LRU_HPP

#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <utility>

namespace larder_bench {

/// Exact LRU, without lifetimes.
template <class K, class V>
class ListLru {
public:
    using Load = std::function<V(const K&)>;

    static constexpr const char* name = "mutex + list + unordered_map";

    explicit ListLru(std::size_t capacity, Load load = {})
        : capacity_{capacity}, load_{std::move(load)} {}

    void put(const K& key, V value) {
        const std::scoped_lock lock{mutex_};
        const auto [at, is_new] = index_.try_emplace(key);
        if (!is_new) {
            at->second->second = std::move(value);
            order_.splice(order_.begin(), order_, at->second);
            return;
        }
        order_.emplace_front(key, std::move(value));
        at->second = order_.begin();
        if (order_.size() > capacity_) {
            index_.erase(order_.back().first);
            order_.pop_back();
        }
    }

    template <class F>
    bool read(const K& key, F&& f) {
        const std::optional<V> value = find(key);
        if (value) {
            f(*value);
        }
        return value.has_value();
    }

    V get(const K& key) {
        if (std::optional<V> value = find(key)) {
            return *std::move(value);
        }
        V value = load_(key);
        put(key, value);
        return value;
    }

    [[nodiscard]] std::size_t size() const { return order_.size(); }

private:
    std::optional<V> find(const K& key) {
        const std::scoped_lock lock{mutex_};
        const auto at = index_.find(key);
        if (at == index_.end()) {
            return {};
        }
        order_.splice(order_.begin(), order_, at->second);
        return at->second->second;
    }

    const std::size_t capacity_;
    const Load load_;
    std::mutex mutex_{};
    std::list<std::pair<K, V>> order_{};
    std::unordered_map<K, typename std::list<std::pair<K, V>>::iterator> index_{};
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_LIST_LRU_HPP
