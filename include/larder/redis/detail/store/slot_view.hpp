// SPDX-License-Identifier: MIT

/// @file
/// A slot as it was read.

#ifndef LARDER_REDIS_DETAIL_STORE_SLOT_VIEW_HPP
#define LARDER_REDIS_DETAIL_STORE_SLOT_VIEW_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// What is known of a copy beside its value.
using FoundCopy = larder::detail::Copy<Elsewhere>;

/// What a slot has answered to who opens it, beside the value.
using SlotOpening = larder::detail::Opening<Elsewhere>;

/// A slot as it was read. Views into the reply.
struct SlotView {
    /// `unread`: its server has not answered.
    enum class Kind : std::uint8_t { absent, copy, junk, loading, writing, untouchable, unread };

    Kind kind = Kind::absent;
    std::optional<FoundCopy> copy{};
    std::uint64_t lease = 0;
    std::string_view bytes{};
    Ttl grace{0};
    bool needs_time = false;  ///< it cannot be judged without the time it has left
    std::vector<std::string_view> tags{};
    std::string_view home{};  ///< of the slot: where its tags have their versions
    larder::detail::Epoch epoch{};
};

/// A slot, and the reply that its view looks into.
struct SlotReading {
    Reply reply{};
    SlotView slot{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SLOT_VIEW_HPP
