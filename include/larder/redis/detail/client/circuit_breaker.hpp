// SPDX-License-Identifier: MIT

/// @file
/// Whether a server that failed is asked again.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CIRCUIT_BREAKER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CIRCUIT_BREAKER_HPP

#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
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
/// Thread safety: all members may run concurrently, those of a Permit from one thread at a time.
class CircuitBreaker {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    /// Whether the server may be asked. One that probes holds the turn to find out whether it is
    /// back, and its end gives that turn up: there is no way to forget it. The circuit must outlive it.
    class Permit {
    public:
        /// Refused.
        Permit() noexcept = default;
        Permit(Permit&& other) noexcept
            : probed_{std::exchange(other.probed_, nullptr)},
              turn_{other.turn_},
              granted_{std::exchange(other.granted_, false)} {}
        Permit& operator=(Permit&& other) noexcept {
            if (this != &other) {
                settle(Breaker::open);
                probed_ = std::exchange(other.probed_, nullptr);
                turn_ = other.turn_;
                granted_ = std::exchange(other.granted_, false);
            }
            return *this;
        }
        ~Permit() { settle(Breaker::open); }

        [[nodiscard]] bool granted() const noexcept { return granted_; }
        [[nodiscard]] bool probes() const noexcept { return probed_ != nullptr; }

        /// There was a reply: closes the circuit, if this probed.
        void succeeded() noexcept { settle(Breaker::closed); }

    private:
        friend class CircuitBreaker;
        Permit(CircuitBreaker* probed, std::uint64_t turn) noexcept
            : probed_{probed}, turn_{turn}, granted_{true} {}

        void settle(Breaker as) noexcept {
            if (probed_ != nullptr) {
                std::exchange(probed_, nullptr)->settle(turn_, as);
            }
        }

        CircuitBreaker* probed_{nullptr};
        std::uint64_t turn_{0};
        bool granted_{false};
    };

    CircuitBreaker(duration window, duration longest) noexcept
        : first_{window}, longest_{longest}, window_{window} {}

    [[nodiscard]] Permit ask(time_point now) noexcept {
        if (state() == Breaker::closed) {
            return Permit{nullptr, 0};
        }
        const std::lock_guard lock{mutex_};
        switch (state()) {
            case Breaker::closed: return Permit{nullptr, 0};
            case Breaker::half_open: return {};
            case Breaker::open: break;
        }
        if (now < until_) {
            return {};
        }
        state_.store(Breaker::half_open, std::memory_order_release);
        ++probes_;
        return Permit{this, ++turn_};
    }

    /// Counts the times that it opened, or that the server changed its role: connections of an
    /// earlier era are not used any more. A failure is told with the count from before the attempt,
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

    /// The server is not what it was (a primary that became a replica): begins an era, at most one
    /// a window, so that its name leads to whoever answers to it now.
    void changed_role(time_point now) noexcept {
        const std::lock_guard lock{mutex_};
        if (now >= next_change_) {
            next_change_ = now + first_;
            era_.fetch_add(1, std::memory_order_release);
        }
    }

    [[nodiscard]] Breaker state() const noexcept { return state_.load(std::memory_order_acquire); }

    /// Why it opened last.
    [[nodiscard]] std::shared_ptr<const Refusal> refusal() const {
        const std::lock_guard lock{mutex_};
        return refusal_;
    }

    /// Permits that probe and are not settled: at most one of them has its turn still.
    [[nodiscard]] std::size_t probes() const noexcept {
        const std::lock_guard lock{mutex_};
        return probes_;
    }

private:
    // A failure, told meanwhile, has taken the turn away.
    void settle(std::uint64_t turn, Breaker as) noexcept {
        const std::lock_guard lock{mutex_};
        --probes_;
        if (turn == turn_ && state() == Breaker::half_open) {
            state_.store(as, std::memory_order_release);
        }
    }

    const duration first_;
    const duration longest_;
    std::atomic<Breaker> state_{Breaker::closed};
    std::atomic<std::uint64_t> era_{0};
    mutable std::mutex mutex_{};
    duration window_;
    time_point until_{};
    time_point next_change_{};
    std::uint64_t turn_{0};  // of the last who probed
    std::size_t probes_{0};
    std::shared_ptr<const Refusal> refusal_{std::make_shared<const Refusal>()};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CIRCUIT_BREAKER_HPP
