// SPDX-License-Identifier: MIT

/// @file
/// The names of a namespace's keys.

#ifndef LARDER_REDIS_DETAIL_STORE_SLOT_NAMES_HPP
#define LARDER_REDIS_DETAIL_STORE_SLOT_NAMES_HPP

#include <larder/redis/key_name.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The names of a namespace's keys. Those that are not slots begin with `~`, which no namespace does.
class SlotNames {
public:
    /// @throws std::invalid_argument  as require_namespace
    SlotNames(std::string name, std::uint32_t schema) {
        require_namespace(name);
        if (schema != 0) {
            name += '@' + std::to_string(schema);
        }
        slots_ = name + ':';
        clock_ = "~clock:" + name;
        tags_ = "~tag:" + slots_;
    }

    /// What all slots begin with.
    [[nodiscard]] const std::string& slots() const noexcept { return slots_; }

    /// What matches all slots, and nothing else, for SCAN.
    [[nodiscard]] std::string pattern() const {
        std::string text;
        for (const char c : slots_) {
            if (std::string_view{"*?[]\\^-"}.find(c) != std::string_view::npos) {
                text += '\\';
            }
            text += c;
        }
        return text += '*';
    }

    /// The slot of a key.
    [[nodiscard]] std::string slot(std::string_view key) const {
        std::string name;
        name.reserve(slots_.size() + key.size());
        return name.append(slots_).append(key);
    }

    /// The lease beside the value in a slot.
    [[nodiscard]] static std::string side(const std::string& slot) { return "~refresh:" + slot; }

    /// The tag clock.
    [[nodiscard]] const std::string& clock() const noexcept { return clock_; }

    /// The version of a tag.
    [[nodiscard]] std::string tag(std::string_view tag) const {
        return std::string{tags_}.append(tag);
    }

    /// Appends what a step that touches tags names beside its slot: the clock, and the versions.
    void append_tags(std::vector<std::string>& keys, std::span<const std::string> tags) const {
        keys.reserve(keys.size() + 1 + tags.size());
        keys.push_back(clock_);
        for (const std::string& tag_name : tags) {
            keys.push_back(tag(tag_name));
        }
    }

private:
    std::string slots_{};
    std::string clock_{};
    std::string tags_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SLOT_NAMES_HPP
