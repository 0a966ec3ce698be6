// SPDX-License-Identifier: MIT

/// @file
/// Why a connection cannot be used any more.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CONNECTION_FAILURE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CONNECTION_FAILURE_HPP

#include <larder/version.hpp>

#include <cstdint>
#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// Why there is no connection (any more). Thrown to whoever does the input and output, never to a
/// caller of the library.
struct ConnectionFailure {
    enum class Kind : std::uint8_t {
        connect,      ///< none could be opened
        no_further,   ///< the same, beside others that may work
        database,     ///< the server does not serve the database; the text is its reply
        timed_out,    ///< the deadline passed
        broken,       ///< the peer closed or reset it, or sent what makes no sense
        credentials,  ///< the server does not accept user and password; the text is its reply
    };
    Kind kind;
    std::string text;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CONNECTION_FAILURE_HPP
