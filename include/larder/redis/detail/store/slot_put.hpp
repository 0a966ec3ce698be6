// SPDX-License-Identifier: MIT

/// @file
/// A copy that is to be left in a slot in one step with something else.

#ifndef LARDER_REDIS_DETAIL_STORE_SLOT_PUT_HPP
#define LARDER_REDIS_DETAIL_STORE_SLOT_PUT_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis {

class Client;

namespace detail {

/// What a write leaves in its slot, for a script that does more than that.
struct SlotPut {
    /// Where the slot is.
    const Client* client = nullptr;
    std::string slot{};

    /// Where it tells of the change; empty: nowhere.
    std::string_view channel{};

    /// Of the slot's namespace; 0: its names are plain.
    std::size_t partitions = 0;

    /// How long the copy lives, in ms; `0`: none is left.
    std::string life{"0"};
    std::string bytes{};

    /// If it has tags: the clock, and their versions. The bytes begin with a header then.
    std::vector<std::string> tags{};
};

}  // namespace detail

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SLOT_PUT_HPP
