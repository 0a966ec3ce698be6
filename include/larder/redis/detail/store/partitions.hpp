// SPDX-License-Identifier: MIT

/// @file
/// Into which parts the keys of a namespace are divided, so that what a script touches is in one hash
/// slot of a cluster.

#ifndef LARDER_REDIS_DETAIL_STORE_PARTITIONS_HPP
#define LARDER_REDIS_DETAIL_STORE_PARTITIONS_HPP

#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/version.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The partitions of a namespace. A key is in that of its text's CRC16 modulo their number. The hash
/// tag of each is the smallest number whose hash slot is in the partition's share of all slots: any
/// number of partitions is spread evenly over any number of primaries. Both are part of the format of
/// the key names. Rule R10.
///
/// Made once: for 16,384 partitions it tries some 160,000 numbers.
class Partitions {
public:
    /// @param count  at most as many as there are hash slots; 0: one, and plain key names
    explicit Partitions(std::uint32_t count) : tags_(count, none) {
        std::uint32_t left = count;
        for (std::uint32_t number = 0; left > 0; ++number) {
            std::uint32_t& tag = tags_[share_of(hash_slot(Digits{number}), count)];
            if (tag == none) {
                tag = number;
                --left;
            }
        }
    }

    /// A number's decimal digits.
    class Digits {
    public:
        explicit Digits(std::uint32_t number) noexcept
            : size_{static_cast<std::size_t>(
                  std::to_chars(text_.data(), text_.data() + text_.size(), number).ptr -
                  text_.data())} {}

        operator std::string_view() const noexcept { return {text_.data(), size_}; }

    private:
        std::array<char, 10> text_{};
        std::size_t size_;
    };

    /// Whether key names are plain, without a hash tag.
    [[nodiscard]] bool plain() const noexcept { return tags_.empty(); }

    /// How many there are; where names are plain, one.
    [[nodiscard]] std::size_t count() const noexcept { return plain() ? 1 : tags_.size(); }

    /// That of a key.
    [[nodiscard]] std::size_t of(std::string_view key) const noexcept {
        return plain() ? 0 : crc16(key) % tags_.size();
    }

    /// Its hash tag; there is none where names are plain.
    [[nodiscard]] Digits tag(std::size_t partition) const noexcept {
        return Digits{tags_[partition]};
    }

private:
    static constexpr std::uint32_t none = (std::numeric_limits<std::uint32_t>::max)();

    static std::size_t share_of(std::uint16_t slot, std::uint32_t count) noexcept {
        return std::size_t{slot} * count / hash_slots;
    }

    std::vector<std::uint32_t> tags_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_PARTITIONS_HPP
