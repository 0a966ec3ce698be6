// SPDX-License-Identifier: MIT

/// @file
/// RefreshAhead: reload before the copy ends.

#ifndef LARDER_POLICY_REFRESH_AHEAD_HPP
#define LARDER_POLICY_REFRESH_AHEAD_HPP

#include <larder/detail/policy_base.hpp>
#include <larder/detail/user/diagnostics.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <utility>

LARDER_NS_BEGIN

/// As CacheAside, but a copy that is read near its end is reloaded in the background meanwhile.
///
/// ```cpp
/// larder::RefreshAhead rates{store, fetch_rate, {.ttl = 10min}};
/// rates.get("EUR");  // with under 2 minutes left: still a hit, and one reload begins
/// ```
///
/// `Options::refresh_below` is 0.2 here unless it is set: one reload a key, begun by a read that
/// finds less than that share of the copy's lifetime left, at most `refresh_concurrency` at once,
/// and none for `refresh_backoff` after one that failed. A reload never brings back what was
/// invalidated, nor covers what was written, since it began.
///
/// Staleness and loss: as CacheAside. Keys that are read often enough never wait for a load.
///
/// Thread safety: all verbs may run concurrently; see the verbs' own pages.
///
/// @tparam S  where copies live: a Store, or a std::reference_wrapper of one
/// @tparam L  where the truth lives: a loader, a repository, or a std::reference_wrapper of one
template <class S, class L>
class RefreshAhead : detail::RequiresStore<S>,
                     detail::RequiresLoader<L, S>,
                     public detail::PolicyBaseOf<S, L, detail::AfterWrite::drop> {
    using Base = detail::PolicyBaseOf<S, L, detail::AfterWrite::drop>;

public:
    /// A policy over this store and this loader, which it keeps.
    ///
    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    RefreshAhead(S store, L loader, Options options = {})
        : Base{std::move(store), std::move(loader), ahead(std::move(options))} {}

private:
    static Options ahead(Options options) {
        options.refresh_below = options.refresh_below.value_or(0.2);
        return options;
    }
};

template <class S>
RefreshAhead(S, detail::AnyLoader, ...) -> RefreshAhead<S, detail::MistakenOptions>;

LARDER_NS_END

#endif  // LARDER_POLICY_REFRESH_AHEAD_HPP
