// SPDX-License-Identifier: MIT

/// @file
/// What a read asks of the store, and what it has found out so far.

#ifndef LARDER_REDIS_DETAIL_STORE_QUERY_HPP
#define LARDER_REDIS_DETAIL_STORE_QUERY_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <exception>
#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// What a read wants to know, and what it has found out so far: asking again costs a round trip.
struct Query {
    bool remaining = false;                                    ///< how long the copy has left
    bool tagged = false;                                       ///< a copy without tags is none
    larder::detail::Dated dated = larder::detail::Dated::yes;  ///< the lease that is asked for
    Ttl usual{0};  ///< the life that a value without one is given; 0: none

    // Up to `stale`, the server is asked for a lease.
    enum class Seen : std::uint8_t { nothing, junk, stale, loading, writing, bypass, failure };
    Seen seen = Seen::nothing;
    std::uint64_t lease = 0;       ///< `loading`
    std::string digest{};          ///< `junk`: of its bytes
    std::exception_ptr failure{};  ///< `failure`
    bool wants_tags = false;       ///< those of the copy are asked for
    Tags tags{};                   ///< and these they are
    int steps = 8;                 ///< how often a slot that keeps changing is read again

    /// The name of the key's slot, once a step has made it. A query is of one key, then.
    std::string slot{};

    /// The same question, of which nothing is known yet, with one step less.
    [[nodiscard]] Query again() const {
        Query next{.remaining = true, .tagged = tagged, .usual = usual};
        next.dated = dated;
        next.steps = steps - 1;
        return next;
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_QUERY_HPP
