// SPDX-License-Identifier: MIT

/// @file
/// Counts the background work of a policy, so that its destructor can wait for it.

#ifndef LARDER_DETAIL_SUPPORT_TASK_SCOPE_HPP
#define LARDER_DETAIL_SUPPORT_TASK_SCOPE_HPP

#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>

LARDER_NS_BEGIN

namespace detail {

/// User code that has begun is waited for; what has not begun when the policy goes, never begins.
///
/// A task holds the scope, which outlives the policy, and may touch the policy only with a pass.
/// What was running at a fork runs in the parent: the child does not wait for it.
///
/// Thread safety: all members may run concurrently.
class TaskScope {
    struct Running {
        std::mutex mutex{};
        std::condition_variable changed{};
        std::size_t count = 0;
    };

public:
    /// One piece of background work, for its lifetime; false if it must not begin.
    class Pass {
    public:
        explicit Pass(TaskScope& scope) noexcept : running_{scope.enter()} {}
        ~Pass() {
            if (running_ != nullptr) {
                const std::scoped_lock lock{running_->mutex};
                --running_->count;
                running_->changed.notify_all();
            }
        }
        Pass(const Pass&) = delete;
        Pass& operator=(const Pass&) = delete;

        explicit operator bool() const noexcept { return running_ != nullptr; }

    private:
        Running* running_;
    };

    /// Lets nothing begin any more, and returns when all that had begun has ended.
    void close() noexcept {
        closed_.store(true);
        if (Running* const running = running_.find()) {
            std::unique_lock lock{running->mutex};
            running->changed.wait(lock, [&] { return running->count == 0; });
        }
    }

    /// How many passes are out: for tests.
    [[nodiscard]] std::size_t running() noexcept {
        Running* const running = running_.find();
        if (running == nullptr) {
            return 0;
        }
        const std::scoped_lock lock{running->mutex};
        return running->count;
    }

private:
    [[nodiscard]] Running* enter() noexcept {
        try {
            Running& running = running_.get();
            const std::scoped_lock lock{running.mutex};
            if (closed_.load()) {
                return nullptr;
            }
            ++running.count;
            return &running;
        } catch (...) {
            return nullptr;  // no memory for a child's own
        }
    }

    std::atomic<bool> closed_{false};
    ForkLocal<Running> running_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_TASK_SCOPE_HPP
