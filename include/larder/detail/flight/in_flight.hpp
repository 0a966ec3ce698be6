// SPDX-License-Identifier: MIT

/// @file
/// One load under way, whoever waits for it, and the duty to tell them how it ended.

#ifndef LARDER_DETAIL_FLIGHT_IN_FLIGHT_HPP
#define LARDER_DETAIL_FLIGHT_IN_FLIGHT_HPP

#include <larder/detail/flight/wait_graph.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a wait ended with.
enum class Arrival : std::uint8_t { over, timed_out, cancelled };

/// What one thread brings, and any number of others wait for, each with a deadline of its own.
///
/// Thread safety: all members may run concurrently; it is ended once, by whoever leads it. Deadlines
/// are real time: a store's clock may be a test's and stand still.
///
/// @tparam R  what it brings
template <class R>
class InFlight : public Awaitable {
public:
    using Deadline = std::optional<std::chrono::steady_clock::time_point>;

    /// Waits until it is over, the deadline has passed or a stop was requested.
    Arrival wait(const Deadline& deadline, const std::stop_token& stop) const {
        if (over()) {
            return Arrival::over;
        }
        std::unique_lock lock{mutex_};
        const auto done = [this] { return over(); };
        if (!stop.stop_possible() && !deadline) {
            changed_.wait(lock, done);
        } else if (!deadline) {
            changed_.wait(lock, stop, done);
        } else {
            changed_.wait_until(lock, stop, *deadline, done);
        }
        if (done()) {
            return Arrival::over;
        }
        return stop.stop_requested() ? Arrival::cancelled : Arrival::timed_out;
    }

    /// What it brought; null if it failed, or brought nothing at all. Only after it is over.
    [[nodiscard]] const R* result() const noexcept {
        return result_ ? std::addressof(*result_) : nullptr;
    }
    /// Why it failed. Without either, whoever waited is to look again: its leader has gone, or what
    /// it brought has been invalidated.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

private:
    template <class>
    friend class Lead;

    void end() noexcept {
        {
            const std::scoped_lock lock{mutex_};
            over_.store(true, std::memory_order_release);
        }
        changed_.notify_all();
    }

    mutable std::mutex mutex_{};
    mutable std::condition_variable_any changed_{};
    std::optional<R> result_{};  // these two are written before it is over, and never after
    std::exception_ptr failure_{};
};

/// The duty to end what is in flight, in the hands of one thread at a time. Whoever is left without an answer
/// when it goes is sent on: to look again. Rule S13.
template <class R>
class Lead {
public:
    using Flight = std::shared_ptr<InFlight<R>>;

    Lead() = default;

    /// This thread carries it.
    explicit Lead(Flight flight) : flight_{std::move(flight)} { carry(); }

    /// No thread carries it yet: it waits for one.
    [[nodiscard]] static Lead of_nobody(Flight flight) noexcept {
        Lead lead;
        lead.flight_ = std::move(flight);
        return lead;
    }
    /// This thread does from now on.
    void carry() {
        flight_->carry();
        carried_ = true;
    }

    Lead(Lead&& other) noexcept
        : flight_{std::exchange(other.flight_, nullptr)}, carried_{other.carried_} {}
    Lead& operator=(Lead&& other) noexcept {
        if (this != &other) {
            end();
            flight_ = std::exchange(other.flight_, nullptr);
            carried_ = other.carried_;
        }
        return *this;
    }
    ~Lead() { end(); }

    explicit operator bool() const noexcept { return flight_ != nullptr; }
    [[nodiscard]] const Flight& flight() const noexcept { return flight_; }

    /// Somebody else holds it, too. Once nobody can come any more: somebody waits.
    [[nodiscard]] bool awaited() const noexcept { return flight_ && flight_.use_count() > 1; }

    /// It brought this.
    void complete(R result) noexcept {
        if (flight_) {
            try {
                flight_->result_.emplace(std::move(result));
            } catch (...) {
                flight_->failure_ = std::current_exception();  // a move that throws
            }
            end();
        }
    }
    void fail(std::exception_ptr why) noexcept {
        if (flight_) {
            flight_->failure_ = std::move(why);
            end();
        }
    }

private:
    void end() noexcept {
        if (flight_) {
            const Flight flight = std::exchange(flight_, nullptr);
            if (carried_) {
                flight->let_go();
            }
            if (flight.use_count() > 1 && !flight->over()) {
                flight->end();
            }
        }
    }

    Flight flight_{};
    bool carried_ = false;
};

/// The one load that a lease stands for.
template <class V>
using Flight = InFlight<Fetched<V>>;

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_IN_FLIGHT_HPP
