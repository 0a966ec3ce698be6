// SPDX-License-Identifier: MIT

/// @file
/// The duty of whoever leads a load: to tell the waiters how it ended.

#ifndef LARDER_DETAIL_FLIGHT_LEAD_HPP
#define LARDER_DETAIL_FLIGHT_LEAD_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/version.hpp>

#include <exception>
#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The duty to end what is in flight, in the hands of one thread at a time. Waiters that are left
/// without an answer when it goes are sent on: to look again. Rule S13.
template <class R>
class Lead {
public:
    Lead() = default;

    /// This thread carries it.
    explicit Lead(std::shared_ptr<InFlight<R>> flight) : flight_{std::move(flight)} { carry(); }

    /// No thread carries it yet: it is queued for one.
    [[nodiscard]] static Lead of_nobody(std::shared_ptr<InFlight<R>> flight) noexcept {
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

    /// There is something to end.
    explicit operator bool() const noexcept { return flight_ != nullptr; }

    /// What it is to end; null if that has ended.
    [[nodiscard]] const std::shared_ptr<InFlight<R>>& flight() const noexcept { return flight_; }

    /// Somebody else holds it, too. Once nobody can come any more: somebody waits.
    [[nodiscard]] bool awaited() const noexcept { return flight_ && flight_.use_count() > 1; }

    /// It brought this. The waiters go on.
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
    /// It failed. The waiters go on.
    void fail(std::exception_ptr why) noexcept {
        if (flight_) {
            flight_->failure_ = std::move(why);
            end();
        }
    }

private:
    void end() noexcept {
        if (flight_) {
            const std::shared_ptr<InFlight<R>> flight = std::exchange(flight_, nullptr);
            if (carried_) {
                flight->let_go();
            }
            if (flight.use_count() > 1 && !flight->over()) {
                flight->end();
            }
        }
    }

    std::shared_ptr<InFlight<R>> flight_{};
    bool carried_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_LEAD_HPP
