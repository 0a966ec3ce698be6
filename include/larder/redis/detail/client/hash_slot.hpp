// SPDX-License-Identifier: MIT

/// @file
/// Which of a cluster's hash slots a key belongs to ("Redis cluster specification", Redis documentation,
/// key distribution model).

#ifndef LARDER_REDIS_DETAIL_CLIENT_HASH_SLOT_HPP
#define LARDER_REDIS_DETAIL_CLIENT_HASH_SLOT_HPP

#include <larder/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// How many a cluster has.
inline constexpr std::uint16_t hash_slots = 16384;

/// CRC-16/XMODEM a byte: polynomial 0x1021, begins with 0.
inline constexpr std::array<std::uint16_t, 256> crc16_table = [] {
    std::array<std::uint16_t, 256> table{};
    for (std::size_t byte = 0; byte < table.size(); ++byte) {
        std::uint32_t sum = static_cast<std::uint32_t>(byte) << 8U;
        for (int bit = 0; bit < 8; ++bit) {
            sum = (sum << 1U) ^ ((sum & 0x8000U) != 0 ? 0x1021U : 0U);
        }
        table[byte] = static_cast<std::uint16_t>(sum);
    }
    return table;
}();

/// CRC-16/XMODEM.
[[nodiscard]] constexpr std::uint16_t crc16(std::string_view bytes) noexcept {
    std::uint32_t sum = 0;
    for (const char c : bytes) {
        sum = ((sum << 8U) ^ crc16_table[((sum >> 8U) ^ static_cast<unsigned char>(c)) & 0xffU]) &
              0xffffU;
    }
    return static_cast<std::uint16_t>(sum);
}

/// The slot of a key: of what stands between its first brace and the next that closes, if that is
/// something.
[[nodiscard]] constexpr std::uint16_t hash_slot(std::string_view key) noexcept {
    if (const auto open = key.find('{'); open != std::string_view::npos) {
        if (const auto close = key.find('}', open + 1);
            close != std::string_view::npos && close > open + 1) {
            key = key.substr(open + 1, close - open - 1);
        }
    }
    return crc16(key) % hash_slots;
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_HASH_SLOT_HPP
