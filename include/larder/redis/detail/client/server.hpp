// SPDX-License-Identifier: MIT

/// @file
/// What all connections to a server have in common.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SERVER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SERVER_HPP

#include <larder/detail/support/thread_counters.hpp>
#include <larder/redis/detail/client/adaptive_yield.hpp>
#include <larder/redis/detail/client/batch_pace.hpp>
#include <larder/redis/detail/client/circuit_breaker.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/idle_connections.hpp>
#include <larder/redis/detail/client/primary_finder.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Thread safety: all members may run concurrently.
struct Server {
    enum Metric : std::size_t { round_trips, commands, bytes_sent, connects, resent, counts };
    using Counters = larder::detail::ThreadCounters<counts>;

    /// @param called   in messages
    /// @param with     null: none
    /// @param counted  shared with other servers
    explicit Server(const ClientOptions& of, std::string called,
                    std::unique_ptr<Encryption> with = nullptr,
                    std::shared_ptr<Counters> counted = std::make_shared<Counters>())
        : options{of},
          name{std::move(called)},
          encryption{std::move(with)},
          primary{of.sentinel.primary.empty()
                      ? nullptr
                      : std::make_unique<PrimaryFinder>(options, encryption.get())},
          breaker{of.breaker, of.max_breaker},
          shared{std::move(counted)} {}

    /// A connection to it, wherever it is now.
    ///
    /// @param era    of the breaker
    /// @param greet  see whether it serves a further connection
    /// @throws ConnectionFailure
    [[nodiscard]] std::unique_ptr<Connection> connect(std::uint64_t era, time_point deadline,
                                                      bool greet) {
        if (primary == nullptr) {
            return std::make_unique<Connection>(
                options, encryption.get(), era, deadline,
                greet ? Connection::Greet::ping : Connection::Greet::nothing);
        }
        Endpoint at = primary->find(deadline);
        ClientOptions there = options;
        there.host = std::move(at.host);
        there.port = at.port;
        try {
            return std::make_unique<Connection>(there, encryption.get(), era, deadline,
                                                Connection::Greet::role);
        } catch (...) {
            primary->doubt();
            throw;
        }
    }

    /// Notes what an error reply says of the server.
    void note_error(ReplyView error) noexcept {
        if (about_role(error.text())) {
            breaker.role_changed(std::chrono::steady_clock::now());
        }
    }

    const ClientOptions& options;
    const std::string name;
    const std::unique_ptr<Encryption> encryption;
    const std::unique_ptr<PrimaryFinder> primary;  // null: it is where the options say
    CircuitBreaker breaker;
    IdleConnections idle{};
    AdaptiveYield give_way{};
    BatchPace pace{};
    const std::shared_ptr<Counters> shared;
    Counters& counters{*shared};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_SERVER_HPP
