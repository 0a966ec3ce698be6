// SPDX-License-Identifier: MIT

/// @file
/// An executor that runs its tasks when the test says so.

#ifndef LARDER_TESTS_SUPPORT_MANUAL_EXECUTOR_HPP
#define LARDER_TESTS_SUPPORT_MANUAL_EXECUTOR_HPP

#include <larder/larder.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

namespace larder_test {

class ManualExecutor {
public:
    [[nodiscard]] larder::Executor handle() const {
        return larder::Executor{[state = state_](larder::Task task) {
            {
                const std::scoped_lock lock{state->mutex};
                if (!state->runs_inline) {
                    state->tasks.push_back(std::move(task));
                    return;
                }
            }
            task();
        }};
    }

    /// From now on tasks run in the thread that submits them, or are held.
    void run_inline(bool yes) {
        const std::scoped_lock lock{state_->mutex};
        state_->runs_inline = yes;
    }
    [[nodiscard]] std::size_t pending() const {
        const std::scoped_lock lock{state_->mutex};
        return state_->tasks.size();
    }
    /// Destroys what is held.
    void drop_all() {
        std::deque<larder::Task> dropped;  // destroyed without a lock
        const std::scoped_lock lock{state_->mutex};
        dropped.swap(state_->tasks);
    }
    /// Runs what is held, and what that submits.
    void run_all() {
        for (;;) {
            larder::Task task;
            {
                const std::scoped_lock lock{state_->mutex};
                if (state_->tasks.empty()) {
                    return;
                }
                task = std::move(state_->tasks.front());
                state_->tasks.pop_front();
            }
            task();
        }
    }

private:
    struct State {
        std::mutex mutex{};
        std::deque<larder::Task> tasks{};
        bool runs_inline = false;
    };
    std::shared_ptr<State> state_ = std::make_shared<State>();
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_MANUAL_EXECUTOR_HPP
