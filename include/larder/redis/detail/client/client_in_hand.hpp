// SPDX-License-Identifier: MIT

/// @file
/// What a client has in hand, for tests.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CLIENT_IN_HAND_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CLIENT_IN_HAND_HPP

#include <larder/version.hpp>

#include <cstddef>

LARDER_NS_BEGIN

namespace redis::detail {

/// What is to be given back: all of it zero once no call runs, whatever has failed.
struct ClientInHand {
    std::size_t probes{0};  ///< of the circuit breaker
    std::size_t calls{0};   ///< calls that have not ended
    std::size_t bulk{0};    ///< permits of bulk pipelines
    std::size_t leads{0};   ///< multiplexers that somebody leads

    bool operator==(const ClientInHand&) const = default;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CLIENT_IN_HAND_HPP
