// SPDX-License-Identifier: MIT

/// @file
/// The slot protocol as pure functions: all of a slot but its value.
///
/// What becomes of a slot is decided here and nowhere else; stores carry it out. The transitions
/// are those of the model in tests/models/coherence.pml, which proves what they are for.

#ifndef LARDER_DETAIL_SLOT_STATE_MACHINE_HPP
#define LARDER_DETAIL_SLOT_STATE_MACHINE_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What a slot holds besides its state.
enum class Held : std::uint8_t { nothing, fresh, stale };

/// What an operation does to the value that a slot holds.
enum class Effect : std::uint8_t {
    keep,   ///< as it is
    erase,  ///< it goes
    store,  ///< the new one takes its place
};

/// Who has a slot in hand: nobody, a loader, a refresher beside the value, or writers.
///
/// Every function is one atomic step of the slot: call them under the slot's lock, `expire` first.
/// Complexity: linear in the tickets, of which there are at most 32.
class SlotState {
public:
    using Instant = std::chrono::steady_clock::time_point;

    /// A step that may hand out a lease: `open`, `open_refresh`, `force_refresh`.
    using Ask = Slot (SlotState::*)(Held, std::uint64_t);

    /// A slot holds at most this many tickets by name.
    static constexpr std::size_t most_tickets = 32;

    [[nodiscard]] bool idle() const noexcept { return kind_ == Kind::none; }
    [[nodiscard]] bool loading() const noexcept { return kind_ == Kind::loading; }
    [[nodiscard]] bool refreshing() const noexcept { return kind_ == Kind::refreshing; }
    [[nodiscard]] bool writing() const noexcept { return kind_ == Kind::writing; }
    [[nodiscard]] bool overlapped() const noexcept { return overlapped_; }
    [[nodiscard]] std::uint64_t lease() const noexcept { return lease_; }
    [[nodiscard]] std::size_t tickets() const noexcept { return tickets_.size(); }

    /// True if `lease` may still fill.
    [[nodiscard]] bool stands(std::uint64_t lease) const noexcept {
        return lease != 0 && lease == lease_ && (loading() || refreshing());
    }

    /// True if the write of `ticket` is in flight.
    [[nodiscard]] bool holds(std::uint64_t ticket) const noexcept {
        return std::any_of(tickets_.begin(), tickets_.end(),
                           [&](const TicketHeld& t) { return t.id == ticket; });
    }

    /// True if the write of `ticket` may leave a value, as things are.
    [[nodiscard]] bool may_leave(std::uint64_t ticket) const noexcept {
        return writing() && !overlapped_ && unnamed_until_ == none && tickets_.size() == 1 &&
               tickets_.front().id == ticket;
    }

    /// Lets go of what time has ended: tickets past their deadline, the refresh of a value that is
    /// gone. Overlap is not forgotten with the tickets that met.
    void expire(Held held, Instant now) {
        if (writing()) {
            std::erase_if(tickets_, [&](const TicketHeld& t) { return t.deadline <= now; });
            if (tickets_.empty() && unnamed_until_ <= now) {
                clear();
            }
        } else if (refreshing() && held == Held::nothing) {
            clear();
        }
    }

    /// A reader without a fresh copy; `id` is the lease it gets if it is to load.
    Slot open(Held held, std::uint64_t id) {
        if (writing()) {
            return Slot::bypass;
        }
        if (held == Held::fresh) {
            return Slot::hit;
        }
        if (!idle()) {
            return Slot::join;
        }
        lease_to(held, id);
        return Slot::lead;
    }

    /// The load of `lease` brought a value. Rule S1.
    Effect fill(std::uint64_t lease) {
        if (!stands(lease)) {
            return Effect::keep;
        }
        clear();
        return Effect::store;
    }

    /// The load of `lease` failed.
    void release(std::uint64_t lease) noexcept {
        if (stands(lease)) {
            clear();
        }
    }

    /// The load of `lease` answered, and its answer is not kept: no older copy may hide it.
    /// Rule S6.
    Effect withdraw(std::uint64_t lease) noexcept {
        if (!stands(lease)) {
            return Effect::keep;
        }
        clear();
        return Effect::erase;
    }

    /// A writer begins: whatever copy there is goes. Rules S2 and S3.
    Effect begin_write(std::uint64_t ticket, Instant deadline) {
        if (!writing()) {
            tickets_.reserve(1);
            clear();
            kind_ = Kind::writing;
            tickets_.push_back({ticket, deadline});
            return Effect::erase;
        }
        overlapped_ = true;
        if (tickets_.size() < most_tickets) {
            tickets_.push_back({ticket, deadline});
        } else {
            unnamed_until_ = (std::max)(unnamed_until_, deadline);
        }
        return Effect::erase;
    }

    /// How a writer ended.
    struct Finished {
        Effect effect;
        bool found;  ///< its ticket was still there
    };

    /// A writer ends; `leaves` says whether it has a value to leave. Rule S8.
    Finished finish_write(std::uint64_t ticket, bool leaves) noexcept {
        if (!writing()) {
            clear();
            return {Effect::erase, false};
        }
        const auto at = std::find_if(tickets_.begin(), tickets_.end(),
                                     [&](const TicketHeld& t) { return t.id == ticket; });
        if (at == tickets_.end()) {
            overlapped_ = true;  // nobody may leave a value now
            return {Effect::erase, false};
        }
        tickets_.erase(at);
        if (!tickets_.empty() || unnamed_until_ != none) {
            return {Effect::erase, true};
        }
        const Effect effect = !overlapped_ && leaves ? Effect::store : Effect::erase;
        clear();
        return {effect, true};
    }

    /// An invalidation: whoever loads or refreshes must not fill, whoever writes must leave nothing.
    /// Rule S4.
    Effect erase() {
        if (writing()) {
            overlapped_ = true;
        } else {
            clear();
        }
        return Effect::erase;
    }

    /// A background refresh: `lead`, or `hit` for nothing to do.
    Slot open_refresh(Held held, std::uint64_t id) {
        if (writing()) {
            return Slot::bypass;
        }
        if (held != Held::fresh || !idle()) {
            return Slot::hit;
        }
        lease_to(held, id);
        return Slot::lead;
    }

    /// A refresh by name: takes the lease from whoever has it. Rule S5.
    Slot force_refresh(Held held, std::uint64_t id) {
        if (writing()) {
            overlapped_ = true;
            return Slot::bypass;
        }
        lease_to(held, id);
        return Slot::lead;
    }

    /// A value from outside of the protocol.
    Effect put() {
        if (writing()) {
            overlapped_ = true;
            return Effect::erase;
        }
        clear();
        return Effect::store;
    }

private:
    enum class Kind : std::uint8_t { none, loading, refreshing, writing };

    struct TicketHeld {
        std::uint64_t id;
        Instant deadline;
    };

    static constexpr Instant none = (Instant::min)();

    // Keeps the room of the tickets: a slot that is written again allocates none.
    void clear() noexcept {
        kind_ = Kind::none;
        overlapped_ = false;
        lease_ = 0;
        tickets_.clear();
        unnamed_until_ = none;
    }

    void lease_to(Held held, std::uint64_t id) noexcept {
        clear();
        kind_ = held == Held::nothing ? Kind::loading : Kind::refreshing;
        lease_ = id;
    }

    Kind kind_ = Kind::none;
    bool overlapped_ = false;
    std::uint64_t lease_ = 0;
    std::vector<TicketHeld> tickets_{};
    Instant unnamed_until_ = none;  // of the tickets beyond the most that are kept by name
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_STATE_MACHINE_HPP
