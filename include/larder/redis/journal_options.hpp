// SPDX-License-Identifier: MIT

/// @file
/// What can be tuned in a RedisJournal.

#ifndef LARDER_REDIS_JOURNAL_OPTIONS_HPP
#define LARDER_REDIS_JOURNAL_OPTIONS_HPP

#include <larder/redis/durability.hpp>
#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

/// Tuning of a RedisJournal, written with designated initialisers:
/// `{.durability = larder::redis::Durability::fsync}`.
struct RedisJournalOptions {
    /// What a change waits for before it counts as recorded: ClientOptions::command_timeout at the
    /// most, then it is not acknowledged.
    redis::Durability durability{redis::Durability::memory};

    /// The server is not asked whether its `maxmemory-policy` could evict the journal: for users who
    /// may run neither CONFIG GET nor INFO.
    bool assume_no_eviction{false};

    /// As RedisStoreOptions::schema: that of the store whose values it journals.
    std::uint32_t schema{0};

    /// As RedisStoreOptions::partitions: that of the store whose values it journals.
    std::uint32_t partitions{0};
};

LARDER_NS_END

#endif  // LARDER_REDIS_JOURNAL_OPTIONS_HPP
