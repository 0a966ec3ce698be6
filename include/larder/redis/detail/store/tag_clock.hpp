// SPDX-License-Identifier: MIT

/// @file
/// The tag clock, as it is read ahead of a lease or a ticket.

#ifndef LARDER_REDIS_DETAIL_STORE_TAG_CLOCK_HPP
#define LARDER_REDIS_DETAIL_STORE_TAG_CLOCK_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/error.hpp>
#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <optional>

LARDER_NS_BEGIN

namespace redis::detail {

/// The clock as it was read ahead of a lease or a ticket; made where there is none.
[[nodiscard]] inline Epoch epoch_of(const StoreState& state, ReplyView reply) {
    if (const auto epoch = to_epoch(reply.text())) {
        return *epoch;
    }
    if (reply.is_error() && reply.text().starts_with("NOPERM")) {
        return {};  // a user that may not, and uses no tags
    }
    try {
        const Reply made = state.step(SlotScripts::instance().ensure_clock, {state.names.clock()},
                                      {to_text({new_id(), 0})});
        return to_epoch(made.text()).value_or(Epoch{});
    } catch (const StoreError&) {
        state.failed();
        return {};  // what has tags will not be kept
    }
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_TAG_CLOCK_HPP
