// SPDX-License-Identifier: MIT

/// @file
/// What one policy has under way on its keys outside of the store's slots.

#ifndef LARDER_DETAIL_FLIGHT_SINGLE_FLIGHT_HPP
#define LARDER_DETAIL_FLIGHT_SINGLE_FLIGHT_HPP

#include <larder/detail/flight/bypass_flight.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/key_table.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/flight/queued_load.hpp>
#include <larder/detail/flight/refresh_place.hpp>
#include <larder/detail/flight/remote_watch.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Loads that are queued, loads without a lease, watches over loads of other processes, refreshes on
/// their way, keys that back off after a failure. A key without any of these takes no room.
///
/// What is over counts as gone, so that nothing here has to be told of an end: who tells only makes
/// room sooner.
///
/// Thread safety: all members may run concurrently.
template <class K>
class SingleFlight {
public:
    using Bypass = BypassFlight<SingleFlight, K>;
    using Queued = std::shared_ptr<QueuedLoad>;
    using Watch = RemoteWatch<SingleFlight, K>;
    using Refresh = RefreshPlace<SingleFlight, K>;
    using Instant = std::chrono::steady_clock::time_point;

    /// A part in the next load without a lease: the caller leads it, or waits for whoever does.
    ///
    /// @param made  the flight of the caller's, if it leads
    [[nodiscard]] Bypass join_bypass(const K& key, std::shared_ptr<AnyFlight> made) {
        AnyLead lead{made};
        const Locked locked{keys_, key, Make::yes};
        BypassQueue& queue = locked->bypass;
        if (auto next = queue.joinable()) {
            return {*this, key, std::move(next), nullptr};
        }
        auto ahead = queue.running();
        (ahead ? queue.next : queue.current) = std::move(made);
        return {*this, key, std::move(lead), std::move(ahead)};
    }

    /// The same where nobody has to be waited for. Who does not lead waits for the next one, which it
    /// has joined; or, where there is none, for the one that runs and is not for it: `predecessor`.
    [[nodiscard]] Bypass join_idle_bypass(const K& key, std::shared_ptr<AnyFlight> made) {
        AnyLead lead{made};
        const Locked locked{keys_, key, Make::yes};
        BypassQueue& queue = locked->bypass;
        if (queue.busy()) {
            auto next = queue.joinable();
            auto ahead = next ? nullptr : queue.running();
            return {*this, key, std::move(next), std::move(ahead)};
        }
        queue.current = std::move(made);
        return {*this, key, std::move(lead), nullptr};
    }

    /// The load without a lease that runs, or is next; null if there is none.
    [[nodiscard]] std::shared_ptr<AnyFlight> bypass_underway(const K& key) {
        const Locked locked{keys_, key, Make::no};
        const KeyState* const state = locked.state();
        if (state == nullptr) {
            return nullptr;
        }
        auto running = state->bypass.running();
        return running ? running : state->bypass.joinable();
    }

    /// Waits for the read of this key that is queued on the executor and has not begun: `made`, where
    /// there is none.
    ///
    /// @return the waiter, and whether it waits for `made`
    [[nodiscard]] std::pair<QueuedWaiter, bool> queue(const K& key, Queued made) {
        Queued there;  // destroyed without the lock
        const Locked locked{keys_, key, Make::yes};
        there = locked->queued.lock();
        if (there && !there->begun()) {
            if (made->past_remote()) {
                there->pass_remote();
            }
            return {QueuedWaiter{std::move(there)}, false};
        }
        locked->queued = made;
        return {QueuedWaiter{std::move(made)}, true};
    }
    /// A queued load is about to begin: nobody joins it any more.
    ///
    /// @return false if nobody waits for it: it need not be carried out
    [[nodiscard]] bool dequeue(const K& key, const QueuedLoad& load) {
        Queued there;
        const Locked locked{keys_, key, Make::no};
        if (KeyState* const state = locked.state()) {
            there = state->queued.lock();
            if (there.get() == &load) {
                state->queued.reset();
            }
        }
        return load.awaited();
    }

    /// A part in the watch over a load of another process, until its lease `id` is gone.
    [[nodiscard]] Watch watch_remote(const K& key, std::uint64_t id) {
        auto made = std::make_shared<InFlight<RemoteEnd>>();
        Lead<RemoteEnd> lead{made};
        const Locked locked{keys_, key, Make::yes};
        if (locked->watch && locked->watched == id && !locked->watch->over()) {
            return {*this, key, locked->watch, {}};
        }
        locked->watch = made;
        locked->watched = id;
        return {*this, key, std::move(made), std::move(lead)};
    }

