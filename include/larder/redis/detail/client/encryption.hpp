// SPDX-License-Identifier: MIT

/// @file
/// How the connections of a client are encrypted, if they are.

#ifndef LARDER_REDIS_DETAIL_CLIENT_ENCRYPTION_HPP
#define LARDER_REDIS_DETAIL_CLIENT_ENCRYPTION_HPP

#include <larder/redis/detail/client/cipher.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/socket.hpp>
#include <larder/redis/options.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// Of one client, in one process.
///
/// Thread safety: all members may run concurrently.
class Encryption {
public:
    virtual ~Encryption() = default;
    Encryption(const Encryption&) = delete;
    Encryption& operator=(const Encryption&) = delete;

    /// Agrees with the peer on how to encrypt, and sees who it is.
    ///
    /// @param host    whom the socket leads to
    /// @param socket  must outlive the cipher
    /// @throws ConnectionFailure
    [[nodiscard]] virtual std::unique_ptr<Cipher> begin(const std::string& host, Socket& socket,
                                                        time_point deadline) = 0;

    /// The peer was not content, or we were not with it: what was read of files may be old.
    virtual void renew() = 0;

    /// The same for the connections of one process: a child of this one has its own.
    [[nodiscard]] virtual std::unique_ptr<Encryption> for_process() const = 0;

    /// The one that the options ask for; null: none.
    ///
    /// @throws std::invalid_argument  it is not there, or an option makes no sense
    [[nodiscard]] static std::unique_ptr<Encryption> of(const ClientOptions& options) {
        if (!options.tls.on) {
            return nullptr;
        }
        const Make make = maker.load(std::memory_order_acquire);
        if (make == nullptr) {
            throw std::invalid_argument{
                "larder: rediss:// and ClientOptions::tls need <larder/tls.hpp> to be included "
                "anywhere in the program, and OpenSSL: link larder::tls"};
        }
        return make(options);
    }

    using Make = std::unique_ptr<Encryption> (*)(const ClientOptions&);

    /// Set by `<larder/tls.hpp>`, so that nobody else needs OpenSSL.
    static inline std::atomic<Make> maker{nullptr};

protected:
    Encryption() = default;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_ENCRYPTION_HPP
