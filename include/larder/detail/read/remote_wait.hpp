// SPDX-License-Identifier: MIT

/// @file
/// The wait for a load of another process.

#ifndef LARDER_DETAIL_READ_REMOTE_WAIT_HPP
#define LARDER_DETAIL_READ_REMOTE_WAIT_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/read/remote_steps.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <optional>
#include <tuple>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Carries out the steps of one wait for a load of another process, blocking this thread.
template <class E>
class RemoteWait {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// The key must outlive it.
    ///
    /// @param since  `Options::wait` is counted from then
    RemoteWait(E& core, const Key& key, const Lease& lease,
               std::chrono::steady_clock::time_point since, const Patience& patience)
        : core_{core},
          key_{key},
          lease_{lease},
          steps_{since, core.options.wait, patience.deadline},
          patience_{steps_.deadline(), patience.stop} {}
    RemoteWait(const RemoteWait&) = delete;
    RemoteWait& operator=(const RemoteWait&) = delete;
    ~RemoteWait() { end_watch(); }

    RemoteEnd operator()() {
        RemoteAct act = steps_.begin();
        while (act != RemoteAct::end) {
            act = carry_out(act);
        }
        return steps_.how();
    }

private:
    RemoteAct carry_out(RemoteAct act) {
        switch (act) {
            case RemoteAct::watch:
                std::tie(watch_, lead_) = core_.loads().watch(key_, lease_.id);
                return steps_.watched(static_cast<bool>(lead_), std::chrono::steady_clock::now());
            case RemoteAct::wait: {
                const WaitEnd end = wait_for(*watch_, patience_);
                const RemoteEnd* const found = end == WaitEnd::over ? watch_->result() : nullptr;
                return steps_.waited(end, found != nullptr ? std::optional{*found} : std::nullopt);
            }
            case RemoteAct::pause:
                return steps_.paused(watch_->wait(steps_.pause_until(), patience_.stop) ==
                                     Arrival::cancelled);
            case RemoteAct::ask: return ask();
            case RemoteAct::end: break;
        }
        return RemoteAct::end;
    }

    RemoteAct ask() {
        if constexpr (requires { core_.store.remote_lease(key_, lease_); }) {
            try {
                const auto now = std::chrono::steady_clock::now();
                return steps_.answered(now, core_.store.remote_lease(key_, lease_));
            } catch (const StoreError&) {
                core_.count(Count::store_errors);
            }
        }
        return steps_.failed();
    }

    // What the leader of the watch has learnt is for all; if that is nothing, another must watch.
    void end_watch() noexcept {
        if (lead_) {
            core_.loads().unwatch(key_, watch_);
            if (steps_.how() == RemoteEnd::ended || steps_.how() == RemoteEnd::died) {
                lead_.complete(steps_.how());
            }
        }
    }

    E& core_;
    const Key& key_;
    const Lease lease_;
    RemoteSteps steps_;
    const Patience patience_;
    typename SingleFlight<Key, Value>::Watch watch_{};
    Lead<RemoteEnd> lead_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_REMOTE_WAIT_HPP
