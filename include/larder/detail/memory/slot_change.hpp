// SPDX-License-Identifier: MIT

/// @file
/// The ways in which a value may get into a slot.

#ifndef LARDER_DETAIL_MEMORY_SLOT_CHANGE_HPP
#define LARDER_DETAIL_MEMORY_SLOT_CHANGE_HPP

#include <larder/detail/slot/state_machine.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

LARDER_NS_BEGIN

namespace detail {

/// A step of a slot that may leave a value: from outside, by a load, by a write.
struct SlotChange {
    enum class By : std::uint8_t { put, load, write };

    By by = By::put;

    /// Its lease or its ticket.
    std::uint64_t id = 0;

    /// It has a value to leave.
    bool leaves = true;

    /// What that is a copy of is so old, and lives so much longer, at a moment from which its life counts.
    Ttl age{0};
    Ttl beyond{0};
    std::optional<std::chrono::steady_clock::time_point> since{};

    /// True if the step would store its value: nothing makes room for one that is thrown away.
    [[nodiscard]] bool stores(const SlotState& state) const noexcept {
        switch (by) {
            case By::put: return leaves && !state.writing();
            case By::load: return state.stands(id);
            case By::write: return leaves && state.may_leave(id);
        }
        return false;
    }

    /// How the step went.
    struct Taken {
        Effect effect;
        bool stood = true;  ///< a write's ticket was still there
    };
    Taken take(SlotState& state) const {
        switch (by) {
            case By::put: return {leaves ? state.put() : state.erase()};
            case By::load: return {state.fill(id)};
            case By::write: {
                const SlotState::Finished finished = state.finish_write(id, leaves);
                return {finished.effect, finished.found};
            }
        }
        return {Effect::keep};
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SLOT_CHANGE_HPP
