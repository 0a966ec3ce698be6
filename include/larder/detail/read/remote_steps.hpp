// SPDX-License-Identifier: MIT

/// @file
/// What a wait for the lease of another process does next: decisions alone.

#ifndef LARDER_DETAIL_READ_REMOTE_STEPS_HPP
#define LARDER_DETAIL_READ_REMOTE_STEPS_HPP

#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

LARDER_NS_BEGIN

namespace detail {

/// What is to be done for a lease that another process holds; whoever has done it tells `RemoteSteps`
/// the answer with the function named here.
enum class RemoteAct : std::uint8_t {
    watch,  ///< join this process' watch over the lease, or lead it: `watched`
    wait,   ///< for whoever leads the watch: `waited`
    pause,  ///< until `pause_until`: `paused`
    ask,    ///< ask the store whether the lease stands: `answered`, `failed`
    end,    ///< `how` says how
};

/// One wait for a load of another process, as a machine without store, lock, thread or clock. One
/// thread of this process asks the store; what it learns, the others take for a reason to look again.
class RemoteSteps {
public:
    using Instant = std::chrono::steady_clock::time_point;

    /// @param since     when it was found
    /// @param wait      `Options::wait`: it is waited for no longer
    /// @param deadline  the caller's own
    RemoteSteps(Instant since, Ttl wait, const std::optional<Instant>& deadline) noexcept
        : bound_{later(since, wait)},
          deadline_{deadline ? (std::min)(*deadline, bound_) : bound_},
          own_deadline_{deadline && *deadline <= bound_} {}

    /// Until then it is waited at most.
    [[nodiscard]] Instant deadline() const noexcept { return deadline_; }

    [[nodiscard]] RemoteAct begin() const noexcept { return RemoteAct::watch; }

    /// @param leads  this caller asks the store, for all
    [[nodiscard]] RemoteAct watched(bool leads, Instant now) noexcept {
        if (!leads) {
            return RemoteAct::wait;
        }
        began_ = now;
        return pause(now);
    }

    /// @param found  what the leader of the watch has learnt, if the wait is over
    [[nodiscard]] RemoteAct waited(WaitEnd end, const std::optional<RemoteEnd>& found) noexcept {
        switch (end) {
            case WaitEnd::over: return found ? ended(*found) : RemoteAct::watch;
            case WaitEnd::timed_out: return ended(late());
            case WaitEnd::cancelled: return ended(RemoteEnd::cancelled);
            case WaitEnd::recursive:
            case WaitEnd::deadlock: break;
        }
        return ended(RemoteEnd::lasts);
    }

    /// When to ask: soon at first, then at an eighth of the time that it has taken.
    [[nodiscard]] Instant pause_until() const noexcept { return pause_until_; }

    [[nodiscard]] RemoteAct paused(bool cancelled) noexcept {
        return cancelled ? ended(RemoteEnd::cancelled) : RemoteAct::ask;
    }

    /// @param now   just before the store was asked
    /// @param left  how long the lease will last if it is not renewed; empty: it is gone
    [[nodiscard]] RemoteAct answered(Instant now, const std::optional<Ttl>& left) noexcept {
        if (!left) {
            // A holder that lives renews its lease long before.
            return ended(now >= end_of_lease_ ? RemoteEnd::died : RemoteEnd::ended);
        }
        if (now >= deadline_) {
            return ended(late());
        }
        end_of_lease_ = later(now, *left);
        return pause(now);
    }
    /// The store cannot be asked.
    [[nodiscard]] RemoteAct failed() noexcept { return ended(RemoteEnd::lasts); }

    /// How it has ended.
    [[nodiscard]] RemoteEnd how() const noexcept { return how_; }

private:
    [[nodiscard]] RemoteAct pause(Instant now) noexcept {
        using namespace std::chrono;
        const auto pause = std::clamp<steady_clock::duration>((now - began_) / 8, microseconds{500},
                                                              milliseconds{20});
        pause_until_ = (std::min)(now + pause, deadline_);
        return RemoteAct::pause;
    }

    // The load lasts, unless the caller had less time.
    [[nodiscard]] RemoteEnd late() const noexcept {
        return own_deadline_ ? RemoteEnd::timed_out : RemoteEnd::lasts;
    }

    [[nodiscard]] RemoteAct ended(RemoteEnd how) noexcept {
        how_ = how;
        return RemoteAct::end;
    }

    Instant bound_;
    Instant deadline_;
    bool own_deadline_;
    Instant began_{};
    Instant pause_until_{};
    Instant end_of_lease_ = (Instant::max)();
    RemoteEnd how_ = RemoteEnd::lasts;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_REMOTE_STEPS_HPP
