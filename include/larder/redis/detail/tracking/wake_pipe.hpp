// SPDX-License-Identifier: MIT

/// @file
/// Wakes a thread that waits in poll.

#ifndef LARDER_REDIS_DETAIL_TRACKING_WAKE_PIPE_HPP
#define LARDER_REDIS_DETAIL_TRACKING_WAKE_PIPE_HPP

#include <larder/version.hpp>

#include <array>
#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// A pipe to oneself. Once woken it can be read from for ever: it is for the end of a thread.
///
/// Thread safety: `wake` may run concurrently.
class WakePipe {
public:
    /// @throws std::system_error  there are no more descriptors
    WakePipe() {
        if (::pipe(ends_.data()) != 0) {
            throw std::system_error{errno, std::generic_category(), "larder: no pipe"};
        }
        for (const int end : ends_) {
            ::fcntl(end, F_SETFD, FD_CLOEXEC);
            ::fcntl(end, F_SETFL, O_NONBLOCK);
        }
    }
    WakePipe(const WakePipe&) = delete;
    WakePipe& operator=(const WakePipe&) = delete;
    ~WakePipe() {
        ::close(ends_[0]);
        ::close(ends_[1]);
    }

    /// Whoever polls the descriptor wakes up.
    void wake() const noexcept {
        const char byte = 0;
        while (::write(ends_[1], &byte, 1) < 0 && errno == EINTR) {}
    }

    /// To be polled for POLLIN.
    [[nodiscard]] int descriptor() const noexcept { return ends_[0]; }

private:
    std::array<int, 2> ends_{-1, -1};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_WAKE_PIPE_HPP
