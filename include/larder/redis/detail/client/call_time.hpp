// SPDX-License-Identifier: MIT

/// @file
/// The time that a call has.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CALL_TIME_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CALL_TIME_HPP

#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>

LARDER_NS_BEGIN

namespace redis::detail {

/// One deadline for a call, all attempts together.
struct CallTime {
    using duration = std::chrono::steady_clock::duration;

    time_point start{};
    time_point deadline{never};
    time_point latest{never};  ///< the deadline, if connections take all the time that they may

    /// Moves the deadline: waiting for a connection is not waiting for the server.
    void extend(duration by) noexcept {
        if (deadline != never) {
            deadline = (std::min)(deadline + by, latest);
        }
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CALL_TIME_HPP
