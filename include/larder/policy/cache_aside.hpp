// SPDX-License-Identifier: MIT

/// @file
/// CacheAside: load on demand, drop on write.

#ifndef LARDER_POLICY_CACHE_ASIDE_HPP
#define LARDER_POLICY_CACHE_ASIDE_HPP

#include <larder/detail/policy_base.hpp>
#include <larder/detail/user/diagnostics.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <utility>

LARDER_NS_BEGIN

/// Reads through the store; a write goes to the database, then drops the copy.
///
/// ```cpp
/// larder::CacheAside products{store, ProductTable{db}, {.ttl = 1h}};
/// auto product = products.get(42);  // loads once, then hits
/// products.put(42, changed);        // the database first, then the copy goes
/// ```
///
/// | Verb                 | Database        | Copy                                              |
/// |----------------------|-----------------|---------------------------------------------------|
/// | `get`, `fetch`       | one load a miss | kept for `ttl`; a known absence for `negative_ttl` |
/// | `put`, `remove`      | written first   | dropped                                           |
/// | `writing` … `commit` | your own        | dropped                                           |
/// | `invalidate`         | untouched       | dropped                                           |
/// | `refresh`            | one load, new   | replaced                                          |
///
/// Staleness: none for what is written through larder, `ttl` for what is not and is not invalidated.
/// Loss: none; the database decides before `put` returns.
///
/// Thread safety: all verbs may run concurrently; see the verbs' own pages.
///
/// @tparam S  where copies live: a Store, or a std::reference_wrapper of one
/// @tparam L  where the truth lives: a loader, a repository, or a std::reference_wrapper of one
template <class S, class L>
class CacheAside : detail::RequiresStore<S>,
                   detail::RequiresLoader<L, S>,
                   public detail::PolicyBaseOf<S, L, detail::AfterWrite::drop> {
    using Base = detail::PolicyBaseOf<S, L, detail::AfterWrite::drop>;

public:
    /// A policy over this store and this loader, which it keeps.
    ///
    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    CacheAside(S store, L loader, Options options = {})
        : Base{std::move(store), std::move(loader), std::move(options)} {}
};

template <class S>
CacheAside(S, detail::AnyLoader, ...) -> CacheAside<S, detail::MistakenOptions>;

LARDER_NS_END

#endif  // LARDER_POLICY_CACHE_ASIDE_HPP
