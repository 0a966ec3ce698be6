// SPDX-License-Identifier: MIT

/// @file
/// Work that is handed to the executor, and which either it or the flusher begins.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BATCH_TASK_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BATCH_TASK_HPP

#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <condition_variable>
#include <mutex>

LARDER_NS_BEGIN

namespace detail {

/// Thread safety: all members may run concurrently.
class BatchTask {
public:
    /// True for the first who asks, who then does the work.
    [[nodiscard]] bool begin() noexcept { return !begun_.exchange(true); }

    /// The work has been done.
    void end() {
        const std::scoped_lock lock{mutex_};
        ended_ = true;
        changed_.notify_all();
    }

    /// True if it has been done, within `most`.
    [[nodiscard]] bool wait(Ttl most) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, most, [this] { return ended_; });
    }

private:
    std::atomic<bool> begun_{false};
    std::mutex mutex_{};
    std::condition_variable changed_{};
    bool ended_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_BATCH_TASK_HPP
