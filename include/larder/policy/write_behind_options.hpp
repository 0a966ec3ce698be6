// SPDX-License-Identifier: MIT

/// @file
/// What can be tuned in WriteBehind beyond the common options.

#ifndef LARDER_POLICY_WRITE_BEHIND_OPTIONS_HPP
#define LARDER_POLICY_WRITE_BEHIND_OPTIONS_HPP

#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

LARDER_NS_BEGIN

/// What a write does when `max_pending` changes wait.
enum class WhenFull : std::uint8_t {
    block,   ///< wait for room, `block_for` at most, and then be refused
    reject,  ///< be refused
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(WhenFull choice) noexcept {
    switch (choice) {
        case WhenFull::block: return "block";
        case WhenFull::reject: return "reject";
    }
    return "unknown";
}

/// Tuning of WriteBehind, its fourth argument: `{.max_pending = 10'000}`.
struct WriteBehindOptions {
    /// The most keys with a change that waits.
    std::size_t max_pending{100'000};

    WhenFull when_full{WhenFull::block};
    Ttl block_for{std::chrono::seconds{5}};

    /// The most changes that are written together; fewer where the database is slow, beside `claim`.
    std::size_t batch{100};

    /// How long a change waits for company.
    Ttl delay{100};

    /// How often a change is tried before it is buried. While the database is down few tries count.
    std::size_t attempts{10};

    /// The wait after a first failure; doubled, with jitter, after each further one.
    Ttl backoff{100};
    Ttl max_backoff{std::chrono::seconds{30}};

    /// How long a flusher that is not heard of keeps others from its changes.
    Ttl claim{std::chrono::seconds{10}};

    /// How long the destructor waits for what is pending.
    Ttl drain{std::chrono::seconds{10}};

    /// Where the journal cannot be asked, reads give the row, and keep nothing, instead of throwing.
    bool read_without_journal{false};

    /// The most batches that are written at once. Of one key there is never more than one change in them.
    std::size_t parallel{4};
};

/// @throws std::invalid_argument  naming the first field that makes no sense, and its value
inline void validate(const WriteBehindOptions& options) {
    detail::require_positive("WriteBehindOptions::max_pending", options.max_pending);
    detail::require_not_negative("WriteBehindOptions::block_for", options.block_for);
    detail::require_positive("WriteBehindOptions::batch", options.batch);
    detail::require_not_negative("WriteBehindOptions::delay", options.delay);
    detail::require_positive("WriteBehindOptions::attempts", options.attempts);
    detail::require_positive("WriteBehindOptions::backoff", options.backoff);
    detail::require_positive("WriteBehindOptions::max_backoff", options.max_backoff);
    detail::require_positive("WriteBehindOptions::claim", options.claim);
    detail::require_not_negative("WriteBehindOptions::drain", options.drain);
    detail::require_positive("WriteBehindOptions::parallel", options.parallel);
}

LARDER_NS_END

#endif  // LARDER_POLICY_WRITE_BEHIND_OPTIONS_HPP
