// SPDX-License-Identifier: MIT

/// @file
/// Who knows where the primary is.

#ifndef LARDER_REDIS_SENTINEL_OPTIONS_HPP
#define LARDER_REDIS_SENTINEL_OPTIONS_HPP

#include <larder/redis/endpoint.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <string>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

/// Of a Client, as `ClientOptions::sentinel`: the server is the primary that Redis Sentinel watches
/// under a name, wherever it is now.
struct SentinelOptions {
    static constexpr std::uint16_t default_port = 26379;

    /// What the sentinels call the primary: `mymaster`. Empty: there are no sentinels.
    std::string primary{};

    /// Where they listen: some of them, of which one at least must answer.
    std::vector<Endpoint> sentinels{};

    /// Of the sentinels themselves, where they ask for a password.
    std::string user{};
    std::string password{};
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_SENTINEL_OPTIONS_HPP
