// SPDX-License-Identifier: MIT

/// @file
/// Whether a server that failed is asked again.

#ifndef LARDER_REDIS_CIRCUIT_HPP
#define LARDER_REDIS_CIRCUIT_HPP

#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// Why a server is not asked.
struct Refusal {
    std::string why{};
    bool credentials{false};  ///< it did not accept user and password: `why` is its reply
};

/// A circuit breaker: closed, open for a while after a failure, then half open for one caller. It
/// holds no clock and draws no lots; both are handed in.
///
/// Thread safety: all members may run concurrently.
class Circuit {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    enum class Answer : std::uint8_t {
        ask,     ///< the server may be asked
        probe,   ///< it is this caller's turn to find out whether it is back: see `settle`
        refuse,  ///< it is not asked
    };

    Circuit(duration window, duration longest) noexcept
        : first_{window}, longest_{longest}, window_{window} {}

    [[nodiscard]] Answer ask(time_point now) noexcept {
        if (state() == Breaker::closed) {
            return Answer::ask;
        }
        const std::lock_guard lock{mutex_};
        switch (state()) {
            case Breaker::closed: return Answer::ask;
            case Breaker::half_open: return Answer::refuse;
            case Breaker::open: break;
        }
        if (now < until_) {
            return Answer::refuse;
        }
        state_.store(Breaker::half_open, std::memory_order_release);
        return Answer::probe;
    }

    /// Counts the times that it opened. A failure is told with the count from before the attempt,
    /// so that one failure, seen by several callers, opens it once.
    [[nodiscard]] std::uint64_t era() const noexcept {
        return era_.load(std::memory_order_acquire);
    }

    /// Opens it.
    ///
    /// @param lot  in [0, 1): by a quarter how much shorter or longer than usual it stays open
    void failed(std::uint64_t era, time_point now, double lot, Refusal refusal) {
        auto why = std::make_shared<const Refusal>(std::move(refusal));
        const std::lock_guard lock{mutex_};
        if (era != era_.load(std::memory_order_relaxed) || state() == Breaker::open) {
            return;
        }
        window_ = state() == Breaker::half_open ? (std::min)(2 * window_, longest_) : first_;
        until_ = now + std::chrono::duration_cast<duration>(window_ * (0.75 + lot / 2));
        refusal_ = std::move(why);
        era_.fetch_add(1, std::memory_order_release);
        state_.store(Breaker::open, std::memory_order_release);
    }

    /// Closes it: whoever was told to probe got a reply.
    void succeeded() noexcept {
        const std::lock_guard lock{mutex_};
        if (state() == Breaker::half_open) {
            state_.store(Breaker::closed, std::memory_order_release);
        }
    }

    /// A probe ended without an answer either way: the next caller probes.
    void gave_up() noexcept {
        const std::lock_guard lock{mutex_};
        if (state() == Breaker::half_open) {
            state_.store(Breaker::open, std::memory_order_release);
        }
    }

    [[nodiscard]] Breaker state() const noexcept { return state_.load(std::memory_order_acquire); }

    /// Why it opened last.
    [[nodiscard]] std::shared_ptr<const Refusal> refusal() const {
        const std::lock_guard lock{mutex_};
        return refusal_;
    }

private:
    const duration first_;
    const duration longest_;
    std::atomic<Breaker> state_{Breaker::closed};
    std::atomic<std::uint64_t> era_{0};
    mutable std::mutex mutex_{};
    duration window_;
    time_point until_{};
    std::shared_ptr<const Refusal> refusal_{std::make_shared<const Refusal>()};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_CIRCUIT_HPP
