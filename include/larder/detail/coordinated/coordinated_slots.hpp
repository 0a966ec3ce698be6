// SPDX-License-Identifier: MIT

/// @file
/// The slot protocol over a user's plain store.

#ifndef LARDER_DETAIL_COORDINATED_COORDINATED_SLOTS_HPP
#define LARDER_DETAIL_COORDINATED_COORDINATED_SLOTS_HPP

#include <larder/detail/coordinated/plain_calls.hpp>
#include <larder/detail/coordinated/slot_batch.hpp>
#include <larder/detail/coordinated/slot_step.hpp>
#include <larder/detail/coordinated/stripes.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/slot/begun_writes.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Leases, tickets and missed invalidations: what policies ask of a Coordinated store.
///
/// Thread safety: all members may run concurrently.
template <class S>
class CoordinatedSlots {
protected:
    using Calls = PlainCalls<S>;
    using Stripes = detail::Stripes<S>;
    using Step = SlotStep<Stripes>;
    using Batch = SlotBatch<Stripes>;
    using Handle = typename Stripes::Handle;
    using Create = typename Stripes::Create;
    using Key = typename Calls::Key;
    using Value = typename Calls::Value;

public:
    using Query = NoQuery;
    using Opening = detail::Opening<Value>;

    /// The load that the slot waits for; null if there is none.
    [[nodiscard]] std::shared_ptr<Flight<Value>> underway(const Key& key) {
        if (stripes_->queued(key)) {
            return nullptr;
        }
        Step step{*stripes_, key, Create::no};
        try {
            step.expire_refresh();
        } catch (const StoreError&) {
            failed();
            return nullptr;
        }
        return std::static_pointer_cast<Flight<Value>>(step.slot().flight());
    }

    /// What a reader that found no fresh copy is to do.
    [[nodiscard]] Opening open(const Key& key, Query = {}) {
        return lease_out(key, &SlotState::open);
    }
    /// A key that the store fails for is a bypass.
    [[nodiscard]] std::vector<Opening> open_many(std::span<const Key> keys, Query = {}) {
        std::vector<Opening> openings;
        openings.reserve(keys.size());
        if constexpr (Calls::finds_many) {
            if (!keys.empty()) {
                open_batch(keys, openings);
            }
        } else {
            for (const Key& key : keys) {
                try {
                    openings.push_back(open(key));
                } catch (const StoreError&) {
                    failed();
                    openings.emplace_back();
                }
            }
        }
        return openings;
    }
    /// A lease beside a copy: `force` takes it from whoever has it.
    [[nodiscard]] Opening open_refresh(const Key& key, bool force) {
        return lease_out(key, force ? &SlotState::force_refresh : &SlotState::open_refresh);
    }

