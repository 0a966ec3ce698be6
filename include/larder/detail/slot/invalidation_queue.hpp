// SPDX-License-Identifier: MIT

/// @file
/// The keys whose invalidation a store has missed.

#ifndef LARDER_DETAIL_SLOT_INVALIDATION_QUEUE_HPP
#define LARDER_DETAIL_SLOT_INVALIDATION_QUEUE_HPP

#include <larder/clock.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// While a key is queued, this process must not serve its copy.
///
/// It stays until the store was told after the invalidation was missed, of the end of each write that
/// the store may not have heard of either, and until no write can take effect any more:
/// `MissedInvalidation::hold`.
///
/// Holds are counted by the store's clock, which is whoever's calls give `now`; tries in real time.
///
/// Thread safety: all members may run concurrently. `empty` is one atomic load. Rule S16.
template <class K, class KeyHash>
class InvalidationQueue {
public:
    using Instant = std::chrono::steady_clock::time_point;
    using Wait = std::chrono::steady_clock::duration;

    /// A place in the order in which invalidations were missed.
    using Moment = std::uint64_t;

    /// What a store is to be told: that these writes of the key are over, and that its copy goes.
    struct Invalidation {
        K key;
        std::vector<Ticket> tickets{};
        Moment moment = 0;
    };

    /// The longest time between two tries.
    static constexpr Wait longest_wait = std::chrono::seconds{1};

    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

    /// Keys; those that were lost count for one more.
    [[nodiscard]] std::size_t size() const noexcept {
        return size_.load(std::memory_order_acquire);
    }

    /// @return false if there are `most` others and this one is not forced
    /// @throws anything  a key's copy, hash or comparison threw it, or there is no memory: then the
    ///                   key may be queued, or not
    bool add(const K& key, std::size_t most, const MissedInvalidation& missed, Instant now) {
        if (!equals_itself(key)) {
            return true;  // no copy of such a key is ever kept
        }
        const std::scoped_lock lock{mutex_};
        auto at = keys_.find(key);
        if (at == keys_.end()) {
            if (keys_.size() >= most && !missed.force) {
                return false;
            }
            at = keys_.try_emplace(key).first;
            count();
        }
        Waiting& waiting = at->second;
        waiting.moment = ++last_;
        waiting.due = quiet_until_ = always;
        waiting.held_until = (std::max)(waiting.held_until, later(now, missed.hold));
        add_ticket(waiting.tickets, missed.ticket);
        return true;
    }

    /// An invalidation was missed that could not be added: until every copy has gone no key is trusted.
    void lose() noexcept {
        const std::scoped_lock lock{mutex_};
        lost_at_ = ++last_;
        quiet_until_ = always;
        count();
    }

    /// Take it before the store is told: see `forget`.
    [[nodiscard]] Moment moment() const {
        if (empty()) {
            return 0;
        }
        const std::scoped_lock lock{mutex_};
        return last_;
    }

    [[nodiscard]] bool contains(const K& key) const {
        if (empty()) {
            return false;
        }
        const std::scoped_lock lock{mutex_};
        return lost_at_ != 0 || keys_.contains(key);
    }

    /// The store's copy went after `moment`: an invalidation that it has missed since is still to come,
    /// for another process may have filled the key in between.
    void forget(const K& key, Instant now, Moment moment = (std::numeric_limits<Moment>::max)()) {
        if (empty()) {
            return;
        }
        const std::scoped_lock lock{mutex_};
        if (const auto at = keys_.find(key); at != keys_.end() && at->second.tickets.empty()) {
            told(at, now, moment);
        }
    }

    /// The store was told of these.
    void forget(std::span<const Invalidation> missed, Instant now) {
        const std::scoped_lock lock{mutex_};
        for (const Invalidation& one : missed) {
            if (const auto at = keys_.find(one.key); at != keys_.end()) {
                told(at, now, one.moment);
            }
        }
    }

    /// Tells the store of `most` invalidations at most, if a try is due: at once after a success, else after
    /// 10 ms, doubled up to `longest_wait`, from when the store has failed and not from when it was
    /// asked. A key leaves the queue only when it was told.
    ///
    /// @param tell   takes `at_once` of them at most; throws while the store is down
    /// @param clear  erases every copy of the store, where some were missed and not remembered
    template <class Tell, class Clear, class Time = SteadyClock>
    void replay(std::size_t most, std::size_t at_once, Instant now, Tell&& tell, Clear&& clear,
                const Time& time = {}) {
        if (empty() || !begin(now, time.now())) {
            return;
        }
        bool succeeded = true;
        try {
            const std::vector<Invalidation> missed = due(most, now);
            const std::span<const Invalidation> all{missed};
            for (std::size_t i = 0; i < all.size(); i += at_once) {
                const auto some = all.subspan(i, (std::min)(at_once, all.size() - i));
                tell(some);
                forget(some, now);
            }
            clear_lost(clear);
        } catch (...) {
            succeeded = false;
        }
        end(succeeded, time.now());
    }

