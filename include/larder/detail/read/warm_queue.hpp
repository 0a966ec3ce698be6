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
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The range is walked once, by one thread at a time.
///
/// Thread safety: all members may run concurrently.
template <class K>
class WarmQueue {
public:
    WarmQueue(const WarmQueue&) = delete;
    WarmQueue& operator=(const WarmQueue&) = delete;

    /// The next keys of the range; none at its end, or when the warming is to end.
    [[nodiscard]] WarmBatch<K> draw() {
        const std::scoped_lock lock{mutex_};
        WarmBatch<K> batch;
        if (!ended_ && options_.stop.stop_requested() && more()) {
            end_now();
        }
        if (!ended_) {
            batch.number = drawn_++;
            take(options_.batch, batch.keys);
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
        return ended_ || !more();
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

    /// How many keys the range has in all, where that is known.
    [[nodiscard]] const std::optional<std::size_t>& total() const noexcept { return total_; }

protected:
    // A condition variable for any lock takes memory.
    WarmQueue(const WarmOptions& options, std::optional<std::size_t> total)
        : options_{options}, total_{total} {}
    ~WarmQueue() = default;

private:
    using Time = std::chrono::steady_clock;

    // Whether the range has keys left. With the lock, like `take`.
    [[nodiscard]] virtual bool more() const = 0;

    // Takes no more than `most` keys from it.
    virtual void take(std::size_t most, std::vector<K>& keys) = 0;

    void end_now() {
        ended_ = true;
        changed_.notify_all();
    }

    const WarmOptions& options_;
    const std::optional<std::size_t> total_;
    std::mutex mutex_{};  // guards what follows
    std::condition_variable_any changed_{};
    std::size_t drawn_ = 0;
    Time::time_point due_{};
    bool ended_ = false;
    std::exception_ptr thrown_{};
};

/// The keys of a range.
template <class K, class R>
class WarmRange final : public WarmQueue<K> {
public:
    /// @param keys, options  outlive it
    WarmRange(R& keys, const WarmOptions& options)
        : WarmQueue<K>{options, size_of(keys)}, at_{std::begin(keys)}, end_{std::end(keys)} {}

private:
    static std::optional<std::size_t> size_of(R& keys) {
        if constexpr (requires { std::size(keys); }) {
            return static_cast<std::size_t>(std::size(keys));
        } else {
            return std::nullopt;
        }
    }

    // Ranges have what `!=` gives, whatever that is.
    [[nodiscard]] bool more() const override { return static_cast<bool>(at_ != end_); }

    void take(std::size_t most, std::vector<K>& keys) override {
        for (; keys.size() < most && more(); ++at_) {
            keys.push_back(K(*at_));
        }
    }

    decltype(std::begin(std::declval<R&>())) at_;
    decltype(std::end(std::declval<R&>())) end_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_WARM_QUEUE_HPP
