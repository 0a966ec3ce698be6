// SPDX-License-Identifier: MIT

/// @file
/// A stream socket whose deadlines are deadlines.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SOCKET_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SOCKET_HPP

#include <larder/entry.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/interrupt.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// Owns a file descriptor. Every member throws ConnectionFailure.
class Socket {
public:
    Socket(Socket&& other) noexcept : fd_{std::exchange(other.fd_, -1)} {}
    Socket& operator=(Socket&&) = delete;
    ~Socket() { close(); }

    void close() noexcept {
        if (const int fd = std::exchange(fd_, -1); fd >= 0) {
            ::close(fd);
        }
    }

    [[nodiscard]] static Socket open(const ClientOptions& options, time_point deadline) {
        Socket socket =
            options.path.empty() ? open_tcp(options, deadline) : open_unix(options, deadline);
        // The first read of a reply waits in recv itself: one system call instead of two. Less than
        // the whole time, since some of it has passed by then.
        socket.set_timeout(SO_RCVTIMEO, options.command_timeout - fresh(options.command_timeout));
        return socket;
    }

    /// What may have passed of a command's time when a read that waits begins.
    [[nodiscard]] static std::chrono::microseconds fresh(Ttl command_timeout) noexcept {
        return std::chrono::microseconds{command_timeout} / 64;
    }

