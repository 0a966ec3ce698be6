// SPDX-License-Identifier: MIT

/// @file
/// What stands between the bytes of a connection and those of its socket.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CIPHER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CIPHER_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// The members of a Socket, encrypted. After anything was thrown it must not be used any more.
class Cipher {
public:
    virtual ~Cipher() = default;
    Cipher(const Cipher&) = delete;
    Cipher& operator=(const Cipher&) = delete;

    /// How many bytes were taken: 0 if there is no room now. Of what was not taken the peer sees nothing.
    ///
    /// @throws ConnectionFailure
    [[nodiscard]] virtual std::size_t send(std::string_view bytes) = 0;

    /// How many bytes came: 0 if there are none now, neither here nor in the socket.
    ///
    /// @throws ConnectionFailure
    [[nodiscard]] virtual std::size_t receive(char* bytes, std::size_t size, bool wait) = 0;

    /// Whether the peer has closed it, or sent what nobody asked for.
    [[nodiscard]] virtual bool spoiled() noexcept = 0;

protected:
    Cipher() = default;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CIPHER_HPP
