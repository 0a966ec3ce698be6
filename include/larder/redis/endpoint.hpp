// SPDX-License-Identifier: MIT

/// @file
/// Where one server listens.

#ifndef LARDER_REDIS_ENDPOINT_HPP
#define LARDER_REDIS_ENDPOINT_HPP

#include <larder/version.hpp>

#include <cstdint>
#include <string>

LARDER_NS_BEGIN

namespace redis {

/// One of several servers.
struct Endpoint {
    /// A name, or an address without brackets.
    std::string host{};
    std::uint16_t port{0};

    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// "cache:6379", "[::1]:6379".
[[nodiscard]] inline std::string to_string(const Endpoint& endpoint) {
    const bool bare = endpoint.host.find(':') == std::string::npos;
    return (bare ? endpoint.host : '[' + endpoint.host + ']') + ':' + std::to_string(endpoint.port);
}

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_ENDPOINT_HPP
