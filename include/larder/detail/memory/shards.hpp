// SPDX-License-Identifier: MIT

/// @file
/// What the handles of one MemoryStore share.

#ifndef LARDER_DETAIL_MEMORY_SHARDS_HPP
#define LARDER_DETAIL_MEMORY_SHARDS_HPP

#include <larder/detail/memory/hashed_key.hpp>
#include <larder/detail/memory/room.hpp>
#include <larder/detail/memory/shard.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/detail/memory/tag_versions.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/store/memory_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The shards, and what they share: their room, the clock, the tags.
///
/// Lock order: one shard at a time, and no other lock meanwhile but that of the tags.
///
/// Thread safety: all members may run concurrently; a shard only under its lock.
template <class K, class V, class C, class KeyHash, class KeyEqual>
class Shards {
public:
    using Shard = detail::Shard<K, V, KeyHash, KeyEqual>;
    using Instant = typename Shard::Instant;
    using Gone = typename Shard::Gone;
    using Found = typename Shard::Found;
    using Handle = typename Shard::Slots::Handle;
    using Create = typename Shard::Slots::Create;

    /// @throws std::invalid_argument  naming the option that makes no sense, and its value
    Shards(MemoryStoreOptions<K, V> options, C clock_given)
        : clock{std::move(clock_given)},
          options_{std::move(options)},
          room_{capacity(options_), options_.max_weight},
          shards_(count(options_, room_.capacity())),
          mask_{shards_.size() - 1} {}

    template <class Q>
    [[nodiscard]] static KeyProbe<Q> probe(const Q& key) {
        return {key, KeyHash{}(key)};
    }
    /// The high bits choose the shard: its table takes the low ones.
    [[nodiscard]] Shard& of(std::size_t hash) noexcept {
        return shards_[(hash >> (sizeof(std::size_t) * 4)) & mask_];
    }
    [[nodiscard]] Instant now() const { return clock.now(); }
    [[nodiscard]] std::uint64_t next_id() noexcept {
        return ids_.fetch_add(1, std::memory_order_relaxed) + 1;
    }
    /// Where what leaves goes to.
    [[nodiscard]] Gone removals() noexcept { return Gone{options_, room_}; }
    [[nodiscard]] const Room& room() const noexcept { return room_; }

    /// Calls `step(shard)` for one shard after the other, under its lock.
    template <class Step>
    void each(Step&& step) {
        for (Shard& shard : shards_) {
            const std::scoped_lock lock{shard.mutex};
            step(shard);
        }
    }

    /// Erases an entry, and the slot that somebody has in hand; true if there was a copy.
    template <class Q>
    bool erase(const Q& key) {
        Gone gone = removals();
        const KeyProbe<Q> at = probe(key);
        Shard& shard = of(at.hash);
        const std::scoped_lock lock{shard.mutex};
        Found found = shard.find(at, now());
        const bool had = found.held != Held::nothing;
        if (!shard.slots.empty()) {
            const K& whole = found.there ? found.at->first.key : K(key);
            Handle slot{shard.slots, whole, found.held, found.now, Create::no};
            slot->erase();
        }
        shard.remove(found, had ? RemovalCause::erased : RemovalCause::expired, gone);
        return had;
    }

    /// Erases every entry, and every slot that somebody has in hand.
    void clear() {
        for (Shard& shard : shards_) {
            auto gone = [&] {
                const std::scoped_lock lock{shard.mutex};
                shard.slots.each([](SlotState& state) { state.erase(); });
                return shard.clear(room_);
            }();
            for (const auto& [key, entry] : gone) {
                report_removal(options_, key.key, entry.value, RemovalCause::cleared);
            }
        }
    }

    /// One step of a slot, under its lock: `step(shard, slot, found)`, whose answer it gives.
    template <class Step>
    decltype(auto) with_slot(const K& key, Create create, Step&& step) {
        const KeyProbe<K> at = probe(key);
        Shard& shard = of(at.hash);
        const Instant time = now();
        const std::scoped_lock lock{shard.mutex};
        Found found = shard.find(at, time);
        Handle slot{shard.slots, key, found.held, time, create};
        // The entry shows what its slot says, whatever the step does.
        struct Mirror {
            const Found& found;
            Handle& slot;
            ~Mirror() {
                if (found.there) {
                    found.at->second.refreshing = slot->refreshing();
                }
            }
        } const mirror{found, slot};
        return step(shard, slot, found);
    }

    /// Ends a write whose slot cannot be found, with nothing.
    void give_back(const Ticket& ticket) noexcept {
        each([&](Shard& shard) { shard.slots.give_back(ticket); });
    }

