// SPDX-License-Identifier: MIT

/// @file
/// What decides which entry of a MemoryStore goes when there is no room.

#ifndef LARDER_STORE_EVICTION_POLICY_HPP
#define LARDER_STORE_EVICTION_POLICY_HPP

#include <larder/version.hpp>

#include <concepts>
#include <cstdint>

LARDER_NS_BEGIN

/// What a policy sees of a store's entries. An entry has a number, its id, from its insertion to its
/// removal; 0 is none. The neighbours and the queue's number (0 to 3) are the policy's own: the store
/// only has room for them. A use is counted by the store.
///
/// Nothing throws. `hash`, of the entry's key, may be a cache miss: ask sparingly.
template <class E>
concept EvictionEntries = requires(E& entries, std::uint32_t id, unsigned n) {
    { entries.newer(id) } noexcept -> std::convertible_to<std::uint32_t>;
    { entries.older(id) } noexcept -> std::convertible_to<std::uint32_t>;
    { entries.set_newer(id, id) } noexcept;
    { entries.set_older(id, id) } noexcept;
    { entries.uses(id) } noexcept -> std::convertible_to<unsigned>;
    { entries.set_uses(id, n) } noexcept;
    { entries.queue(id) } noexcept -> std::convertible_to<unsigned>;
    { entries.set_queue(id, n) } noexcept;
    { entries.hash(id) } noexcept -> std::convertible_to<std::uint64_t>;
};

namespace detail {

// Stands for the entries of any store: a policy's members take them as a template parameter.
struct AnyEntries {
    [[nodiscard]] std::uint32_t newer(std::uint32_t id) const noexcept;
    [[nodiscard]] std::uint32_t older(std::uint32_t id) const noexcept;
    void set_newer(std::uint32_t id, std::uint32_t newer) noexcept;
    void set_older(std::uint32_t id, std::uint32_t older) noexcept;
    [[nodiscard]] unsigned uses(std::uint32_t id) const noexcept;
    void set_uses(std::uint32_t id, unsigned uses) noexcept;
    [[nodiscard]] unsigned queue(std::uint32_t id) const noexcept;
    void set_queue(std::uint32_t id, unsigned queue) noexcept;
    [[nodiscard]] std::uint64_t hash(std::uint32_t id) const noexcept;
};

}  // namespace detail

/// An eviction policy. A store has one for each of its shards, and calls it under the shard's lock;
/// hits take none, so a policy learns of them in one of two ways:
///
/// - `most_uses` from 1 to 7, `sees_hits` false: a hit adds one to the entry's uses, up to so many.
///   That is all it does, and `hit` is never called.
/// - `sees_hits` true: `hit(entries, id)` is called at each hit, under the lock. Exact, and slow.
///
/// The store calls
///
/// - `insert(entries, id, hash)` for a new entry, whose uses are 0,
/// - `remove(entries, id)` for one that leaves for another reason than lack of room,
/// - `evict(entries)`, which unlists the entry that is to go and returns its id; 0 if none is listed.
///   The store asks it before it inserts what needs the room,
/// - `clear()` when all entries leave at once.
///
/// None of them throws. How large the shard may become is not known to a policy, only what is listed.
template <class P>
concept EvictionPolicy =
    std::default_initializable<P> && std::movable<P> &&
    requires(P& policy, detail::AnyEntries& entries, std::uint32_t id, std::uint64_t hash) {
        requires P::most_uses >= 0 && P::most_uses <= 7;
        { policy.insert(entries, id, hash) } noexcept;
        { policy.remove(entries, id) } noexcept;
        { policy.evict(entries) } noexcept -> std::same_as<std::uint32_t>;
        { policy.clear() } noexcept;
        requires !P::sees_hits || requires {
            { policy.hit(entries, id) } noexcept;
        };
    };

LARDER_NS_END

#endif  // LARDER_STORE_EVICTION_POLICY_HPP
