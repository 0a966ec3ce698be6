// SPDX-License-Identifier: MIT

/// @file
/// Where a Redis server is, and how a Client treats it.

#ifndef LARDER_REDIS_OPTIONS_HPP
#define LARDER_REDIS_OPTIONS_HPP

#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/redis/cluster_options.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/sentinel_options.hpp>
#include <larder/redis/tls_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

/// Of a Client, by designated initialisers: `{.host = "cache", .command_timeout = 200ms}`. The order
/// of the members is API.
struct ClientOptions {
    /// A name, or an address without brackets.
    std::string host{"127.0.0.1"};
    std::uint16_t port{6379};

    /// The path of a unix socket; not empty: in place of host and port.
    std::string path{};

    /// Empty: the server's default user.
    std::string user{};

    /// Empty: none is sent.
    std::string password{};
    std::size_t database{0};

    /// What the server's CLIENT LIST calls the connections; empty: nothing.
    std::string name{};

    /// The most that opening a connection takes, AUTH and SELECT included, the lookup of the host's
    /// name not.
    Ttl connect_timeout{std::chrono::seconds{1}};

    /// The most that a call takes, connections that must be opened for it not counted (see Client).
    /// A bulk pipeline has it once more for every MiB that it sends and every 1,024 commands; large
    /// replies have it once more for every MiB that has arrived; a blocking command may block in
    /// addition.
    Ttl command_timeout{std::chrono::seconds{1}};

    /// How many connections callers share, at the most. They are opened when they are needed: one a
    /// caller, if there are few callers or the server is far; else a crowd shares one. A caller whose
    /// large reply takes its time has one to itself until that has come.
    std::size_t connections{8};

    /// A pipeline of more bytes, or of more than 512 commands, has a connection of its own.
    std::size_t bulk{64 * 1024};

    /// How many bulk pipelines run at once; more wait.
    std::size_t bulk_connections{4};

    /// A larger reply breaks the connection.
    std::size_t max_reply_bytes{512 * 1024 * 1024};

    /// How long a server that failed is not asked: at first, and doubled each time that it fails
    /// again, up to the longest. Both are varied at random by a quarter.
    Ttl breaker{std::chrono::milliseconds{500}};
    Ttl max_breaker{std::chrono::seconds{5}};

    /// Encryption, of what goes over TCP.
    TlsOptions tls{};

    /// Sentinels to ask for the server, in place of host and port.
    SentinelOptions sentinel{};

    /// Nodes of a cluster, in place of host and port.
    ClusterOptions cluster{};
};

