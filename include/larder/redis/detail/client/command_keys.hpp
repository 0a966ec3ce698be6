// SPDX-License-Identifier: MIT

/// @file
/// Which hash slot a command belongs to.

#ifndef LARDER_REDIS_DETAIL_CLIENT_COMMAND_KEYS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_COMMAND_KEYS_HPP

#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/command_table.hpp>
#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// What says where a command goes.
struct CommandRoute {
    CommandKind kind{CommandKind::plain};
    std::optional<std::uint16_t> slot{};  ///< of its keys; empty: it has none
    std::string_view key{};               ///< the first
    bool crosses{false};                  ///< it has keys of several slots
    std::size_t end{0};                   ///< where the command does
};

/// The words of a command that are keys: from `first` to before `end`, each `step`th.
struct KeyPlaces {
    std::size_t first{0};
    std::size_t end{0};
    std::size_t step{1};
};

/// Where the keys stand of the command that begins there. Of a command of which nothing is known the
/// first argument is taken for a key: nearly all are made so, and nodes send the others on.
[[nodiscard]] inline KeyPlaces key_places(const CommandSpec& known, std::string_view bytes,
                                          std::size_t begin) noexcept {
    CommandReader words{bytes, begin};
    const std::size_t count = words.left();
    const std::size_t key = known.key;
    const auto up_to = [&](std::size_t end) { return KeyPlaces{key, (std::min)(end, count)}; };
    switch (known.keys) {
        case KeyWords::one: return key == 0 ? KeyPlaces{} : up_to(key + 1);
        case KeyWords::two: return up_to(key + 2);
        case KeyWords::all: return up_to(count);
        case KeyWords::but_last: return up_to(count - 1);
        case KeyWords::pairs: return {key, count, 2};
        case KeyWords::unknown: return {1, (std::min)(count, std::size_t{2})};
        case KeyWords::counted: {
            std::string_view digits;
            for (std::size_t i = 0; i < key && i < count; ++i) {
                digits = words.next();
            }
            std::uint32_t keys = 0;
            std::from_chars(digits.data(), digits.data() + digits.size(), keys);
            return up_to(key + keys);
        }
        case KeyWords::streams:
            for (std::size_t i = 0; i < count; ++i) {
                if (same_word(words.next(), "STREAMS")) {
                    return {i + 1, i + 1 + (count - i - 1) / 2};
                }
            }
            break;
    }
    return {};
}

/// Where the command goes that begins there.
[[nodiscard]] inline CommandRoute route_command(std::string_view bytes,
                                                std::size_t begin) noexcept {
    CommandReader words{bytes, begin};
    const CommandSpec known = lookup_command(words.next());
    const KeyPlaces keys = key_places(known, bytes, begin);
    CommandRoute route{.kind = known.kind};
    for (std::size_t i = 1; words.left() > 0; ++i) {
        const std::string_view word = words.next();
        if (i >= keys.first && i < keys.end && (i - keys.first) % keys.step == 0) {
            const std::uint16_t slot = hash_slot(word);
            route.crosses = route.crosses || (route.slot && *route.slot != slot);
            if (!route.slot) {
                route.slot = slot;
                route.key = word;
            }
        }
    }
    route.end = words.at();
    return route;
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_COMMAND_KEYS_HPP
