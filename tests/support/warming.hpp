// SPDX-License-Identifier: MIT

/// @file
/// What there is to warm: a table of batches, and ranges of keys.

#ifndef LARDER_TESTS_SUPPORT_WARMING_HPP
#define LARDER_TESTS_SUPPORT_WARMING_HPP

#include <larder/larder.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <vector>

namespace larder_test {

using Values = std::vector<std::optional<int>>;
using Keys = std::vector<int>;

/// A table with batches. Row k is 10 k, except where `rows` says otherwise.
struct Batches {
    std::map<int, std::optional<int>> rows{};
    std::vector<Keys> asked{};
    std::function<void(std::span<const int>)> on_load{};
    std::atomic<int> inside{0};
    std::atomic<int> most_inside{0};
    std::mutex mutex{};

    std::optional<int> load(int key) { return load_many(std::span<const int>{&key, 1}).front(); }
    Values load_many(std::span<const int> keys) {
        struct Inside {
            std::atomic<int>& count;
            ~Inside() { --count; }
        };
        const int now = ++inside;
        const Inside guard{inside};
        {
            const std::scoped_lock lock{mutex};
            most_inside = (std::max)(most_inside.load(), now);
            asked.emplace_back(keys.begin(), keys.end());
        }
        if (on_load) {
            on_load(keys);
        }
        const std::scoped_lock lock{mutex};
        Values found;
        for (const int key : keys) {
            const auto at = rows.find(key);
            found.push_back(at == rows.end() ? std::optional<int>{10 * key} : at->second);
        }
        return found;
    }
    void save(int key, int value) {
        const std::scoped_lock lock{mutex};
        rows[key] = value;
    }
    void remove(int key) {
        const std::scoped_lock lock{mutex};
        rows[key] = std::nullopt;
    }
};

/// A policy's parts.
struct WarmWorld {
    using Store = larder::MemoryStore<int, int, larder::ManualClock>;

    larder::ManualClock clock{};
    Store store{{}, clock};
    Batches table{};
};

/// 1, 2, 3 and so on.
inline Keys up_to(int count) {
    Keys keys(static_cast<std::size_t>(count));
    std::iota(keys.begin(), keys.end(), 1);
    return keys;
}

/// Counts from 1 to `last`; can be walked once.
class Counter {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        using pointer = const int*;
        using reference = int;

        explicit Iterator(Counter& counter) : counter_{&counter} {}
        int operator*() const {
            if (counter_->at_ == counter_->breaks_at_) {
                throw std::runtime_error{"the cursor broke"};
            }
            return counter_->at_;
        }
        Iterator& operator++() {
            ++counter_->at_;
            return *this;
        }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) {
            return it.counter_->at() > it.counter_->last();
        }

    private:
        Counter* counter_;
    };

    explicit Counter(int last, int breaks_at = 0) : last_{last}, breaks_at_{breaks_at} {}
    Iterator begin() { return Iterator{*this}; }
    static std::default_sentinel_t end() { return {}; }
    [[nodiscard]] int at() const { return at_; }
    [[nodiscard]] int last() const { return last_; }

private:
    int last_;
    int breaks_at_;
    int at_ = 1;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_WARMING_HPP
