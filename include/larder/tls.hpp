// SPDX-License-Identifier: MIT

/// @file
/// What needs OpenSSL: with it `rediss://` is a URL of a Redis client.

#ifndef LARDER_TLS_HPP
#define LARDER_TLS_HPP

#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/tls/tls_encryption.hpp>
#include <larder/version.hpp>

LARDER_NS_BEGIN

namespace redis::detail {

/// Once it was included anywhere in the program, every client can encrypt.
inline const bool can_encrypt = (Encryption::maker.store(&make_tls), true);

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_TLS_HPP
