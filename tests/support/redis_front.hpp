// SPDX-License-Identifier: MIT

/// @file
/// Stands in front of a redis-server and sees, changes or loses what passes.

#ifndef LARDER_TESTS_SUPPORT_REDIS_FRONT_HPP
#define LARDER_TESTS_SUPPORT_REDIS_FRONT_HPP

#include "support/redis_server.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace larder_test {

/// A unix socket whose connections lead to a server.
class RedisFront {
public:
    enum class Way { request, reply };

    /// Is shown what passes, from one thread, and may change it; false: the connection is cut, and
    /// this is lost.
    using Pass = std::function<bool(Way, std::string&)>;

    RedisFront(const RedisServer& server, Pass pass)
        : server_{server.socket_path()},
          path_{server.folder() / "front.sock"},
          pass_{std::move(pass)} {
        listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_un address = address_of(path_);
        if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
            ::listen(listener_, 64) != 0) {
            throw std::runtime_error{"no socket for the front"};
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

private:
    struct Link {
        int client;
        int server;
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
                const bool lives = (all[1 + 2 * i].revents == 0 ||
                                    pass(links[i].client, links[i].server, Way::request)) &&
                                   (all[2 + 2 * i].revents == 0 ||
                                    pass(links[i].server, links[i].client, Way::reply));
                if (!lives) {
                    close(links[i]);
                    links.erase(links.begin() + static_cast<std::ptrdiff_t>(i));
                }
            }
            if (all[0].revents != 0) {
                const Link link{::accept(listener_, nullptr, nullptr),
                                ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
                const sockaddr_un address = address_of(server_);
                (void)::connect(link.server, reinterpret_cast<const sockaddr*>(&address),
                                sizeof address);
                links.push_back(link);
            }
        }
        for (const Link& link : links) {
            close(link);
        }
    }
    static void close(const Link& link) {
        ::close(link.client);
        ::close(link.server);
    }
    bool pass(int from, int to, Way way) {
        std::array<char, 65536> bytes{};
        const ssize_t got = ::recv(from, bytes.data(), bytes.size(), 0);
        if (got <= 0) {
            return false;
        }
        std::string text{bytes.data(), static_cast<std::size_t>(got)};
        return pass_(way, text) && ::send(to, text.data(), text.size(), MSG_NOSIGNAL) ==
                                       static_cast<ssize_t>(text.size());
    }

    std::string server_;
    std::string path_;
    Pass pass_;
    int listener_ = -1;
    std::atomic<bool> ending_{false};
    std::thread thread_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_REDIS_FRONT_HPP
