// SPDX-License-Identifier: MIT

/// @file
/// One process' watch over the load of another.

#ifndef LARDER_DETAIL_FLIGHT_REMOTE_WATCH_HPP
#define LARDER_DETAIL_FLIGHT_REMOTE_WATCH_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/version.hpp>

#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// One caller's part in the watch over a lease elsewhere: its leader asks the store, the others wait for
/// what it learns. A leader that goes without having learnt anything sends them on: another must watch.
/// The key must outlive it.
///
/// @tparam All  where the key's watch is: `SingleFlight`
template <class All, class K>
class RemoteWatch {
public:
    using FlightPtr = std::shared_ptr<InFlight<RemoteEnd>>;

    /// @param lead  of the leader only
    RemoteWatch(All& all, const K& key, FlightPtr flight, Lead<RemoteEnd> lead) noexcept
        : all_{&all}, key_{&key}, flight_{std::move(flight)}, lead_{std::move(lead)} {}
    RemoteWatch(RemoteWatch&&) noexcept = default;
    RemoteWatch& operator=(RemoteWatch&&) = delete;
    ~RemoteWatch() { forget(); }

    /// It is the caller's to ask the store.
    [[nodiscard]] bool leads() const noexcept { return static_cast<bool>(lead_); }

    /// What the waiters wait for.
    [[nodiscard]] const InFlight<RemoteEnd>& flight() const noexcept { return *flight_; }

    /// The leader has learnt this.
    void complete(RemoteEnd end) noexcept {
        forget();
        lead_.complete(RemoteEnd{end});
    }

private:
    void forget() noexcept {
        if (lead_) {
            all_->forget_watch(*key_, flight_);
        }
    }

    All* all_;
    const K* key_;
    FlightPtr flight_;
    Lead<RemoteEnd> lead_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_REMOTE_WATCH_HPP
