// SPDX-License-Identifier: MIT

/// @file
/// What a slot is asked for its lease, by what was seen in it.

#ifndef LARDER_REDIS_DETAIL_STORE_LEASE_STEP_HPP
#define LARDER_REDIS_DETAIL_STORE_LEASE_STEP_HPP

#include <larder/redis/detail/store/query.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstdint>
#include <string>

LARDER_NS_BEGIN

namespace redis::detail {

/// Asks for the lease of an empty slot, or its bytes; not for the time left, since most are empty.
inline void add_open(Pipeline& pipeline, const StoreState& state, const std::string& slot,
                     std::uint64_t id) {
    if (state.sets_with_get.load(std::memory_order_relaxed)) {
        pipeline.command("SET", slot, loading_bytes(id), "NX", "GET", "PX", state.lease_ms());
    } else {
        add_script(pipeline, SlotScripts::instance().open, {slot},
                   {loading_bytes(id), state.lease_ms()});
    }
}

/// Asks for the lease of a slot that holds nothing, what is no value, or a stale one.
inline void add_step(Pipeline& pipeline, const StoreState& state, const std::string& slot,
                     const Query& query, std::uint64_t id) {
    const SlotScripts& scripts = SlotScripts::instance();
    switch (query.seen) {
        case Query::Seen::stale:
            add_script(pipeline, scripts.open_beside, {slot, SlotNames::side(slot)},
                       {hex(id), state.lease_ms()});
            break;
        case Query::Seen::junk:
            add_script(pipeline, scripts.replace, {slot},
                       {query.digest, loading_bytes(id), state.lease_ms()});
            break;
        default: add_open(pipeline, state, slot, id);
    }
}

/// Whether the lease was given.
[[nodiscard]] inline bool is_granted(Query::Seen seen, const Reply& reply) {
    switch (seen) {
        case Query::Seen::stale: return reply[0].text() == "+";
        case Query::Seen::junk: return reply.is_integer() && reply.integer() == 1;
        default: return reply.is_nil();
    }
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_LEASE_STEP_HPP
