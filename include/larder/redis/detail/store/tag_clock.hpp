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
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <optional>
#include <span>

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

/// The clock, read on the way to leases or tickets that are to know it: once for all of them, and ahead
/// of them, since an older clock is only stricter. Rule R3.
class ClockReading {
public:
    /// Adds its command, if there is to be one.
    ClockReading(const StoreState& state, larder::detail::Dated dated, Pipeline& pipeline)
        : state_{state}, at_{pipeline.size()}, dated_{dated == larder::detail::Dated::yes} {
        if (dated_) {
            pipeline.command("GET", state.names.clock());
        }
    }

    /// How many of the replies are its own. It may be an error: the clock may be forbidden.
    [[nodiscard]] std::size_t replies() const noexcept { return dated_ ? 1 : 0; }

    /// The moment, once there is a lease or a ticket; no moment where none was asked for.
    [[nodiscard]] Epoch epoch(std::span<const Reply> all) {
        if (dated_ && !epoch_) {
            epoch_ = epoch_of(state_, all[at_]);
        }
        return epoch_.value_or(Epoch{});
    }

private:
    const StoreState& state_;
    const std::size_t at_;
    const bool dated_;
    std::optional<Epoch> epoch_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_TAG_CLOCK_HPP
