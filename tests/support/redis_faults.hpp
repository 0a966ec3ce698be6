// SPDX-License-Identifier: MIT

/// @file
/// Stands in front of a redis-server, or of all nodes of a cluster, and lets the n-th exchange fail.

#ifndef LARDER_TESTS_SUPPORT_REDIS_FAULTS_HPP
#define LARDER_TESTS_SUPPORT_REDIS_FAULTS_HPP

#include "support/redis_cluster.hpp"
#include "support/redis_front.hpp"
#include "support/redis_server.hpp"

#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/command_keys.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

namespace larder_test {

/// How an exchange fails: a client's request (a pipeline, whatever travelled together) and its reply.
enum class ExchangeFault {
    request_cut,     ///< the connection breaks before the server sees the request
    request_silent,  ///< the server never sees it, and the client waits in vain
    request_late,    ///< the server carries it out once the client has given up
    reply_cut,       ///< it is carried out, and the connection breaks ahead of the reply
    reply_silent,    ///< it is carried out, and the client waits in vain
    moved,           ///< a node of a cluster does not carry it out, and says that another would
    ask,             ///< the same, this once
    try_again,       ///< the same, and that it is to be sent again
    down,            ///< the same, and that nobody would
};

inline constexpr std::array every_exchange_fault{
    ExchangeFault::request_cut, ExchangeFault::request_silent, ExchangeFault::request_late,
    ExchangeFault::reply_cut, ExchangeFault::reply_silent};

/// On a cluster: lost before and after a node has carried it out, and each answer of one that does not.
inline constexpr std::array every_node_fault{ExchangeFault::request_cut, ExchangeFault::reply_cut,
                                             ExchangeFault::moved,       ExchangeFault::ask,
                                             ExchangeFault::try_again,   ExchangeFault::down};

[[nodiscard]] constexpr std::string_view to_string(ExchangeFault fault) noexcept {
    switch (fault) {
        case ExchangeFault::request_cut: return "request cut";
        case ExchangeFault::request_silent: return "request silent";
        case ExchangeFault::request_late: return "request late";
        case ExchangeFault::reply_cut: return "reply cut";
        case ExchangeFault::reply_silent: return "reply silent";
        case ExchangeFault::moved: return "MOVED";
        case ExchangeFault::ask: return "ASK";
        case ExchangeFault::try_again: return "TRYAGAIN";
        case ExchangeFault::down: return "CLUSTERDOWN";
    }
    return "none";
}

/// Counts exchanges, over all connections, from when it is armed. What goes wrong depends on that
/// count alone. A request that is larger than 64 KiB counts as several, and one without keys, which all
/// nodes carry out, as none where a node is to refuse it.
///
/// ```cpp
/// RedisFaults faults{server};                  // a client's options: .path = faults.path()
/// for (std::size_t n = 1;; ++n) {
///     faults.arm(ExchangeFault::reply_cut, n);
///     …                                        // what is to be tried
///     if (!faults.disarm()) break;             // it makes fewer exchanges
/// }
/// ```
///
/// Thread safety: all members may run concurrently.
class RedisFaults {
public:
    explicit RedisFaults(const RedisServer& server) {
        fronts_.emplace_back(server, pass(0), RedisFront::Listen::unix_socket);
    }

    /// Before each of its nodes, which announce these ports from now on.
    explicit RedisFaults(RedisCluster& cluster) {
        for (std::size_t i = 0; i < cluster.size(); ++i) {
            fronts_.emplace_back(cluster.node(i), pass(i), RedisFront::Listen::port);
        }
        cluster.announce([&](std::size_t i) { return port(i); });
    }

    /// Where clients connect.
    [[nodiscard]] const std::string& path() const noexcept { return fronts_.front().path(); }
    [[nodiscard]] std::uint16_t port(std::size_t node) const {
        return std::next(fronts_.begin(), static_cast<std::ptrdiff_t>(node))->port();
    }

