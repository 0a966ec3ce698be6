// SPDX-License-Identifier: MIT

/// @file
/// A load without a lease, and those who share it.

#ifndef LARDER_DETAIL_FLIGHT_BYPASS_FLIGHT_HPP
#define LARDER_DETAIL_FLIGHT_BYPASS_FLIGHT_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/version.hpp>

#include <exception>
#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The loads without a lease of one key: at most one runs, and those who come meanwhile share the next,
/// since a load that began before them may miss what they must see. Rule S10.
struct BypassQueue {
    using FlightPtr = std::shared_ptr<AnyFlight>;

    FlightPtr next{};
    FlightPtr current{};

    /// The one that is still to begin; null if there is none.
    [[nodiscard]] FlightPtr joinable() const { return next && !next->over() ? next : nullptr; }

    /// The one that runs, or is about to; null if there is none.
    [[nodiscard]] FlightPtr running() const {
        return current && !current->over() ? current : nullptr;
    }

    [[nodiscard]] bool busy() const noexcept {
        return (next && !next->over()) || (current && !current->over());
    }

    /// The next one becomes the one that runs.
    void begin(const FlightPtr& flight) {
        if (next == flight) {
            next.reset();
            current = flight;
        }
    }
    /// It has ended.
    void forget(const FlightPtr& flight) noexcept {
        for (FlightPtr* const place : {&current, &next}) {
            if (*place == flight) {
                place->reset();
            }
        }
    }
};

/// One caller's part in such a load, which begins after the call that got it. The key must outlive it.
///
/// @tparam All  where the key's queue is: `SingleFlight`
template <class All, class K>
class BypassFlight {
public:
    using FlightPtr = std::shared_ptr<AnyFlight>;

    /// A waiter of `flight`; of none: `predecessor` is to be waited for before it can be joined.
    BypassFlight(All& all, const K& key, FlightPtr flight, FlightPtr predecessor) noexcept
        : all_{&all},
          key_{&key},
          flight_{std::move(flight)},
          predecessor_{std::move(predecessor)} {}

    /// Its leader.
    ///
    /// @param predecessor  the one that it has to wait for, if any
    BypassFlight(All& all, const K& key, AnyLead lead, FlightPtr predecessor) noexcept
        : all_{&all},
          key_{&key},
          flight_{lead.flight()},
          predecessor_{std::move(predecessor)},
          lead_{std::move(lead)} {}

    BypassFlight(BypassFlight&&) noexcept = default;
    BypassFlight& operator=(BypassFlight&&) = delete;
    ~BypassFlight() { forget(); }

    /// It is the caller's to carry out.
    [[nodiscard]] bool leads() const noexcept { return static_cast<bool>(lead_); }

    /// What the waiters wait for.
    [[nodiscard]] const FlightPtr& flight() const noexcept { return flight_; }

    /// What is waited for first, if anything.
    [[nodiscard]] const FlightPtr& predecessor() const noexcept { return predecessor_; }

    /// The leader's load begins: nobody joins any more.
    void begin() { all_->begin_bypass(*key_, flight_); }

    /// It has brought this. Only those who joined still hold it.
    ///
    /// @tparam R  what the flight brings
    template <class R>
    void complete(const R& brought) noexcept {
        forget();
        if (flight_.use_count() > 2) {  // ours, and our duty's
            try {
                R shared{brought};
                Lead<R>{std::move(lead_)}.complete(std::move(shared));
            } catch (...) {
                lead_.fail(std::current_exception());  // a copy that throws
            }
        }
    }
    /// It has failed.
    void fail(std::exception_ptr why) noexcept {
        forget();
        lead_.fail(std::move(why));
    }

private:
    void forget() noexcept {
        if (lead_) {
            all_->forget_bypass(*key_, flight_);
        }
    }

    All* all_;
    const K* key_;
    FlightPtr flight_;
    FlightPtr predecessor_{};
    AnyLead lead_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_BYPASS_FLIGHT_HPP
