// SPDX-License-Identifier: MIT

/// @file
/// What can be tuned in `warm`, what it tells on its way, and what it reports.

#ifndef LARDER_POLICY_WARM_OPTIONS_HPP
#define LARDER_POLICY_WARM_OPTIONS_HPP

#include <larder/options.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <optional>
#include <stop_token>
#include <vector>

LARDER_NS_BEGIN

/// How far a `warm` has come: what the batches that have ended made of their keys.
struct WarmProgress {
    std::size_t done{0};  ///< the sum of the four below

    /// How many keys there are, where their range knows its size.
    std::optional<std::size_t> total{};

    std::size_t filled{0};
    std::size_t absent{0};
    std::size_t failed{0};
    std::size_t skipped{0};
};

/// Tuning of one `warm`: `{.batch = 500, .per_second = 2'000}`.
struct WarmOptions {
    /// The most keys that are taken from the range, and loaded, together. Positive.
    std::size_t batch{100};

    /// The most batches at once. Positive; 1: in the calling thread alone.
    std::size_t parallel{4};

    /// The most keys that are loaded in a second, on average; 0: no bound. A batch begins when those
    /// before it have had their time, so that a burst is one batch long. Keys that are fresh are free.
    std::size_t per_second{0};

    /// Told after each batch, by one thread at a time. What it throws ends the warming.
    std::function<void(const WarmProgress&)> progress{};

    /// When a stop is requested no further batch begins.
    std::stop_token stop{};
};

/// What became of the keys. Each that was given is counted once, and those of batches that did not
/// begin are not.
template <class K>
struct WarmReport {
    std::size_t filled{0};  ///< loaded, and now there
    std::size_t absent{0};  ///< there is no such row; remembered for `Options::negative_ttl`

    /// The load threw, or the store failed: there may be no copy. The keys are `failed_keys`.
    std::size_t failed{0};

    /// Left as they were: fresh, loaded by another, written or invalidated meanwhile, given twice, or
    /// not to be kept (`Loaded::ttl`).
    std::size_t skipped{0};

    std::chrono::nanoseconds elapsed{0};

    std::vector<K> failed_keys{};  ///< in the order in which they were given
    std::exception_ptr failure{};  ///< why the first of them failed
    bool stopped = false;          ///< it ended before the keys did
};

/// @throws std::invalid_argument  naming the first field that makes no sense, and its value
inline void validate(const WarmOptions& options) {
    detail::require_positive("WarmOptions::batch", options.batch);
    detail::require_positive("WarmOptions::parallel", options.parallel);
}

LARDER_NS_END

#endif  // LARDER_POLICY_WARM_OPTIONS_HPP
