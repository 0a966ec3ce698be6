// SPDX-License-Identifier: MIT

/// @file
/// What one policy has under way on its keys outside of the store's slots.

#ifndef LARDER_DETAIL_FLIGHT_SINGLE_FLIGHT_HPP
#define LARDER_DETAIL_FLIGHT_SINGLE_FLIGHT_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/queued_load.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <type_traits>
#include <unordered_map>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Loads that have not begun, loads without a lease, watches over loads elsewhere, refreshes on their
/// way, keys that rest after a failure. A key without any of these takes no room.
///
/// What is over counts as gone, so that nothing here has to be told of an end: who tells only makes
/// room sooner.
///
/// Thread safety: all members may run concurrently.
template <class K, class V>
class SingleFlight {
public:
    using Load = std::shared_ptr<Flight<V>>;
    using Queued = std::shared_ptr<QueuedLoad<V>>;
    using Watch = std::shared_ptr<InFlight<RemoteEnd>>;
    using Instant = std::chrono::steady_clock::time_point;

    /// A place on a load without lease, which begins after the call that got it. The key must outlive it.
    class Share {
    public:
        Share(Share&&) noexcept = default;
        Share& operator=(Share&&) = delete;
        ~Share() { leave(); }

        /// It is the caller's to carry out.
        [[nodiscard]] bool leads() const noexcept { return static_cast<bool>(lead_); }

        /// What the others wait for.
        [[nodiscard]] const Load& load() const noexcept { return load_; }

        /// The leader's: it waits for this one first, if any.
        [[nodiscard]] const Load& after() const noexcept { return after_; }

        /// The leader's load begins: nobody joins any more.
        void begin() {
            const Entry entry{*all_, *key_};
            if (Lane* const lane = entry.lane(); lane != nullptr && lane->next == load_) {
                lane->next.reset();
                lane->current = load_;
            }
        }
        /// It has ended. Only those who joined still hold it.
        void complete(const Fetched<V>& fetched) noexcept {
            leave();
            if (load_.use_count() > 2) {  // ours, and our duty's
                try {
                    lead_.complete(Fetched<V>{fetched});
                } catch (...) {
                    lead_.fail(std::current_exception());  // a copy that throws
                }
            }
        }
        void fail(std::exception_ptr why) noexcept {
            leave();
            lead_.fail(std::move(why));
        }

    private:
        friend class SingleFlight;

        Share(SingleFlight& all, const K& key) noexcept : all_{&all}, key_{&key} {}

        void leave() noexcept {
            if (lead_) {
                all_->find(*key_, [&](Lane& lane) {
                    for (Load* const place : {&lane.current, &lane.next}) {
                        if (*place == load_) {
                            place->reset();
                        }
                    }
                });
            }
        }

        SingleFlight* all_;
        const K* key_;
        Load load_{};
        Load after_{};
        Lead<Fetched<V>> lead_{};
    };

    /// A place on a load without lease. At most one a key runs; those who come meanwhile share the
    /// next, since a load that began before them may miss what they must see. Rule S10.
    Share join(const K& key) {
        auto made = std::make_shared<Flight<V>>();
        Lead<Fetched<V>> lead{made};
        Share share{*this, key};
        const Entry entry{*this, key, make};
        Lane& lane = *entry.lane();
        if (lane.next && !lane.next->over()) {
            share.load_ = lane.next;
            return share;
        }
        const bool busy = lane.current && !lane.current->over();
        share.after_ = busy ? lane.current : nullptr;
        (busy ? lane.next : lane.current) = made;
        share.load_ = std::move(made);
        share.lead_ = std::move(lead);
        return share;
    }

    /// The same where nobody has to be waited for; without a lead: somebody has.
    Share join_idle(const K& key) {
        auto made = std::make_shared<Flight<V>>();
        Lead<Fetched<V>> lead{made};
        Share share{*this, key};
        const Entry entry{*this, key, make};
        Lane& lane = *entry.lane();
        const bool busy =
            (lane.next && !lane.next->over()) || (lane.current && !lane.current->over());
        if (!busy) {
            lane.current = made;
            share.load_ = std::move(made);
            share.lead_ = std::move(lead);
        }
        return share;
    }

