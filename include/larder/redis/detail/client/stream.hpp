// SPDX-License-Identifier: MIT

/// @file
/// The bytes of a connection, encrypted or not.

#ifndef LARDER_REDIS_DETAIL_CLIENT_STREAM_HPP
#define LARDER_REDIS_DETAIL_CLIENT_STREAM_HPP

#include <larder/redis/detail/client/cipher.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/socket.hpp>
#include <larder/redis/options.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <memory>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// A socket, and what encrypts it, if anything does. Every member throws ConnectionFailure.
class Stream {
public:
    /// @param encryption  null: none
    Stream(const ClientOptions& options, Encryption* encryption, time_point deadline)
        : socket_{Socket::open(options, deadline)},
          cipher_{encryption != nullptr ? encryption->begin(options.host, socket_, deadline)
                                        : nullptr} {}
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;

    /// As `Socket::send`.
    [[nodiscard]] std::size_t send(std::string_view bytes) {
        return cipher_ ? cipher_->send(bytes) : socket_.send(bytes);
    }

    /// As `Socket::receive`.
    [[nodiscard]] std::size_t receive(char* bytes, std::size_t size, bool wait) {
        return cipher_ ? cipher_->receive(bytes, size, wait) : socket_.receive(bytes, size, wait);
    }

    /// As `Socket::wait`; after `receive` has said that there is nothing.
    [[nodiscard]] short wait(short events, time_point deadline) const {
        return socket_.wait(events, deadline);
    }

    /// As `Socket::descriptor`.
    [[nodiscard]] int descriptor() const noexcept { return socket_.descriptor(); }

    /// As `Socket::spoiled`.
    [[nodiscard]] bool spoiled() noexcept {
        return cipher_ ? cipher_->spoiled() : socket_.spoiled();
    }

    /// In a child: without a word to the peer, which goes on with the parent.
    void close_inherited() noexcept { socket_.close(); }

private:
    Socket socket_;
    std::unique_ptr<Cipher> cipher_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_STREAM_HPP