namespace detail {

inline void require_timeout(const char* option, Ttl value) {
    larder::detail::require_positive(option, value);
    if (value > std::chrono::hours{24}) {
        larder::detail::refuse_option(option, "at most a day",
                                      std::to_string(value.count()) + " ms");
    }
}

inline void require_endpoints(const char* option, const std::vector<Endpoint>& endpoints) {
    for (const Endpoint& at : endpoints) {
        if (at.host.empty() || at.host.find('\0') != std::string::npos || at.port == 0) {
            larder::detail::refuse_option(option, "names or addresses, with ports", "not");
        }
    }
}

// Where it is, if not at host and port alone.
inline void validate_place(const ClientOptions& options) {
    using larder::detail::refuse_option;
    if (options.sentinel.primary.empty() != options.sentinel.sentinels.empty()) {
        refuse_option("SentinelOptions::primary and sentinels", "given together", "one of them");
    }
    require_endpoints("SentinelOptions::sentinels", options.sentinel.sentinels);
    require_endpoints("ClusterOptions::seeds", options.cluster.seeds);
    require_timeout("ClusterOptions::refresh", options.cluster.refresh);
    if (!options.cluster.seeds.empty()) {
        if (!options.path.empty() || !options.sentinel.primary.empty()) {
            refuse_option("ClusterOptions::seeds", "given without a path and without sentinels",
                          "beside them");
        }
        if (options.database != 0) {
            refuse_option("ClientOptions::database", "0 in a cluster, which has no other",
                          std::to_string(options.database));
        }
    }
    if (!options.sentinel.primary.empty() && !options.path.empty()) {
        refuse_option("ClientOptions::path", "empty where sentinels are asked",
                      std::to_string(options.path.size()) + " bytes");
    }
    if (options.sentinel.password.empty() && !options.sentinel.user.empty()) {
        refuse_option("SentinelOptions::password", "given with a user", "empty");
    }
    if (options.tls.on && !options.path.empty()) {
        refuse_option("ClientOptions::tls", "off for a unix socket", "on");
    }
    const TlsOptions& tls = options.tls;
    if (!tls.on && (!tls.verify || !tls.ca.empty() || !tls.certificate.empty() ||
                    !tls.key.empty() || !tls.server_name.empty())) {
        refuse_option("ClientOptions::tls", "on, if it says whom to trust or who asks", "off");
    }
    const std::string& name = tls.server_name;
    // To OpenSSL, a dot in front would stand for every name that ends so.
    if (name.starts_with('.') ||
        std::any_of(name.begin(), name.end(), [](char c) { return c <= ' ' || c > '~'; })) {
        refuse_option("TlsOptions::server_name", "a name or an address", "not");
    }
    if (tls.certificate.empty() != tls.key.empty()) {
        refuse_option("TlsOptions::certificate and key", "given together", "one of them");
    }
}

}  // namespace detail

/// @throws std::invalid_argument  naming the first field that makes no sense; its value too, unless
///                                it may hold a secret
inline void validate(const ClientOptions& options) {
    using larder::detail::refuse_option;
    if (options.host.empty() && options.path.empty()) {
        refuse_option("ClientOptions::host", "given", "empty");
    }
    if (options.host.find('\0') != std::string::npos) {
        refuse_option("ClientOptions::host", "a name or an address", "not");
    }
    if (options.port == 0) {
        refuse_option("ClientOptions::port", "in [1, 65535]", "0");
    }
    if (options.path.size() > 107 || options.path.find('\0') != std::string::npos) {
        refuse_option("ClientOptions::path", "at most 107 bytes, none of them 0",
                      std::to_string(options.path.size()) + " bytes");
    }
    if (options.password.empty() && !options.user.empty()) {
        refuse_option("ClientOptions::password", "given with a user", "empty");
    }
    if (options.database > static_cast<std::size_t>((std::numeric_limits<std::int32_t>::max)())) {
        refuse_option("ClientOptions::database", "at most 2147483647",
                      std::to_string(options.database));
    }
    for (const char c : options.name) {
        if (c <= ' ' || c > '~') {
            refuse_option("ClientOptions::name", "of printable characters without blanks", "not");
        }
    }
    detail::validate_place(options);
    detail::require_timeout("ClientOptions::connect_timeout", options.connect_timeout);
    detail::require_timeout("ClientOptions::command_timeout", options.command_timeout);
    larder::detail::require_positive("ClientOptions::connections", options.connections);
    if (options.connections > 64) {
        refuse_option("ClientOptions::connections", "at most 64",
                      std::to_string(options.connections));
    }
    larder::detail::require_positive("ClientOptions::bulk", options.bulk);
    larder::detail::require_positive("ClientOptions::bulk_connections", options.bulk_connections);
    larder::detail::require_positive("ClientOptions::max_reply_bytes", options.max_reply_bytes);
    detail::require_timeout("ClientOptions::breaker", options.breaker);
    detail::require_timeout("ClientOptions::max_breaker", options.max_breaker);
    if (options.max_breaker < options.breaker) {
        refuse_option("ClientOptions::max_breaker", "at least ClientOptions::breaker",
                      std::to_string(options.max_breaker.count()) + " ms");
    }
}

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_OPTIONS_HPP
