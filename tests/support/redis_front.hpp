// SPDX-License-Identifier: MIT

/// @file
/// Stands in front of a redis-server and sees, changes or loses what passes.

#ifndef LARDER_TESTS_SUPPORT_REDIS_FRONT_HPP
#define LARDER_TESTS_SUPPORT_REDIS_FRONT_HPP

#include "support/redis_server.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace larder_test {

/// A unix socket, or a port, whose connections lead to a server.
class RedisFront {
public:
    enum class Way { request, reply };

    /// What becomes of what was shown.
    enum class Fate {
        pass,     ///< it goes on
        cut,      ///< it is lost, and the connection cut
        swallow,  ///< it is lost, and the connection stays
        hold,     ///< a request: it goes on once the client has given the connection up
        answer,   ///< a request: what it was changed into is its reply
    };

    /// Is shown what passes, and over which connection (they are counted from 0), from one thread,
    /// and may change it.
    using Pass = std::function<Fate(std::size_t, Way, std::string&)>;

    enum class Listen { unix_socket, port };

    RedisFront(const RedisServer& server, Pass pass, Listen listen = Listen::unix_socket)
        : server_{server.socket_path()},
          path_{server.folder() / "front.sock"},
          pass_{std::move(pass)} {
        if (listen == Listen::port) {
            listen_on_port();
        } else {
            listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
            ::unlink(path_.c_str());  // of one before
            listen_on(address_of(path_));
        }
        thread_ = std::thread{[this] { serve(); }};
    }
    RedisFront(const RedisFront&) = delete;
    RedisFront& operator=(const RedisFront&) = delete;
    ~RedisFront() {
        ending_ = true;
        thread_.join();
        ::close(listener_);
    }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    template <class Address>
    void listen_on(const Address& address) const {
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 64) != 0) {
            throw std::runtime_error{"no socket for the front"};
        }
    }
    void listen_on_port() {
        listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        listen_on(address);
        socklen_t size = sizeof address;
        static_cast<void>(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size));
        port_ = ntohs(address.sin_port);
    }

    struct Link {
        std::size_t number;
        int client;
        int server;
        std::string held{};
    };

    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
        return address;
    }

    void serve() {
        std::vector<Link> links;
        while (!ending_) {
            std::vector<pollfd> all{{listener_, POLLIN, 0}};
            for (const Link& link : links) {
                all.push_back({link.client, POLLIN, 0});
                all.push_back({link.server, POLLIN, 0});
            }
            (void)::poll(all.data(), all.size(), 20);
            for (std::size_t i = links.size(); i-- > 0;) {
                const bool lives = (all[1 + 2 * i].revents == 0 || pass(links[i], Way::request)) &&
                                   (all[2 + 2 * i].revents == 0 || pass(links[i], Way::reply));
                if (!lives) {
                    close(links[i]);
                    links.erase(links.begin() + static_cast<std::ptrdiff_t>(i));
                }
            }
            if (all[0].revents != 0) {
                links.push_back({accepted_++, ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC),
                                 ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)});
                const sockaddr_un address = address_of(server_);
                (void)::connect(links.back().server, reinterpret_cast<const sockaddr*>(&address),
                                sizeof address);
            }
        }
        for (const Link& link : links) {
            close(link);
        }
    }
    // Whoever closes with bytes to be sent yet has the server carry them out all the same.
    static void close(const Link& link) {
        static_cast<void>(send(link.server, link.held));
        ::close(link.client);
        ::close(link.server);
    }
    static bool send(int to, std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                return false;
            }
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    bool pass(Link& link, Way way) {
        std::array<char, 65536> bytes{};
        const bool request = way == Way::request;
        const ssize_t got =
            ::recv(request ? link.client : link.server, bytes.data(), bytes.size(), 0);
        if (got <= 0) {
            return false;
        }
        std::string text{bytes.data(), static_cast<std::size_t>(got)};
        switch (pass_(link.number, way, text)) {
            case Fate::pass: return send(request ? link.server : link.client, text);
            case Fate::cut: return false;
            case Fate::swallow: return true;
            case Fate::hold: link.held += text; return true;
            case Fate::answer: return send(link.client, text);
        }
        return false;
    }

    std::string server_;
    std::string path_;
    Pass pass_;
    int listener_ = -1;
    std::uint16_t port_ = 0;
    std::size_t accepted_ = 0;
    std::atomic<bool> ending_{false};
    std::thread thread_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_REDIS_FRONT_HPP
