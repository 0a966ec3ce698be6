// SPDX-License-Identifier: MIT

/// @file
/// A bare table for one thread: what the memory itself costs.

#ifndef LARDER_TESTS_BENCHMARKS_PEERS_BARE_TABLE_HPP
#define LARDER_TESTS_BENCHMARKS_PEERS_BARE_TABLE_HPP

#include <larder/hash.hpp>

#include <bit>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace larder_bench {

/// Open addressing with linear probing, at most half full; it never grows, evicts or erases.
template <class K, class V>
class BareTable {
public:
    static constexpr const char* name = "bare table, one thread";

    explicit BareTable(std::size_t capacity)
        : slots_(2 * std::bit_ceil(capacity)), mask_{slots_.size() - 1} {}

    void put(const K& key, V value) { slots_[place(key)].emplace(key, std::move(value)); }

    template <class F>
    bool read(const K& key, F&& f) const {
        const auto& slot = slots_[place(key)];
        if (slot) {
            const V value = slot->second;
            f(value);
        }
        return slot.has_value();
    }

private:
    [[nodiscard]] std::size_t place(const K& key) const {
        std::size_t at = larder::Hash<K>{}(key)&mask_;
        while (slots_[at] && !(slots_[at]->first == key)) {
            at = (at + 1) & mask_;
        }
        return at;
    }

    std::vector<std::optional<std::pair<K, V>>> slots_;
    std::size_t mask_;
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_PEERS_BARE_TABLE_HPP