    /// The one way a value gets in; true if it did.
    ///
    /// @param stores      says whether the step would store it, if it is fit to be kept: nothing makes
    ///                    room for a value that is thrown away
    /// @param step        takes the step
    /// @param tags_stand  if not null, is told whether the tags do
    /// @throws anything  before the step was taken
    template <class Stores, class Step>
    bool change(const K& key, std::optional<V> value, const Lifetime& life,
                std::unique_ptr<TagMarks> marks, Stores&& stores, Step&& step,
                bool* tags_stand = nullptr) {
        const KeyProbe<K> at = probe(key);
        Shard& shard = of(at.hash);
        const std::size_t weight = weigh(key, value);
        Offer<V> offer{std::move(value),
                       cut(life),
                       std::move(marks),
                       weight,
                       life.fresh > Ttl::zero() && equals_itself<KeyEqual>(key),
                       room_.never_fits(weight)};
        for (;;) {
            const std::optional<bool> stored = attempt(shard, at, offer, stores, step, tags_stand);
            if (stored) {
                return *stored;
            }
            evict_elsewhere(shard);
        }
    }

    const C clock;
    TagVersions<> tags{};

private:
    // Nothing if there is no room, in which case no step was taken. What may throw comes before the
    // step.
    template <class Stores, class Step>
    std::optional<bool> attempt(Shard& shard, const KeyProbe<K>& at, Offer<V>& offer,
                                Stores& stores, Step& step, bool* tags_stand) {
        Gone gone = removals();
        const std::scoped_lock lock{shard.mutex};
        Found found = shard.find(at, now());
        Handle slot{shard.slots, at.key, found.held, found.now, Create::no};
        const bool stand = !offer.marks || offer.marks->stand();
        if (tags_stand != nullptr) {
            *tags_stand = stand;
        }
        if (!stand || !offer.keepable || offer.never_fits || !stores(std::as_const(slot.state()))) {
            if (step(slot.state()) != Effect::keep) {
                shard.counts.oversized += offer.never_fits ? 1U : 0U;
                shard.remove(found, Shard::why(found, RemovalCause::erased), gone);
            }
            return false;
        }
        if (!shard.place(found, at, offer, gone)) {
            return {};
        }
        step(slot.state());
        shard.sweep(found.now, gone);
        return true;
    }

    // Makes room in some other shard, when the one that needs it has nothing to give.
    void evict_elsewhere(const Shard& full) {
        for (Shard& shard : shards_) {
            if (&shard != &full) {
                Gone gone = removals();
                const std::scoped_lock lock{shard.mutex};
                if (shard.evict_one(now(), gone)) {
                    return;
                }
            }
        }
        std::this_thread::yield();  // all room is taken by entries about to be stored
    }

    [[nodiscard]] std::size_t weigh(const K& key, const std::optional<V>& value) const {
        if (!options_.weigh) {
            return 0;
        }
        return value ? (std::max)(options_.weigh(key, *value), std::size_t{1}) : std::size_t{1};
    }

    static std::size_t capacity(const MemoryStoreOptions<K, V>& options) {
        if (options.capacity == std::size_t{0}) {
            throw std::invalid_argument{
                "larder: MemoryStoreOptions::capacity must be positive, but is 0"};
        }
        if ((options.max_weight != 0) != static_cast<bool>(options.weigh)) {
            throw std::invalid_argument{
                options.weigh
                    ? "larder: MemoryStoreOptions::max_weight must be positive where weigh is set, but is 0"
                    : "larder: MemoryStoreOptions::weigh must be set where max_weight is, which is " +
                          std::to_string(options.max_weight)};
        }
        return options.capacity.value_or(options.max_weight != 0 ? static_cast<std::size_t>(-1)
                                                                 : std::size_t{100'000});
    }
    // A shard that is tiny evicts badly, and more shards than threads can use are a waste.
    static std::size_t count(const MemoryStoreOptions<K, V>& options, std::size_t entries) {
        constexpr std::size_t most = 1024;
        if (options.shards > most) {
            throw std::invalid_argument{
                "larder: MemoryStoreOptions::shards must be at most 1024, but is " +
                std::to_string(options.shards)};
        }
        if (options.shards != 0) {
            return std::bit_ceil(options.shards);
        }
        const std::size_t threads = (std::max)(std::thread::hardware_concurrency(), 1U);
        return std::bit_floor(
            std::clamp<std::size_t>(entries / 1024, 1, (std::min)(8 * threads, most)));
    }

    const MemoryStoreOptions<K, V> options_;
    Room room_;
    std::vector<Shard> shards_;
    std::size_t mask_;
    std::atomic<std::uint64_t> ids_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SHARDS_HPP
