// SPDX-License-Identifier: MIT

/// @file
/// A connection that one server tells of every change.

#ifndef LARDER_REDIS_DETAIL_TRACKING_TRACKING_LINK_HPP
#define LARDER_REDIS_DETAIL_TRACKING_TRACKING_LINK_HPP

#include <larder/detail/support/random.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/hash_slot.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/tracking/tracked_names.hpp>
#include <larder/redis/detail/tracking/tracking_message.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/reply.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The server does not tell of changes, or this user may not be told; why.
struct TrackingRefused {
    std::string text;
};

/// It may serve in a while: what an error does not say of tracking.
[[nodiscard]] inline bool is_passing(std::string_view error) noexcept {
    constexpr std::array<std::string_view, 5> kinds{"BUSY ", "CLUSTERDOWN ", "TRYAGAIN ", "MOVED ",
                                                    "ASK "};
    return about_role(error) || about_clients(error) || about_credentials(error) ||
           std::any_of(kinds.begin(), kinds.end(),
                       [&](std::string_view kind) { return error.starts_with(kind); });
}

/// A connection that redirects the tracking of its namespace to itself, in RESP2, and is subscribed: what
/// is told ends with it, and so there is one way to fail. Once it is made it is known to work: a key that
/// only this connection tracks was changed in the very step that subscribed it, and it was told. A server,
/// or a proxy, that answers OK and tells nothing is found out.
/// "Server-assisted client-side caching", two connections mode, redis.io.
///
/// Or it is subscribed to the channel of its namespace, where stores tell of what they change, and it was
/// told of what another connection of this user has published there.
///
/// Every member throws ConnectionFailure; after that it must not be used any more.
///
/// A template so that whoever includes it and has no near copies does not compile it.
template <class = void>
class BasicTrackingLink {
public:
    /// @param clustered  the server owns a part of the hash slots
    /// @param greet      what it is asked first: whether it is a primary
    /// @param way        tracking or channel
    /// @throws TrackingRefused
    BasicTrackingLink(const ClientOptions& there, Encryption* encryption, const TrackedNames& names,
                      bool clustered, Connection::Greet greet, NearMode way, time_point deadline)
        : connection_{there, encryption, 0, deadline, greet},
          channel_{way == NearMode::channel ? names.channel() : std::string{invalidation_channel}} {
        if (way == NearMode::channel) {
            probe_ = names.probe({}, std::to_string(larder::detail::random_bits()));
            subscribe(deadline);
            await(deadline, true);
            Connection other{there, encryption, 0, deadline, greet};
            std::string bytes;
            append_command(bytes, Words{"PUBLISH", channel_, probe_});
            require(other.ask(bytes, deadline));
            ask_for_life(std::chrono::steady_clock::now());
            await(deadline, false);
            return;
        }
        const Reply id = ask({"CLIENT", "ID"}, deadline);
        require(id);
        if (!id.is_integer()) {
            throw TrackingRefused{"it does not number its connections"};
        }
        const std::string home = clustered ? home_of_probe(deadline) : std::string{};
        if (!clustered || !home.empty()) {
            probe_ = names.probe(home, std::to_string(larder::detail::random_bits()));
        }
        const bool on = track(std::to_string(id.integer()), names, deadline);
        prove(on, deadline);
    }

    /// Takes what has come: `tell(message)`, of keys and of everything.
    ///
    /// @return  whether something came: then there may be more
    template <class Tell>
    bool receive(Tell&& tell) {
        return connection_.take([&](const Reply& reply) {
            const TrackingMessage message = read_tracking_message(reply, channel_);
            if (message.kind == TrackingMessage::Kind::answer) {
                answered(message.text);
            } else if (message.kind != TrackingMessage::Kind::subscribed) {
                tell(message);
            }
        });
    }

    /// Asks whether it lives, unless an answer is still due.
    void ask_for_life(time_point now) {
        if (is_due()) {
            return;
        }
        asked_ = now;
        std::string bytes;
        append_command(bytes, Words{"PING", std::to_string(++number_)});
        send(bytes, now + std::chrono::milliseconds{1});
    }

