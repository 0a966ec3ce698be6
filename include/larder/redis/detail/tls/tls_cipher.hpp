// SPDX-License-Identifier: MIT

/// @file
/// A connection encrypted by OpenSSL.

#ifndef LARDER_REDIS_DETAIL_TLS_TLS_CIPHER_HPP
#define LARDER_REDIS_DETAIL_TLS_TLS_CIPHER_HPP

#include <larder/redis/detail/client/cipher.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/socket.hpp>
#include <larder/redis/detail/tls/openssl.hpp>
#include <larder/redis/detail/tls/tls_context.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <openssl/x509v3.h>
#include <poll.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// TLS over a Socket. OpenSSL reads and writes by the socket's own members: its own would raise
/// SIGPIPE, and know no deadline.
///
/// It says no goodbye: the end of a reply is known without one, and a child that was forked off must
/// not speak for its parent.
class TlsCipher final : public Cipher {
public:
    /// Sees who the peer is, and agrees with it on keys.
    ///
    /// @param name  whom we ask for; whom its certificate must be for, where that is verified
    /// @throws ConnectionFailure
    TlsCipher(const TlsContext& context, Socket& socket, const std::string& name,
              time_point deadline)
        : socket_{socket}, session_{context.session()} {
        ::ERR_clear_error();
        OpensslPtr<BIO> bio{session_ ? ::BIO_new(method()) : nullptr};
        if (!bio) {
            fail("no memory");
        }
        ::BIO_set_data(bio.get(), this);
        ::BIO_set_init(bio.get(), 1);
        BIO* const both = bio.release();
        ::SSL_set_bio(session_.get(), both, both);
        expect(name);
        ::SSL_set_connect_state(session_.get());
        shake_hands(name, deadline);
    }

    /// @copydoc Cipher::send
    [[nodiscard]] std::size_t send(std::string_view bytes) override {
        if (bytes.empty()) {
            return 0;
        }
        std::size_t sent = 0;
        ::ERR_clear_error();
        const int result =
            ::SSL_write_ex(session_.get(), bytes.data(), bytes.size(), std::addressof(sent));
        return result == 1 ? sent : nothing_now(result);
    }

    /// @copydoc Cipher::receive
    [[nodiscard]] std::size_t receive(char* bytes, std::size_t size, bool wait) override {
        wait_ = wait;
        std::size_t all = 0;
        int result = 0;
        // Each read gives one record at the most; what came together is given together, so that a reply
        // that nobody asked for is seen with the one before it.
        do {
            std::size_t got = 0;
            ::ERR_clear_error();
            result = ::SSL_read_ex(session_.get(), bytes + all, size - all, std::addressof(got));
            all += result == 1 ? got : 0;
        } while (result == 1 && all < size && ::SSL_has_pending(session_.get()) == 1);
        wait_ = false;
        return all > 0 ? all : nothing_now(result);  // what failed after some bytes fails again
    }

    /// @copydoc Cipher::spoiled
    [[nodiscard]] bool spoiled() noexcept override {
        char byte = 0;
        std::size_t got = 0;
        ::ERR_clear_error();
        // Reads what the peer may say between replies, such as the tickets of a session.
        const int result = ::SSL_peek_ex(session_.get(), &byte, 1, std::addressof(got));
        return result == 1 || ::SSL_get_error(session_.get(), result) != SSL_ERROR_WANT_READ;
    }

private:
    // How OpenSSL calls the socket. Never freed: a client may be destroyed after all else of a program.
    static BIO_METHOD* method() noexcept {
        static BIO_METHOD* const made = []() noexcept {
            BIO_METHOD* const all = ::BIO_meth_new(BIO_TYPE_SOURCE_SINK, "larder");
            if (all != nullptr) {
                ::BIO_meth_set_write(all, &write_socket);
                ::BIO_meth_set_read(all, &read_socket);
                ::BIO_meth_set_ctrl(all, &control_socket);
            }
            return all;
        }();
        return made;
    }

