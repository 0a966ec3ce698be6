// SPDX-License-Identifier: MIT

/// @file
/// The wait for a load of another process.

#ifndef LARDER_DETAIL_READ_REMOTE_WAIT_HPP
#define LARDER_DETAIL_READ_REMOTE_WAIT_HPP

#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/keyed_core.hpp>
#include <larder/detail/read/remote_steps.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <optional>

LARDER_NS_BEGIN

namespace detail {

/// Carries out the steps of one wait for a load of another process, blocking this thread.
template <class K>
class RemoteWait {
public:
    /// The key must outlive it.
    ///
    /// @param since  `Options::wait` is counted from then
    RemoteWait(KeyedCore<K>& core, const K& key, const Lease& lease,
               std::chrono::steady_clock::time_point since, const Patience& patience)
        : core_{core},
          key_{key},
          lease_{lease},
          steps_{since, core.options.wait, patience.deadline},
          patience_{steps_.deadline(), patience.stop} {}
    RemoteWait(const RemoteWait&) = delete;
    RemoteWait& operator=(const RemoteWait&) = delete;

    /// Blocks until it has ended.
    RemoteEnd operator()() {
        RemoteAct act = steps_.begin();
        while (act != RemoteAct::end) {
            act = carry_out(act);
        }
        // What the leader of the watch has learnt is for all.
        if (steps_.how() == RemoteEnd::ended || steps_.how() == RemoteEnd::died) {
            watch_->complete(steps_.how());
        }
        return steps_.how();
    }

private:
    RemoteAct carry_out(RemoteAct act) {
        switch (act) {
            case RemoteAct::watch:
                watch_.reset();
                watch_.emplace(core_.loads().watch_remote(key_, lease_.id));
                return steps_.watched(watch_->leads(), std::chrono::steady_clock::now());
            case RemoteAct::wait: {
                const WaitEnd end = wait_for(watch_->flight(), patience_);
                const RemoteEnd* const found =
                    end == WaitEnd::over ? watch_->flight().result() : nullptr;
                return steps_.waited(end, found != nullptr ? std::optional{*found} : std::nullopt);
            }
            case RemoteAct::pause:
                return steps_.paused(!pause_until(steps_.pause_until(), patience_.stop));
            case RemoteAct::ask: return ask();
            case RemoteAct::end: break;
        }
        return RemoteAct::end;
    }

    RemoteAct ask() {
        try {
            const auto now = std::chrono::steady_clock::now();
            if (const auto left = core_.remote_lease(key_, lease_)) {
                return steps_.answered(now, *left);
            }
        } catch (const StoreError&) {
            core_.count(Count::store_errors);
        }
        return steps_.failed();
    }

    KeyedCore<K>& core_;
    const K& key_;
    const Lease lease_;
    RemoteSteps steps_;
    const Patience patience_;
    std::optional<typename SingleFlight<K>::Watch> watch_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_REMOTE_WAIT_HPP
