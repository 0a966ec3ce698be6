// SPDX-License-Identifier: MIT

/// @file
/// A script that changes a slot, and can tell of it.

#ifndef LARDER_REDIS_DETAIL_STORE_CHANGE_SCRIPT_HPP
#define LARDER_REDIS_DETAIL_STORE_CHANGE_SCRIPT_HPP

#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// A script that changes what near copies may have been made of: as it is, and as one that tells of it, on
/// a channel that is its last argument. It tells in the same step, so that nobody reads what was there after
/// he was told, on whatever node that step is carried out, and however late. It tells first, and whether or
/// not there is anything to change: what was evicted may live on in near copies. A server that lets it tell
/// nobody is not asked for more.
class ChangeScript {
public:
    /// What most tell of: their first key, the slot.
    static constexpr std::string_view of_slot = "redis.pcall('PUBLISH', ARGV[#ARGV], KEYS[1])\n";
    /// What those tell of whose first key is a clock: all others, the versions of tags.
    static constexpr std::string_view of_tags =
        "for i = 2, #KEYS do redis.pcall('PUBLISH', ARGV[#ARGV], KEYS[i]) end\n";

    /// @param body  takes no more arguments than it knows of
    explicit ChangeScript(std::string body, std::string_view telling = of_slot)
        : telling_{std::string{telling} + body}, plain_{std::move(body)} {}

    /// The one that tells on this channel; empty: the plain one.
    [[nodiscard]] const Script& on(std::string_view channel) const noexcept {
        return channel.empty() ? plain_ : telling_;
    }

private:
    Script telling_;
    Script plain_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_CHANGE_SCRIPT_HPP
