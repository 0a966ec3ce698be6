// SPDX-License-Identifier: MIT

/// @file
/// A counting semaphore whose permits are objects.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SEMAPHORE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SEMAPHORE_HPP

#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/version.hpp>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Lets so many in at a time.
///
/// Thread safety: all members may run concurrently.
class Semaphore {
public:
    /// One of them, or none; its end gives it back. The Semaphore must outlive it.
    class Permit {
    public:
        Permit() noexcept = default;
        Permit(Permit&& other) noexcept : of_{std::exchange(other.of_, nullptr)} {}
        Permit& operator=(Permit&&) = delete;
        ~Permit() {
            if (of_ != nullptr) {
                of_->give_back();
            }
        }

        explicit operator bool() const noexcept { return of_ != nullptr; }

    private:
        friend class Semaphore;
        explicit Permit(Semaphore* of) noexcept : of_{of} {}

        Semaphore* of_{nullptr};
    };

    explicit Semaphore(std::size_t count) noexcept : left_{count}, count_{count} {}

    /// Waits for one; none when the deadline has passed.
    [[nodiscard]] Permit acquire(time_point deadline) {
        std::unique_lock lock{mutex_};
        if (!some_.wait_until(lock, deadline, [&] { return left_ > 0; })) {
            return Permit{};
        }
        --left_;
        return Permit{this};
    }

    /// How many are out.
    [[nodiscard]] std::size_t acquired() const noexcept {
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

#endif  // LARDER_REDIS_DETAIL_CLIENT_SEMAPHORE_HPP