    /// How many bytes the kernel took: 0 if it has no room now.
    [[nodiscard]] std::size_t send(std::string_view bytes) {
        for (;;) {
            const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), no_signal | MSG_DONTWAIT);
            if (sent >= 0) {
                return static_cast<std::size_t>(sent);
            }
            if (errno == EAGAIN || errno == EWOULDBLOCK) {
                return 0;
            }
            if (errno != EINTR) {
                fail(errno);
            }
        }
    }

    /// How many bytes came: 0 if there are none now.
    ///
    /// @param wait  to wait for them; not longer than a command may take, and a signal ends it
    [[nodiscard]] std::size_t receive(char* bytes, std::size_t size, bool wait) {
        const ssize_t got = ::recv(fd_, bytes, size, wait ? 0 : MSG_DONTWAIT);
        if (got > 0) {
            return static_cast<std::size_t>(got);
        }
        if (got == 0) {
            throw ConnectionFailure{ConnectionFailure::Kind::broken,
                                    "the server closed the connection"};
        }
        if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
            fail(errno);
        }
        return 0;
    }

    /// Whether the peer has closed it, or sent what nobody asked for.
    [[nodiscard]] bool spoiled() noexcept {
        char byte = 0;
        const ssize_t got = ::recv(fd_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
        return got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
    }

    /// For whoever waits for several.
    [[nodiscard]] int descriptor() const noexcept { return fd_; }

    /// Waits until it can be read from (POLLIN) or written to (POLLOUT). 0: the deadline has passed.
    [[nodiscard]] short wait(short events, time_point deadline) const {
        for (;;) {
            std::array<pollfd, 2> polled{{{fd_, events, 0}, {Interrupt::descriptor(), POLLIN, 0}}};
            const int ready = ::poll(polled.data(), polled.size(), milliseconds_until(deadline));
            if (ready > 0) {
                if (polled[1].revents != 0) {
                    fail_interrupted();
                }
                return polled[0].revents;
            }
            if (ready < 0 && errno != EINTR) {
                fail(errno);
            }
            // A signal does not make the deadline later.
            if (deadline != never && std::chrono::steady_clock::now() >= deadline) {
                return 0;
            }
        }
    }

private:
#if defined(MSG_NOSIGNAL)
    static constexpr int no_signal = MSG_NOSIGNAL;
#else
    static constexpr int no_signal = 0;  // SO_NOSIGPIPE, below
#endif

    explicit Socket(int family) : fd_{make(family)} {
        if (fd_ < 0) {
            throw ConnectionFailure{ConnectionFailure::Kind::connect, text(errno)};
        }
#if !defined(SOCK_CLOEXEC)
        ::fcntl(fd_, F_SETFD, FD_CLOEXEC);
#endif
#if defined(SO_NOSIGPIPE)
        set(SOL_SOCKET, SO_NOSIGPIPE, 1);
#endif
    }

    static int make(int family) noexcept {
#if defined(SOCK_CLOEXEC)
        return ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
#else
        return ::socket(family, SOCK_STREAM, 0);
#endif
    }

    static std::string text(int error) { return std::system_category().message(error); }
    [[noreturn]] static void fail(int error) {
        throw ConnectionFailure{ConnectionFailure::Kind::broken, text(error)};
    }
    [[noreturn]] static void fail_interrupted() {
        throw ConnectionFailure{ConnectionFailure::Kind::broken, "nobody waits for it any more"};
    }

    [[nodiscard]] static int milliseconds_until(time_point deadline) noexcept {
        if (deadline == never) {
            return -1;
        }
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(
            deadline - std::chrono::steady_clock::now());
        return static_cast<int>(std::clamp<std::int64_t>(left.count(), 0, INT_MAX));
    }

    void set(int level, int option, int value) noexcept {
        ::setsockopt(fd_, level, option, &value, sizeof value);
    }

    void set_timeout(int option, std::chrono::microseconds timeout) noexcept {
        timeval value{};
        value.tv_sec = static_cast<time_t>(timeout.count() / 1'000'000);
        value.tv_usec = static_cast<suseconds_t>(timeout.count() % 1'000'000);
        ::setsockopt(fd_, SOL_SOCKET, option, &value, sizeof value);
    }

    static Socket open_tcp(const ClientOptions& options, time_point deadline) {
        addrinfo hints{};
        hints.ai_family = AF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_NUMERICSERV;
        addrinfo* found = nullptr;
        const std::string port = std::to_string(options.port);
        if (const int error = ::getaddrinfo(options.host.c_str(), port.c_str(), &hints, &found)) {
            throw ConnectionFailure{ConnectionFailure::Kind::connect, ::gai_strerror(error)};
        }
        const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> all{found, &::freeaddrinfo};
        int left = 0;
        for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
            ++left;
        }
        ConnectionFailure last{ConnectionFailure::Kind::connect, "no address"};
        for (const addrinfo* at = found; at != nullptr; at = at->ai_next, --left) {
            // An address that does not answer leaves its share of the time to the others.
            const time_point now = std::chrono::steady_clock::now();
            try {
                Socket socket{at->ai_family};
                socket.connect(*at, now + (deadline - now) / left);
                socket.tune(options);
                return socket;
            } catch (const ConnectionFailure& failed) {
                last = failed;
            }
        }
        throw ConnectionFailure{last};
    }

    void connect(const addrinfo& address, time_point deadline) {
        const int flags = ::fcntl(fd_, F_GETFL);
        ::fcntl(fd_, F_SETFL, flags | O_NONBLOCK);
        if (::connect(fd_, address.ai_addr, address.ai_addrlen) != 0) {
            if (errno != EINPROGRESS && errno != EINTR) {
                throw ConnectionFailure{ConnectionFailure::Kind::connect, text(errno)};
            }
            if (wait(POLLOUT, deadline) == 0) {
                throw ConnectionFailure{ConnectionFailure::Kind::timed_out,
                                        "it does not accept connections"};
            }
            int error = 0;
            socklen_t size = sizeof error;
            ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error != 0) {
                throw ConnectionFailure{ConnectionFailure::Kind::connect, text(error)};
            }
        }
        ::fcntl(fd_, F_SETFL, flags);
    }

    // A peer that vanished without a word is noticed within half a minute, even if nothing is sent;
    // if something is, within about the time that a command may take.
    void tune([[maybe_unused]] const ClientOptions& options) noexcept {
        set(IPPROTO_TCP, TCP_NODELAY, 1);
        set(SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(TCP_KEEPIDLE) && defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
        set(IPPROTO_TCP, TCP_KEEPIDLE, 15);
        set(IPPROTO_TCP, TCP_KEEPINTVL, 5);
        set(IPPROTO_TCP, TCP_KEEPCNT, 3);
#endif
#if defined(TCP_USER_TIMEOUT)
        const auto longest = (std::max)(options.command_timeout, Ttl{30'000});
        set(IPPROTO_TCP, TCP_USER_TIMEOUT,
            static_cast<int>((std::min)(longest.count(), Ttl::rep{INT_MAX})));
#endif
    }

    static Socket open_unix(const ClientOptions& options, time_point deadline) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        if (options.path.size() >= sizeof address.sun_path) {
            throw ConnectionFailure{ConnectionFailure::Kind::connect,
                                    "the path of the socket is too long"};
        }
        std::memcpy(address.sun_path, options.path.data(), options.path.size());
        Socket socket{AF_UNIX};
        // A unix socket that must wait for its peer's backlog cannot be polled: it waits in connect, and
        // for no longer than an interruption may take.
        for (;;) {
            auto left = deadline - std::chrono::steady_clock::now();
            if (left <= std::chrono::steady_clock::duration::zero()) {
                throw ConnectionFailure{ConnectionFailure::Kind::timed_out,
                                        "it does not accept connections"};
            }
            if (Interrupt::requested()) {
                fail_interrupted();
            }
            left = (std::min<std::chrono::steady_clock::duration>)(left,
                                                                   std::chrono::milliseconds{20});
            socket.set_timeout(SO_SNDTIMEO, std::chrono::ceil<std::chrono::microseconds>(left));
            if (::connect(socket.fd_, reinterpret_cast<const sockaddr*>(&address),
                          sizeof address) == 0 ||
                errno == EISCONN) {
                return socket;
            }
            if (errno != EINTR && errno != EAGAIN && errno != EWOULDBLOCK) {
                throw ConnectionFailure{ConnectionFailure::Kind::connect, text(errno)};
            }
        }
    }

    int fd_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_SOCKET_HPP
