// SPDX-License-Identifier: MIT

/// @file
/// What the copies of a client share; in a child after fork() its connections are new.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP

#include <larder/detail/support/process.hpp>
#include <larder/redis/detail/client/cluster.hpp>
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
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// A T that a forked child makes anew, and of which it gives up its parent's.
///
/// Thread safety: all members may run concurrently.
template <class T>
class PerProcess {
public:
    explicit PerProcess(std::unique_ptr<T> first) noexcept : current_{first.release()} {}
    PerProcess(const PerProcess&) = delete;
    PerProcess& operator=(const PerProcess&) = delete;
    ~PerProcess() {
        T* const last = current_.load(std::memory_order_acquire);
        if (last != nullptr) {
            last->generation == larder::detail::forks() ? delete last : last->abandon();
        }
    }

    /// This process' own, which `make()` makes in a child.
    template <class Make>
    [[nodiscard]] T& get(Make&& make) {
        T* known = current_.load(std::memory_order_acquire);
        if (known->generation == larder::detail::forks()) [[likely]] {
            return *known;
        }
        std::unique_ptr<T> mine = make();
        if (current_.compare_exchange_strong(known, mine.get(), std::memory_order_acq_rel)) {
            known->abandon();
            return *mine.release();
        }
        return *known;  // another thread of the child was first
    }

private:
    std::atomic<T*> current_;
};

/// What the copies of a client share.
class Connections {
public:
    /// @throws std::invalid_argument  an option makes no sense, or there is nothing to encrypt with
    explicit Connections(ClientOptions of)
        : options{checked(std::move(of))},
          name{name_of(options)},
          clustered{!options.cluster.seeds.empty()},
          encryption_{Encryption::of(options)},
          server_{clustered ? nullptr : make<ProcessConnections>()},
          cluster_{clustered ? make<Cluster>() : nullptr} {}
    Connections(const Connections&) = delete;
    Connections& operator=(const Connections&) = delete;

    /// This process' connections to the one server.
    [[nodiscard]] ProcessConnections& current() {
        return server_.get([this] { return make<ProcessConnections>(); });
    }

    /// This process' connections to the nodes of the cluster, if `clustered`.
    [[nodiscard]] Cluster& cluster() {
        return cluster_.get([this] { return make<Cluster>(); });
    }

    const ClientOptions options;
    const std::string name;
    const bool clustered;
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
        if (!options.cluster.seeds.empty()) {
            return "cluster " + list(options.cluster.seeds);
        }
        return options.sentinel.primary.empty()
                   ? to_string(Endpoint{options.host, options.port})
                   : options.sentinel.primary + " of sentinel " + list(options.sentinel.sentinels);
    }

    static std::string list(const std::vector<Endpoint>& endpoints) {
        std::string text;
        for (const Endpoint& at : endpoints) {
            text += (text.empty() ? "" : ",") + to_string(at);
        }
        return text;
    }

    template <class T>
    [[nodiscard]] std::unique_ptr<T> make() const {
        return std::make_unique<T>(options, name, encryption_.get());
    }

    const std::unique_ptr<const Encryption> encryption_;
    PerProcess<ProcessConnections> server_;
    PerProcess<Cluster> cluster_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CONNECTIONS_HPP
