// SPDX-License-Identifier: MIT

/// @file
/// What the README's fragments take for granted: a table of products, a store, and a policy.

#ifndef LARDER_TESTS_README_PRELUDE_HPP
#define LARDER_TESTS_README_PRELUDE_HPP

#include <larder/larder.hpp>

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>

struct Product {
    int id{};
    std::string name{};
    double price{};
};

class ProductTable {
public:
    std::optional<Product> load(int id) const {
        const std::scoped_lock lock{mutex_};
        const auto row = rows_.find(id);
        return row == rows_.end() ? std::nullopt : std::optional{row->second};
    }
    void save(int id, const Product& product) {
        const std::scoped_lock lock{mutex_};
        rows_[id] = product;
    }
    void remove(int id) {
        const std::scoped_lock lock{mutex_};
        rows_.erase(id);
    }

private:
    mutable std::mutex mutex_{};
    std::map<int, Product> rows_{{42, {42, "teapot", 24.0}}};
};

inline ProductTable table;
inline larder::MemoryStore<int, Product> store{{.capacity = 1'000}};
inline larder::CacheAside products{store, std::ref(table)};

#endif  // LARDER_TESTS_README_PRELUDE_HPP
