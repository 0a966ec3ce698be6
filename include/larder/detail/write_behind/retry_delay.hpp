// SPDX-License-Identifier: MIT

/// @file
/// How long a change that the database would not take waits for its next try.

#ifndef LARDER_DETAIL_WRITE_BEHIND_RETRY_DELAY_HPP
#define LARDER_DETAIL_WRITE_BEHIND_RETRY_DELAY_HPP

#include <larder/detail/support/random.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// Doubled after each failure up to `max_backoff`, and between three quarters of that and all of it, so that
/// what failed together does not come again together. By default the ten tries of a change take 38 s at
/// least: an outage of 30 s buries nothing.
///
/// @param failed_before  how often it has failed before this time
[[nodiscard]] inline Ttl retry_delay(const WriteBehindOptions& options, std::size_t failed_before) {
    const auto doublings = (std::min)(failed_before, std::size_t{30});
    const double most = static_cast<double>(cut(options.backoff).count()) *
                        static_cast<double>(std::uint64_t{1} << doublings);
    const double bound = static_cast<double>(cut(options.max_backoff).count());
    const double wait = (std::min)(most, bound) * (0.75 + 0.25 * random_fraction());
    return Ttl{static_cast<Ttl::rep>(wait) + 1};
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_RETRY_DELAY_HPP
