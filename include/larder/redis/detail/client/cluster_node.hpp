// SPDX-License-Identifier: MIT

/// @file
/// One node of a cluster.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CLUSTER_NODE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CLUSTER_NODE_HPP

#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/process_connections.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/server.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// One node of a cluster, with the connections to it and a circuit breaker of its own.
///
/// Thread safety: all members may run concurrently.
class ClusterNode {
public:
    /// @param cluster     what its messages call the cluster
    /// @param encryption  null: none
    ClusterNode(const ClientOptions& of, Endpoint where, const std::string& cluster,
                const Encryption* encryption, std::shared_ptr<Server::Counters> counters)
        : at{std::move(where)},
          options_{at_node(of, at)},
          connections{options_, to_string(at) + " of " + cluster, encryption,
                      std::thread::hardware_concurrency(), std::move(counters)} {}

    /// Whether it is being asked.
    [[nodiscard]] bool is_asked() const noexcept {
        return connections.server.breaker.state() == Breaker::closed;
    }

    /// It is not asked: whether another is to be asked now, who knows whether it was replaced. Ten times
    /// a second, so that a call fails at once most often.
    [[nodiscard]] bool may_ask_another(time_point now) noexcept {
        rep due = asks_another_.load(std::memory_order_relaxed);
        return now.time_since_epoch().count() >= due &&
               asks_another_.compare_exchange_strong(due, (now + pause).time_since_epoch().count(),
                                                     std::memory_order_relaxed);
    }

    /// It was: until the map says so, others are asked as often as need be.
    void was_replaced() noexcept {
        asks_another_.store((std::numeric_limits<rep>::min)(), std::memory_order_relaxed);
    }

    const Endpoint at;

private:
    using rep = time_point::rep;
    static constexpr std::chrono::milliseconds pause{100};

    static ClientOptions at_node(ClientOptions options, const Endpoint& at) {
        options.host = at.host;
        options.port = at.port;
        return options;
    }

    const ClientOptions options_;
    std::atomic<rep> asks_another_{(std::numeric_limits<rep>::min)()};

public:
    ProcessConnections connections;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CLUSTER_NODE_HPP
