// SPDX-License-Identifier: MIT

/// @file
/// What a connection that is told of changes brings.

#ifndef LARDER_REDIS_DETAIL_TRACKING_TRACKING_MESSAGE_HPP
#define LARDER_REDIS_DETAIL_TRACKING_TRACKING_MESSAGE_HPP

#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// The channel of a server's invalidations.
inline constexpr std::string_view invalidation_channel = "__redis__:invalidate";

/// One message: a view of the reply that it was read from.
struct TrackingMessage {
    enum class Kind : std::uint8_t {
        keys,        ///< some have changed
        everything,  ///< the server was emptied, this database or another
        answer,      ///< to a PING; `text` is what was sent with it
        subscribed,  ///< to the channel
    };
    Kind kind{Kind::everything};
    ReplyView keys{nullptr};
    std::string_view text{};

    /// Calls `see(name)` with each key that has changed.
    template <class See>
    void each_key(See&& see) const {
        if (keys.is_string()) {
            see(keys.text());
        }
        for (std::size_t i = 0; i < keys.size(); ++i) {
            see(keys[i].text());
        }
    }
};

/// Reads a message. What makes no sense may have stood for a change, so it ends the connection.
///
/// @param channel  of the server's invalidations, or one on which stores tell of one key at a time
/// @throws ConnectionFailure  it is none
[[nodiscard]] inline TrackingMessage read_tracking_message(ReplyView reply,
                                                           std::string_view channel) {
    using Kind = TrackingMessage::Kind;
    const std::string_view what = reply[0].text();
    if (reply.size() == 2 && what == "pong") {
        return {Kind::answer, ReplyView{nullptr}, reply[1].text()};
    }
    if (reply.size() == 3 && reply[1].text() == channel) {
        if (what == "subscribe") {
            return {Kind::subscribed};
        }
        const ReplyView keys = reply[2];
        if (what == "message" && keys.is_string() && channel != invalidation_channel) {
            return {Kind::keys, keys};
        }
        if (what == "message" && keys.is_nil()) {
            return {Kind::everything};
        }
        if (what == "message" && keys.is_array()) {
            for (std::size_t i = 0; i < keys.size(); ++i) {
                if (!keys[i].is_string()) {
                    throw ConnectionFailure{ConnectionFailure::Kind::broken,
                                            "it tells of a change of what is no key"};
                }
            }
            return {Kind::keys, keys};
        }
    }
    throw ConnectionFailure{
        ConnectionFailure::Kind::broken,
        reply.is_error() ? std::string{reply.text()} : "not a message of what has changed"};
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_TRACKING_MESSAGE_HPP
