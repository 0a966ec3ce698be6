// SPDX-License-Identifier: MIT

/// @file
/// SHA-1, by which Redis names scripts (FIPS 180-4). A name, not a protection.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SHA1_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SHA1_HPP

#include <larder/version.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// The state of SHA-1 after some blocks of 64 bytes.
class Sha1 {
public:
    /// Takes 64 bytes.
    void add_block(const unsigned char* block) noexcept {
        std::array<std::uint32_t, 80> w{};
        for (std::size_t t = 0; t < 16; ++t) {
            w[t] = std::uint32_t{block[4 * t]} << 24U | std::uint32_t{block[4 * t + 1]} << 16U |
                   std::uint32_t{block[4 * t + 2]} << 8U | std::uint32_t{block[4 * t + 3]};
        }
        for (std::size_t t = 16; t < 80; ++t) {
            w[t] = std::rotl(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
        }
        auto [a, b, c, d, e] = h_;
        for (std::size_t t = 0; t < 80; ++t) {
            const std::uint32_t f = t < 20   ? (b & c) | (~b & d)
                                    : t < 40 ? b ^ c ^ d
                                    : t < 60 ? (b & c) | (b & d) | (c & d)
                                             : b ^ c ^ d;
            const std::uint32_t next = std::rotl(a, 5) + f + e + constants[t / 20] + w[t];
            e = d;
            d = c;
            c = std::rotl(b, 30);
            b = a;
            a = next;
        }
        h_ = {h_[0] + a, h_[1] + b, h_[2] + c, h_[3] + d, h_[4] + e};
    }

    /// 40 hexadecimal digits.
    [[nodiscard]] std::string hex() const {
        constexpr std::string_view digits = "0123456789abcdef";
        std::string text;
        for (const std::uint32_t word : h_) {
            for (int shift = 28; shift >= 0; shift -= 4) {
                text += digits[word >> static_cast<unsigned>(shift) & 15U];
            }
        }
        return text;
    }

private:
    static constexpr std::array<std::uint32_t, 4> constants{0x5a827999U, 0x6ed9eba1U, 0x8f1bbcdcU,
                                                            0xca62c1d6U};

    std::array<std::uint32_t, 5> h_{0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U,
                                    0xc3d2e1f0U};
};

/// The SHA-1 of some bytes as 40 hexadecimal digits in lower case.
[[nodiscard]] inline std::string sha1_hex(std::string_view bytes) {
    // A one bit, zeros, and the length in bits as the last eight bytes of a block.
    std::string padded{bytes};
    padded += '\x80';
    padded.append((120 - padded.size() % 64) % 64, '\0');
    const std::uint64_t bits = std::uint64_t{bytes.size()} * 8;
    for (int shift = 56; shift >= 0; shift -= 8) {
        padded += static_cast<char>(bits >> static_cast<unsigned>(shift) & 255U);
    }
    Sha1 sum;
    for (std::size_t at = 0; at < padded.size(); at += 64) {
        sum.add_block(reinterpret_cast<const unsigned char*>(padded.data()) + at);
    }
    return sum.hex();
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_SHA1_HPP
