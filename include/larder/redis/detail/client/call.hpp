// SPDX-License-Identifier: MIT

/// @file
/// One caller's commands, and what became of them.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CALL_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CALL_HPP

#include <larder/redis/detail/client/circuit_breaker.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/patience.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// The time that a call has, all attempts together.
struct CallTime {
    using duration = std::chrono::steady_clock::duration;

    time_point start{};
    time_point deadline{never};
    time_point latest{never};  ///< the deadline, if connections take all the time that they may

    /// Waiting for a connection is not waiting for the server.
    void put_off(duration by) noexcept {
        if (deadline != never) {
            deadline = (std::min)(deadline + by, latest);
        }
    }
};

/// One caller's commands, on that caller's stack. The caller does not leave before it is settled:
/// whoever carries it out is bounded by a deadline that is not later than its own.
struct Call {
    enum class Verdict : std::uint8_t { none, connect, timed_out, broken, credentials, refused };

    /// What its caller is to do: wait, lead its lane, carry on with an exchange that another began,
    /// or go on, since it is settled.
    enum Turn : std::uint32_t { waits, leads, carries, done };
    using duration = std::chrono::steady_clock::duration;

    std::string_view bytes{};
    std::size_t commands{0};
    Reply* replies{nullptr};
    bool repeatable{false};
    CircuitBreaker::Permit permit{};
    CallTime time{};

    // What became of it.
    std::size_t answered{0};  ///< replies that are there
    bool sent{false};         ///< some of it may have reached the server
    Verdict verdict{Verdict::none};
    std::shared_ptr<const std::string> why{};  ///< null: nothing more is known, or no memory

    // Within a lane.
    Call* next{nullptr};
    duration connecting{0};  ///< what the lane had spent on connecting when this came
    std::atomic<std::uint32_t> turn{waits};

    /// What it carries on with.
    struct Handed {
        std::unique_ptr<Connection> connection{};
        Patience patience{};
        bool spoiled{false};  ///< nobody wants all of the replies that are to come
    };
    Handed handed{};

    [[nodiscard]] bool settled() const noexcept {
        return answered == commands || verdict != Verdict::none;
    }

    void fail(Verdict with, const std::shared_ptr<const std::string>& because) noexcept {
        verdict = with;
        why = because;
    }

    /// Waits until there is something to do.
    [[nodiscard]] Turn wait() noexcept {
        turn.wait(waits, std::memory_order_acquire);
        return static_cast<Turn>(turn.load(std::memory_order_acquire));
    }
    void wake(Turn to) noexcept {
        turn.store(to, std::memory_order_release);
        turn.notify_one();
    }
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CALL_HPP
