// SPDX-License-Identifier: MIT

/// @file
/// The claims of many slots, and the flights of their leases.

#ifndef LARDER_DETAIL_SLOT_SLOT_TABLE_HPP
#define LARDER_DETAIL_SLOT_SLOT_TABLE_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>
#include <unordered_map>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The slots that somebody has in hand; all others take no room. Not synchronised.
template <class K, class V, class KeyHash, class KeyEqual>
class SlotTable {
    struct Slot {
        SlotState claim{};
        std::shared_ptr<Flight<V>> flight{};

        // Time ends tickets; a lease ends with its load, whatever became of that.
        void settle(Held held, SlotState::Instant now) {
            if (flight && flight->over()) {
                claim.release(claim.lease());
            }
            claim.settle(held, now);
        }
    };
    using Table = std::unordered_map<K, Slot, KeyHash, KeyEqual>;

public:
    using Instant = SlotState::Instant;

    /// Whether a step may leave a claim where there was none. Of a key that does not equal itself none
    /// is ever left.
    enum class Make : bool { no, yes };

    /// A slot's claim for one step under its lock: settled at first, forgotten at the end if idle,
    /// its flight with its lease.
    class Grip {
    public:
        /// @throws std::bad_alloc  in which case the slot is as it was
        Grip(SlotTable& claims, const K& key, Held held, Instant now, Make make)
            : claims_{claims}, table_{claims.table_}, at_{table_.find(key)} {
            if (at_ != table_.end()) {
                at_->second.settle(held, now);
            } else if (make == Make::yes) {
                claims.tidy(now);
                at_ = claims.take(key);
            }
        }
        ~Grip() {
            if (at_ == table_.end()) {
                return;
            }
            if (at_->second.claim.idle()) {
                at_->second.flight.reset();
                claims_.spare_ = table_.extract(at_);
            } else if (at_->second.claim.lease() == 0) {
                at_->second.flight.reset();
            }
        }
        Grip(const Grip&) = delete;
        Grip& operator=(const Grip&) = delete;

        [[nodiscard]] SlotState& claim() noexcept {
            return at_ != table_.end() ? at_->second.claim : none_;
        }
        SlotState* operator->() noexcept { return &claim(); }

        /// The flight of the lease that the slot shows, if it shows one.
        [[nodiscard]] std::shared_ptr<Flight<V>> flight() const {
            return at_ != table_.end() && at_->second.claim.lease() != 0 ? at_->second.flight
                                                                         : nullptr;
        }

        /// The flight of the lease just handed out. Whoever held one before is on its own.
        void depart(std::shared_ptr<Flight<V>> flight) noexcept {
            if (at_ != table_.end()) {
                at_->second.flight = std::move(flight);
            }
        }

    private:
        SlotTable& claims_;
        Table& table_;
        typename Table::iterator at_;
        SlotState none_{};  // stands in for a slot that nobody has in hand
    };

    /// True if no slot is in hand: most of the time.
    [[nodiscard]] bool empty() const noexcept { return table_.empty(); }

    /// Steps through every slot in hand, as `step(key, claim)`.
    template <class Step>
    void each(Step&& step) {
        each_slot([&](const K& key, Slot& slot) { step(key, slot.claim); });
    }

    /// Ends a write whose slot could not be found, with nothing: it asks neither hash, nor comparison,
    /// nor clock. Complexity: linear in the slots in hand.
    void give_back(const Ticket& ticket) noexcept {
        each([&](const K&, SlotState& claim) {
            if (claim.holds(ticket.id)) {
                claim.finish_write(ticket.id, false);
            }
        });
    }

    /// LeaseRenewer and tickets that are out.
    [[nodiscard]] InHand in_hand(Instant now) {
        InHand all;
        each_slot([&](const K&, Slot& slot) {
            slot.settle(Held::fresh, now);
            all.leases += slot.claim.lease() != 0 ? 1U : 0U;
            all.tickets += slot.claim.tickets();
        });
        return all;
    }

private:
    template <class Step>
    void each_slot(Step&& step) {
        for (auto at = table_.begin(); at != table_.end();) {
            step(at->first, at->second);
            at = at->second.claim.idle() ? table_.erase(at) : std::next(at);
        }
    }

    // Writes whose outcome nobody tells leave claims that only time ends.
    void tidy(Instant now) {
        if (table_.size() >= tidy_at_) {
            each_slot([&](const K&, Slot& slot) { slot.settle(Held::fresh, now); });
            tidy_at_ = 64 + 2 * table_.size();
        }
    }

    // The slot that was let go last serves the next: a load or a write in turn allocates nothing.
    typename Table::iterator take(const K& key) {
        if (!equals_itself<KeyEqual>(key)) {
            return table_.end();  // it would never be found again
        }
        if constexpr (std::is_copy_assignable_v<K>) {
            if (spare_) {
                spare_.key() = key;
                return table_.insert(std::move(spare_)).position;
            }
        }
        return table_.try_emplace(key).first;
    }

    Table table_{};
    typename Table::node_type spare_{};
    std::size_t tidy_at_ = 64;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_SLOT_TABLE_HPP
