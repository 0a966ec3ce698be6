// SPDX-License-Identifier: MIT

/// @file
/// What the policies of a fleet have counted, all lives together that came to their end.

#ifndef LARDER_TESTS_SUPPORT_FLEET_TALLY_HPP
#define LARDER_TESTS_SUPPORT_FLEET_TALLY_HPP

#include <atomic>
#include <cstdint>

namespace larder_test {

/// For `Shared`.
struct Tally {
    using Count = std::atomic<std::uint64_t>;

    Count hits{0}, stale_hits{0}, loads{0}, joined{0}, bypassed{0}, fenced_fills{0};
    Count lost_tickets{0}, refreshes{0}, store_errors{0};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_TALLY_HPP
