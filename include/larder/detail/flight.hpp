// SPDX-License-Identifier: MIT

/// @file
/// One load under way, and whoever waits for it.

#ifndef LARDER_DETAIL_FLIGHT_HPP
#define LARDER_DETAIL_FLIGHT_HPP

#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a wait for a flight ended with.
enum class Arrival : std::uint8_t { landed, timed_out, cancelled };

/// The untyped part of a flight: enough to see who waits for whom.
struct FlightBase {
    /// The flight that the thread carrying out this one waits for; guarded by the wait graph's mutex.
    const FlightBase* waits_for = nullptr;
};

/// The one load that a lease stands for, shared by the thread that carries it out and by any number
/// of waiters, each with a deadline of its own.
///
/// Thread safety: all members may run concurrently; `land` and `crash` are called once, by the
/// carrier. Deadlines are real time: a store's clock may be a test's and stand still.
template <class V>
class Flight : public FlightBase {
public:
    using Deadline = std::optional<std::chrono::steady_clock::time_point>;

    /// What the load brought.
    struct Outcome {
        Fetched<V> fetched{};
        std::exception_ptr failure{};
        bool spoilt = false;  ///< its tags were invalidated meanwhile: joiners open again
    };

    void land(Fetched<V> fetched, bool spoilt) {
        settle(Outcome{std::move(fetched), nullptr, spoilt});
    }
    void crash(std::exception_ptr failure) { settle(Outcome{{}, std::move(failure), false}); }

    /// Waits until the flight has ended, the deadline has passed or a stop was requested.
    Arrival wait(const Deadline& deadline, const std::stop_token& stop) const {
        std::unique_lock lock{mutex_};
        const auto done = [this] { return outcome_.has_value(); };
        if (!stop.stop_possible() && !deadline) {
            changed_.wait(lock, done);
        } else if (!deadline) {
            changed_.wait(lock, stop, done);
        } else {
            changed_.wait_until(lock, stop, *deadline, done);
        }
        if (done()) {
            return Arrival::landed;
        }
        return stop.stop_requested() ? Arrival::cancelled : Arrival::timed_out;
    }

    /// What it brought. Only after `wait` has answered `landed`; never changes from then on.
    [[nodiscard]] const Outcome& outcome() const noexcept { return *outcome_; }

private:
    void settle(Outcome outcome) {
        {
            const std::scoped_lock lock{mutex_};
            outcome_.emplace(std::move(outcome));
        }
        changed_.notify_all();
    }

    mutable std::mutex mutex_{};
    mutable std::condition_variable_any changed_{};
    std::optional<Outcome> outcome_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_HPP
