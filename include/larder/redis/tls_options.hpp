// SPDX-License-Identifier: MIT

/// @file
/// How a connection to a Redis server is encrypted.

#ifndef LARDER_REDIS_TLS_OPTIONS_HPP
#define LARDER_REDIS_TLS_OPTIONS_HPP

#include <larder/version.hpp>

#include <string>

LARDER_NS_BEGIN

namespace redis {

/// Of a Client, as `ClientOptions::tls`. Needs `<larder/tls.hpp>`.
///
/// The files are read when the client is made, and once more after a handshake has failed: so
/// certificates can be renewed under a running process.
struct TlsOptions {
    /// A URL of `rediss://` turns it on.
    bool on{false};

    /// Whom to trust: a file of PEM certificates, or a folder as `openssl rehash` makes it. Empty: whom
    /// the system trusts.
    std::string ca{};

    /// A file with the client's own certificate, in PEM, and those between it and its CA. Empty: none,
    /// which only a server with `tls-auth-clients no` takes.
    std::string certificate{};

    /// The file of its private key, without a passphrase.
    std::string key{};

    /// The name that the server's certificate must be for, where that is not the host.
    std::string server_name{};

    /// False: anybody may answer. For experiments.
    bool verify{true};
};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_TLS_OPTIONS_HPP
