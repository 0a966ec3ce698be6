// SPDX-License-Identifier: MIT

/// @file
/// Keys, values, and the order in which they are asked for: drawn beforehand, the same in every run.

#ifndef LARDER_TESTS_BENCHMARKS_STREAMS_HPP
#define LARDER_TESTS_BENCHMARKS_STREAMS_HPP

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <numeric>
#include <random>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace larder_bench {

/// The key of a number: scattered, or 16 bytes of text.
template <class K>
K key_of(std::uint64_t number) {
    if constexpr (std::is_same_v<K, std::string>) {
        std::string key = std::to_string(number);
        key.insert(0, 16 - key.size(), 'k');
        return key;
    } else {
        return number * 0x9e3779b97f4a7c15U;
    }
}

/// The value of a number: itself, or 100 bytes of text.
template <class V>
V value_of(std::uint64_t number) {
    if constexpr (std::is_same_v<V, std::string>) {
        return std::string(100, static_cast<char>('a' + number % 26));
    } else {
        return number;
    }
}

/// Something of a value that is read, so that no compiler leaves out the reading.
inline std::uint64_t digest(std::uint64_t value) {
    return value;
}
inline std::uint64_t digest(const std::string& value) {
    return value.size() + static_cast<unsigned char>(value[value.size() / 2]);
}

/// Numbers below `numbers` by Zipf's law with exponent 0.99; 0 is the most frequent.
inline std::vector<std::uint32_t> zipf(std::size_t numbers, std::size_t count) {
    std::vector<double> sums;
    sums.reserve(numbers);
    double sum = 0;
    for (std::size_t i = 1; i <= numbers; ++i) {
        sums.push_back(sum += 1 / std::pow(static_cast<double>(i), 0.99));
    }
    std::mt19937_64 random{42};  // NOLINT: the same stream in every run
    std::uniform_real_distribution<double> draw{0, sum};
    std::vector<std::uint32_t> drawn;
    drawn.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        const auto at = std::lower_bound(sums.begin(), sums.end() - 1, draw(random));
        drawn.push_back(static_cast<std::uint32_t>(at - sums.begin()));
    }
    return drawn;
}

/// The numbers below `numbers` in an order that favours nobody: in that of their frequency, those that
/// are asked for most would lie beside each other.
inline std::vector<std::uint32_t> shuffled(std::size_t numbers) {
    std::vector<std::uint32_t> order(numbers);
    std::iota(order.begin(), order.end(), 0U);
    std::shuffle(order.begin(), order.end(), std::mt19937_64{43});  // NOLINT: as above
    return order;
}

/// For a peer in another process.
inline void write_numbers(const std::string& path, const std::vector<std::uint32_t>& numbers) {
    std::ofstream file{path, std::ios::binary};
    for (const std::uint32_t number : numbers) {
        for (unsigned shift = 0; shift < 32; shift += 8) {
            file.put(static_cast<char>(number >> shift & 0xffU));
        }
    }
    if (!file.flush()) {
        throw std::runtime_error{"cannot write " + path};
    }
}

/// A stream of keys that goes on for ever, from anywhere. Its length is a power of two.
template <class K>
class Keys {
public:
    explicit Keys(const std::vector<std::uint32_t>& numbers) {
        keys_.reserve(numbers.size());
        for (const std::uint32_t number : numbers) {
            keys_.push_back(key_of<K>(number));
        }
    }
    const K& operator[](std::size_t at) const { return keys_[at & (keys_.size() - 1)]; }
    [[nodiscard]] std::size_t size() const { return keys_.size(); }

private:
    std::vector<K> keys_{};
};

/// One of twenty, at positions that no branch predictor learns.
inline bool one_of_twenty(std::size_t at) {
    return (static_cast<std::uint32_t>(at * 0x9e3779b1U) >> 8U) % 20 == 0;
}

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_STREAMS_HPP
