// SPDX-License-Identifier: MIT

/// @file
/// The keys whose invalidation a store has missed.

#ifndef LARDER_DETAIL_DROP_QUEUE_HPP
#define LARDER_DETAIL_DROP_QUEUE_HPP

#include <larder/clock.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <unordered_set>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// While a key is queued, this process must not serve its copy. Whoever touches the store tries to
/// replay what is due: at once after a success, else after 10 ms, doubled up to 1 s of real time.
///
/// Thread safety: all members may run concurrently. `empty` is one atomic load.
template <class K, class KeyHash>
class DropQueue {
public:
    [[nodiscard]] bool empty() const noexcept { return size_.load(std::memory_order_acquire) == 0; }
    [[nodiscard]] std::size_t size() const noexcept {
        return size_.load(std::memory_order_acquire);
    }

    /// @return false if there are `most` others and `force` is not set
    bool add(const K& key, std::size_t most, bool force) {
        const std::scoped_lock lock{mutex_};
        if (keys_.contains(key)) {
            return true;
        }
        if (keys_.size() >= most && !force) {
            return false;
        }
        keys_.insert(key);
        size_.store(keys_.size(), std::memory_order_release);
        return true;
    }

    [[nodiscard]] bool contains(const K& key) const {
        if (empty()) {
            return false;
        }
        const std::scoped_lock lock{mutex_};
        return keys_.contains(key);
    }

    /// Erases what is queued, if a try is due. `erase` throws while the store is down; a key leaves
    /// the queue only when it has returned. A store that takes its time to fail is left alone
    /// from then on, not from when it was asked.
    template <class Erase, class C = SteadyClock>
    void replay(Erase&& erase, const C& clock = {}) {
        if (empty()) {
            return;
        }
        std::vector<K> due;
        {
            const std::scoped_lock lock{mutex_};
            if (replaying_ || clock.now() < next_try_) {
                return;
            }
            due.assign(keys_.begin(), keys_.end());
            replaying_ = true;
        }
        bool succeeded = true;
        for (const K& key : due) {
            try {
                erase(key, [&] { forget(key); });
            } catch (...) {
                succeeded = false;
                break;
            }
        }
        const std::scoped_lock lock{mutex_};
        replaying_ = false;
        wait_ = succeeded ? Wait::zero()
                          : std::clamp(2 * wait_, Wait{std::chrono::milliseconds{10}},
                                       Wait{std::chrono::seconds{1}});
        next_try_ = clock.now() + wait_;
    }

    /// The store has been told.
    void forget(const K& key) {
        if (!empty()) {
            const std::scoped_lock lock{mutex_};
            keys_.erase(key);
            size_.store(keys_.size(), std::memory_order_release);
        }
    }

private:
    using Wait = std::chrono::steady_clock::duration;

    mutable std::mutex mutex_{};
    std::unordered_set<K, KeyHash, std::equal_to<>> keys_{};
    std::atomic<std::size_t> size_{0};
    bool replaying_ = false;
    Wait wait_{};
    std::chrono::steady_clock::time_point next_try_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_DROP_QUEUE_HPP
