// SPDX-License-Identifier: MIT

/// @file
/// How long a command may block.

#ifndef LARDER_REDIS_DETAIL_CLIENT_BLOCKING_TIME_HPP
#define LARDER_REDIS_DETAIL_CLIENT_BLOCKING_TIME_HPP

#include <larder/redis/detail/client/command_table.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// Blocks as long as it likes.
inline constexpr std::chrono::milliseconds for_ever{(std::chrono::milliseconds::max)()};

/// How long two commands may block, one after the other.
[[nodiscard]] constexpr std::chrono::milliseconds block_both(
    std::chrono::milliseconds one, std::chrono::milliseconds other) noexcept {
    // A number of years that every clock can hold.
    constexpr std::chrono::milliseconds most = std::chrono::hours{24} * 366 * 10;
    return one == for_ever || other == for_ever || one + other > most ? for_ever : one + other;
}

/// How long a command may block: 0 if it does not.
[[nodiscard]] inline std::chrono::milliseconds blocks_for(
    CommandKind kind, std::span<const std::string_view> words) noexcept {
    const auto number = [&](std::size_t at, double unit) {
        // A double by hand: from_chars has none of them everywhere. What is spelled otherwise may be
        // of any length.
        double value = 0;
        double step = 0;
        for (const char c : at < words.size() ? words[at] : std::string_view{}) {
            if (c == '.' && step == 0) {
                step = 1;
            } else if (c >= '0' && c <= '9') {
                step /= 10;
                value = step > 0 ? value + (c - '0') * step : value * 10 + (c - '0');
            } else {
                return for_ever;
            }
        }
        // What is not a number the server refuses at once.
        constexpr double year = 366.0 * 24 * 3600 * 1000;
        return value <= 0 ? for_ever
                          : std::chrono::milliseconds{
                                static_cast<std::int64_t>((std::min)(value * unit, year) + 1)};
    };
    switch (kind) {
        case CommandKind::seconds_last: return number(words.size() - 1, 1000);
        case CommandKind::seconds_first: return number(1, 1000);
        case CommandKind::millis_last: return number(words.size() - 1, 1);
        case CommandKind::block_option:
            for (std::size_t i = 1; i < words.size() && !same_word(words[i], "STREAMS"); ++i) {
                if (same_word(words[i], "BLOCK")) {
                    return number(i + 1, 1);
                }
            }
            return std::chrono::milliseconds{0};
        default: return std::chrono::milliseconds{0};
    }
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_BLOCKING_TIME_HPP
