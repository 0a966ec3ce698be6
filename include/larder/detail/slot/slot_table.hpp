// SPDX-License-Identifier: MIT

/// @file
/// The states of many slots, and the flights of their leases.

#ifndef LARDER_DETAIL_SLOT_SLOT_TABLE_HPP
#define LARDER_DETAIL_SLOT_SLOT_TABLE_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/lead.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/state_machine.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <type_traits>
#include <unordered_map>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The slots that somebody has in hand; all others take no room. Not synchronised. Rule S19.
template <class K, class KeyHash, class KeyEqual>
class SlotTable {
    struct Row {
        SlotState state{};
        std::shared_ptr<AnyFlight> flight{};

        // Time ends tickets; a lease ends with its load, whatever became of that.
        void expire(Held held, SlotState::Instant now) {
            if (flight && flight->over()) {
                state.release(state.lease());
            }
            state.expire(held, now);
        }
    };
    using Table = std::unordered_map<K, Row, KeyHash, KeyEqual>;

public:
    using Instant = SlotState::Instant;

    /// Whether a step may put a slot in hand that nobody had. Of a key that does not equal itself none
    /// ever is.
    enum class Create : bool { no, yes };

    /// A slot for one step under its lock: what time has ended is gone at first, an idle one is
    /// forgotten at the end, a flight goes with its lease.
    class Handle {
    public:
        /// @throws std::bad_alloc  in which case the slot is as it was
        Handle(SlotTable& slots, const K& key, Held held, Instant now, Create create)
            : slots_{slots},
              table_{slots.table_},
              at_{table_.empty() ? table_.end() : table_.find(key)} {
            if (at_ != table_.end()) {
                at_->second.expire(held, now);
            } else if (create == Create::yes) {
                slots.sweep(now);
                at_ = slots.insert(key);
            }
        }
        ~Handle() {
            if (at_ == table_.end()) {
                return;
            }
            if (at_->second.state.idle()) {
                at_->second.flight.reset();
                slots_.spare_ = table_.extract(at_);
            } else if (at_->second.state.lease() == 0) {
                at_->second.flight.reset();
            }
        }
        Handle(const Handle&) = delete;
        Handle& operator=(const Handle&) = delete;

        [[nodiscard]] SlotState& state() noexcept {
            return at_ != table_.end() ? at_->second.state : none_;
        }
        SlotState* operator->() noexcept { return &state(); }

        /// The flight of the lease that the slot shows, if it shows one. Rule S10.
        [[nodiscard]] std::shared_ptr<AnyFlight> flight() const {
            return at_ != table_.end() && at_->second.state.lease() != 0 ? at_->second.flight
                                                                         : nullptr;
        }

        /// Asks the slot for a lease, and hands out what it answers. Whoever held a lease before is
        /// on its own.
        ///
        /// @param lease    the caller's, if the answer is `lead`
        /// @param lead     its flight, likewise
        /// @param opening  says the rest
        template <class V>
        void hand_out(Held held, const Lease& lease, AnyLead&& lead, SlotState::Ask ask,
                      Opening<V>& opening) {
            opening.slot = (state().*ask)(held, lease.id);
            switch (opening.slot) {
                case Slot::lead:
                    opening.lease = lease;
                    if (at_ != table_.end()) {
                        at_->second.flight = lead.flight();
                    }
                    opening.lead = std::move(lead);
                    break;
                case Slot::join:
                    opening.lease.id = state().lease();
                    opening.flight = flight();
                    break;
                case Slot::bypass: opening.writing = true; break;
                default: break;
            }
        }

    private:
        SlotTable& slots_;
        Table& table_;
        typename Table::iterator at_;
        SlotState none_{};  // stands in for a slot that nobody has in hand
    };

    /// True if no slot is in hand: most of the time.
    [[nodiscard]] bool empty() const noexcept { return table_.empty(); }

    /// True if a load that has not ended is to replace the value of `key`.
    [[nodiscard]] bool refreshing(const K& key) const {
        const auto at = table_.find(key);
        return at != table_.end() && at->second.state.refreshing() &&
               !(at->second.flight && at->second.flight->over());
    }

    /// Steps through every slot in hand, as `step(state)`.
    template <class Step>
    void each(Step&& step) {
        each_row([&](Row& row) { step(row.state); });
    }

    /// Ends a write whose slot could not be found, with nothing: it asks neither hash, nor comparison,
    /// nor clock. Complexity: linear in the slots in hand.
    void give_back(const Ticket& ticket) noexcept {
        each([&](SlotState& state) {
            if (state.holds(ticket.id)) {
                state.finish_write(ticket.id, false);
            }
        });
    }

    /// Leases and tickets that are out.
    [[nodiscard]] InHand in_hand(Instant now) {
        InHand all;
        each_row([&](Row& row) {
            row.expire(Held::fresh, now);
            all.leases += row.state.lease() != 0 ? 1U : 0U;
            all.tickets += row.state.tickets();
        });
        return all;
    }

private:
    template <class Step>
    void each_row(Step&& step) {
        for (auto at = table_.begin(); at != table_.end();) {
            step(at->second);
            at = at->second.state.idle() ? table_.erase(at) : std::next(at);
        }
    }

    // Writes whose outcome nobody tells leave slots in hand that only time ends.
    void sweep(Instant now) {
        if (table_.size() >= sweep_at_) {
            each_row([&](Row& row) { row.expire(Held::fresh, now); });
            sweep_at_ = 64 + 2 * table_.size();
        }
    }

    // The row that was let go last serves the next: a load or a write in turn allocates nothing.
    typename Table::iterator insert(const K& key) {
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
    std::size_t sweep_at_ = 64;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_SLOT_TABLE_HPP
