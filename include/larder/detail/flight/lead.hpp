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
class AnyLead {
public:
    AnyLead() = default;

    /// This thread carries it.
    explicit AnyLead(std::shared_ptr<AnyFlight> flight) : flight_{std::move(flight)} { carry(); }

    /// No thread carries it yet: it is queued for one.
    [[nodiscard]] static AnyLead of_nobody(std::shared_ptr<AnyFlight> flight) noexcept {
        AnyLead lead;
        lead.flight_ = std::move(flight);
        return lead;
    }
    /// This thread does from now on.
    void carry() {
        flight_->carry();
        carried_ = true;
    }

    AnyLead(AnyLead&& other) noexcept
        : flight_{std::exchange(other.flight_, nullptr)}, carried_{other.carried_} {}
    AnyLead& operator=(AnyLead&& other) noexcept {
        if (this != &other) {
            end();
            flight_ = std::exchange(other.flight_, nullptr);
            carried_ = other.carried_;
        }
        return *this;
    }
    ~AnyLead() { end(); }

    /// There is something to end.
    explicit operator bool() const noexcept { return flight_ != nullptr; }

    /// What it is to end; null if that has ended.
    [[nodiscard]] const std::shared_ptr<AnyFlight>& flight() const noexcept { return flight_; }

    /// Somebody else holds it, too. Once nobody can come any more: somebody waits.
    [[nodiscard]] bool awaited() const noexcept { return flight_ && flight_.use_count() > 1; }

    /// It failed. The waiters go on.
    void fail(std::exception_ptr why) noexcept {
        if (flight_) {
            flight_->failure_ = std::move(why);
            end();
        }
    }

protected:
    void end() noexcept {
        if (flight_) {
            const std::shared_ptr<AnyFlight> flight = std::exchange(flight_, nullptr);
            if (carried_) {
                flight->let_go();
            }
            if (flight.use_count() > 1 && !flight->over()) {
                flight->end();
            }
        }
    }

private:
    std::shared_ptr<AnyFlight> flight_{};
    bool carried_ = false;
};

/// The same of a flight that brings an R.
template <class R>
class Lead : public AnyLead {
public:
    Lead() = default;

    /// This thread carries it.
    explicit Lead(std::shared_ptr<InFlight<R>> flight) : AnyLead{std::move(flight)} {}

    /// What was handed on without its type.
    explicit Lead(AnyLead&& lead) noexcept : AnyLead{std::move(lead)} {}

    /// No thread carries it yet: it is queued for one.
    [[nodiscard]] static Lead of_nobody(std::shared_ptr<InFlight<R>> flight) noexcept {
        return Lead{AnyLead::of_nobody(std::move(flight))};
    }

    /// It brought this. The waiters go on.
    void complete(R&& result) noexcept {
        if (*this) {
            static_cast<InFlight<R>&>(*flight()).bring(std::move(result));
            end();
        }
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_LEAD_HPP
