// SPDX-License-Identifier: MIT

/// @file
/// Which servers must tell of changes.

#ifndef LARDER_REDIS_DETAIL_TRACKING_TRACKED_SERVERS_HPP
#define LARDER_REDIS_DETAIL_TRACKING_TRACKED_SERVERS_HPP

#include <larder/error.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/interrupt.hpp>
#include <larder/redis/detail/client/primary_finder.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/tracking/tracked_names.hpp>
#include <larder/redis/detail/tracking/tracking_link.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The primaries of a client: one, but for a cluster. Of one thread, whose interruption ends what it waits
/// for here, unless it is for what others may wait for too.
///
/// A template so that whoever includes it and has no near copies does not compile it.
template <class = void>
class BasicTrackedServers {
public:
    /// @param encryption  of all that this feed has; null: none
    BasicTrackedServers(Client client, const Encryption* encryption)
        : client_{std::move(client)},
          options_{client_.options()},
          encryption_{encryption != nullptr ? encryption->for_process() : nullptr},
          finder_{options_.sentinel.primary.empty()
                      ? nullptr
                      : std::make_unique<PrimaryFinder>(options_, encryption_.get())} {
        // A change of many keys at once is told by one message.
        options_.max_reply_bytes = ClientOptions{}.max_reply_bytes;
    }

    /// Where they are now.
    ///
    /// @throws ConnectionFailure  nobody who was asked knows
    [[nodiscard]] std::vector<Endpoint> find() {
        topology_ = client_.topology();
        if (finder_ != nullptr) {
            return {finder_->find(std::chrono::steady_clock::now() + options_.connect_timeout)};
        }
        return ask_client();
    }

    /// Whether they may be others by now, as far as anybody has seen. Asks a sentinel, at most once a second,
    /// and the nodes of a cluster when it is time to.
    [[nodiscard]] bool moved() {
        if (finder_ != nullptr && finder_->moved(std::chrono::steady_clock::now())) {
            return true;
        }
        if (clustered()) {
            static_cast<void>(ask_client());
        }
        return client_.topology() != topology_;
    }

    /// Whether keys are spread over several.
    [[nodiscard]] bool clustered() const noexcept { return client_.clustered(); }

    /// A connection that one of them tells of changes.
    ///
    /// @param way  tracking or channel
    /// @throws ConnectionFailure, TrackingRefused
    [[nodiscard]] std::unique_ptr<TrackingLink> connect(const Endpoint& at,
                                                        const TrackedNames& names,
                                                        NearMode way) const {
        ClientOptions there = options_;
        if (there.path.empty()) {
            there.host = at.host;
            there.port = at.port;
        }
        const auto greet =
            finder_ != nullptr ? Connection::Greet::role : Connection::Greet::nothing;
        return std::make_unique<TrackingLink>(
            there, encryption_.get(), names, clustered(), greet, way,
            std::chrono::steady_clock::now() + there.connect_timeout + there.command_timeout);
    }

private:
    [[nodiscard]] std::vector<Endpoint> ask_client() const {
        // What it asks over may be shared with others, who are not to be interrupted.
        const Interrupt none{-1};
        try {
            return client_.primaries();
        } catch (const Error& failed) {
            throw ConnectionFailure{ConnectionFailure::Kind::connect, failed.what()};
        }
    }

    const Client client_;
    ClientOptions options_;
    const std::unique_ptr<Encryption> encryption_;
    const std::unique_ptr<PrimaryFinder> finder_;  // null: the client knows
    std::uint64_t topology_ = 0;
};

using TrackedServers = BasicTrackedServers<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_TRACKED_SERVERS_HPP
