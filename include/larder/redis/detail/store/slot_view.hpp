// SPDX-License-Identifier: MIT

/// @file
/// A slot as it was read.

#ifndef LARDER_REDIS_DETAIL_STORE_SLOT_VIEW_HPP
#define LARDER_REDIS_DETAIL_STORE_SLOT_VIEW_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// A slot as it was read. Views into the reply.
template <class V>
struct SlotView {
    enum class Kind : std::uint8_t { absent, copy, junk, loading, writing, untouchable };

    Kind kind = Kind::absent;
    std::optional<larder::detail::Copy<V>> copy{};
    std::uint64_t lease = 0;
    std::string_view bytes{};
    Ttl grace{0};
    bool needs_time = false;  ///< it cannot be judged without the time it has left
    std::vector<std::string_view> tags{};
    larder::detail::Epoch epoch{};
};

/// A slot, and the reply that its view looks into.
template <class V>
struct SlotReading {
    Reply reply{};
    SlotView<V> slot{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SLOT_VIEW_HPP