    /// When somebody is to replay, from now on; none: nothing is queued.
    [[nodiscard]] std::optional<Wait> next(Instant now, Instant time) const {
        const std::scoped_lock lock{mutex_};
        if (empty()) {
            return {};
        }
        const Wait wait =
            replaying() ? first_wait : (std::max)(left(next_try_, time), left(quiet_until_, now));
        return std::clamp(wait, Wait::zero(), longest_wait);
    }

private:
    static constexpr Wait first_wait = std::chrono::milliseconds{10};
    static constexpr Instant always = (Instant::min)();  // a moment that has passed

    struct Waiting {
        Moment moment = 0;
        Instant due = always;         // to be told then,
        Instant held_until = always;  // and again when no write can take effect any more
        std::vector<Ticket> tickets{};
    };
    using Keys = std::unordered_map<K, Waiting, KeyHash, std::equal_to<>>;

    // A slot holds no more by name.
    static void add_ticket(std::vector<Ticket>& tickets, const Ticket& ticket) {
        const auto same = [&](const Ticket& other) { return other.id == ticket.id; };
        if (ticket && tickets.size() < SlotState::most_tickets &&
            std::none_of(tickets.begin(), tickets.end(), same)) {
            tickets.push_back(ticket);
        }
    }

    // A parent's replay does not go on in a child that was forked off.
    [[nodiscard]] bool replaying() const noexcept { return replaying_ == forks() + 1; }

    bool begin(Instant now, Instant time) {
        const std::scoped_lock lock{mutex_};
        if (replaying() || time < next_try_ || now < quiet_until_) {
            return false;
        }
        replaying_ = forks() + 1;
        return true;
    }

    void end(bool succeeded, Instant time) noexcept {
        const std::scoped_lock lock{mutex_};
        replaying_ = 0;
        wait_ = succeeded ? Wait::zero() : std::clamp(2 * wait_, first_wait, longest_wait);
        next_try_ = time + wait_;
    }

    template <class Clear>
    void clear_lost(Clear&& clear) {
        Moment lost_at = 0;
        {
            const std::scoped_lock lock{mutex_};
            lost_at = lost_at_;
        }
        if (lost_at != 0) {
            clear();
            const std::scoped_lock lock{mutex_};
            lost_at_ = lost_at_ == lost_at ? 0 : lost_at_;
            count();
        }
    }

    // If nothing is due, it is known from when on something will be.
    std::vector<Invalidation> due(std::size_t most, Instant now) {
        const std::scoped_lock lock{mutex_};
        std::vector<Invalidation> missed;
        Instant first = (Instant::max)();
        for (const auto& [key, waiting] : keys_) {
            if (missed.size() == most) {
                break;
            }
            if (waiting.due <= now) {
                missed.push_back({key, waiting.tickets, waiting.moment});
            } else {
                first = (std::min)(first, waiting.due);
            }
        }
        if (missed.empty() && lost_at_ == 0) {
            quiet_until_ = first;
        }
        return missed;
    }

    void told(typename Keys::iterator at, Instant now, Moment moment) {
        Waiting& waiting = at->second;
        if (waiting.moment > moment) {
            return;
        }
        if (waiting.held_until > now) {
            waiting.tickets.clear();
            waiting.due = waiting.held_until;
        } else {
            keys_.erase(at);
            count();
        }
    }

    void count() noexcept {
        size_.store(keys_.size() + (lost_at_ != 0 ? 1U : 0U), std::memory_order_release);
    }

    mutable std::mutex mutex_{};
    Keys keys_{};
    Moment last_ = 0;
    Moment lost_at_ = 0;  // one that could not be remembered: until the store was cleared
    std::atomic<std::size_t> size_{0};
    std::uint64_t replaying_ = 0;
    Wait wait_{};
    Instant next_try_{};            // in real time
    Instant quiet_until_ = always;  // nothing is due before, by the store's clock
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_INVALIDATION_QUEUE_HPP
