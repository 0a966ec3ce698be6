// SPDX-License-Identifier: MIT

/// @file
/// What can be tuned in a RedisStore.

#ifndef LARDER_REDIS_STORE_OPTIONS_HPP
#define LARDER_REDIS_STORE_OPTIONS_HPP

#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

LARDER_NS_BEGIN

/// Tuning of a RedisStore, written with designated initialisers: `{.schema = 3}`.
struct RedisStoreOptions {
    /// A version in the key names (`product@3:42`): raise it when values change their form, so that
    /// builds that are deployed side by side do not read each other's. 0: none.
    std::uint32_t schema{0};

    /// Values whose bytes are more are not cached, and counted as `oversized`. So are those that
    /// would not fit into ClientOptions::max_reply_bytes.
    std::size_t max_value_bytes{std::size_t{16} << 20U};

    /// How long a load is waited for when nothing is heard of its holder; renewed while it runs.
    Ttl lease{std::chrono::seconds{3}};

    /// Into how many parts the keys are divided, which a cluster spreads over its primaries; a tag's
    /// invalidation is one script a part. 0: one, with plain key names, on a single server, and 64 on a
    /// cluster. All stores of a name have one number, or they are refused.
    std::uint32_t partitions{0};
};

namespace redis::detail {

/// A slot in hand for longer than this, or without an end, counts as bytes that do not decode.
inline constexpr Ttl longest_lease{std::chrono::minutes{1}};
inline constexpr Ttl longest_ticket{std::chrono::hours{1}};

/// As many as a cluster has hash slots.
inline constexpr std::uint32_t most_partitions = 16384;

/// On a cluster, unless the user says otherwise.
inline constexpr std::uint32_t cluster_partitions = 64;

/// @throws std::invalid_argument  there are too many
inline void require_partitions(const char* field, std::uint32_t count) {
    if (count > most_partitions) {
        larder::detail::refuse_option(field, "at most 16384", std::to_string(count));
    }
}

}  // namespace redis::detail

/// @throws std::invalid_argument  naming the first field that makes no sense, and its value
inline void validate(const RedisStoreOptions& options) {
    detail::require_positive("RedisStoreOptions::max_value_bytes", options.max_value_bytes);
    if (options.lease < Ttl{30} || options.lease > redis::detail::longest_lease) {
        detail::refuse_option("RedisStoreOptions::lease", "between 30 ms and a minute",
                              std::to_string(options.lease.count()) + " ms");
    }
    redis::detail::require_partitions("RedisStoreOptions::partitions", options.partitions);
}

LARDER_NS_END

#endif  // LARDER_REDIS_STORE_OPTIONS_HPP
