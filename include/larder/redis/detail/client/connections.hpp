// SPDX-License-Identifier: MIT

/// @file
/// What the copies of a client share; in a child after fork() its connections are new.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP

#include <larder/detail/support/process.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/namespaces.hpp>
#include <larder/redis/detail/client/process_connections.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/options.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <memory>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// What the copies of a client share.
class Connections {
public:
    /// @throws std::invalid_argument  an option makes no sense, or there is nothing to encrypt with
    explicit Connections(ClientOptions of)
        : options{checked(std::move(of))},
          name{name_of(options)},
          encryption_{Encryption::of(options)},
          current_{new ProcessConnections{options, name, encryption_.get()}} {}
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;
    ~Connections() {
        ProcessConnections* const last = current_.load(std::memory_order_acquire);
        if (last->generation == larder::detail::forks()) {
            delete last;
        } else {
            last->abandon();
        }
    }

    /// This process' connections.
    [[nodiscard]] ProcessConnections& current() {
        ProcessConnections* const known = current_.load(std::memory_order_acquire);
        return known->generation == larder::detail::forks() ? *known : after_fork(known);
    }

    const ClientOptions options;
    const std::string name;
    Namespaces namespaces{};

private:
    static ClientOptions checked(ClientOptions options) {
        validate(options);
        return options;
    }

    static std::string name_of(const ClientOptions& options) {
        if (!options.path.empty()) {
            return options.path;
        }
        if (options.sentinel.primary.empty()) {
            return to_string(Endpoint{options.host, options.port});
        }
        std::string name = options.sentinel.primary + " of sentinel ";
        for (const Endpoint& sentinel : options.sentinel.sentinels) {
            name += (name.back() == ' ' ? "" : ",") + to_string(sentinel);
        }
        return name;
    }

    ProcessConnections& after_fork(ProcessConnections* inherited) {
        auto mine = std::make_unique<ProcessConnections>(options, name, encryption_.get());
        if (current_.compare_exchange_strong(inherited, mine.get(), std::memory_order_acq_rel)) {
            inherited->abandon();
            return *mine.release();
        }
        return *inherited;  // another thread of the child was first
    }

    const std::unique_ptr<const Encryption> encryption_;
    std::atomic<ProcessConnections*> current_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP
