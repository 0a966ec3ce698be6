// SPDX-License-Identifier: MIT

/// @file
/// The connections to all servers that must tell of changes, and what comes over them.

#ifndef LARDER_REDIS_DETAIL_TRACKING_TRACKING_LINKS_HPP
#define LARDER_REDIS_DETAIL_TRACKING_TRACKING_LINKS_HPP

#include <larder/redis/client.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/encryption.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/tracking/noted_descriptors.hpp>
#include <larder/redis/detail/tracking/tracked_names.hpp>
#include <larder/redis/detail/tracking/tracked_servers.hpp>
#include <larder/redis/detail/tracking/tracking_link.hpp>
#include <larder/redis/detail/tracking/tracking_message.hpp>
#include <larder/redis/endpoint.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include <poll.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// For poll: until a time, and a minute at the most.
[[nodiscard]] inline int milliseconds_until(time_point until) noexcept {
    constexpr std::chrono::milliseconds most = std::chrono::minutes{1};
    const auto left = until == never ? most
                                     : std::chrono::ceil<std::chrono::milliseconds>(
                                           until - std::chrono::steady_clock::now());
    return static_cast<int>(std::clamp(left, std::chrono::milliseconds{0}, most).count());
}

/// What has become of a connection.
enum class LinkLoss : std::uint8_t { none, cut, silence };

/// A connection a server, of one thread, which waits for all of them at once. Each is asked for a sign of
/// life twice within the time that near copies are served without one.
///
/// A template so that whoever includes it and has no near copies does not compile it.
template <class = void>
class BasicTrackingLinks {
public:
    using duration = std::chrono::steady_clock::duration;

    /// @param encryption  null: none
    /// @param notes       of the descriptors that a forked child inherits
    BasicTrackingLinks(const Client& client, const Encryption* encryption,
                       const TrackedNames& names, duration silence, NotedDescriptors& notes)
        : names_{names}, silence_{silence}, notes_{notes}, servers_{client, encryption} {}
    BasicTrackingLinks(const BasicTrackingLinks&) = delete;
    BasicTrackingLinks& operator=(const BasicTrackingLinks&) = delete;
    ~BasicTrackingLinks() { drop_all(); }

    /// Finds the servers, gives up those that are none any more, and connects to those that it has no
    /// connection to: to be told by them, or, where one refuses, by those who publish what they change. All
    /// in the same way, which it gives.
    ///
    /// @throws ConnectionFailure  in which case some connections may be there
    /// @throws TrackingRefused    there is no way
    NearMode connect() {
        adopt(servers_.find());
        if (std::none_of(all_.begin(), all_.end(),
                         [](const Tracked& one) { return one.link != nullptr; })) {
            way_ = NearMode::tracking;
        }
        for (;;) {
            try {
                connect_missing();
                return way_;
            } catch (const TrackingRefused&) {
                drop_all();
                if (std::exchange(way_, NearMode::channel) == NearMode::channel) {
                    throw;
                }
            }
        }
    }

    /// Whether other servers must be listened to by now, as far as anybody here has seen. Slots that go
    /// from one to another of these change nothing: both tell of it.
    ///
    /// @throws ConnectionFailure  nobody knows
    [[nodiscard]] bool moved() {
        if (!servers_.moved()) {
            return false;
        }
        if (!servers_.clustered()) {
            drop_all();  // another server may answer to the same name
            return true;
        }
        const std::vector<Endpoint> now = servers_.find();
        return now.size() != all_.size() ||
               !std::all_of(all_.begin(), all_.end(), [&](const Tracked& one) {
                   return std::find(now.begin(), now.end(), one.at) != now.end();
               });
    }

