// SPDX-License-Identifier: MIT

/// @file
/// An executor that does with a task whatever one can do with it.

#ifndef LARDER_TESTS_SUPPORT_CROOKED_EXECUTOR_HPP
#define LARDER_TESTS_SUPPORT_CROOKED_EXECUTOR_HPP

#include <larder/larder.hpp>

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <string_view>
#include <thread>
#include <utility>

namespace larder_test {

/// What becomes of a task.
enum class Way : std::uint8_t {
    refused,
    thrown_back,
    dropped,
    run_at_once,
    run_and_thrown,    ///< the executor throws after it has run it
    run_later,         ///< by another thread
    taken_and_thrown,  ///< the same, and the executor throws
    dropped_later,     ///< by another thread, unrun
};

inline constexpr std::array every_way{Way::refused,          Way::thrown_back,    Way::dropped,
                                      Way::run_at_once,      Way::run_and_thrown, Way::run_later,
                                      Way::taken_and_thrown, Way::dropped_later};

[[nodiscard]] constexpr std::string_view to_string(Way way) noexcept {
    constexpr std::array<std::string_view, every_way.size()> names{
        "refused",        "thrown back", "dropped",          "run at once",
        "run and thrown", "run later",   "taken and thrown", "dropped later"};
    return names[static_cast<std::size_t>(way)];
}

/// Thread safety: all members may run concurrently. Its thread outlives no handle.
class CrookedExecutor {
public:
    explicit CrookedExecutor(Way way) : way_{way} {}
    CrookedExecutor(const CrookedExecutor&) = delete;
    CrookedExecutor& operator=(const CrookedExecutor&) = delete;
    ~CrookedExecutor() {
        {
            const std::scoped_lock lock{mutex_};
            over_ = true;
        }
        changed_.notify_all();
        thread_.join();
    }

    [[nodiscard]] larder::Executor handle() {
        return larder::Executor{[this](larder::Task task) { return take(std::move(task)); }};
    }

    /// Returns once it has nothing to do.
    void drain() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return tasks_.empty() && !busy_; });
    }

private:
    bool take(larder::Task task) {
        switch (way_) {
            case Way::refused: return false;
            case Way::thrown_back: throw std::runtime_error{"full"};
            case Way::dropped: return true;
            case Way::run_at_once: task(); return true;
            case Way::run_and_thrown: task(); throw std::runtime_error{"odd"};
            case Way::run_later:
            case Way::taken_and_thrown:
            case Way::dropped_later: break;
        }
        {
            const std::scoped_lock lock{mutex_};
            tasks_.push_back(std::move(task));
        }
        changed_.notify_all();
        if (way_ == Way::taken_and_thrown) {
            throw std::runtime_error{"odd"};
        }
        return true;
    }

    void run() {
        std::unique_lock lock{mutex_};
        for (;;) {
            changed_.wait(lock, [this] { return over_ || !tasks_.empty(); });
            if (tasks_.empty()) {
                return;
            }
            busy_ = true;
            {
                const larder::Task task = std::move(tasks_.front());
                tasks_.pop_front();
                lock.unlock();
                if (way_ != Way::dropped_later) {
                    task();
                }
            }
            lock.lock();
            busy_ = false;
            changed_.notify_all();
        }
    }

    const Way way_;
    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::deque<larder::Task> tasks_{};
    bool busy_ = false;
    bool over_ = false;
    std::thread thread_{[this] { run(); }};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_CROOKED_EXECUTOR_HPP
