// SPDX-License-Identifier: MIT

/// @file
/// What calls that are sent together are sent through.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CHANNEL_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CHANNEL_HPP

#include <larder/redis/detail/client/connection.hpp>
#include <larder/version.hpp>

#include <memory>
#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// A connection, if it is open, and the buffer in which calls are put together.
struct Channel {
    std::unique_ptr<Connection> connection{};
    std::string buffer{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CHANNEL_HPP
