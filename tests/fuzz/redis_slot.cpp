// SPDX-License-Identifier: MIT

// Bytes of unknown origin as a slot, a clock, an id.

#include <larder/redis/detail/store/slot_format.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

namespace {

void require(bool holds) {
    if (!holds) {
        std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using larder::redis::detail::SlotBytes;
    const std::string_view bytes{reinterpret_cast<const char*>(data), size};
    const SlotBytes slot = larder::redis::detail::read_slot(bytes);
    const auto within = [&](std::string_view part) {
        return part.empty() ||
               (part.data() >= bytes.data() && part.data() + part.size() <= bytes.data() + size);
    };
    require(within(slot.body));
    larder::Tags tags;
    for (const std::string_view tag : slot.tags) {
        require(within(tag));
        tags.emplace_back(tag);
    }
    switch (slot.kind) {
        case SlotBytes::Kind::plain:
            require(slot.body == bytes);
            require(size == 0 || data[0] != 1);
            break;
        case SlotBytes::Kind::value:
        case SlotBytes::Kind::absence: {
            // What was read says all there is: written again, it is the same to the byte.
            std::optional<std::string> body;
            if (slot.kind == SlotBytes::Kind::value) {
                body = std::string{slot.body};
            }
            require(larder::redis::detail::write_slot(body, slot.life, slot.grace, slot.epoch,
                                                      tags) == bytes);
            break;
        }
        case SlotBytes::Kind::loading:
            require(larder::redis::detail::loading_bytes(slot.lease) == bytes);
            break;
        case SlotBytes::Kind::writing: require(size >= 20 && (size - 20) % 32 == 0); break;
        case SlotBytes::Kind::unknown: require(size >= 2 && data[1] != 1); break;
        case SlotBytes::Kind::broken: require(size >= 1 && data[0] == 1); break;
    }
    if (const auto epoch = larder::redis::detail::to_epoch(bytes)) {
        const auto again = larder::redis::detail::to_epoch(larder::redis::detail::to_text(*epoch));
        require(again && *again == *epoch);
    }
    if (const auto id = larder::redis::detail::unhex(bytes)) {
        require(larder::redis::detail::hex(*id) == bytes);
    }
    return 0;
}
