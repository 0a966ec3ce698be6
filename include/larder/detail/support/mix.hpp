// SPDX-License-Identifier: MIT

/// @file
/// Spreads bits.

#ifndef LARDER_DETAIL_SUPPORT_MIX_HPP
#define LARDER_DETAIL_SUPPORT_MIX_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// Spreads every bit over all others (the finaliser of SplitMix64, Steele, Lea and Flood, OOPSLA
/// 2014): std::hash of an integer is often the integer, and tables take the low bits.
[[nodiscard]] constexpr std::uint64_t mix_bits(std::uint64_t bits) noexcept {
    bits += 0x9e3779b97f4a7c15U;
    bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
    bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
    return bits ^ (bits >> 31U);
}

[[nodiscard]] constexpr std::size_t mix(std::uint64_t bits) noexcept {
    return static_cast<std::size_t>(mix_bits(bits));
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_MIX_HPP
