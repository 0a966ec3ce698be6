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
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <span>
#include <unordered_map>
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

    /// A place in the order in which drops were missed.
    using Moment = std::uint64_t;

    /// @return false if there are `most` others and `force` is not set
    bool add(const K& key, std::size_t most, bool force) {
        const std::scoped_lock lock{mutex_};
        if (const auto at = keys_.find(key); at != keys_.end()) {
            at->second = ++last_;
            return true;
        }
        if (keys_.size() >= most && !force) {
            return false;
        }
        keys_.emplace(key, ++last_);
        size_.store(keys_.size(), std::memory_order_release);
        return true;
    }

    /// Take it before the store is told: see `forget`.
    [[nodiscard]] Moment now() const {
        if (empty()) {
            return 0;
        }
        const std::scoped_lock lock{mutex_};
        return last_;
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
        attempt((std::numeric_limits<std::size_t>::max)(), clock, [&](const Due& due) {
            for (std::size_t i = 0; i < due.keys.size(); ++i) {
                erase(due.keys[i], [&] { forget(due.keys[i], due.moments[i]); });
            }
        });
    }

    /// The same for a store that erases many at once: `erase(span)` takes `most` at a time, so that
    /// whoever happens to replay is not held up by all that was missed.
    template <class Erase, class C = SteadyClock>
    void replay_some(std::size_t most, Erase&& erase, const C& clock = {}) {
        attempt(most, clock, [&](const Due& due) {
            erase(std::span<const K>{due.keys});
            for (std::size_t i = 0; i < due.keys.size(); ++i) {
                forget(due.keys[i], due.moments[i]);
            }
        });
    }

    /// The store was told after `moment`: a drop that it has missed since is still to come, for
    /// another process may have filled the key in between.
    void forget(const K& key, Moment moment) {
        if (!empty()) {
            const std::scoped_lock lock{mutex_};
            if (const auto at = keys_.find(key); at != keys_.end() && at->second <= moment) {
                keys_.erase(at);
                size_.store(keys_.size(), std::memory_order_release);
            }
        }
    }
    /// The same where nobody can have missed a drop of the key since the store was told.
    void forget(const K& key) { forget(key, (std::numeric_limits<Moment>::max)()); }

private:
    using Wait = std::chrono::steady_clock::duration;

    struct Due {
        std::vector<K> keys{};
        std::vector<Moment> moments{};
    };

    template <class C, class Go>
    void attempt(std::size_t most, const C& clock, Go&& go) {
        if (empty()) {
            return;
        }
        Due due;
        {
            const std::scoped_lock lock{mutex_};
            if (replaying_ || clock.now() < next_try_) {
                return;
            }
            for (const auto& [key, moment] : keys_) {
                if (due.keys.size() == most) {
                    break;
                }
                due.keys.push_back(key);
                due.moments.push_back(moment);
            }
            replaying_ = true;
        }
        bool succeeded = true;
        try {
            go(due);
        } catch (...) {
            succeeded = false;
        }
        const std::scoped_lock lock{mutex_};
        replaying_ = false;
        wait_ = succeeded ? Wait::zero()
                          : std::clamp(2 * wait_, Wait{std::chrono::milliseconds{10}},
                                       Wait{std::chrono::seconds{1}});
        next_try_ = clock.now() + wait_;
    }

    mutable std::mutex mutex_{};
    std::unordered_map<K, Moment, KeyHash, std::equal_to<>> keys_{};
    Moment last_ = 0;
    std::atomic<std::size_t> size_{0};
    bool replaying_ = false;
    Wait wait_{};
    std::chrono::steady_clock::time_point next_try_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_DROP_QUEUE_HPP
