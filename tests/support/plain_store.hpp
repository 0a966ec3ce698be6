// SPDX-License-Identifier: MIT

/// @file
/// What a user writes for a new backend: three functions; and one with batch functions besides.

#ifndef LARDER_TESTS_SUPPORT_PLAIN_STORE_HPP
#define LARDER_TESTS_SUPPORT_PLAIN_STORE_HPP

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

namespace larder_test {

/// A map behind a mutex. Copies share their entries; time is a ManualClock's.
template <class K, class V>
class PlainStore {
public:
    using key_type = K;
    using value_type = V;

    [[nodiscard]] const larder::ManualClock& clock() const { return state_->clock; }

    std::optional<larder::Entry<V>> find(const K& key) const {
        const std::scoped_lock lock{state_->mutex};
        const Held* const held = live(key);
        if (held == nullptr) {
            return {};
        }
        const auto left = held->fresh_until - state_->clock.now();
        return larder::Entry<V>{held->value, std::chrono::ceil<larder::Ttl>(left)};
    }
    void put(const K& key, std::optional<V> value, larder::Lifetime life) {
        const std::scoped_lock lock{state_->mutex};
        if (life.fresh <= larder::Ttl::zero()) {
            state_->entries.erase(key);
            return;
        }
        state_->entries[key] = {std::move(value), state_->clock.now() + life.fresh, life.grace};
    }
    bool erase(const K& key) {
        const std::scoped_lock lock{state_->mutex};
        const bool had = live(key) != nullptr;
        state_->entries.erase(key);
        return had;
    }

private:
    struct Held {
        std::optional<V> value;
        std::chrono::steady_clock::time_point fresh_until;
        larder::Ttl grace;
    };
    struct State {
        std::mutex mutex{};
        std::map<K, Held> entries{};
        larder::ManualClock clock{};
    };

    const Held* live(const K& key) const {
        const auto at = state_->entries.find(key);
        const bool there = at != state_->entries.end() &&
                           state_->clock.now() < at->second.fresh_until + at->second.grace;
        return there ? &at->second : nullptr;
    }

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

/// As PlainStore, and takes many keys in one call. Counts its calls, and fails when told to.
template <class K, class V>
class BatchingStore {
public:
    using key_type = K;
    using value_type = V;
    using Found = std::optional<larder::Entry<V>>;

    struct Script {
        std::atomic<int> singles{0};
        std::atomic<int> batches{0};
        std::atomic<bool> fails{false};
        std::atomic<bool> answers_too_few{false};
        std::function<void()> after_find_many{};  // the answer is read and not yet given
    };

    [[nodiscard]] Script& script() const { return *script_; }
    [[nodiscard]] const larder::ManualClock& clock() const { return plain_.clock(); }

    Found find(const K& key) const {
        count(script_->singles);
        return plain_.find(key);
    }
    void put(const K& key, std::optional<V> value, larder::Lifetime life) {
        count(script_->singles);
        plain_.put(key, std::move(value), life);
    }
    bool erase(const K& key) {
        count(script_->singles);
        return plain_.erase(key);
    }

    std::vector<Found> find_many(std::span<const K> keys) const {
        count(script_->batches);
        std::vector<Found> found;
        for (const K& key : keys) {
            found.push_back(plain_.find(key));
        }
        if (script_->answers_too_few) {
            found.pop_back();
        }
        if (script_->after_find_many) {
            script_->after_find_many();
        }
        return found;
    }
    void put_many(std::span<const std::pair<K, std::optional<V>>> pairs, larder::Lifetime life) {
        count(script_->batches);
        for (const auto& [key, value] : pairs) {
            plain_.put(key, value, life);
        }
    }
    std::size_t erase_many(std::span<const K> keys) {
        count(script_->batches);
        std::size_t had = 0;
        for (const K& key : keys) {
            had += plain_.erase(key) ? 1U : 0U;
        }
        return had;
    }

private:
    void count(std::atomic<int>& calls) const {
        ++calls;
        if (script_->fails) {
            throw std::runtime_error{"connection reset"};
        }
    }

    PlainStore<K, V> plain_{};
    std::shared_ptr<Script> script_ = std::make_shared<Script>();
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_PLAIN_STORE_HPP
