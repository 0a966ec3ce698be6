// SPDX-License-Identifier: MIT

/// @file
/// WriteThrough: load on demand, replace on write.

#ifndef LARDER_POLICY_WRITE_THROUGH_HPP
#define LARDER_POLICY_WRITE_THROUGH_HPP

#include <larder/detail/policy_base.hpp>
#include <larder/detail/user/diagnostics.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <utility>

LARDER_NS_BEGIN

/// As CacheAside, but a write leaves a copy of what it wrote: the next read hits.
///
/// ```cpp
/// larder::WriteThrough prices{store, PriceTable{db}, {.ttl = 1h}};
/// prices.put(42, 9.99);  // the database first, then the copy is replaced
/// prices.get(42);        // hit
/// ```
///
/// The copy is the row that `save` returns, if it returns one, else the value that was put. `remove`
/// leaves a known absence where `negative_ttl` is set, else no copy. Two writes that overlap leave
/// no copy: nobody knows which the database took last.
///
/// Staleness and loss: as CacheAside.
///
/// Thread safety: all verbs may run concurrently; see the verbs' own pages.
///
/// @tparam S  where copies live: a Store, or a std::reference_wrapper of one
/// @tparam L  where the truth lives: a repository (a plain loader has no `put`), or a
///            std::reference_wrapper of one
template <class S, class L>
class WriteThrough : detail::RequiresStore<S>,
                     detail::RequiresLoader<L, S>,
                     public detail::PolicyBaseOf<S, L, detail::AfterWrite::replace> {
    using Base = detail::PolicyBaseOf<S, L, detail::AfterWrite::replace>;

public:
    /// A policy over this store and this loader, which it keeps.
    ///
    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    WriteThrough(S store, L loader, Options options = {})
        : Base{std::move(store), std::move(loader), std::move(options)} {}
};

template <class S>
WriteThrough(S, detail::AnyLoader, ...) -> WriteThrough<S, detail::MistakenOptions>;

LARDER_NS_END

#endif  // LARDER_POLICY_WRITE_THROUGH_HPP
