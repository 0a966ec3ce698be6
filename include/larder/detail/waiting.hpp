// SPDX-License-Identifier: MIT

/// @file
/// Waits for what another thread brings, unless that would wait for itself.

#ifndef LARDER_DETAIL_WAITING_HPP
#define LARDER_DETAIL_WAITING_HPP

#include <larder/detail/flight.hpp>
#include <larder/detail/wait_graph.hpp>
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

/// How `join` ended.
enum class Joined : std::uint8_t {
    over,
    timed_out,
    cancelled,
    recursive,  ///< it waits, through whatever chain, for this thread
    elsewise,   ///< the same, but only since loaders of many have mixed keys: load past it
};

/// Waits for what is in flight.
template <class R>
Joined join(const InFlight<R>& flight, const Patience& patience) {
    const WaitGraph::Wait wait{flight};
    switch (wait.may()) {
        case MayWait::recursive: return Joined::recursive;
        case MayWait::elsewise: return Joined::elsewise;
        case MayWait::yes: break;
    }
    switch (flight.wait(patience.deadline, patience.stop)) {
        case Arrival::timed_out: return Joined::timed_out;
        case Arrival::cancelled: return Joined::cancelled;
        case Arrival::over: break;
    }
    return Joined::over;
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WAITING_HPP