    /// The read of this key that waits for the executor, with a wish for it; `fresh()` makes one where
    /// there is none.
    ///
    /// @return the load, and whether it is the one just made
    template <class Fresh>
    std::pair<Wish<V>, bool> queue(const K& key, Fresh&& fresh) {
        Queued made = fresh();
        Queued there;  // destroyed without the lock
        const Entry entry{*this, key, make};
        Lane& lane = *entry.lane();
        there = lane.queued.lock();
        if (there && !there->begun()) {
            return {Wish<V>{std::move(there)}, false};
        }
        lane.queued = made;
        return {Wish<V>{std::move(made)}, true};
    }
    /// Nobody comes to it any more.
    ///
    /// @return false if nobody wishes for it: it need not be carried out
    [[nodiscard]] bool dequeue(const K& key, const QueuedLoad<V>& load) {
        Queued there;
        const Entry entry{*this, key};
        if (Lane* const lane = entry.lane(); lane != nullptr) {
            there = lane->queued.lock();
            if (there.get() == &load) {
                lane->queued.reset();
            }
        }
        return load.wished();
    }

    /// A watch over a load elsewhere: whoever leads asks the store, until `lease` is gone.
    std::pair<Watch, Lead<RemoteEnd>> watch(const K& key, std::uint64_t lease) {
        auto made = std::make_shared<InFlight<RemoteEnd>>();
        Lead<RemoteEnd> lead{made};
        const Entry entry{*this, key, make};
        Lane& lane = *entry.lane();
        if (lane.watch && lane.watched == lease && !lane.watch->over()) {
            return {lane.watch, Lead<RemoteEnd>{}};
        }
        lane.watch = made;
        lane.watched = lease;
        return {std::move(made), std::move(lead)};
    }
    /// A watch has learnt, or will not.
    void unwatch(const K& key, const Watch& watch) noexcept {
        find(key, [&](Lane& lane) {
            if (lane.watch == watch) {
                lane.watch.reset();
            }
        });
    }

    /// A place among the background refreshes. A key whose refresh never began rests, as after a
    /// failure.
    class Refresh {
    public:
        Refresh(SingleFlight& all, const K& key, Instant rests_until, Instant now)
            : all_{all},
              key_{key},
              rests_until_{rests_until},
              now_{now},
              others_{all.refreshing_.fetch_add(1)} {}
        Refresh(const Refresh&) = delete;
        Refresh& operator=(const Refresh&) = delete;
        ~Refresh() {
            all_.refreshing_.fetch_sub(1);
            if (!begun_) {
                all_.rest(key_, rests_until_, now_);
            }
        }

        /// The key need not rest.
        void begin() noexcept { begun_ = true; }

    private:
        friend class SingleFlight;

        SingleFlight& all_;
        const K key_;
        const Instant rests_until_;
        const Instant now_;
        const std::size_t others_;
        bool begun_ = false;
    };

    /// Null if a refresh of the key is on its way, if the key rests, or if `most` others are under way.
    std::shared_ptr<Refresh> begin_refresh(const K& key, std::size_t most, Instant now,
                                           Instant rests_until) {
        if (backs_off(key, now)) {
            return nullptr;
        }
        const auto place = std::make_shared<Refresh>(*this, key, rests_until, now);
        if (place->others_ < most) {
            const Entry entry{*this, key, make};
            Lane& lane = *entry.lane();
            if (lane.refresh.expired()) {
                lane.refresh = place;
                return place;
            }
        }
        place->begin();
        return nullptr;
    }
    /// Makes room sooner than the next touch of the key would.
    void tidy(const K& key) noexcept {
        find(key, [](Lane&) {});
    }

    /// No load is tried for a key that has a stale copy, and no refresh, before `until`.
    void rest(const K& key, Instant until, Instant now) noexcept {
        if (process_ != forks()) {
            return;
        }
        try {
            const Entry entry{*this, key, make};
            Lane& lane = *entry.lane();
            if (lane.rests_until == Instant{}) {
                resting_.fetch_add(1, std::memory_order_relaxed);
            }
            lane.rests_until = until;
            entry.forget_rested(now);
        } catch (...) {
            // Then it is tried again sooner.
        }
    }

    [[nodiscard]] bool backs_off(const K& key, Instant now) {
        if (resting_.load(std::memory_order_relaxed) == 0) {
            return false;
        }
        const Entry entry{*this, key};
        return entry.lane() != nullptr && entry.lane()->rests_until > now;
    }

    /// The key was loaded or written: it need not rest.
    void wake(const K& key) noexcept {
        if (resting_.load(std::memory_order_relaxed) != 0) {
            find(key, [this](Lane& lane) { wake(lane); });
        }
    }

