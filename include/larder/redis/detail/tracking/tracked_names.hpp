// SPDX-License-Identifier: MIT

/// @file
/// Which keys a feed of near copies is told of, and what their names say.

#ifndef LARDER_REDIS_DETAIL_TRACKING_TRACKED_NAMES_HPP
#define LARDER_REDIS_DETAIL_TRACKING_TRACKED_NAMES_HPP

#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/version.hpp>

#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// The slots of a namespace and the versions of its tags: `product:42` or `product:{3}:42`,
/// `~tag:product:red` or `~tag:product:{3}:red`. Not the leases beside values (`~refresh:product:42`), so
/// that a reload and its renewals are nothing to near copies.
class TrackedNames {
public:
    /// @param slots        what all slots begin with: `product:`
    /// @param partitioned  a hash tag comes next
    TrackedNames(std::string slots, bool partitioned)
        : slots_{std::move(slots)}, tags_{"~tag:" + slots_}, partitioned_{partitioned} {}

    /// What the names of slots begin with.
    [[nodiscard]] const std::string& slots() const noexcept { return slots_; }

    /// What the names of tags' versions begin with. Neither is the other's prefix, as a server demands: no
    /// namespace begins with `~`.
    [[nodiscard]] const std::string& tags() const noexcept { return tags_; }

    /// Where stores tell of what they have changed.
    [[nodiscard]] std::string channel() const { return SlotNames::channel(slots_); }

    /// A name of the same namespace that neither covers.
    ///
    /// @param hash_tag  in braces, or empty
    [[nodiscard]] std::string probe(std::string_view hash_tag, std::string_view id) const {
        return "~near:" + slots_ + std::string{hash_tag} + std::string{id};
    }

    /// Says what a key is: `slot(key text)`, `tag(tag)`, or nothing, if it is none of this namespace.
    template <class OnSlot, class OnTag>
    void tell(std::string_view name, OnSlot&& slot, OnTag&& tag) const {
        if (name.starts_with(slots_)) {
            tell_rest(name.substr(slots_.size()), slot);
        } else if (name.starts_with(tags_)) {
            tell_rest(name.substr(tags_.size()), tag);
        }
    }

private:
    // Another namespace may go on where this one ends, `product:cart:1`: near has no such key, or one that is
    // dropped for nothing.
    template <class Tell>
    void tell_rest(std::string_view rest, Tell& tell) const {
        if (partitioned_) {
            const auto end = rest.find("}:");
            if (!rest.starts_with('{') || end == std::string_view::npos) {
                return;
            }
            rest.remove_prefix(end + 2);
        }
        tell(rest);
    }

    std::string slots_;
    std::string tags_;
    bool partitioned_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_TRACKED_NAMES_HPP
