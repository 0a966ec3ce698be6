// SPDX-License-Identifier: MIT

/// @file
/// What the handles of one Coordinated store share.

#ifndef LARDER_DETAIL_COORDINATED_STRIPES_HPP
#define LARDER_DETAIL_COORDINATED_STRIPES_HPP

#include <larder/detail/coordinated/plain_calls.hpp>
#include <larder/detail/coordinated/slot_step.hpp>
#include <larder/detail/slot/invalidation_replay.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/slot_table.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <tuple>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The plain store, the slots of its keys in parts with a lock each, and the invalidations that it
/// has missed.
///
/// Lock order: a stripe, many in the order of their places, then the queue_.
///
/// Thread safety: all members may run concurrently; a stripe's slots only under its lock.
template <class S>
class Stripes {
public:
    using Key = typename PlainCalls<S>::Key;
    using Value = typename PlainCalls<S>::Value;
    using clock_type = typename PlainCalls<S>::clock_type;
    using Slots = SlotTable<Key, Hash<Key>, std::equal_to<>>;
    using Handle = typename Slots::Handle;
    using Create = typename Slots::Create;
    using Replay = InvalidationReplay<Key, Hash<Key>, clock_type>;

    struct Stripe {
        std::mutex mutex{};
        Slots slots{};
    };

    explicit Stripes(S store) : plain{std::move(store)}, clock{plain.clock()} {}

    [[nodiscard]] static std::size_t place(const Key& key) {
        return Hash<Key>{}(key) % std::tuple_size_v<decltype(stripes_)>;
    }
    [[nodiscard]] Stripe& at(std::size_t place) noexcept { return stripes_[place]; }
    [[nodiscard]] Stripe& of(const Key& key) { return stripes_[place(key)]; }
    [[nodiscard]] std::uint64_t next_id() noexcept {
        return ids_.fetch_add(1, std::memory_order_relaxed) + 1;
    }

    /// The invalidations that the plain store has missed.
    [[nodiscard]] Replay& queue() noexcept { return queue_; }

    /// Calls `step(slots)` for one stripe after the other, under its lock.
    template <class Step>
    void each(Step&& step) {
        for (Stripe& stripe : stripes_) {
            const std::scoped_lock lock{stripe.mutex};
            step(stripe.slots);
        }
    }
    /// Ends a write whose slot cannot be found, with nothing.
    void give_back(const Ticket& ticket) noexcept {
        each([&](Slots& slots) { slots.give_back(ticket); });
    }

    /// For whoever holds the key's stripe: a copy that cannot be erased is not trusted until it is.
    void erase_or_queue(const Key& key) noexcept {
        try {
            plain.erase(key);
        } catch (...) {
            queue_.add(key, 0, {.force = true});
        }
    }

    /// True while the store has not been told of an invalidation; tries to tell it first.
    [[nodiscard]] bool queued(const Key& key) {
        if (queue_.empty()) {
            return false;
        }
        queue_.help();
        return queue_.contains(key);
    }
    /// The same for many; empty where nothing is queued at all.
    [[nodiscard]] std::vector<bool> queued_of(std::span<const Key> keys) {
        std::vector<bool> all;
        if (!queue_.empty()) {
            queue_.help();
            all.reserve(keys.size());
            for (const Key& key : keys) {
                all.push_back(queue_.contains(key));
            }
        }
        return all;
    }

    PlainCalls<S> plain;
    const clock_type clock;
    std::atomic<std::uint64_t> failures{0};  ///< reads that the plain store failed

private:
    void tell(const typename Replay::Invalidation& missed) {
        SlotStep<Stripes> step{*this, missed.key, Create::no};
        for (const Ticket& ticket : missed.tickets) {
            step->finish_write(ticket.id, false);
        }
        step.erase();
    }
    void clear() {
        std::array<std::unique_lock<std::mutex>, std::tuple_size_v<decltype(stripes_)>> locks;
        for (std::size_t i = 0; i < locks.size(); ++i) {
            locks[i] = std::unique_lock{stripes_[i].mutex};
            stripes_[i].slots.each([](SlotState& state) { state.erase(); });
        }
        plain.clear();
    }

    std::array<Stripe, 64> stripes_{};
    std::atomic<std::uint64_t> ids_{0};

    // It owns no part of this, and ends first.
    Replay queue_{clock,
                  {.tell = [this](auto missed) { tell(missed.front()); },
                   .at_once = 1,
                   .clear = [this] { clear(); }}};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_COORDINATED_STRIPES_HPP
