// SPDX-License-Identifier: MIT

/// @file
/// What a policy has under way.

#ifndef LARDER_DETAIL_FLIGHT_BACKGROUND_WORK_HPP
#define LARDER_DETAIL_FLIGHT_BACKGROUND_WORK_HPP

#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/version.hpp>

LARDER_NS_BEGIN

namespace detail {

/// Its tasks hold it, and it may outlive the policy. A forked child begins with nothing under way.
template <class K>
struct BackgroundWork {
    TaskScope scope{};
    ForkLocal<SingleFlight<K>> loads{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_BACKGROUND_WORK_HPP
