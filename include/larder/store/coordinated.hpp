// SPDX-License-Identifier: MIT

/// @file
/// Coordinated: the slot protocol around a user's own three-function store.

#ifndef LARDER_STORE_COORDINATED_HPP
#define LARDER_STORE_COORDINATED_HPP

#include <larder/concepts.hpp>
#include <larder/detail/coordinated/coordinated_slots.hpp>
#include <larder/detail/coordinated/plain_calls.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/diagnostics.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// Gives a plain Store what policies need, within this process: leases, write tickets, and the queue
/// of invalidations that the store has missed. Policies wrap a plain store by themselves; several
/// over one store must share one handle:
///
/// ```cpp
/// larder::Coordinated shared{FileStore{"/var/cache/shop"}};
/// larder::CacheAside products{shared, load_product};
/// larder::CacheAside also_products{shared, load_product_slowly};
/// ```
///
/// What the plain store has missed it is told by a timer of the library's own, within a second after
/// it is back. Where one could not even be remembered, for want of memory, no copy is served until
/// the plain store's `clear()` has returned, and none any more if it has no such function.
///
/// A cheap handle: copies share everything. Processes that share the backend behind it are not
/// coordinated with each other. Tags are not kept, nor is a key that does not equal itself, such as a
/// NaN.
///
/// Thread safety: all members may run concurrently; operations on one key are atomic. A hit asks the
/// store without a lock; whatever changes a slot holds a lock on a part of the keys meanwhile.
/// @throws StoreError  whatever the store threw, with its text
///
/// @tparam S  a plain Store, or a std::reference_wrapper of one
template <class S>
class Coordinated : detail::RequiresStore<S>, public detail::CoordinatedSlots<S> {
    using Slots = detail::CoordinatedSlots<S>;
    using Plain = detail::Unwrapped<S>;

public:
    using key_type = typename Plain::key_type;
    using value_type = typename Plain::value_type;
    using clock_type = typename detail::ClockOf<Plain>::type;
    using typename Slots::Opening;
    using typename Slots::Query;

    static constexpr bool keeps_tags = false;
    static constexpr bool shared = false;  // seen by this process alone
    static constexpr bool fallible = true;

    /// Gives `store` what it lacks.
    explicit Coordinated(S store) : Slots{std::move(store)} {}

    // ---- the plain Store ----

    /// The copy; none while an invalidation that the store missed is queued.
    [[nodiscard]] std::optional<Entry<value_type>> find(const key_type& key) const {
        if (stripes_->queued(key)) {
            return {};
        }
        return plain().find(key);
    }

    /// Stores, unless a write of the key is in flight; a life of zero or less erases.
    void put(const key_type& key, std::optional<value_type> value, Lifetime life) {
        if (life.fresh <= Ttl::zero()) {
            erase(key);
            return;
        }
        Step step{*stripes_, key, Create::no};
        if (detail::equals_itself(key) && step->put() == detail::Effect::store) {
            step.store(std::move(value), life);
            stripes_->queue().forget(key);  // what was to go has gone
        }
    }

    /// Erases the copy; true if there was one. Loads in flight will not fill, writes in flight will
    /// leave nothing.
    bool erase(const key_type& key) {
        Step step{*stripes_, key, Create::no};
        step->erase();
        const bool had = plain().erase(key);
        stripes_->queue().forget(key);
        return had;
    }

