// SPDX-License-Identifier: MIT

/// @file
/// What leaves a MemoryStore in one step, whatever it is.

#ifndef LARDER_DETAIL_MEMORY_ANY_REMOVALS_HPP
#define LARDER_DETAIL_MEMORY_ANY_REMOVALS_HPP

#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/room.hpp>
#include <larder/detail/memory/room_in_hand.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <cstddef>

LARDER_NS_BEGIN

namespace detail {

/// Takes what leaves, and its room.
class AnyRemovals {
public:
    AnyRemovals(const AnyRemovals&) = delete;
    AnyRemovals& operator=(const AnyRemovals&) = delete;

    /// Room in here for an entry; for the first there always is.
    ///
    /// @throws std::bad_alloc  in which case nothing has changed
    virtual void reserve() = 0;

    /// Room for so many entries, or, where there is no memory, for fewer; of nothing in here as yet.
    ///
    /// @returns for how many
    virtual std::size_t reserve_some(std::size_t wanted) noexcept = 0;

    /// The key and the value of an entry that leaves, in room that is reserved.
    virtual void add(EntryHead& entry, RemovalCause cause) noexcept = 0;

    RoomInHand room;

protected:
    explicit AnyRemovals(Room& whole_room) noexcept : room{whole_room} {}
    ~AnyRemovals() = default;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_ANY_REMOVALS_HPP
