// SPDX-License-Identifier: MIT

/// @file
/// What one step of a MemoryStore has taken of its room.

#ifndef LARDER_DETAIL_MEMORY_ROOM_IN_HAND_HPP
#define LARDER_DETAIL_MEMORY_ROOM_IN_HAND_HPP

#include <larder/detail/memory/room.hpp>
#include <larder/version.hpp>

#include <cstddef>

LARDER_NS_BEGIN

namespace detail {

/// The room that one step has in hand: what has left gives it, what gets in takes it, and the rest goes
/// back when the step ends.
class RoomInHand {
public:
    explicit RoomInHand(Room& room) noexcept : room_{room} {}
    ~RoomInHand() { give_back(); }
    RoomInHand(const RoomInHand&) = delete;
    RoomInHand& operator=(const RoomInHand&) = delete;

    void add(std::size_t entries, std::size_t weight) noexcept {
        entries_ += entries;
        weight_ += weight;
    }
    /// Takes room for an entry of this weight; false if there is none.
    bool take(std::size_t weight) noexcept {
        const std::size_t entries_more = entries_ != 0 ? 0 : 1;
        const std::size_t weight_more = weight > weight_ ? weight - weight_ : 0;
        if (!room_.reserve(entries_more, weight_more)) {
            return false;
        }
        entries_ += entries_more;
        weight_ += weight_more;
        entries_ -= 1;
        weight_ -= weight;
        return true;
    }
    void give_back() noexcept {
        room_.free(entries_, weight_);
        entries_ = 0;
        weight_ = 0;
    }

private:
    Room& room_;
    std::size_t entries_ = 0;
    std::size_t weight_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_ROOM_IN_HAND_HPP
