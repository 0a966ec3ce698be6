// SPDX-License-Identifier: MIT

/// @file
/// Waits for what another thread brings, unless that would wait for itself.

#ifndef LARDER_DETAIL_FLIGHT_WAITING_HPP
#define LARDER_DETAIL_FLIGHT_WAITING_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>

LARDER_NS_BEGIN

namespace detail {

/// How long a caller waits for others: until a moment, a stop request, or for ever.
struct Patience {
    std::optional<std::chrono::steady_clock::time_point> deadline{};
    std::stop_token stop{};

    [[nodiscard]] bool endless() const noexcept { return !deadline && !stop.stop_possible(); }
};

/// How a wait for what is in flight ended.
enum class WaitEnd : std::uint8_t {
    over,
    timed_out,
    cancelled,
    recursive,  ///< it waits, through whatever chain, for this thread
    deadlock,   ///< the same, but only since loaders of many have mixed keys: load past it
};

/// How the wait for a load of another process ended.
enum class RemoteEnd : std::uint8_t {
    ended,  ///< its lease is gone
    died,   ///< its lease has run out: the holder has not renewed it
    lasts,  ///< it takes longer than `Options::wait`, or cannot be watched
    timed_out,
    cancelled,
};

/// Waits for what is in flight.
template <class R>
WaitEnd wait_for(const InFlight<R>& flight, const Patience& patience) {
    const WaitGraph::Wait wait{flight};
    switch (wait.may()) {
        case MayWait::recursive: return WaitEnd::recursive;
        case MayWait::deadlock: return WaitEnd::deadlock;
        case MayWait::yes: break;
    }
    switch (flight.wait(patience.deadline, patience.stop)) {
        case Arrival::timed_out: return WaitEnd::timed_out;
        case Arrival::cancelled: return WaitEnd::cancelled;
        case Arrival::over: break;
    }
    return WaitEnd::over;
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_WAITING_HPP