    /// `find` of each, in one round trip where the plain store can. Rule S17.
    [[nodiscard]] std::vector<std::optional<Entry<value_type>>> find_many(
        std::span<const key_type> keys) const {
        std::vector<std::optional<Entry<value_type>>> entries;
        if constexpr (Calls::finds_many) {
            if (!keys.empty()) {
                // Asked for first: a copy read now may be one whose invalidation is replayed meanwhile.
                const std::vector<bool> distrusted = stripes_->queued_of(keys);
                entries = plain().find_many(keys);
                for (std::size_t i = 0; i < distrusted.size(); ++i) {
                    if (distrusted[i]) {
                        entries[i].reset();
                    }
                }
            }
        } else {
            entries.reserve(keys.size());
            for (const key_type& key : keys) {
                entries.push_back(find(key));
            }
        }
        return entries;
    }
    /// `put` of each, likewise.
    void put_many(std::span<const std::pair<key_type, std::optional<value_type>>> pairs,
                  Lifetime life) {
        if constexpr (Calls::puts_many) {
            if (life.fresh > Ttl::zero()) {
                put_batch(pairs, life);
                return;
            }
        }
        for (const auto& [key, value] : pairs) {
            put(key, value, life);
        }
    }
    /// `erase` of each, likewise: how many there were.
    std::size_t erase_many(std::span<const key_type> keys) {
        std::size_t had = 0;
        if constexpr (Calls::erases_many) {
            if (!keys.empty()) {
                const typename Slots::Batch batch{*stripes_, keys};
                batch.each(Create::no, [](std::size_t, auto& slot) { slot->erase(); });
                had = plain().erase_many(keys);
                for (const key_type& key : keys) {
                    stripes_->queue().forget(key);
                }
            }
        } else {
            for (const key_type& key : keys) {
                had += erase(key) ? 1U : 0U;
            }
        }
        return had;
    }

    /// The plain store's own, or one of real time.
    [[nodiscard]] const clock_type& clock() const noexcept { return stripes_->clock; }

    /// The invalidations that are queued, reads that the plain store failed, and what it counts
    /// itself, if it has `stats()`.
    [[nodiscard]] Stats stats() const {
        Stats stats = plain().stats();
        stats.queued_invalidations = stripes_->queue().size();
        stats.store_errors += stripes_->failures.load(std::memory_order_relaxed);
        return stats;
    }

    // ---- the slot protocol, for policies ----

    /// Calls `see(value or null, remaining, life, refreshing)` with the copy; false if there is none, or
    /// the plain store fails.
    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query = {}) const {
        std::optional<Entry<value_type>> entry;
        try {
            if constexpr (std::same_as<Q, key_type>) {
                entry = find(key);
            } else {
                entry = find(key_type(key));
            }
        } catch (const StoreError&) {
            failed();
            return false;  // `open` will say so
        }
        return show(entry, see);
    }
    /// The same for many, as `see(index, …)`.
    template <class See>
    void peek_many(std::span<const key_type> keys, See&& see, Query = {}) const {
        std::vector<std::optional<Entry<value_type>>> entries;
        try {
            entries = find_many(keys);
        } catch (const StoreError&) {
            failed();
            return;
        }
        for (std::size_t i = 0; i < entries.size(); ++i) {
            show(entries[i], [&](const value_type* value, detail::Remaining remaining, Ttl life,
                                 bool refreshing) { see(i, value, remaining, life, refreshing); });
        }
    }

private:
    using Calls = typename Slots::Calls;
    using Step = typename Slots::Step;
    using Create = typename Slots::Create;
    using Slots::failed;
    using Slots::plain;
    using Slots::stripes_;

    void put_batch(std::span<const typename Calls::Pair> pairs, Lifetime life) {
        std::vector<key_type> keys;
        keys.reserve(pairs.size());
        for (const auto& pair : pairs) {
            keys.push_back(pair.first);
        }
        const typename Slots::Batch batch{*stripes_, keys};
        std::vector<typename Calls::Pair> stored;
        stored.reserve(pairs.size());
        batch.each(Create::no, [&](std::size_t i, auto& slot) {
            if (detail::equals_itself(keys[i]) && slot->put() == detail::Effect::store) {
                stored.push_back(pairs[i]);
            }
        });
        if (stored.empty()) {
            return;
        }
        try {
            plain().put_many(stored, life);
        } catch (...) {
            for (const auto& pair : stored) {
                stripes_->erase_or_queue(pair.first);
            }
            throw;
        }
        for (const auto& pair : stored) {
            stripes_->queue().forget(pair.first);
        }
    }

    template <class See>
    static bool show(const std::optional<Entry<value_type>>& entry, See&& see) {
        if (!entry) {
            return false;
        }
        const value_type* const value = entry->value ? std::addressof(*entry->value) : nullptr;
        see(value, detail::Remaining{detail::cut(entry->remaining)}, Ttl::zero(), false);
        return true;
    }
};

LARDER_NS_END

#endif  // LARDER_STORE_COORDINATED_HPP
