// SPDX-License-Identifier: MIT

/// @file
/// A change that waits in a MemoryJournal, or that the database would not take.

#ifndef LARDER_DETAIL_JOURNAL_PENDING_CHANGE_HPP
#define LARDER_DETAIL_JOURNAL_PENDING_CHANGE_HPP

#include <larder/detail/journal/kept_value.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Why and when a change became a dead letter.
struct Burial {
    std::string why{};
    std::chrono::system_clock::time_point at{};
};

/// All that a journal knows of one key.
///
/// Thread safety: none of its own. What is said below to be of the part is guarded by the part's lock,
/// the rest by that of the claims.
template <class K, class V>
struct PendingChange {
    using Instant = std::chrono::steady_clock::time_point;

    /// Changes that were claimed once, by when they are due again: their claim ends, their next try.
    using Waiting = std::multimap<Instant, PendingChange*>;

    template <class Q>
    PendingChange(Q&& of, std::size_t hash_of) : hash{hash_of}, key(std::forward<Q>(of)) {}

    // Of the part. What a write touches comes first.
    PendingChange* next = nullptr;  ///< in its bucket
    const std::size_t hash;
    const K key;
    KeptValue<V> value{};
    std::uint64_t version = 0;
    std::size_t attempts = 0;
    std::chrono::system_clock::time_point failed{};  ///< the first of these attempts
    std::unique_ptr<const Burial> buried{};          ///< it is a dead letter: nothing is pending
    bool fresh = false;         ///< nobody has claimed it since it began to wait
    bool backs_off = false;     ///< it waits for its next try
    Instant since{};            ///< it waits, or waits anew
    std::uint64_t arrival = 0;  ///< orders those of one instant
    PendingChange* older = nullptr;
    PendingChange* newer = nullptr;

    // Of the claims.
    std::uint64_t claim = 0;                            ///< the last one; 0: none that counts
    std::optional<typename Waiting::iterator> place{};  ///< none: nobody has claimed it yet
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_JOURNAL_PENDING_CHANGE_HPP
