// SPDX-License-Identifier: MIT

/// @file
/// MemoryStore as a contender: by `find`, which copies, by `visit`, and through CacheAside.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_LARDER_STORE_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_LARDER_STORE_HPP

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace larder_bench {

/// All entries have a life of an hour, which is checked at every read.
template <class K, class V>
class LarderStore {
public:
    using Load = std::function<V(const K&)>;

    static constexpr const char* name = "larder find";

    explicit LarderStore(std::size_t capacity, Load load = {})
        : store_{{.capacity = capacity}},
          cache_{std::make_unique<larder::CacheAside<Store, Load>>(
              store_, load ? std::move(load) : [](const K&) { return V{}; },
              larder::Options{.ttl = life})} {}

    void put(const K& key, V value) { store_.put(key, std::move(value), {life}); }

    template <class F>
    bool read(const K& key, F&& f) const {
        const auto entry = store_.find(key);
        if (!entry || !entry->value) {
            return false;
        }
        f(*entry->value);
        return true;
    }
    template <class F>
    bool visit(const K& key, F&& f) const {
        return store_.visit(key, std::forward<F>(f));
    }
    std::optional<V> get(const K& key) const { return cache_->get(key); }

    [[nodiscard]] std::size_t size() const { return store_.size(); }

private:
    using Store = larder::MemoryStore<K, V>;

    static constexpr std::chrono::hours life{1};

    Store store_;
    std::unique_ptr<larder::CacheAside<Store, Load>> cache_;
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_LARDER_STORE_HPP
