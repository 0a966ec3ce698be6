// SPDX-License-Identifier: MIT

/// @file
/// A user's three-function store that can be taken down, for reads, for writes or for both.

#ifndef LARDER_TESTS_SUPPORT_FLAKY_STORE_HPP
#define LARDER_TESTS_SUPPORT_FLAKY_STORE_HPP

#include <larder/larder.hpp>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <utility>

namespace larder_test {

/// Copies share their entries and their faults. Entries live by a ManualClock.
class FlakyStore {
public:
    using key_type = int;
    using value_type = int;

    struct Faults {
        std::atomic<bool> reads_fail{false};
        std::atomic<bool> writes_fail{false};
        std::atomic<bool> foreign_exceptions{false};  // not StoreError: what a user's client throws
        std::atomic<int> finds{0};
        std::atomic<int> erases{0};
    };

    [[nodiscard]] Faults& faults() const { return state_->faults; }
    [[nodiscard]] const larder::ManualClock& clock() const { return state_->clock; }
    void down(bool is) const {
        faults().reads_fail = is;
        faults().writes_fail = is;
    }

    std::optional<larder::Entry<int>> find(int key) const {
        ++faults().finds;
        check(faults().reads_fail);
        const std::scoped_lock lock{state_->mutex};
        const auto at = state_->entries.find(key);
        if (at == state_->entries.end()) {
            return {};
        }
        const auto now = state_->clock.now();
        if (now >= at->second.fresh_until + at->second.grace) {
            return {};
        }
        return larder::Entry<int>{at->second.value, std::chrono::duration_cast<larder::Ttl>(
                                                        at->second.fresh_until - now)};
    }
    void put(int key, std::optional<int> value, larder::Lifetime life) const {
        check(faults().writes_fail);
        const std::scoped_lock lock{state_->mutex};
        state_->entries[key] = {value, state_->clock.now() + life.fresh, life.grace};
    }
    bool erase(int key) const {
        ++faults().erases;
        check(faults().writes_fail);
        const std::scoped_lock lock{state_->mutex};
        return state_->entries.erase(key) > 0;
    }

private:
    struct Held {
        std::optional<int> value;
        std::chrono::steady_clock::time_point fresh_until;
        larder::Ttl grace;
    };
    struct State {
        std::mutex mutex{};
        std::map<int, Held> entries{};
        Faults faults{};
        larder::ManualClock clock{};
    };

    void check(const std::atomic<bool>& fails) const {
        if (fails) {
            if (faults().foreign_exceptions) {
                throw std::runtime_error{"socket closed"};
            }
            throw larder::StoreError{larder::Errc::store_failed, "down"};
        }
    }

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLAKY_STORE_HPP
