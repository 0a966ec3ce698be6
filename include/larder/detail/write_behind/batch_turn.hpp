// SPDX-License-Identifier: MIT

/// @file
/// Work that is handed to the executor, and which either it or the flusher begins.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BATCH_TURN_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BATCH_TURN_HPP

#include <larder/version.hpp>

#include <atomic>

LARDER_NS_BEGIN

namespace detail {

/// Held by a batch and by the executor's task, which may outlive it.
///
/// Thread safety: all members may run concurrently.
class BatchTurn {
public:
    /// True for the first who asks, who then does the work.
    [[nodiscard]] bool begin() noexcept { return !begun_.exchange(true); }

    /// Somebody does it, or has done it.
    [[nodiscard]] bool begun() const noexcept { return begun_; }

private:
    std::atomic<bool> begun_{false};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_BATCH_TURN_HPP