    /// Takes what has come: `slot(key text)`, `tag(tag)`, `everything()`. Whether one was lost.
    template <class OnSlot, class OnTag, class OnEverything>
    [[nodiscard]] LinkLoss receive(OnSlot&& slot, OnTag&& tag, OnEverything&& everything) {
        const auto tell = [&](const TrackingMessage& message) {
            if (message.kind == TrackingMessage::Kind::everything) {
                everything();
            }
            message.each_key([&](std::string_view key) { names_.tell(key, slot, tag); });
        };
        more_ = false;
        return each([&](TrackingLink& link) {
            for (unsigned turn = 0; link.receive(tell); ++turn) {
                if (turn == most_turns) {
                    more_ = true;
                    break;
                }
            }
            return LinkLoss::none;
        });
    }

    /// Asks for signs of life where it is time; after `receive` has taken what was there. Whether a
    /// connection was silent for too long, or lost.
    [[nodiscard]] LinkLoss ask_for_life(time_point now) {
        return each([&](TrackingLink& link) {
            if (link.is_due()) {
                return !more_ && now - link.asked() >= silence_ ? LinkLoss::silence
                                                                : LinkLoss::none;
            }
            if (now - link.asked() >= silence_ / 2) {
                link.ask_for_life(now);
            }
            return LinkLoss::none;
        });
    }

    /// All that happened before this moment has been told, by each server.
    [[nodiscard]] time_point confirmed() const noexcept {
        time_point first = never;
        for (const Tracked& one : all_) {
            first = (std::min)(first, one.link ? one.link->confirmed() : time_point{});
        }
        return first;
    }

    /// Waits until something comes, somebody wakes, or there is something to do.
    void wait(int wake, time_point until) const {
        std::vector<pollfd> polled{{wake, POLLIN, 0}};
        for (const Tracked& one : all_) {
            if (one.link) {
                polled.push_back({one.link->descriptor(), POLLIN, 0});
                until = (std::min)(
                    until, one.link->asked() + (one.link->is_due() ? silence_ : silence_ / 2));
            }
        }
        static_cast<void>(
            ::poll(polled.data(), polled.size(), more_ ? 0 : milliseconds_until(until)));
    }

    /// Gives up all connections.
    void drop_all() noexcept {
        for (Tracked& one : all_) {
            drop(one);
        }
    }

private:
    struct Tracked {
        Endpoint at{};
        std::unique_ptr<TrackingLink> link{};
    };

    // Of one connection, before others have theirs.
    static constexpr unsigned most_turns = 16;

    void connect_missing() {
        for (Tracked& one : all_) {
            if (!one.link) {
                one.link = servers_.connect(one.at, names_, way_);
                notes_.add(one.link->descriptor());
            }
        }
    }

    template <class Step>
    LinkLoss each(Step&& step) {
        LinkLoss worst = LinkLoss::none;
        for (Tracked& one : all_) {
            if (one.link) {
                LinkLoss loss = LinkLoss::cut;
                try {
                    loss = step(*one.link);
                } catch (const ConnectionFailure&) {  // what it says is of no use here
                }
                if (loss != LinkLoss::none) {
                    drop(one);
                    worst = loss;
                }
            }
        }
        return worst;
    }

    void adopt(std::vector<Endpoint> servers) {
        std::vector<Tracked> now;
        now.reserve(servers.size());
        for (Endpoint& at : servers) {
            now.push_back({std::move(at)});
        }
        for (Tracked& one : all_) {
            const auto same = std::find_if(
                now.begin(), now.end(), [&](const Tracked& other) { return other.at == one.at; });
            if (same != now.end()) {
                same->link = std::move(one.link);
            } else {
                drop(one);
            }
        }
        all_ = std::move(now);
    }

    void drop(Tracked& one) noexcept {
        if (one.link) {
            notes_.remove(one.link->descriptor());
            one.link.reset();
        }
    }

    const TrackedNames& names_;
    const duration silence_;
    NotedDescriptors& notes_;
    TrackedServers servers_;
    std::vector<Tracked> all_{};
    NearMode way_ = NearMode::tracking;
    bool more_ = false;  // was left where it was
};

using TrackingLinks = BasicTrackingLinks<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_TRACKING_LINKS_HPP