    /// The n-th exchange from now, from 1, fails; all after it too if `from_then_on`.
    void arm(ExchangeFault fault, std::size_t n, bool from_then_on = false) {
        const std::scoped_lock lock{mutex_};
        fault_ = fault;
        n_ = n;
        from_then_on_ = from_then_on;
        exchanges_ = 0;
        hits_ = 0;
        doomed_.clear();
    }
    /// Lets everything pass from now on.
    ///
    /// @return how many exchanges have failed
    std::size_t disarm() {
        const std::scoped_lock lock{mutex_};
        n_ = 0;
        return hits_;
    }
    /// Exchanges since it was armed.
    [[nodiscard]] std::size_t exchanges() const {
        const std::scoped_lock lock{mutex_};
        return exchanges_;
    }

private:
    using Fate = RedisFront::Fate;
    using Link = std::pair<std::size_t, std::size_t>;  // of which front

    RedisFront::Pass pass(std::size_t front) {
        return [this, front](std::size_t number, RedisFront::Way way, std::string& bytes) {
            const Link link{front, number};
            return way == RedisFront::Way::request ? request(link, bytes) : reply(link);
        };
    }

    Fate request(const Link& link, std::string& bytes) {
        const std::scoped_lock lock{mutex_};
        std::string refusals;
        if (n_ > 0 && fault_ >= ExchangeFault::moved) {
            refusals = refuse(link.first, bytes);
            if (refusals.empty()) {
                return Fate::pass;
            }
        }
        ++exchanges_;
        const bool hit = n_ > 0 && (from_then_on_ ? exchanges_ >= n_ : exchanges_ == n_);
        if (!hit) {
            doomed_.erase(link);
            return Fate::pass;
        }
        ++hits_;
        switch (fault_) {
            case ExchangeFault::request_cut: return Fate::cut;
            case ExchangeFault::request_silent: return Fate::swallow;
            case ExchangeFault::request_late: return Fate::hold;
            case ExchangeFault::reply_cut: doomed_[link] = Fate::cut; break;
            case ExchangeFault::reply_silent: doomed_[link] = Fate::swallow; break;
            case ExchangeFault::moved:
            case ExchangeFault::ask:
            case ExchangeFault::try_again:
            case ExchangeFault::down: bytes.swap(refusals); return Fate::answer;
        }
        return Fate::pass;
    }

    // What a node says that carries out none of these commands; empty if all would carry out one of them.
    [[nodiscard]] std::string refuse(std::size_t front, std::string_view commands) const {
        std::string replies;
        for (std::size_t at = 0; at < commands.size();) {
            const auto route = larder::redis::detail::route_command(commands, at);
            larder::redis::detail::CommandReader words{commands, at};
            at = route.end;
            if (words.next() == "ASKING") {
                replies += "+OK\r\n";
                continue;
            }
            if (!route.slot) {
                return {};
            }
            replies += '-' + std::string{to_string(fault_)};
            if (fault_ <= ExchangeFault::ask) {
                replies += ' ' + std::to_string(*route.slot) +
                           " 127.0.0.1:" + std::to_string(port((front + 1) % fronts_.size()));
            }
            replies += "\r\n";
        }
        return replies;
    }

    Fate reply(const Link& link) {
        const std::scoped_lock lock{mutex_};
        const auto at = doomed_.find(link);
        return at == doomed_.end() ? Fate::pass : at->second;
    }

    mutable std::mutex mutex_{};
    ExchangeFault fault_ = ExchangeFault::request_cut;
    std::size_t n_ = 0;  // 0: none
    bool from_then_on_ = false;
    std::size_t exchanges_ = 0;
    std::size_t hits_ = 0;
    std::map<Link, Fate> doomed_{};  // what becomes of the next replies of a connection
    std::list<RedisFront> fronts_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_REDIS_FAULTS_HPP
