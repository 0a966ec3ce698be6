// SPDX-License-Identifier: MIT

/// @file
/// Places of which there are only so many.

#ifndef LARDER_REDIS_DETAIL_CLIENT_PLACES_HPP
#define LARDER_REDIS_DETAIL_CLIENT_PLACES_HPP

#include <larder/redis/detail/client/patience.hpp>
#include <larder/version.hpp>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Thread safety: all members may run concurrently.
class Places {
public:
    /// A place that is taken, or none; its end gives it back. The Places must outlive it.
    class Place {
    public:
        Place() noexcept = default;
        Place(Place&& other) noexcept : of_{std::exchange(other.of_, nullptr)} {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (of_ != nullptr) {
                of_->give_back();
            }
        }

        explicit operator bool() const noexcept { return of_ != nullptr; }

    private:
        friend class Places;
        explicit Place(Places* of) noexcept : of_{of} {}

        Places* of_{nullptr};
    };

    explicit Places(std::size_t count) noexcept : left_{count}, count_{count} {}

    /// Waits for one; none when the deadline has passed.
    [[nodiscard]] Place take(time_point deadline) {
        std::unique_lock lock{mutex_};
        if (!some_.wait_until(lock, deadline, [&] { return left_ > 0; })) {
            return Place{};
        }
        --left_;
        return Place{this};
    }

    [[nodiscard]] std::size_t taken() const noexcept {
        const std::lock_guard lock{mutex_};
        return count_ - left_;
    }

private:
    void give_back() noexcept {
        {
            const std::lock_guard lock{mutex_};
            ++left_;
        }
        some_.notify_one();
    }

    mutable std::mutex mutex_{};
    std::condition_variable some_{};
    std::size_t left_;
    const std::size_t count_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_PLACES_HPP
