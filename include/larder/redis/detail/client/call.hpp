// SPDX-License-Identifier: MIT

/// @file
/// One caller's commands, and what became of them.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CALL_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CALL_HPP

#include <larder/redis/detail/client/adaptive_yield.hpp>
#include <larder/redis/detail/client/call_time.hpp>
#include <larder/redis/detail/client/circuit_breaker.hpp>
#include <larder/redis/detail/client/connection.hpp>
#include <larder/redis/detail/client/connection_failure.hpp>
#include <larder/redis/detail/client/reply_deadline.hpp>
#include <larder/redis/detail/client/signal.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

LARDER_NS_BEGIN

namespace redis::detail {

/// One caller's commands, on that caller's stack. The caller does not leave before it is finished:
/// whoever carries it out is bounded by a deadline that is not later than its own.
struct Call {
    /// `no_further`: the server gave no connection beside those that it has given already; the caller
    /// goes to one of them.
    enum class Failure : std::uint8_t {
        none,
        connect,
        no_further,
        timed_out,
        broken,
        credentials,
        refused
    };

    /// What its caller is to do: wait, lead its multiplexer, take over an exchange that another
    /// thread began, or return, since it is finished.
    enum Role : std::uint8_t { waiting, leading, taking_over, done };
    using duration = std::chrono::steady_clock::duration;

    std::string_view bytes{};
    std::size_t commands{0};
    Reply* replies{nullptr};
    bool repeatable{false};
    bool has_others{false};  ///< other connections may serve it, if it leads and cannot open one
    CircuitBreaker::Permission permission{};
    CallTime time{};

    // What became of it.
    std::size_t answered{0};  ///< replies that are there
    bool sent{false};         ///< some of it may have reached the server
    Failure failure{Failure::none};
    std::shared_ptr<const std::string> why{};  ///< null: nothing more is known, or no memory

    // Within a multiplexer.
    Call* next{nullptr};
    duration connecting{0};  ///< what the multiplexer had spent on connecting when this came
    Role role{waiting};      ///< set before the signal
    Signal signal{};

    /// What it takes over.
    struct Takeover {
        std::unique_ptr<Connection> connection{};
        ReplyDeadline deadline{};
        bool spoiled{false};  ///< nobody wants all of the replies that are to come
    };
    Takeover takeover{};

    [[nodiscard]] bool finished() const noexcept {
        return answered == commands || failure != Failure::none;
    }

    /// For another attempt, after a failure before anything of it was sent.
    void start_again(time_point now) noexcept {
        failure = Failure::none;
        why.reset();
        next = nullptr;
        role = waiting;
        time.start = now;
    }

    void fail(Failure with, const std::shared_ptr<const std::string>& because) noexcept {
        failure = with;
        why = because;
    }

    /// Waits until there is something to do. In a crowd it first gives way a few times: who is served
    /// meanwhile need not sleep, and costs no system call to be woken by.
    ///
    /// @param crowd  how many call at the same time; 0: not so many, or they take longer
    [[nodiscard]] Role wait(AdaptiveYield& give_way, std::size_t crowd) noexcept {
        int left = 8;
        while (!signal.try_wait()) {
            if (left == 0 || !give_way(crowd)) {
                signal.wait();
                break;
            }
            --left;
        }
        return role;
    }

    /// Sends its caller on. It may be gone afterwards.
    void wake(Role as) noexcept {
        role = as;
        signal.set();
    }
};

/// What it is for the caller that there is no connection (any more).
[[nodiscard]] constexpr Call::Failure failure_of(ConnectionFailure::Kind kind) noexcept {
    switch (kind) {
        case ConnectionFailure::Kind::connect:
        case ConnectionFailure::Kind::database: return Call::Failure::connect;
        case ConnectionFailure::Kind::no_further: return Call::Failure::no_further;
        case ConnectionFailure::Kind::timed_out: return Call::Failure::timed_out;
        case ConnectionFailure::Kind::credentials: return Call::Failure::credentials;
        case ConnectionFailure::Kind::broken: break;
    }
    return Call::Failure::broken;
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CALL_HPP
