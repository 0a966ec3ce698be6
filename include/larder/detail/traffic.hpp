// SPDX-License-Identifier: MIT

/// @file
/// What one policy has under way on its keys outside of the store's slots.

#ifndef LARDER_DETAIL_TRAFFIC_HPP
#define LARDER_DETAIL_TRAFFIC_HPP

#include <larder/detail/flight.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>

LARDER_NS_BEGIN

namespace detail {

/// Loads that have not begun, loads without a lease, refreshes on their way, keys that rest after a
/// failure. A key without any of these takes no room.
///
/// Thread safety: all members may run concurrently.
template <class K, class V>
class Traffic {
public:
    using Plane = std::shared_ptr<Flight<V>>;
    using Instant = std::chrono::steady_clock::time_point;

    /// A seat on a flight that begins after the call that got it.
    struct Seat {
        Plane flight{};

        /// The caller carries the flight out.
        bool pilot = false;

        /// A pilot's: waits for this one to land first, if any.
        Plane after{};
    };

    /// A seat on a load without lease. At most one a key is in the air; those who come meanwhile
    /// share the next, since a load that began before them may miss what they must see.
    Seat board(const K& key) {
        const Entry entry{*this, key};
        Lane& lane = entry.lane();
        if (lane.boarding) {
            return {lane.boarding, false, {}};
        }
        auto flight = std::make_shared<Flight<V>>();
        if (lane.flying) {
            lane.boarding = flight;
            return {flight, true, lane.flying};
        }
        lane.flying = flight;
        return {flight, true, {}};
    }

    /// The pilot's flight begins: nobody boards any more.
    void take_off(const K& key, const Plane& flight) {
        const Entry entry{*this, key};
        if (entry.lane().boarding == flight) {
            entry.lane().boarding.reset();
            entry.lane().flying = flight;
        }
    }

    /// The pilot's flight has ended, or will not begin.
    void landed(const K& key, const Plane& flight) {
        const Entry entry{*this, key};
        Lane& lane = entry.lane();
        if (lane.flying == flight) {
            lane.flying.reset();
        }
        if (lane.boarding == flight) {
            lane.boarding.reset();
        }
    }

    /// A seat on the read of this key that waits in the executor's queue.
    Seat queue(const K& key) {
        const Entry entry{*this, key};
        Lane& lane = entry.lane();
        if (lane.queued) {
            return {lane.queued, false, {}};
        }
        lane.queued = std::make_shared<Flight<V>>();
        return {lane.queued, true, {}};
    }

    /// The queued read begins, or never will: the next one to come queues another.
    void dequeued(const K& key, const Plane& flight) {
        const Entry entry{*this, key};
        if (entry.lane().queued == flight) {
            entry.lane().queued.reset();
        }
    }

    /// A seat on the watch over a load elsewhere: the pilot asks the store, and lands the flight when
    /// `lease` is gone.
    Seat watch(const K& key, std::uint64_t lease) {
        const Entry entry{*this, key};
        Lane& lane = entry.lane();
        if (lane.watch && lane.watched == lease) {
            return {lane.watch, false, {}};
        }
        lane.watch = std::make_shared<Flight<V>>();
        lane.watched = lease;
        return {lane.watch, true, {}};
    }

    /// The pilot of a watch has learnt, or will not.
    void unwatch(const K& key, const Plane& flight) {
        const Entry entry{*this, key};
        if (entry.lane().watch == flight) {
            entry.lane().watch.reset();
        }
    }

    /// Claims the background refresh of a key; false if one is on its way or the key rests.
    bool begin_refresh(const K& key, Instant now) {
        const Entry entry{*this, key};
        Lane& lane = entry.lane();
        if (lane.refreshing || lane.rests_until > now) {
            return false;
        }
        lane.refreshing = true;
        return true;
    }

    void end_refresh(const K& key) {
        const Entry entry{*this, key};
        entry.lane().refreshing = false;
    }

    /// No load is tried for a key that has a stale copy, and no refresh, before `until`.
    void rest(const K& key, Instant until, Instant now) {
        const Entry entry{*this, key};
        if (entry.lane().rests_until == Instant{}) {
            resting_.fetch_add(1, std::memory_order_relaxed);
        }
        entry.lane().rests_until = until;
        entry.forget_rested(now);
    }

    [[nodiscard]] bool rests(const K& key, Instant now) {
        if (resting_.load(std::memory_order_relaxed) == 0) {
            return false;
        }
        const Entry entry{*this, key};
        return entry.lane().rests_until > now;
    }

    /// The key was loaded or written: it need not rest.
    void wake(const K& key) {
        if (resting_.load(std::memory_order_relaxed) == 0) {
            return;
        }
        const Entry entry{*this, key};
        entry.wake();
    }

private:
    struct Lane {
        Plane boarding{};
        Plane flying{};
        Plane queued{};
        Plane watch{};
        std::uint64_t watched = 0;
        bool refreshing = false;
        Instant rests_until{};

        [[nodiscard]] bool idle() const noexcept {
            return !boarding && !flying && !queued && !watch && !refreshing &&
                   rests_until == Instant{};
        }
    };

    struct Shard {
        std::mutex mutex{};
        std::unordered_map<K, Lane, Hash<K>, std::equal_to<>> lanes{};
        std::size_t tidy_at = 64;
    };

    // A key's lane under its lock; the lane goes with it when nothing is left there.
    class Entry {
    public:
        Entry(Traffic& traffic, const K& key)
            : traffic_{traffic},
              shard_{traffic.shards_[Hash<K>{}(key) % shard_count]},
              lock_{shard_.mutex},
              at_{shard_.lanes.try_emplace(key).first} {}
        ~Entry() {
            if (at_->second.idle()) {
                shard_.lanes.erase(at_);
            }
        }
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;

        [[nodiscard]] Lane& lane() const noexcept { return at_->second; }

        void wake() const { wake(at_->second); }

        // Keys that have rested and are not asked for again would pile up.
        void forget_rested(Instant now) const {
            if (shard_.lanes.size() < shard_.tidy_at) {
                return;
            }
            for (auto it = shard_.lanes.begin(); it != shard_.lanes.end();) {
                if (it->second.rests_until <= now) {
                    wake(it->second);
                }
                it = it != at_ && it->second.idle() ? shard_.lanes.erase(it) : std::next(it);
            }
            shard_.tidy_at = 64 + 2 * shard_.lanes.size();
        }

    private:
        void wake(Lane& lane) const {
            if (lane.rests_until != Instant{}) {
                lane.rests_until = Instant{};
                traffic_.resting_.fetch_sub(1, std::memory_order_relaxed);
            }
        }

        Traffic& traffic_;
        Shard& shard_;
        std::unique_lock<std::mutex> lock_;
        typename std::unordered_map<K, Lane, Hash<K>, std::equal_to<>>::iterator at_;
    };

    static constexpr std::size_t shard_count = 16;
    std::array<Shard, shard_count> shards_{};
    std::atomic<std::size_t> resting_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_TRAFFIC_HPP
