// SPDX-License-Identifier: MIT

/// @file
/// Ids of leases and tickets.

#ifndef LARDER_REDIS_DETAIL_STORE_IDS_HPP
#define LARDER_REDIS_DETAIL_STORE_IDS_HPP

#include <larder/detail/support/random.hpp>
#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

namespace redis::detail {

/// An id of a lease or a ticket. A new one for each attempt: one whose reply was lost may still be
/// carried out, and must then be worth nothing. Rule S9.
[[nodiscard]] inline std::uint64_t new_id() noexcept {
    for (;;) {
        if (const std::uint64_t id = larder::detail::random_bits(); id != 0) {
            return id;
        }
    }
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_IDS_HPP