    /// Whether an answer is still due, and since when.
    [[nodiscard]] bool is_due() const noexcept { return answered_ != number_; }
    [[nodiscard]] time_point asked() const noexcept { return asked_; }

    /// All that happened before this moment has been told.
    [[nodiscard]] time_point confirmed() const noexcept { return confirmed_; }

    /// To be polled for POLLIN, after `receive` has said that nothing came.
    [[nodiscard]] int descriptor() const noexcept { return connection_.descriptor(); }

private:
    using Words = std::initializer_list<std::string_view>;
    using Kind = ConnectionFailure::Kind;

    // For the word of the probe, once all else has been answered.
    static constexpr std::chrono::milliseconds patience{250};

    // ---- asking, before it is subscribed ----

    [[nodiscard]] Reply ask(Words given, time_point deadline) {
        std::string bytes;
        append_command(bytes, given);
        return connection_.ask(bytes, deadline);
    }

    void send(std::string_view bytes, time_point deadline) {
        ReplyDeadline until{deadline, ReplyDeadline::duration{0}};
        std::size_t sent = 0;
        std::size_t none = 0;
        static_cast<void>(connection_.send(bytes, sent, none, until, [](const Reply&) {}));
    }

    void ask_all(std::span<const std::vector<std::string_view>> commands, std::span<Reply> replies,
                 time_point deadline) {
        std::string bytes;
        for (const auto& command : commands) {
            append_command(bytes, command);
        }
        std::size_t at = 0;
        const auto take = [&](Reply reply) { replies[at++] = std::move(reply); };
        std::size_t sent = 0;
        std::size_t left = commands.size();
        ReplyDeadline until{deadline, ReplyDeadline::duration{0}};
        static_cast<void>(connection_.send(bytes, sent, left, until, take));
        connection_.read(left, until, false, take, [](time_point) { return true; });
    }

    static void require(ReplyView reply) {
        if (reply.is_error()) {
            refuse(reply.text());
        }
    }
    [[noreturn]] static void refuse(std::string_view error) {
        if (is_passing(error)) {
            throw ConnectionFailure{Kind::connect, std::string{error}};
        }
        throw TrackingRefused{std::string{error}};
    }

    // A hash tag of a slot that this node owns; empty: it owns none, or does not say.
    [[nodiscard]] std::string home_of_probe(time_point deadline) {
        const Reply me = ask({"CLUSTER", "MYID"}, deadline);
        const Reply ranges = ask({"CLUSTER", "SLOTS"}, deadline);
        std::vector<std::pair<std::int64_t, std::int64_t>> mine;
        for (std::size_t i = 0; i < ranges.size(); ++i) {
            const ReplyView range = ranges[i];
            if (range[2][2].text() == me.text() && range[0].is_integer() && range[1].is_integer()) {
                mine.emplace_back(range[0].integer(), range[1].integer());
            }
        }
        for (unsigned number = 0; !mine.empty() && number < 1'000'000; ++number) {
            const std::string tag = std::to_string(number);
            const std::int64_t slot = hash_slot(tag);
            if (std::any_of(mine.begin(), mine.end(), [&](const auto& range) {
                    return range.first <= slot && slot <= range.second;
                })) {
                return '{' + tag + "}:";
            }
        }
        return {};
    }

    // Redirects to itself; whether the server says that it does.
    [[nodiscard]] bool track(const std::string& id, const TrackedNames& names,
                             time_point deadline) {
        std::vector<std::string_view> on{"CLIENT", "TRACKING",  "ON",     "REDIRECT",
                                         id,       "BCAST",     "PREFIX", names.slots(),
                                         "PREFIX", names.tags()};
        if (!probe_.empty()) {
            on.insert(on.end(), {"PREFIX", probe_});
        }
        const std::array<std::vector<std::string_view>, 2> commands{
            on, std::vector<std::string_view>{"CLIENT", "TRACKINGINFO"}};
        std::array<Reply, 2> replies;
        ask_all(commands, replies, deadline);
        require(replies[0]);
        const ReplyView flags = replies[1][1];
        bool broadcasts = false;
        for (std::size_t i = 0; i < flags.size(); ++i) {
            broadcasts = broadcasts || flags[i].text() == "bcast";
        }
        const ReplyView to = replies[1][3];
        return broadcasts && to.is_integer() && std::to_string(to.integer()) == id;
    }