    static int write_socket(BIO* bio, const char* bytes, int size) noexcept {
        return step(bio, BIO_FLAGS_WRITE, [&](TlsCipher& self) {
            return self.socket_.send({bytes, static_cast<std::size_t>(size)});
        });
    }
    static int read_socket(BIO* bio, char* bytes, int size) noexcept {
        return step(bio, BIO_FLAGS_READ, [&](TlsCipher& self) {
            // A peer may send without end what makes no progress: no step of a handshake takes it late.
            if (self.until_ != never && std::chrono::steady_clock::now() >= self.until_) {
                return std::size_t{0};
            }
            // Only the first wait of a read has the whole time.
            return self.socket_.receive(bytes, static_cast<std::size_t>(size),
                                        std::exchange(self.wait_, false));
        });
    }
    static long control_socket(BIO*, int command, long, void*) noexcept {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }

    // No exception may go through OpenSSL.
    template <class Do>
    static int step(BIO* bio, int direction, Do&& act) noexcept {
        auto& self = *static_cast<TlsCipher*>(::BIO_get_data(bio));
        BIO_clear_retry_flags(bio);
        try {
            if (const std::size_t bytes = act(self); bytes > 0) {
                return static_cast<int>(bytes);
            }
            ::BIO_set_flags(bio, direction | BIO_FLAGS_SHOULD_RETRY);
        } catch (...) {
            self.failure_ = std::current_exception();
        }
        return -1;
    }

    void expect(std::string name) {
        X509_VERIFY_PARAM* const checks = ::SSL_get0_param(session_.get());
        if (::X509_VERIFY_PARAM_set1_ip_asc(checks, name.c_str()) == 1) {
            return;
        }
        ::ERR_clear_error();
        if (name.ends_with('.')) {
            name.pop_back();  // the name of a certificate has no dot at its end, RFC 6066 section 3
        }
        ::SSL_set_hostflags(session_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        // The server may have a certificate for each of its names.
        if (::SSL_set1_host(session_.get(), name.c_str()) != 1 ||
            ::SSL_ctrl(session_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                       name.data()) != 1) {
            fail(openssl_error());
        }
    }

    void shake_hands(const std::string& name, time_point deadline) {
        until_ = deadline;
        for (;;) {
            ::ERR_clear_error();
            const int result = ::SSL_do_handshake(session_.get());
            if (result == 1) {
                until_ = never;
                return;
            }
            const int why = ::SSL_get_error(session_.get(), result);
            if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
                fail_handshake(name);
            }
            const short events = why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT;
            if (std::chrono::steady_clock::now() >= deadline ||
                socket_.wait(events, deadline) == 0) {
                throw ConnectionFailure{ConnectionFailure::Kind::timed_out,
                                        "it does not end the TLS handshake"};
            }
        }
    }

    [[noreturn]] void fail_handshake(const std::string& name) {
        const bool verified = ::SSL_get_verify_mode(session_.get()) != SSL_VERIFY_NONE;
        const long verdict = verified ? ::SSL_get_verify_result(session_.get()) : X509_V_OK;
        if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
            fail("the server's certificate is not for " + name);
        }
        if (verdict != X509_V_OK) {
            fail(std::string{"the server's certificate is not accepted: "} +
                 ::X509_verify_cert_error_string(verdict));
        }
        if (failure_) {
            try {
                std::rethrow_exception(failure_);
            } catch (const ConnectionFailure& failed) {
                fail("in the handshake: " + failed.text);
            }
        }
        fail("no handshake: " + openssl_error());
    }

    [[noreturn]] static void fail(const std::string& why) {
        throw ConnectionFailure{ConnectionFailure::Kind::connect, "TLS: " + why};
    }

    // Nothing was sent or has come: not yet, or never again.
    std::size_t nothing_now(int result) {
        switch (::SSL_get_error(session_.get(), result)) {
            case SSL_ERROR_WANT_READ:
            case SSL_ERROR_WANT_WRITE: return 0;
            case SSL_ERROR_ZERO_RETURN:
                throw ConnectionFailure{ConnectionFailure::Kind::broken,
                                        "the server closed the connection"};
            default: break;
        }
        if (failure_) {
            std::rethrow_exception(failure_);
        }
        throw ConnectionFailure{ConnectionFailure::Kind::broken, "TLS: " + openssl_error()};
    }

    Socket& socket_;
    std::exception_ptr failure_{};  // of the socket
    bool wait_ = false;             // the next read of the socket may block
    time_point until_{never};       // the handshake's
    OpensslPtr<SSL> session_;       // the last: it uses the others
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TLS_TLS_CIPHER_HPP
