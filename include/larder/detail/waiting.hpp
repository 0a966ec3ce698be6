// SPDX-License-Identifier: MIT

/// @file
/// Who waits for whom: joins a flight, and refuses the join that would wait for itself.

#ifndef LARDER_DETAIL_WAITING_HPP
#define LARDER_DETAIL_WAITING_HPP

#include <larder/detail/flight.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <mutex>
#include <optional>
#include <stop_token>

LARDER_NS_BEGIN

namespace detail {

/// How long a caller waits for others: until a moment, a stop request, or for ever.
struct Patience {
    std::optional<std::chrono::steady_clock::time_point> deadline{};
    std::stop_token stop{};
};

/// Guards every FlightBase::waits_for. Taken only by loads that wait for other loads.
inline std::mutex& wait_graph() {
    static std::mutex mutex;
    return mutex;
}

/// Says, for its lifetime, that this thread carries out a flight.
class Carrying {
public:
    explicit Carrying(FlightBase& flight) : flight_{flight}, outer_{top()} {
        if (outer_ != nullptr) {
            const std::scoped_lock lock{wait_graph()};
            outer_->flight_.waits_for = &flight_;
        }
        top() = this;
    }
    ~Carrying() {
        top() = outer_;
        if (outer_ != nullptr) {
            const std::scoped_lock lock{wait_graph()};
            outer_->flight_.waits_for = nullptr;
        }
    }
    Carrying(const Carrying&) = delete;
    Carrying& operator=(const Carrying&) = delete;

    /// The innermost flight of this thread, or null.
    static Carrying*& top() noexcept {
        thread_local Carrying* innermost = nullptr;
        return innermost;
    }

    /// True if waiting for `target` would wait for a flight that this thread carries.
    [[nodiscard]] bool would_wait_for_itself(const FlightBase& target) const {
        for (const FlightBase* at = &target; at != nullptr; at = at->waits_for) {
            for (const Carrying* mine = this; mine != nullptr; mine = mine->outer_) {
                if (&mine->flight_ == at) {
                    return true;
                }
            }
        }
        return false;
    }

    FlightBase& flight() noexcept { return flight_; }

private:
    FlightBase& flight_;
    Carrying* outer_;
};

/// How `join` ended.
enum class Joined : std::uint8_t { landed, timed_out, cancelled, recursive };

/// Waits for a flight; `recursive` if that flight, through whatever chain, waits for this thread.
template <class V>
Joined join(const Flight<V>& flight, const Patience& patience) {
    Carrying* const mine = Carrying::top();
    if (mine != nullptr) {
        const std::scoped_lock lock{wait_graph()};
        if (mine->would_wait_for_itself(flight)) {
            return Joined::recursive;
        }
        mine->flight().waits_for = &flight;
    }
    const Arrival arrival = flight.wait(patience.deadline, patience.stop);
    if (mine != nullptr) {
        const std::scoped_lock lock{wait_graph()};
        mine->flight().waits_for = nullptr;
    }
    switch (arrival) {
        case Arrival::timed_out: return Joined::timed_out;
        case Arrival::cancelled: return Joined::cancelled;
        case Arrival::landed: break;
    }
    return Joined::landed;
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WAITING_HPP