    /// A value that could not be stored is withdrawn.
    Filled fill(const Key& key, const Lease& lease, std::optional<Value> value, CopyTerms terms) {
        try {
            if (!terms.tags.empty()) {
                throw Error{Errc::tags_unsupported,
                            "key " + key_text(key) + " has tags, but this store keeps none"};
            }
            Step step{*stripes_, key, Create::no};
            step.expire_refresh();
            if (step->fill(lease.id) != Effect::store) {
                return {};
            }
            if (!terms.kept()) {
                step.erase_or_queue();
                return {};
            }
            step.store(std::move(value), terms.life);
            return {true, true};
        } catch (...) {
            try {
                withdraw(key, lease);
            } catch (...) {}  // it ends with its load
            throw;
        }
    }
    /// The load failed: whatever copy there is stays.
    void release(const Key& key, const Lease& lease) {
        Step step{*stripes_, key, Create::no};
        step->release(lease.id);
    }
    /// The load answered, and its answer is not kept: no older copy may hide it.
    /// A copy that cannot be erased now is not trusted until it is.
    void withdraw(const Key& key, const Lease& lease) {
        Step step{*stripes_, key, Create::no};
        if (step->withdraw(lease.id) == Effect::erase) {
            step.erase_or_queue();
        }
    }
    /// The plain store's copy goes before the database is touched: it may outlive this process.
    /// Rule S14.
    [[nodiscard]] Ticket begin_write(const Key& key, Ttl life) {
        const Ticket ticket{stripes_->next_id(), {}};
        const auto deadline = later(stripes_->clock.now(), life);
        Step step{*stripes_, key, Create::yes};
        step->begin_write(ticket.id, deadline);
        try {
            step.erase();
        } catch (...) {
            step->finish_write(ticket.id, false);
            throw;
        }
        return ticket;
    }
    /// `begin_write` of each, or of none if one throws.
    [[nodiscard]] std::vector<Ticket> begin_write_many(std::span<const Key> keys, Ttl life) {
        BegunWrites begun{keys.size(), [this](const auto& ticket) { stripes_->give_back(ticket); }};
        if constexpr (Calls::erases_many) {
            if (!keys.empty()) {
                const auto deadline = later(stripes_->clock.now(), life);
                const Batch batch{*stripes_, keys};
                batch.each(Create::yes, [&](std::size_t, Handle& slot) {
                    const Ticket ticket{stripes_->next_id(), {}};
                    slot->begin_write(ticket.id, deadline);
                    begun.add(ticket);
                });
                plain().erase_many(keys);
            }
        } else {
            for (const Key& key : keys) {
                begun.add(begin_write(key, life));
            }
        }
        return std::move(begun).tickets();
    }
    /// A value that could not be stored leaves nothing.
    bool finish_write(const Key& key, const Ticket& ticket, Finish how, std::optional<Value> value,
                      CopyTerms terms) {
        try {
            Step step{*stripes_, key, Create::no};
            // A copy without its tags would outlive them.
            const bool leaves = how == Finish::value && terms.kept() && terms.tags.empty();
            const auto finished = step->finish_write(ticket.id, leaves);
            if (finished.effect == Effect::store) {
                step.store(std::move(value), terms.life);
            } else if (!finished.found) {
                step.erase_or_queue();
            }
            return finished.found || !equals_itself(key);
        } catch (...) {
            stripes_->give_back(ticket);
            throw;
        }
    }

    /// The same for many, in one call of the plain store for those of one life.
    [[nodiscard]] std::vector<WriteEnd> finish_write_many(
        std::span<FinishRequest<Key, Value>> requests)
        requires Calls::puts_many
    {
        std::vector<WriteEnd> ends(requests.size());
        std::vector<Key> keys;
        keys.reserve(requests.size());
        for (const auto& request : requests) {
            keys.push_back(*request.key);
        }
        try {
            const Batch batch{*stripes_, keys};
            std::vector<std::size_t> stored;
            stored.reserve(requests.size());
            batch.each(Create::no, [&](std::size_t i, Handle& slot) {
                const auto& [key, ticket, how, value, terms] = requests[i];
                const bool leaves = how == Finish::value && terms.kept() && terms.tags.empty();
                const auto finished = slot->finish_write(ticket.id, leaves);
                if (finished.effect == Effect::store) {
                    stored.push_back(i);
                } else if (!finished.found) {
                    stripes_->erase_or_queue(*key);
                }
                ends[i].found = finished.found || !equals_itself(*key);
            });
            store_many(requests, stored, ends);
        } catch (...) {
            for (const auto& request : requests) {
                stripes_->give_back(request.ticket);
            }
            throw;
        }
        return ends;
    }

    /// Remembers an invalidation that the plain store missed. Loads in flight will not fill. One that is forced
    /// is never lost: where it cannot be remembered, no copy is trusted until the plain store was
    /// cleared; for good, if it has no `clear()`.
    bool queue_invalidation(const Key& key, std::size_t most, const MissedInvalidation& missed) {
        try {
            Step step{*stripes_, key, Create::no};
            if (!stripes_->queue().add(key, most, missed)) {
                return false;
            }
            step->erase();
        } catch (...) {
            if (!missed.force) {
                throw;
            }
            stripes_->queue().lose();
        }
        return true;
    }
    /// Keys whose invalidation the plain store has missed.
    [[nodiscard]] std::size_t queued_invalidations() const noexcept {
        return stripes_->queue().size();
    }

