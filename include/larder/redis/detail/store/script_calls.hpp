// SPDX-License-Identifier: MIT

/// @file
/// Scripts and their words, added to a pipeline.

#ifndef LARDER_REDIS_DETAIL_STORE_SCRIPT_CALLS_HPP
#define LARDER_REDIS_DETAIL_STORE_SCRIPT_CALLS_HPP

#include <larder/redis/detail/store/change_channel.hpp>
#include <larder/redis/detail/store/change_script.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/redis/script.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Adds a script that names these keys.
inline void add_script(Pipeline& pipeline, const Script& script,
                       std::initializer_list<std::string_view> keys,
                       std::initializer_list<std::string_view> args) {
    pipeline.script(script, std::span{keys.begin(), keys.size()},
                    std::span{args.begin(), args.size()});
}
inline void add_script(Pipeline& pipeline, const Script& script, std::span<const std::string> keys,
                       std::initializer_list<std::string_view> args) {
    const std::vector<std::string_view> names{keys.begin(), keys.end()};
    pipeline.script(script, names, std::span{args.begin(), args.size()});
}

/// Adds a script that changes a slot, and tells of it where that channel is used.
inline void add_script(Pipeline& pipeline, const ChangeChannel& channel, const ChangeScript& script,
                       std::span<const std::string_view> keys,
                       std::initializer_list<std::string_view> args) {
    const std::string_view used = channel.used();
    if (used.empty()) {
        pipeline.script(script.on(used), keys, std::span{args.begin(), args.size()});
        return;
    }
    std::vector<std::string_view> all{args};
    all.push_back(used);
    pipeline.script(script.on(used), keys, all);
}
inline void add_script(Pipeline& pipeline, const ChangeChannel& channel, const ChangeScript& script,
                       std::initializer_list<std::string_view> keys,
                       std::initializer_list<std::string_view> args) {
    add_script(pipeline, channel, script, std::span{keys.begin(), keys.size()}, args);
}
inline void add_script(Pipeline& pipeline, const ChangeChannel& channel, const ChangeScript& script,
                       std::span<const std::string> keys,
                       std::initializer_list<std::string_view> args) {
    add_script(pipeline, channel, script, std::vector<std::string_view>{keys.begin(), keys.end()},
               args);
}

/// A script of several keys was refused for as long as the client has tried: their hash slot is on its
/// way to another node, which has some of them, or may get them. One of a single key is carried out all
/// the while. Rule R3.
[[nodiscard]] inline bool is_torn(ReplyView reply) noexcept {
    return reply.is_error() &&
           (reply.text().starts_with("TRYAGAIN") || reply.text().starts_with("ASK "));
}

/// The load failed: the slot shows its lease no more.
inline void add_release(Pipeline& pipeline, const std::string& slot, std::uint64_t lease,
                        bool beside) {
    const SlotScripts& scripts = SlotScripts::instance();
    add_script(pipeline, scripts.release, {slot}, {loading_bytes(lease)});
    if (beside) {
        add_script(pipeline, scripts.release_beside, {SlotNames::side(slot)}, {hex(lease)});
    }
}

/// A write ends, and leaves nothing.
inline void add_finish_with_nothing(Pipeline& pipeline, const ChangeChannel& channel,
                                    const std::string& slot, std::uint64_t ticket) {
    add_script(pipeline, channel, SlotScripts::instance().finish_write, {slot},
               {hex(ticket), "0", ""});
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_SCRIPT_CALLS_HPP
