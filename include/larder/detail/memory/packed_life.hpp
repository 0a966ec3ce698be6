// SPDX-License-Identifier: MIT

/// @file
/// A life in three bytes.

#ifndef LARDER_DETAIL_MEMORY_PACKED_LIFE_HPP
#define LARDER_DETAIL_MEMORY_PACKED_LIFE_HPP

#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// How long a copy was fresh in all, in 24 bits: what its age is reckoned from, not when it ends. Exact
/// up to 34 minutes, and for whole seconds up to 24 days, whole minutes, hours and days; others are
/// longer by less than a part in thirty thousand.
class PackedLife {
public:
    static constexpr unsigned bits = 24;

    [[nodiscard]] static constexpr std::uint64_t pack(Ttl life) noexcept {
        const auto ms = static_cast<std::uint64_t>(life.count() < 0 ? 0 : life.count());
        std::uint64_t packed = join(units.size() - 1, most);
        for (std::size_t unit = units.size(); unit-- > 0;) {
            const std::uint64_t count = (ms + units[unit] - 1) / units[unit];
            if (count > most) {
                break;
            }
            packed = join(unit, count);
            if (count * units[unit] == ms) {
                break;
            }
        }
        return packed;
    }
    [[nodiscard]] static constexpr Ttl unpack(std::uint64_t packed) noexcept {
        return Ttl{static_cast<Ttl::rep>((packed & most) * units[packed >> count_bits])};
    }

private:
    static constexpr unsigned count_bits = 21;
    static constexpr std::uint64_t most = (std::uint64_t{1} << count_bits) - 1;

    // In milliseconds, each at most 60 times the one before.
    static constexpr std::array<std::uint64_t, 8> units{1,      8,       64,        1'000,
                                                        60'000, 512'000, 3'600'000, 86'400'000};

    static constexpr std::uint64_t join(std::size_t unit, std::uint64_t count) noexcept {
        return (std::uint64_t{unit} << count_bits) | count;
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_PACKED_LIFE_HPP
