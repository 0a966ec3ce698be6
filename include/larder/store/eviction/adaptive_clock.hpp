// SPDX-License-Identifier: MIT

/// @file
/// The eviction policy of MemoryStore: two clocks that share the room by what their ghosts tell.

#ifndef LARDER_STORE_EVICTION_ADAPTIVE_CLOCK_HPP
#define LARDER_STORE_EVICTION_ADAPTIVE_CLOCK_HPP

#include <larder/store/eviction/ghosts.hpp>
#include <larder/store/eviction/queue.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

/// Scan resistant, adaptive, and a hit is one counted use.
///
/// New entries pass through a small queue. What was used there goes round once more; what was not
/// leaves a ghost. A key that comes back while its ghost is remembered goes to the main queue, which is
/// a clock, too. So a scan passes through the small queue and leaves the rest alone, and a burst of uses
/// soon after the first does not make an entry a lasting one. The small queue's share of the room grows
/// when a key comes back that a somewhat larger small queue would have kept, and shrinks when one does
/// that a larger main queue would have kept.
///
/// After CAR with its temporal filter (Bansal and Modha, "CAR: Clock with Adaptive Replacement", FAST
/// 2004), with the counted uses of S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are all you
/// need for cache eviction", SOSP 2023). What differs from CAR, and what it is worth in points of the
/// gap from LRU to Belady's optimum, over traces, windows of them and synthetic streams:
///
/// - Only the youngest ghosts, a seventh as many as entries, change the share, by two entries each: they
///   are what a little more room would have kept. Without adaption 8 to 19 points less, and a worst case
///   of -250. A step of one is as good where the load is even, and too slow where it changes.
/// - A ghost of the main queue enters the small one: a loop longer than the room then finds the main
///   queue at rest, and hits it. -0.9 to +1.3 points, but 90 instead of 0 on a loop.
/// - In the main queue two uses count, so what is used often survives two rounds: 0.1 to 1.4 points;
///   more would hinder it where the working set changes.
/// - What was used `most_uses` times in one round of the small queue goes to the main queue at once:
///   little in the mean, 10 points where new keys are the most popular.
/// - Until the first eviction all entries are listed as main: 1 to 4 points from a cold start.
/// - Where for long nothing came back, and nothing in the small queue was used, now and then an entry
///   takes the place of an unused one of the main queue (bimodal insertion; Qureshi and others, "Adaptive
///   insertion policies for high performance caching", ISCA 2007): 20 to 90 points more on loops that
///   begin later, between half a point more and one less elsewhere.
/// - An eviction looks at 64 entries at most. Costs nothing, and bounds the time under the lock.
///
/// Shards of 1,024 entries cost 0.2 points, of 512 0.3, of 128 1.3.
///
/// **Thread safety**: none, the store's lock guards it (`EvictionPolicy` in policy.hpp).
class AdaptiveClock {
public:
    using Id = EvictionQueue::Id;

    static constexpr unsigned most_uses = 6;
    static constexpr bool sees_hits = false;

    /// Lists a new entry.
    template <class Entries>
    void insert(Entries& entries, Id id, std::uint64_t hash) noexcept {
        list(entries, id, !full_ || comes_back(hash) ? Queue::main : Queue::small);
    }

    /// Unlists an entry. It leaves no ghost.
    template <class Entries>
    void remove(Entries& entries, Id id) noexcept {
        (entries.queue(id) == static_cast<unsigned>(Queue::main) ? main_ : small_)
            .remove(entries, id);
    }

    /// Unlists the entry that is to go; 0 if none is listed.
    template <class Entries>
    Id evict(Entries& entries) noexcept {
        full_ = true;
        for (std::size_t seen = 1; size() > 0; ++seen) {
            const bool from_small = main_.size() == 0 || small_.size() > most_small();
            const Id id = from_small ? small_.oldest() : main_.oldest();
            const unsigned uses = entries.uses(id);
            if (uses == 0 || seen == most_seen) {
                return from_small ? evict_small(entries) : evict_main(entries);
            }
            if (from_small) {
                see_life();
                small_.remove(entries, id);
                list(entries, id, uses >= most_uses ? Queue::main : Queue::small);
            } else {
                age_main(entries);
            }
        }
        return 0;
    }

