// SPDX-License-Identifier: MIT

/// @file
/// What an eviction policy sees of the entries of a shard.

#ifndef LARDER_DETAIL_MEMORY_LISTED_ENTRIES_HPP
#define LARDER_DETAIL_MEMORY_LISTED_ENTRIES_HPP

#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/entry_slab.hpp>
#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// The entries of a shard for its eviction policy: their neighbours, uses, queues and hashes. Nothing of
/// it depends on the type of key or value, so a policy is compiled once.
class ListedEntries {
public:
    explicit ListedEntries(const EntrySlab& slab) noexcept : slab_{slab} {}

    [[nodiscard]] EntryId newer(EntryId id) const noexcept { return slab_.head(id).newer(); }
    [[nodiscard]] EntryId older(EntryId id) const noexcept { return slab_.head(id).older(); }
    void set_newer(EntryId id, EntryId to) noexcept { slab_.head(id).set_newer(to); }
    void set_older(EntryId id, EntryId to) noexcept { slab_.head(id).set_older(to); }

    [[nodiscard]] unsigned uses(EntryId id) const noexcept { return slab_.head(id).state().uses(); }
    void set_uses(EntryId id, unsigned uses) noexcept {
        EntryHead& head = slab_.head(id);
        head.set(head.state().with_uses(uses));
    }
    [[nodiscard]] unsigned queue(EntryId id) const noexcept {
        return slab_.head(id).state().queue();
    }
    void set_queue(EntryId id, unsigned queue) noexcept {
        EntryHead& head = slab_.head(id);
        head.set(head.state().with_queue(queue));
    }

    [[nodiscard]] std::uint64_t hash(EntryId id) const noexcept { return slab_.hash(id); }

private:
    const EntrySlab& slab_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_LISTED_ENTRIES_HPP
