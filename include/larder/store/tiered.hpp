// SPDX-License-Identifier: MIT

/// @file
/// TieredStore: near copies in this process, in front of a store that processes share.

#ifndef LARDER_STORE_TIERED_HPP
#define LARDER_STORE_TIERED_HPP

#include <larder/detail/near/requires_tiers.hpp>
#include <larder/detail/near/tiered_copies.hpp>
#include <larder/fwd.hpp>
#include <larder/store/tiered_options.hpp>
#include <larder/version.hpp>

#include <memory>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

/// Copies in this process in front of a store that processes share, kept honest by what that one tells: a
/// hit costs what one of a MemoryStore does, and asks no server.
///
/// ```cpp
/// larder::TieredStore store{larder::MemoryStore<int, Product>{{.capacity = 10'000}},
///                           larder::RedisStore<int, Product>{redis, "product"}, {.ttl = 30s}};
/// larder::CacheAside products{store, ProductTable{db}, {.ttl = 1h}};
/// ```
///
/// Near holds copies of hits of the far store, and nothing else. The far store decides in all things:
/// leases, tickets, tags and journals are its own. What happens to a key is told, and drops its near copy; a
/// write or an invalidation through this store drops it before it returns. While nobody knows whether all
/// was told, near copies are not served. `Read{.from = From::far}` asks the far store.
///
/// A cheap handle: copies share everything. The near store is this store's own: nobody else may use it.
///
/// Thread safety: all members may run concurrently; operations on one key are atomic. Writes and reads
/// `From::far` are linearizable across processes where those of the far store are; a near copy may be as old
/// as what is told takes to arrive, and `ttl` and `silence` at most.
/// @throws what the far store throws
///
/// @tparam Near  a MemoryStore
/// @tparam Far   a CoherentStore that tells what has changed: a RedisStore
template <class Near, class Far>
class TieredStore : detail::RequiresTiers<Near, Far>, public detail::TieredCopiesOf<Near, Far> {
    using Base = detail::TieredCopiesOf<Near, Far>;

public:
    /// Near copies in `near`, which is empty and nobody else's, of what is in `far`.
    ///
    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    TieredStore(Near near, Far far, TieredStoreOptions options = {})
        : Base{std::move(near), std::move(far), options} {}
};

LARDER_NS_END

#endif  // LARDER_STORE_TIERED_HPP