    // ---- subscribing ----

    // One step: whoever delivers its bytes in pieces has it carried out whole all the same. Whether the key
    // was changed in it.
    [[nodiscard]] bool subscribe_and_probe(time_point deadline) {
        const Reply multi = ask({"MULTI"}, deadline);
        if (multi.is_error()) {
            if (is_passing(multi.text())) {
                refuse(multi.text());
            }
            return false;
        }
        const std::array<std::vector<std::string_view>, 4> commands{
            std::vector<std::string_view>{"SET", probe_, "", "PX", "1000"},
            std::vector<std::string_view>{"DEL", probe_},
            std::vector<std::string_view>{"SUBSCRIBE", channel_},
            std::vector<std::string_view>{"EXEC"}};
        std::array<Reply, 4> replies;
        ask_all(commands, replies, deadline);
        for (const ReplyView queued : {replies[0].view(), replies[1].view()}) {
            if (queued.is_error() && is_passing(queued.text())) {
                refuse(queued.text());
            }
        }
        subscribed_ = replies[3][2][0].text() == "subscribe";
        return subscribed_ && replies[3][0].is_status();
    }

    // It is told of the probe, and answers; where the server does not change keys for us, what it says of
    // itself must do.
    void prove(bool on, time_point deadline) {
        const bool probed = !probe_.empty() && subscribe_and_probe(deadline);
        if (!probed && !on) {
            throw TrackingRefused{"it cannot be seen whether it tells of changes"};
        }
        if (!subscribed_) {
            subscribe(deadline);
        }
        ask_for_life(std::chrono::steady_clock::now());
        await(deadline, !probed);
    }

    void subscribe(time_point deadline) {
        std::string bytes;
        append_command(bytes, Words{"SUBSCRIBE", channel_});
        send(bytes, deadline);
    }

    // What it waits for is there: that it is subscribed, an answer that is due, and the word of the probe,
    // unless that has been told, or is not to come.
    void await(time_point deadline, bool told) {
        while (!subscribed_ || !told || is_due()) {
            if (connection_.take([&](const Reply& reply) { prove_by(reply, told); })) {
                continue;
            }
            // The answer comes behind what it is told: a word that is not there by now will not come.
            const bool mute = subscribed_ && !is_due();
            if (connection_.wait(mute ? (std::min)(deadline, asked_ + patience) : deadline) == 0) {
                if (mute) {
                    throw TrackingRefused{"it answers, but does not tell of changes"};
                }
                throw ConnectionFailure{Kind::timed_out, "no reply"};
            }
        }
    }

    void prove_by(ReplyView reply, bool& told) {
        require(reply);
        const TrackingMessage message = read_tracking_message(reply, channel_);
        switch (message.kind) {
            case TrackingMessage::Kind::answer: answered(message.text); break;
            case TrackingMessage::Kind::subscribed: subscribed_ = true; break;
            case TrackingMessage::Kind::everything: break;
            case TrackingMessage::Kind::keys:
                message.each_key([&](std::string_view key) { told = told || key == probe_; });
        }
    }

    void answered(std::string_view text) {
        if (!is_due() || text != std::to_string(number_)) {
            throw ConnectionFailure{Kind::broken, "an answer to what was not asked"};
        }
        answered_ = number_;
        confirmed_ = asked_;
    }

    Connection connection_;
    const std::string channel_;
    std::string probe_{};  // empty: none
    bool subscribed_ = false;
    std::uint64_t number_ = 0;
    std::uint64_t answered_ = 0;
    time_point asked_{};
    time_point confirmed_{};
};

using TrackingLink = BasicTrackingLink<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_TRACKING_LINK_HPP
