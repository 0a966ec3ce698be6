// SPDX-License-Identifier: MIT

/// @file
/// Ends what a thread waits for.

#ifndef LARDER_REDIS_DETAIL_CLIENT_INTERRUPT_HPP
#define LARDER_REDIS_DETAIL_CLIENT_INTERRUPT_HPP

#include <larder/version.hpp>

#include <utility>

#include <poll.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// While one lives, what its thread waits for at sockets fails as soon as a descriptor can be read.
class Interrupt {
public:
    /// @param descriptor  of whoever may interrupt this thread
    explicit Interrupt(int descriptor) noexcept : before_{std::exchange(current, descriptor)} {}
    Interrupt(const Interrupt&) = delete;
    Interrupt& operator=(const Interrupt&) = delete;
    ~Interrupt() { current = before_; }

    /// That of this thread; -1, which poll passes over, if there is none.
    [[nodiscard]] static int descriptor() noexcept { return current; }

    /// Whether this thread is to stop waiting.
    [[nodiscard]] static bool requested() noexcept {
        pollfd polled{current, POLLIN, 0};
        return current >= 0 && ::poll(&polled, 1, 0) > 0;
    }

private:
    static inline thread_local int current = -1;
    int before_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_INTERRUPT_HPP
