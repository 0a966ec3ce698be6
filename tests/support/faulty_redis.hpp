// SPDX-License-Identifier: MIT

/// @file
/// A redis-server, or a cluster, of which exchanges fail: what tests that walk all of them need of either.

#ifndef LARDER_TESTS_SUPPORT_FAULTY_REDIS_HPP
#define LARDER_TESTS_SUPPORT_FAULTY_REDIS_HPP

#include "support/redis_cluster.hpp"
#include "support/redis_faults.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"

#include <larder/clock.hpp>
#include <larder/redis/options.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace larder_test {

/// Thread safety: as RedisFaults; all else is of one thread.
class FaultyRedis {
public:
    enum class Kind { server, cluster };

    /// @param kind  a server; or a cluster of two, behind whose faults all clients are
    explicit FaultyRedis(Kind kind = Kind::server) {
        if (kind == Kind::server) {
            server_.emplace();
            faults_ = std::make_unique<RedisFaults>(*server_);
        } else {
            cluster_.emplace(2);
            faults_ = std::make_unique<RedisFaults>(*cluster_);
        }
    }

    [[nodiscard]] bool clustered() const noexcept { return cluster_.has_value(); }
    [[nodiscard]] RedisFaults& faults() noexcept { return *faults_; }

    /// What may go wrong with an exchange.
    [[nodiscard]] std::span<const ExchangeFault> every_fault() const noexcept {
        return cluster_ ? std::span<const ExchangeFault>{every_node_fault}
                        : std::span<const ExchangeFault>{every_exchange_fault};
    }

    /// Of a client that is told of faults soon, and not put off for long.
    [[nodiscard]] larder::redis::ClientOptions hasty() const {
        larder::redis::ClientOptions options = behind();
        options.command_timeout = std::chrono::milliseconds{cluster_ ? 2000 : 60};
        options.breaker = std::chrono::milliseconds{5};
        options.max_breaker = std::chrono::milliseconds{10};
        return options;
    }

    /// Of another's client, which has no faults but those of a cluster's nodes.
    [[nodiscard]] larder::redis::ClientOptions plain() const {
        larder::redis::ClientOptions options = behind();
        if (server_) {
            options.path = server_->socket_path();
        }
        return options;
    }

    /// Nothing is there.
    void flush() {
        each([](const RedisServer& node) { node.run("FLUSHALL"); });
    }

    /// As `larder_test::pass_time`.
    void pass_time(larder::Ttl by) {
        each([by](const RedisServer& node) { larder_test::pass_time(node, by); });
    }

private:
    [[nodiscard]] larder::redis::ClientOptions behind() const {
        larder::redis::ClientOptions options;
        if (server_) {
            options.path = faults_->path();
        } else {
            options.cluster.seeds = {{"127.0.0.1", faults_->port(0)},
                                     {"127.0.0.1", faults_->port(1)}};
        }
        return options;
    }

    template <class F>
    void each(F&& f) {
        if (server_) {
            f(*server_);
        } else {
            for (std::size_t i = 0; i < cluster_->size(); ++i) {
                f(cluster_->node(i));
            }
        }
    }

    std::optional<RedisServer> server_{};
    std::optional<RedisCluster> cluster_{};
    std::unique_ptr<RedisFaults> faults_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FAULTY_REDIS_HPP
