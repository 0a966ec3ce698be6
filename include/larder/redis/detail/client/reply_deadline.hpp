// SPDX-License-Identifier: MIT

/// @file
/// How long an exchange with a server may take.

#ifndef LARDER_REDIS_DETAIL_CLIENT_REPLY_DEADLINE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_REPLY_DEADLINE_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>

LARDER_NS_BEGIN

namespace redis::detail {

using time_point = std::chrono::steady_clock::time_point;

/// A time that does not come.
inline constexpr time_point never = (time_point::max)();

/// Until when replies are waited for: a deadline, and while large replies keep arriving one time-out
/// more for every MiB of them, in proportion; but no longer than one time-out after the last byte.
/// It holds no clock.
class ReplyDeadline {
public:
    using duration = std::chrono::steady_clock::duration;

    /// Replies of more bytes are large: what takes its time then is the link, not the server.
    static constexpr std::size_t large = 64 * 1024;

    ReplyDeadline() noexcept = default;

    /// @param timeout  0: large replies get no more time than others
    ReplyDeadline(time_point deadline, duration timeout) noexcept
        : deadline_{deadline}, timeout_{timeout} {}

    /// Bytes came; when is said by `seen`, if it matters.
    void arrived(std::size_t bytes) noexcept { received_ += bytes; }

    /// The last of them are here.
    void seen(time_point now) noexcept { last_ = now; }

    /// The same replies are waited for by another, who may do so until this deadline.
    void hand_to(time_point deadline) noexcept { deadline_ = deadline; }

    [[nodiscard]] bool is_large() const noexcept { return received_ > large; }

    /// Whether anything has come.
    [[nodiscard]] bool began() const noexcept { return received_ > 0; }

    /// Whether they are on their way even now.
    [[nodiscard]] bool flows(time_point now) const noexcept {
        return is_large() && now - last_ < timeout_ / 2;
    }

    /// Without what large replies have in addition.
    [[nodiscard]] time_point deadline() const noexcept { return deadline_; }

    [[nodiscard]] time_point until() const noexcept {
        if (!is_large() || deadline_ == never || last_ + timeout_ <= deadline_) {
            return deadline_;
        }
        const duration most = last_ + timeout_ - deadline_;
        const double earned = static_cast<double>(timeout_.count()) *
                              (static_cast<double>(received_) / (1024 * 1024));
        return deadline_ + (earned < static_cast<double>(most.count())
                                ? duration{static_cast<duration::rep>(earned)}
                                : most);
    }

    /// When to look next: at the deadline too, since others may wait for no longer.
    [[nodiscard]] time_point next(time_point now) const noexcept {
        return now < deadline_ ? deadline_ : until();
    }

private:
    time_point deadline_{never};
    duration timeout_{0};
    std::size_t received_{0};
    time_point last_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_REPLY_DEADLINE_HPP