    /// A place for a refresh; null if one of the key is on its way, if the key backs off, or if `most`
    /// others are under way.
    ///
    /// @param back_off_until  for a refresh that never begins
    [[nodiscard]] std::shared_ptr<Refresh> begin_refresh(const K& key, std::size_t most,
                                                         Instant now, Instant back_off_until) {
        if (backs_off(key, now)) {
            return nullptr;
        }
        const auto place = std::make_shared<Refresh>(*this, refreshing_, key, back_off_until, now);
        if (place->others() < most) {
            const Locked locked{keys_, key, Make::yes};
            if (locked->refresh.expired()) {
                locked->refresh = place;
                return place;
            }
        }
        place->begin();
        return nullptr;
    }

    /// Makes room sooner than the next touch of the key would.
    void tidy(const K& key) noexcept {
        find(key, [](KeyState&) {});
    }

    /// No load is tried for a key that has a stale copy, and no refresh, before `until`.
    void back_off(const K& key, Instant until, Instant now) noexcept {
        if (process_ != forks()) {
            return;
        }
        try {
            const Locked locked{keys_, key, Make::yes};
            if (locked->back_off_until == Instant{}) {
                backing_off_.fetch_add(1, std::memory_order_relaxed);
            }
            locked->back_off_until = until;
            locked.sweep([&](KeyState& state) {
                if (state.back_off_until <= now) {
                    end_back_off(state);
                }
            });
        } catch (...) {
            // Then it is tried again sooner.
        }
    }

    /// It is too soon for another load.
    [[nodiscard]] bool backs_off(const K& key, Instant now) {
        if (backing_off_.load(std::memory_order_relaxed) == 0) {
            return false;
        }
        const Locked locked{keys_, key, Make::no};
        return locked.state() != nullptr && locked->back_off_until > now;
    }

    /// The key was loaded or written.
    void end_back_off(const K& key) noexcept {
        if (backing_off_.load(std::memory_order_relaxed) != 0) {
            find(key, [this](KeyState& state) { end_back_off(state); });
        }
    }

    /// Keys with anything under way: for tests.
    [[nodiscard]] std::size_t busy() {
        return keys_.count([](const KeyState& state) { return state.busy(); });
    }

    /// Keys that take room: for tests.
    [[nodiscard]] std::size_t size() {
        return keys_.count([](const KeyState&) { return true; });
    }

    /// Refreshes that are under way, or on their way.
    [[nodiscard]] std::size_t refreshing() const noexcept { return refreshing_.load(); }

private:
    friend Bypass;
    friend Watch;

    struct KeyState {
        BypassQueue bypass{};
        std::weak_ptr<QueuedLoad> queued{};  // whoever is to carry it out, or waits, holds it
        std::shared_ptr<InFlight<RemoteEnd>> watch{};
        std::uint64_t watched = 0;
        std::weak_ptr<Refresh> refresh{};
        Instant back_off_until{};

        [[nodiscard]] bool busy() const noexcept {
            const Queued load = queued.lock();
            return bypass.busy() || (load && !load->begun()) || (watch && !watch->over()) ||
                   !refresh.expired();
        }
        [[nodiscard]] bool idle() const noexcept { return !busy() && back_off_until == Instant{}; }
    };
    using Keys = KeyTable<K, KeyState>;
    using Locked = typename Keys::Locked;
    using Make = typename Keys::Make;

    void begin_bypass(const K& key, const std::shared_ptr<AnyFlight>& flight) {
        const Locked locked{keys_, key, Make::no};
        if (KeyState* const state = locked.state()) {
            state->bypass.begin(flight);
        }
    }
    void forget_bypass(const K& key, const std::shared_ptr<AnyFlight>& flight) noexcept {
        find(key, [&](KeyState& state) { state.bypass.forget(flight); });
    }
    void forget_watch(const K& key, const std::shared_ptr<InFlight<RemoteEnd>>& watch) noexcept {
        find(key, [&](KeyState& state) {
            if (state.watch == watch) {
                state.watch.reset();
            }
        });
    }

    // A step on what is there, where nothing may fail: a hash or a comparison that throws leaves
    // what time or the next call tidies up. In a child that was forked off meanwhile nothing is left.
    template <class Do>
    void find(const K& key, const Do& what) noexcept {
        if (process_ != forks()) {
            return;
        }
        try {
            const Locked locked{keys_, key, Make::no};
            if (KeyState* const state = locked.state()) {
                what(*state);
            }
        } catch (...) {}
    }

    void end_back_off(KeyState& state) noexcept {
        if (state.back_off_until != Instant{}) {
            state.back_off_until = Instant{};
            backing_off_.fetch_sub(1, std::memory_order_relaxed);
        }
    }

    Keys keys_{};
    std::atomic<std::size_t> backing_off_{0};
    std::atomic<std::size_t> refreshing_{0};
    const std::uint64_t process_ = forks();
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_SINGLE_FLIGHT_HPP
