// SPDX-License-Identifier: MIT

/// @file
/// A store's missed invalidations, told by the library's own timer when the store is back.

#ifndef LARDER_DETAIL_SLOT_INVALIDATION_REPLAY_HPP
#define LARDER_DETAIL_SLOT_INVALIDATION_REPLAY_HPP

#include <larder/detail/slot/invalidation_queue.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/ticker.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <limits>
#include <span>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The queue of one store, whose state owns it: as its last member, so that nothing is told any more
/// when the rest goes. Replayed within a second after the store is back, whether or not anybody calls;
/// whoever touches a queued store helps.
///
/// Thread safety: all members may run concurrently. Rule S16.
///
/// @tparam C  the store's clock
template <class K, class KeyHash, class C>
class InvalidationReplay {
    using Queue = InvalidationQueue<K, KeyHash>;

public:
    using Invalidation = typename Queue::Invalidation;
    using Moment = typename Queue::Moment;

    /// How a store is told. Both throw while it is down, and own nothing of the store's state.
    struct Store {
        std::function<void(std::span<const Invalidation>)> tell{};
        std::size_t at_once = 1;  ///< the most of which it is told at once

        /// Erases every copy, since some keys could not be remembered.
        std::function<void()> clear{};
    };

    /// @param clock  that of the store, which outlives this
    InvalidationReplay(const C& clock, Store store) : clock_{clock}, store_{std::move(store)} {}

    [[nodiscard]] bool empty() const noexcept { return queue_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return queue_.size(); }
    [[nodiscard]] Moment moment() const { return queue_.moment(); }
    [[nodiscard]] bool contains(const K& key) const { return queue_.contains(key); }

    /// Remembers a missed invalidation, and tells the store when it is back. One that is forced is never lost: where
    /// there is no memory for it, no key is trusted until the store was cleared.
    ///
    /// @return false if there are `most` others and it is not forced
    /// @throws anything  not if it is forced: there is no memory, or a key's copy, hash or comparison
    ///                   threw it, in which case the key may be queued, or not
    bool add(const K& key, std::size_t most, const MissedInvalidation& missed) {
        try {
            if (!queue_.add(key, most, missed, clock_.now())) {
                return false;
            }
            ticker_.kick();  // without a thread, those who touch the store do it
        } catch (...) {
            if (!missed.force) {
                throw;
            }
            lose();
        }
        return true;
    }
    /// As InvalidationQueue::lose, likewise.
    void lose() noexcept {
        queue_.lose();
        ticker_.kick();
    }

    /// As InvalidationQueue::forget.
    void forget(const K& key, Moment moment = (std::numeric_limits<Moment>::max)()) {
        if (!empty()) {
            queue_.forget(key, clock_.now(), moment);
        }
    }

    /// The store was told of these, though not of others that went with them.
    void told(std::span<const Invalidation> some) { queue_.forget(some, clock_.now()); }

    /// Tells the store of some, if a try is due: a caller is not held up by all that was missed.
    void help() {
        if (!empty()) {
            queue_.replay(256, store_.at_once, clock_.now(), store_.tell, store_.clear);
        }
    }

private:
    Ticker::Next step() noexcept {
        try {
            help();
            return queue_.next(clock_.now(), std::chrono::steady_clock::now());
        } catch (...) {
            return Queue::longest_wait;  // a user's clock
        }
    }

    const C& clock_;
    const Store store_;
    Queue queue_{};
    Ticker ticker_{[this] { return step(); }};  // last: it ends first
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_INVALIDATION_REPLAY_HPP