    /// Unlists all, and forgets what has left before.
    void clear() noexcept { *this = {}; }

private:
    enum class Queue : std::uint8_t { small, main };

    static constexpr std::size_t most_seen = 64;
    static constexpr std::uint64_t whole = std::uint64_t{1} << 32;  // a share of all the room
    static constexpr std::uint64_t least_share = whole / 50;

    [[nodiscard]] std::size_t size() const noexcept { return small_.size() + main_.size(); }
    // More than these are too many for the small queue.
    [[nodiscard]] std::size_t most_small() const noexcept {
        return (std::max)(std::size_t{1}, static_cast<std::size_t>(size() * small_share_ / whole));
    }

    template <class Entries>
    void list(Entries& entries, Id id, Queue queue) noexcept {
        entries.set_uses(id, 0);
        entries.set_queue(id, static_cast<unsigned>(queue));
        (queue == Queue::main ? main_ : small_).push(entries, id);
    }

    // Whether the key is one for the main queue. Its ghost tells which queue should have been larger.
    bool comes_back(std::uint64_t hash) noexcept {
        const GhostTable::Kind kind = ghosts_.recall(hash);
        const std::uint64_t step = 2 * whole / (std::max)(size(), std::size_t{1});
        switch (kind) {
            case GhostTable::Kind::none: return false;
            case GhostTable::Kind::main:
                small_share_ = (std::max)(small_share_, least_share + step) - step;
                return false;
            case GhostTable::Kind::small_young:
                small_share_ = (std::min)(small_share_ + step, whole - least_share);
                break;
            case GhostTable::Kind::small_old: break;
        }
        see_life();
        return true;
    }

    // The main queue's oldest entry goes round once more, with a use less.
    template <class Entries>
    void age_main(Entries& entries) noexcept {
        const Id id = main_.oldest();
        main_.remove(entries, id);
        entries.set_uses(id, (std::min)(entries.uses(id), 2U) - 1);
        main_.push(entries, id);
    }
    template <class Entries>
    Id evict_main(Entries& entries) noexcept {
        const Id id = main_.oldest();
        main_.remove(entries, id);
        ghosts_.add(entries.hash(id), GhostTable::Kind::main, size());
        return id;
    }
    template <class Entries>
    Id evict_small(Entries& entries) noexcept {
        const Id id = small_.oldest();
        small_.remove(entries, id);
        if (is_time_to_try()) {
            if (entries.uses(main_.oldest()) == 0) {
                const Id unused = evict_main(entries);
                list(entries, id, Queue::main);
                return unused;
            }
            age_main(entries);
        }
        ghosts_.add(entries.hash(id), GhostTable::Kind::small_young, size());
        return id;
    }

    // In the small queue something was used, or came back to it.
    void see_life() noexcept { idle_ -= (std::min)(idle_, std::uint64_t{256}); }
    // An entry leaves the small queue unused: whether it is to try its luck in the main queue. The longer
    // nothing else happens, the rarer: so the main queue rests longer than whatever loop takes to come round.
    bool is_time_to_try() noexcept {
        ++evicted_;
        idle_ = (std::min)(idle_ + 1, std::uint64_t{32} * size());
        return idle_ > 2 * size() && evicted_ % (16 + 4 * idle_ / size()) == 0 && main_.size() > 0;
    }

    EvictionQueue small_{};
    EvictionQueue main_{};
    GhostTable ghosts_{};
    std::uint64_t small_share_ = whole / 10;
    std::uint64_t evicted_ = 0;  // from the small queue
    std::uint64_t idle_ = 0;     // evictions of those, less where there was life
    bool full_ = false;          // something was evicted
};

LARDER_NS_END

#endif  // LARDER_STORE_EVICTION_ADAPTIVE_CLOCK_HPP