    /// Leases and tickets that are out.
    [[nodiscard]] InHand in_hand() const {
        InHand all;
        stripes_->each([&](auto& slots) { all += slots.in_hand(stripes_->clock.now()); });
        return all;
    }

protected:
    explicit CoordinatedSlots(S store) : stripes_{std::make_shared<Stripes>(std::move(store))} {}

    [[nodiscard]] Calls& plain() const noexcept { return stripes_->plain; }
    void failed() const noexcept { stripes_->failures.fetch_add(1, std::memory_order_relaxed); }

    std::shared_ptr<Stripes> stripes_;

private:
    Opening lease_out(const Key& key, SlotState::Ask ask) {
        if (stripes_->queued(key)) {
            return {};
        }
        Step step{*stripes_, key, Create::yes};
        if (stripes_->queue().contains(key)) {
            return {};  // since we asked: they are queued under the lock
        }
        std::optional<Entry<Value>> entry;
        if (!step->writing()) {
            entry = step.find();
        }
        return lease_out(step.slot(), std::move(entry), ask);
    }

    // What a slot answers beside what the plain store holds.
    Opening lease_out(Handle& slot, std::optional<Entry<Value>>&& entry, SlotState::Ask ask) {
        Lead<Fetched<Value>> lead{std::make_shared<Flight<Value>>()};
        const Held held = !entry                           ? Held::nothing
                          : entry->remaining > Ttl::zero() ? Held::fresh
                                                           : Held::stale;
        slot->expire(held, stripes_->clock.now());
        Opening opening;
        if (entry) {
            entry->remaining = cut(entry->remaining);
            opening.copy.emplace(Copy<Value>{std::move(*entry), Ttl::zero(), slot->refreshing()});
        }
        slot.hand_out(held, Lease{stripes_->next_id()}, std::move(lead), ask, opening);
        return opening;
    }

    // Under the locks of their stripes. What could not be stored goes: see `SlotStep::store`.
    void store_many(std::span<FinishRequest<Key, Value>> requests,
                    std::span<const std::size_t> stored, std::vector<WriteEnd>& ends) {
        while (!stored.empty()) {
            const Lifetime life = requests[stored[0]].terms.life;
            const auto other = std::find_if(stored.begin(), stored.end(), [&](std::size_t i) {
                const Lifetime& its = requests[i].terms.life;
                return its.fresh != life.fresh || its.grace != life.grace;
            });
            const std::span<const std::size_t> some{stored.begin(), other};
            try {
                std::vector<typename Calls::Pair> pairs;
                pairs.reserve(some.size());
                for (const std::size_t i : some) {
                    pairs.emplace_back(*requests[i].key, std::move(requests[i].value));
                }
                plain().put_many(pairs, life);
            } catch (...) {
                for (const std::size_t i : some) {
                    stripes_->erase_or_queue(*requests[i].key);
                    ends[i].failure = std::current_exception();
                }
            }
            stored = stored.subspan(some.size());
        }
    }

    void open_batch(std::span<const Key> keys, std::vector<Opening>& openings) {
        const std::vector<bool> distrusted = stripes_->queued_of(keys);
        const Batch batch{*stripes_, keys};
        std::vector<std::optional<Entry<Value>>> entries;
        try {
            entries = plain().find_many(keys);
        } catch (const StoreError&) {
            failed();
            openings.resize(keys.size());
            return;
        }
        batch.each(Create::yes, [&](std::size_t i, Handle& slot) {
            if ((!distrusted.empty() && distrusted[i]) || stripes_->queue().contains(keys[i])) {
                openings.emplace_back();
                return;
            }
            if (slot->writing()) {
                entries[i].reset();
            }
            openings.push_back(lease_out(slot, std::move(entries[i]), &SlotState::open));
        });
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_COORDINATED_COORDINATED_SLOTS_HPP
