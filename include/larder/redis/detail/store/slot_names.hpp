// SPDX-License-Identifier: MIT

/// @file
/// The names of a namespace's keys.

#ifndef LARDER_REDIS_DETAIL_STORE_SLOT_NAMES_HPP
#define LARDER_REDIS_DETAIL_STORE_SLOT_NAMES_HPP

#include <larder/redis/detail/store/partitions.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The names of a namespace's keys. Those that are not slots begin with `~`, which no namespace does.
///
/// | Key           | Plain                  | In a partition             |
/// |---------------|------------------------|----------------------------|
/// | slot          | `product:42`           | `product:{3}:42`           |
/// | lease beside  | `~refresh:product:42`  | `~refresh:product:{3}:42`  |
/// | clock         | `~clock:product`       | `~clock:product:{3}`       |
/// | tag's version | `~tag:product:red`     | `~tag:product:{3}:red`     |
///
/// What a slot's other names share with it is its home: `product`, or `product:{3}`.
class SlotNames {
public:
    /// @param partitions  as RedisStoreOptions::partitions; 0: plain names
    /// @throws std::invalid_argument  as require_namespace
    SlotNames(std::string name, std::uint32_t schema, std::uint32_t partitions = 0)
        : partitions_{partitions} {
        require_namespace(name);
        if (schema != 0) {
            name += '@' + std::to_string(schema);
        }
        slots_ = std::move(name) + ':';
    }

    /// What all slots begin with.
    [[nodiscard]] const std::string& slots() const noexcept { return slots_; }

    /// The namespace, with its schema.
    [[nodiscard]] std::string_view name() const noexcept {
        return std::string_view{slots_}.substr(0, slots_.size() - 1);
    }

    /// What matches all slots, and nothing else, for SCAN.
    [[nodiscard]] std::string pattern() const {
        std::string text;
        for (const char c : slots_) {
            if (std::string_view{"*?[]\\^-"}.find(c) != std::string_view::npos) {
                text += '\\';
            }
            text += c;
        }
        return text += partitions_.plain() ? "*" : "{*}:*";
    }

    /// The partitions of the keys.
    [[nodiscard]] const Partitions& partitions() const noexcept { return partitions_; }

    /// The slot of a key.
    [[nodiscard]] std::string slot(std::string_view key) const {
        std::string name;
        if (partitions_.plain()) {
            name.reserve(slots_.size() + key.size());
            return name.append(slots_).append(key);
        }
        const auto tag = partitions_.tag(partitions_.of(key));
        const std::string_view digits = tag;
        name.reserve(slots_.size() + digits.size() + 3 + key.size());
        return name.append(slots_).append("{").append(digits).append("}:").append(key);
    }

    /// The home of a slot.
    [[nodiscard]] std::string_view home(std::string_view slot) const noexcept {
        return partitions_.plain() ? name() : slot.substr(0, slot.find('}', slots_.size()) + 1);
    }

    /// The home of all slots of a partition.
    [[nodiscard]] std::string home_of(std::size_t partition) const {
        return partitions_.plain() ? std::string{name()}
                                   : slots_ + '{' + std::string{partitions_.tag(partition)} + '}';
    }

    /// The lease beside the value in a slot.
    [[nodiscard]] static std::string side(const std::string& slot) { return "~refresh:" + slot; }

    /// The tag clock of a home.
    [[nodiscard]] static std::string clock(std::string_view home) {
        return std::string{"~clock:"}.append(home);
    }

    /// The version of a tag.
    [[nodiscard]] static std::string tag(std::string_view home, std::string_view tag) {
        return std::string{"~tag:"}.append(home).append(":").append(tag);
    }

    /// The channel of a namespace, whose slots begin with this. No key has its name.
    [[nodiscard]] static std::string channel(std::string_view slots) {
        return std::string{"~changes:"}.append(slots.substr(0, slots.size() - 1));
    }

    /// Appends what a step that touches tags names beside its slot: the clock, and the versions.
    static void append_tags(std::vector<std::string>& keys, std::string_view home,
                            std::span<const std::string> tags) {
        keys.reserve(keys.size() + 1 + tags.size());
        keys.push_back(clock(home));
        for (const std::string& tag_name : tags) {
            keys.push_back(tag(home, tag_name));
        }
    }

private:
    std::string slots_{};
    Partitions partitions_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SLOT_NAMES_HPP