    /// Keys with anything under way: for tests.
    [[nodiscard]] std::size_t busy() {
        std::size_t all = 0;
        for (Shard& shard : shards_) {
            const std::scoped_lock lock{shard.mutex};
            for (const auto& [key, lane] : shard.lanes) {
                all += lane.busy() ? 1U : 0U;
            }
        }
        return all;
    }

    /// Keys that take room: for tests.
    [[nodiscard]] std::size_t size() {
        std::size_t all = 0;
        for (Shard& shard : shards_) {
            const std::scoped_lock lock{shard.mutex};
            all += shard.lanes.size();
        }
        return all;
    }

    /// Refreshes that are under way, or on their way.
    [[nodiscard]] std::size_t refreshing() const noexcept { return refreshing_.load(); }

private:
    enum Make : bool { make = true };

    struct Lane {
        Load next{};
        Load current{};
        std::weak_ptr<QueuedLoad<V>> queued{};  // whoever is to carry it out, or waits, holds it
        Watch watch{};
        std::uint64_t watched = 0;
        std::weak_ptr<Refresh> refresh{};
        Instant rests_until{};

        [[nodiscard]] bool busy() const noexcept {
            const Queued load = queued.lock();
            return (next && !next->over()) || (current && !current->over()) ||
                   (load && !load->begun()) || (watch && !watch->over()) || !refresh.expired();
        }
        [[nodiscard]] bool idle() const noexcept { return !busy() && rests_until == Instant{}; }
    };
    using Lanes = std::unordered_map<K, Lane, Hash<K>, std::equal_to<>>;

    struct Shard {
        std::mutex mutex{};
        Lanes lanes{};
        std::size_t tidy_at = 64;
    };

    // A key's lane under its lock; the lane goes with it when nothing is left there.
    class Entry {
    public:
        Entry(SingleFlight& all, const K& key) : Entry{all, key, Make{}} {}
        Entry(SingleFlight& all, const K& key, Make make_one)
            : all_{all},
              shard_{all.shards_[Hash<K>{}(key) % shard_count]},
              lock_{shard_.mutex},
              at_{make_one ? shard_.lanes.try_emplace(key).first : shard_.lanes.find(key)} {}
        ~Entry() {
            if (at_ != shard_.lanes.end() && at_->second.idle()) {
                gone_ = shard_.lanes.extract(at_);
                lock_.unlock();  // what it held is destroyed without the lock
            }
        }
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;

        /// Null if there is none.
        [[nodiscard]] Lane* lane() const noexcept {
            return at_ != shard_.lanes.end() ? &at_->second : nullptr;
        }

        // Keys that have rested and are not asked for again would pile up.
        void forget_rested(Instant now) const {
            if (shard_.lanes.size() < shard_.tidy_at) {
                return;
            }
            for (auto it = shard_.lanes.begin(); it != shard_.lanes.end();) {
                if (it->second.rests_until <= now) {
                    all_.wake(it->second);
                }
                it = it != at_ && it->second.idle() ? shard_.lanes.erase(it) : std::next(it);
            }
            shard_.tidy_at = 64 + 2 * shard_.lanes.size();
        }

    private:
        SingleFlight& all_;
        Shard& shard_;
        typename Lanes::node_type gone_{};
        std::unique_lock<std::mutex> lock_;
        typename Lanes::iterator at_;
    };

    // A step on what is there, where nothing may fail: a hash or a comparison that throws leaves
    // what time or the next call tidies up. In a child that was forked off meanwhile nothing is left.
    template <class Step>
    void find(const K& key, Step&& step) noexcept {
        if (process_ != forks()) {
            return;
        }
        try {
            const Entry entry{*this, key};
            if (Lane* const lane = entry.lane()) {
                step(*lane);
            }
        } catch (...) {}
    }

    void wake(Lane& lane) noexcept {
        if (lane.rests_until != Instant{}) {
            lane.rests_until = Instant{};
            resting_.fetch_sub(1, std::memory_order_relaxed);
        }
    }

    static constexpr std::size_t shard_count = 16;
    std::array<Shard, shard_count> shards_{};
    std::atomic<std::size_t> resting_{0};
    std::atomic<std::size_t> refreshing_{0};
    const std::uint64_t process_ = forks();
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_SINGLE_FLIGHT_HPP
