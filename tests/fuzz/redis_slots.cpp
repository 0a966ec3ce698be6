// SPDX-License-Identifier: MIT

// Any reply as the slots of a cluster, and any error as a redirection: nodes that can be connected to, or
// none.

#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/redis/detail/client/redirection.hpp>
#include <larder/redis/detail/client/reply_parser.hpp>
#include <larder/redis/detail/client/slot_map.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/redis/reply.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using larder::redis::Endpoint;
using larder::redis::Reply;
using larder::redis::detail::ConnectionFailure;
using larder::redis::detail::hash_slots;
using larder::redis::detail::Redirection;
using larder::redis::detail::ReplyParser;
using larder::redis::detail::SlotMap;

void require(bool good) {
    if (!good) {
        std::abort();
    }
}

bool can_be_asked(const Endpoint& at) {
    return !at.host.empty() && at.port != 0 &&
           at.host.find_first_of(" \r\n") == std::string::npos &&
           at.host.find('\0') == std::string::npos;
}

void see(const Reply& reply) {
    const Endpoint asked{"asked", 1};
    const auto map = SlotMap::parse(reply, asked);
    require(map.has_value() <= reply.is_array());
    if (map) {
        bool any = false;
        for (std::uint16_t slot = 0; slot < hash_slots; ++slot) {
            const auto owner = map->owner(slot);
            any = any || owner;
            require(!owner || can_be_asked(map->owners().at(*owner)));
        }
        require(any && *SlotMap::parse(reply, asked) == *map);
    }
    const Redirection to = Redirection::of(reply.text(), asked);
    const bool elsewhere = to.kind == Redirection::Kind::moved || to.kind == Redirection::Kind::ask;
    require(elsewhere ? can_be_asked(to.to) : to.to == Endpoint{});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        ReplyParser parser{std::size_t{1} << 20U};
        parser.feed(reinterpret_cast<const char*>(data), size);
        for (Reply reply; parser.next(reply);) {
            see(reply);
        }
    } catch (const ConnectionFailure&) {
        // No reply at all.
    }
    return 0;
}
