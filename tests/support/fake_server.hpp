// SPDX-License-Identifier: MIT

/// @file
/// A server that answers as badly as a test wants.

#ifndef LARDER_TESTS_SUPPORT_FAKE_SERVER_HPP
#define LARDER_TESTS_SUPPORT_FAKE_SERVER_HPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace larder_test {

/// Listens on a free loopback port and hands every connection to a function, in a thread of its own.
class FakeServer {
public:
    /// One connection, closed when the function returns.
    class Peer {
    public:
        Peer(int fd, std::size_t number, const std::atomic<bool>& ending)
            : fd_{fd}, number_{number}, ending_{ending} {}

        /// Which connection this is, from 0.
        [[nodiscard]] std::size_t number() const noexcept { return number_; }

        /// What came next; empty when the client or the test is done.
        std::string read() const {
            std::string bytes(64 * 1024, '\0');
            while (!ending_) {
                pollfd polled{fd_, POLLIN, 0};
                if (::poll(&polled, 1, 10) > 0) {
                    const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
                    bytes.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
                    return bytes;
                }
            }
            return {};
        }

        /// False: the client has gone.
        bool write(std::string_view bytes) const {
            while (!bytes.empty() && !ending_) {
                const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
                if (sent <= 0) {
                    return false;
                }
                bytes.remove_prefix(static_cast<std::size_t>(sent));
            }
            return !ending_;
        }

        /// Writes some bytes at a time, with a pause before each.
        ///
        /// @return  false: the client has gone
        bool drip(std::string_view bytes, std::chrono::milliseconds pause_each,
                  std::size_t step = 1) const {
            for (; !bytes.empty(); bytes.remove_prefix((std::min)(step, bytes.size()))) {
                pause(pause_each);
                if (!write(bytes.substr(0, step))) {
                    return false;
                }
            }
            return true;
        }

        /// Lets time pass, unless the client goes.
        void pause(std::chrono::milliseconds time) const {
            pollfd polled{fd_, 0, 0};
            (void)::poll(&polled, 1, static_cast<int>(time.count()));
        }

    private:
        int fd_;
        std::size_t number_;
        const std::atomic<bool>& ending_;
    };

    explicit FakeServer(std::function<void(const Peer&)> serve) : serve_{std::move(serve)} {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listen_on(address);
        socklen_t size = sizeof address;
        if (::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
            throw std::runtime_error{"no port for a fake server"};
        }
        port_ = ntohs(address.sin_port);
        accepting_ = std::jthread{[this] { accept_all(); }};
    }

    /// On a unix socket, whose kernel takes some 200 KB before the peer must read.
    FakeServer(std::function<void(const Peer&)> serve, std::string path)
        : serve_{std::move(serve)}, path_{std::move(path)} {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path_.copy(address.sun_path, sizeof address.sun_path - 1);
        ::unlink(path_.c_str());
        listen_on(address);
        accepting_ = std::jthread{[this] { accept_all(); }};
    }
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;
    ~FakeServer() {
        ending_ = true;
        accepting_.join();
        peers_.clear();
        ::close(listener_);
        if (!path_.empty()) {
            ::unlink(path_.c_str());
        }
    }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    [[nodiscard]] std::size_t connections() const noexcept { return connections_; }

private:
    template <class Address>
    void listen_on(const Address& address) {
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 64) != 0) {
            throw std::runtime_error{"no socket for a fake server"};
        }
    }

    void accept_all() {
        while (!ending_) {
            pollfd polled{listener_, POLLIN, 0};
            if (::poll(&polled, 1, 10) <= 0) {
                continue;
            }
            const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
            if (fd >= 0) {
                const int yes = 1;  // as Redis does; a unix socket has no such option
                (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                peers_.emplace_back([this, fd, number = connections_++] {
                    serve_(Peer{fd, number, ending_});
                    ::close(fd);
                });
            }
        }
    }

    std::function<void(const Peer&)> serve_;
    std::string path_{};
    int listener_{-1};
    std::uint16_t port_{0};
    std::atomic<bool> ending_{false};
    std::atomic<std::size_t> connections_{0};
    std::list<std::jthread> peers_{};  // of the accepting thread, until it has ended
    std::jthread accepting_{};
};

/// A loopback port that refuses all who connect, and that nobody else is given while this stands.
class Nobody {
public:
    Nobody() {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        auto* const generic = reinterpret_cast<sockaddr*>(&address);
        if (::bind(socket_, generic, size) != 0 || ::getsockname(socket_, generic, &size) != 0) {
            throw std::runtime_error{"no port for nobody"};
        }
        port_ = ntohs(address.sin_port);
    }
    Nobody(const Nobody&) = delete;
    Nobody& operator=(const Nobody&) = delete;
    ~Nobody() { ::close(socket_); }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    int socket_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};  // bound, and never listens
    std::uint16_t port_{0};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FAKE_SERVER_HPP
