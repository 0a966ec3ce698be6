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

/// Why the breaker opened.
struct TripReason {
    std::string text{};
    bool credentials{false};  ///< it did not accept user and password: `text` is its reply
};

/// Closed, open for a while after a failure, then half open for one caller, whose probe finds out
/// whether the server is back. It holds no clock and draws no random numbers; both are handed in.
///
/// Thread safety: all members may run concurrently, those of a Permission from one thread at a time.
class CircuitBreaker {
public:
    using time_point = std::chrono::steady_clock::time_point;
    using duration = std::chrono::steady_clock::duration;

    /// Whether the server may be asked. That of a probe ends with it: a probe that nobody reports as
    /// succeeded opens the breaker again. The breaker must outlive it.
    class Permission {
    public:
        /// Refused.
        Permission() noexcept = default;
        Permission(Permission&& other) noexcept
            : breaker_{std::exchange(other.breaker_, nullptr)},
              probe_{other.probe_},
              granted_{std::exchange(other.granted_, false)} {}
        Permission& operator=(Permission&& other) noexcept {
            if (this != &other) {
                end(Breaker::open);
                breaker_ = std::exchange(other.breaker_, nullptr);
                probe_ = other.probe_;
                granted_ = std::exchange(other.granted_, false);
            }
            return *this;
        }
        ~Permission() { end(Breaker::open); }

        /// Whether the server may be asked.
        [[nodiscard]] bool granted() const noexcept { return granted_; }

        /// Whether the breaker is half open for this caller.
        [[nodiscard]] bool is_probe() const noexcept { return breaker_ != nullptr; }

        /// There was a reply: closes the breaker, if this is its probe.
        void succeeded() noexcept { end(Breaker::closed); }

    private:
        friend class CircuitBreaker;
        Permission(CircuitBreaker* breaker, std::uint64_t probe) noexcept
            : breaker_{breaker}, probe_{probe}, granted_{true} {}

        void end(Breaker state) noexcept {
            if (breaker_ != nullptr) {
                std::exchange(breaker_, nullptr)->end_probe(probe_, state);
            }
        }

        CircuitBreaker* breaker_{nullptr};  // of a probe
        std::uint64_t probe_{0};
        bool granted_{false};
    };

    CircuitBreaker(duration window, duration longest) noexcept
        : first_{window}, longest_{longest}, window_{window} {}

    /// Whether a caller may ask the server: all while it is closed, one as a probe once the window of
    /// an open one has passed.
    [[nodiscard]] Permission request(time_point now) noexcept {
        if (state() == Breaker::closed) {
            return Permission{nullptr, 0};
        }
        const std::lock_guard lock{mutex_};
        switch (state()) {
            case Breaker::closed: return Permission{nullptr, 0};
            case Breaker::half_open: return {};
            case Breaker::open: break;
        }
        if (now < until_) {
            return {};
        }
        state_.store(Breaker::half_open, std::memory_order_release);
        ++probes_;
        return Permission{this, ++last_probe_};
    }

    /// Counts the times that it opened, or that the server changed its role: connections of an
    /// earlier era are not used any more. A failure is told with the count from before the attempt,
    /// so that one failure, seen by several callers, opens it once.
    [[nodiscard]] std::uint64_t era() const noexcept {
        return era_.load(std::memory_order_acquire);
    }

    /// Opens it, after a failure that began in this era.
    ///
    /// @param jitter  in [0, 1): by up to a quarter shorter or longer than usual it stays open
    void trip(std::uint64_t era, time_point now, double jitter, TripReason reason) {
        auto shared = std::make_shared<const TripReason>(std::move(reason));
        const std::lock_guard lock{mutex_};
        if (era != era_.load(std::memory_order_relaxed) || state() == Breaker::open) {
            return;
        }
        window_ = state() == Breaker::half_open ? (std::min)(2 * window_, longest_) : first_;
        until_ = now + std::chrono::duration_cast<duration>(window_ * (0.75 + jitter / 2));
        reason_ = std::move(shared);
        era_.fetch_add(1, std::memory_order_release);
        state_.store(Breaker::open, std::memory_order_release);
    }

    /// The server is not what it was (a primary that became a replica): begins an era, at most one
    /// a window, so that its name leads to whoever answers to it now. Rule R8.
    void role_changed(time_point now) noexcept {
        const std::lock_guard lock{mutex_};
        if (now >= next_change_) {
            next_change_ = now + first_;
            role_changes_.fetch_add(1, std::memory_order_release);
            era_.fetch_add(1, std::memory_order_release);
        }
    }

    /// Counts these changes.
    [[nodiscard]] std::uint64_t role_changes() const noexcept {
        return role_changes_.load(std::memory_order_acquire);
    }

    /// Open, half open or closed.
    [[nodiscard]] Breaker state() const noexcept { return state_.load(std::memory_order_acquire); }

    /// Why it opened last.
    [[nodiscard]] std::shared_ptr<const TripReason> reason() const {
        const std::lock_guard lock{mutex_};
        return reason_;
    }

    /// Probes that have not ended: at most one of them still decides.
    [[nodiscard]] std::size_t probes() const noexcept {
        const std::lock_guard lock{mutex_};
        return probes_;
    }

private:
    // A failure that was reported meanwhile has decided already.
    void end_probe(std::uint64_t probe, Breaker state_after) noexcept {
        const std::lock_guard lock{mutex_};
        --probes_;
        if (probe == last_probe_ && state() == Breaker::half_open) {
            state_.store(state_after, std::memory_order_release);
        }
    }

    const duration first_;
    const duration longest_;
    std::atomic<Breaker> state_{Breaker::closed};
    std::atomic<std::uint64_t> era_{0};
    std::atomic<std::uint64_t> role_changes_{0};
    mutable std::mutex mutex_{};
    duration window_;
    time_point until_{};
    time_point next_change_{};
    std::uint64_t last_probe_{0};
    std::size_t probes_{0};
    std::shared_ptr<const TripReason> reason_{std::make_shared<const TripReason>()};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CIRCUIT_BREAKER_HPP
