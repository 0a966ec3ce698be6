// SPDX-License-Identifier: MIT

/// @file
/// What can be tuned in a TieredStore.

#ifndef LARDER_STORE_TIERED_OPTIONS_HPP
#define LARDER_STORE_TIERED_OPTIONS_HPP

#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <chrono>

LARDER_NS_BEGIN

/// Tuning of a TieredStore, written with designated initialisers: `{.ttl = 10s}`.
struct TieredStoreOptions {
    /// The longest that a near copy is served, whatever happens. It never outlives the far copy.
    Ttl ttl{std::chrono::seconds{30}};

    /// How long near copies are served without a word from the server that all is well.
    Ttl silence{std::chrono::seconds{3}};
};

/// @throws std::invalid_argument  naming the first field that makes no sense, and its value
inline void validate(const TieredStoreOptions& options) {
    detail::require_positive("TieredStoreOptions::ttl", options.ttl);
    detail::require_positive("TieredStoreOptions::silence", options.silence);
}

LARDER_NS_END

#endif  // LARDER_STORE_TIERED_OPTIONS_HPP
