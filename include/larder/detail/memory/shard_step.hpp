// SPDX-License-Identifier: MIT

/// @file
/// One step of a slot of a MemoryStore.

#ifndef LARDER_DETAIL_MEMORY_SHARD_STEP_HPP
#define LARDER_DETAIL_MEMORY_SHARD_STEP_HPP

#include <larder/detail/memory/key_probe.hpp>
#include <larder/detail/memory/sequence_lock.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/version.hpp>

#include <mutex>

LARDER_NS_BEGIN

namespace detail {

/// The slot's state and its entry change together, under the lock of the key's shard. The entry shows what
/// its slot says once the step ends, however it does.
///
/// @tparam Shards  what it is a step of
template <class Shards>
class ShardStep {
    using Key = typename Shards::Key;
    using Shard = typename Shards::Shard;
    using Found = typename Shards::Found;
    using Handle = typename Shards::Handle;
    using Create = typename Shards::Create;
    using Instant = typename Shards::Instant;

public:
    ShardStep(Shards& shards, const Key& key, Create create)
        : ShardStep{shards, Shards::probe(key), create, shards.now()} {}
    ShardStep(const ShardStep&) = delete;
    ShardStep& operator=(const ShardStep&) = delete;
    [[gnu::noinline]] ~ShardStep() { shard_.set_refreshing(found_, slot_->refreshing()); }

    [[nodiscard]] Shard& shard() noexcept { return shard_; }
    /// The entry; who removes it says so in here.
    [[nodiscard]] Found& found() noexcept { return found_; }
    /// The slot, as long as the step lasts.
    [[nodiscard]] Handle& slot() noexcept { return slot_; }
    SlotState* operator->() noexcept { return slot_.operator->(); }

private:
    [[gnu::noinline]] ShardStep(Shards& shards, const KeyProbe<Key>& at, Create create, Instant now)
        : shard_{shards.of(at.hash)},
          lock_{shard_.lock},
          found_{shard_.find(at, now, shards.micros(now))},
          slot_{shard_.slots, at.key, found_.held, now, create} {}

    Shard& shard_;
    std::scoped_lock<SequenceLock> lock_;
    Found found_;
    Handle slot_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SHARD_STEP_HPP
