// SPDX-License-Identifier: MIT

/// @file
/// The keys that are to be warmed, handed out in batches, at a bounded rate.

#ifndef LARDER_DETAIL_READ_WARM_QUEUE_HPP
#define LARDER_DETAIL_READ_WARM_QUEUE_HPP

#include <larder/detail/read/warm_batch.hpp>
#include <larder/policy/warm_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <exception>
#include <iterator>
#include <mutex>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The range is walked once, by one thread at a time.
///
/// Thread safety: all members may run concurrently.
template <class K, class R>
class WarmQueue {
public:
    WarmQueue(R& keys, const WarmOptions& options)
        : options_{options}, at_{std::begin(keys)}, end_{std::end(keys)} {}
    WarmQueue(const WarmQueue&) = delete;
    WarmQueue& operator=(const WarmQueue&) = delete;

    /// The next keys of the range; none at its end, or when the warming is to end.
    [[nodiscard]] WarmBatch<K> draw() {
        const std::scoped_lock lock{mutex_};
        WarmBatch<K> batch;
        if (!ended_ && options_.stop.stop_requested() && at_ != end_) {
            end_now();
        }
        if (!ended_) {
            batch.number = drawn_++;
            for (; batch.keys.size() < options_.batch && at_ != end_; ++at_) {
                batch.keys.push_back(K(*at_));
            }
        }
        return batch;
    }

    /// Waits until the batch before has had its time. False if the warming is to end.
    [[nodiscard]] bool wait_for_permit(std::size_t keys) {
        std::unique_lock lock{mutex_};
        if (options_.per_second > 0) {
            auto now = Time::now();
            while (now < due_ && !ended_ && !options_.stop.stop_requested()) {
                const auto until = due_;  // which is read while the lock is not held
                changed_.wait_until(lock, options_.stop, until, [this] { return ended_; });
                now = Time::now();
            }
            const std::chrono::duration<double> takes{
                (std::min)(static_cast<double>(keys) / static_cast<double>(options_.per_second),
                           1e9)};  // what is longer does not fit a time_point
            due_ = now + std::chrono::duration_cast<Time::duration>(takes);
        }
        return !ended_ && !options_.stop.stop_requested();
    }

    /// No batch begins any more.
    ///
    /// @param why  what the user's code threw; the first is kept
    void end(std::exception_ptr why = {}) {
        const std::scoped_lock lock{mutex_};
        if (!thrown_) {
            thrown_ = std::move(why);
        }
        end_now();
    }

    /// No batch is left, or none may begin.
    [[nodiscard]] bool over() {
        const std::scoped_lock lock{mutex_};
        return ended_ || at_ == end_;
    }

    /// It ended before the keys did.
    [[nodiscard]] bool ended() {
        const std::scoped_lock lock{mutex_};
        return ended_;
    }

    [[nodiscard]] std::exception_ptr thrown() {
        const std::scoped_lock lock{mutex_};
        return thrown_;
    }

private:
    using Time = std::chrono::steady_clock;

    void end_now() {
        ended_ = true;
        changed_.notify_all();
    }

    const WarmOptions& options_;
    std::mutex mutex_{};  // guards what follows
    std::condition_variable_any changed_{};
    decltype(std::begin(std::declval<R&>())) at_;
    decltype(std::end(std::declval<R&>())) end_;
    std::size_t drawn_ = 0;
    Time::time_point due_{};
    bool ended_ = false;
    std::exception_ptr thrown_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_WARM_QUEUE_HPP
