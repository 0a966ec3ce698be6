// SPDX-License-Identifier: MIT

/// @file
/// What a read that found no fresh copy does next: decisions alone.

#ifndef LARDER_DETAIL_READ_READ_STEPS_HPP
#define LARDER_DETAIL_READ_READ_STEPS_HPP

#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/version.hpp>

#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// One read, as a machine without store, lock, thread or clock: told what the last step has answered,
/// it says the next one. Whoever carries the steps out may block on a wait, or suspend.
///
/// A read with a deadline leaves its load to the executor, where it begins anew as one for others. That
/// waits for nobody, and so holds no thread of the executor but for a load of its own: it hands on what
/// it finds under way, and those who wait for it wait for that in their own threads, as long as they
/// like. Rule S12.
///
/// An answer is told after the step that asks for it, once.
class ReadSteps {
public:
    /// The first step.
    [[nodiscard]] ReadStep begin(const ReadStart& start) noexcept {
        start_ = start;
        remote_ended_ = start.past_remote;
        bypassed_ = start.bypassed;
        stale_ = start.stale && start.kind == ReadKind::miss;
        if (stale_ && start.backs_off) {
            return {ReadAct::give_stale};
        }
        if (start.kind == ReadKind::refresh) {
            // The executor may run tasks at once, within the load of the key.
            return {start.may == MayWait::yes ? ReadAct::open_refresh : ReadAct::give_nothing};
        }
        if (start.may == MayWait::recursive) {
            return {ReadAct::throw_recursive};
        }
        on_executor_ = start.outlives_call && start.limited;
        if (start.may == MayWait::deadlock && start.kind == ReadKind::miss) {
            return without_lease(ReadAct::load_alone);
        }
        return again();
    }

    /// How the read begins that the executor is to carry out.
    [[nodiscard]] ReadStart for_executor() const noexcept {
        ReadStart start;
        start.kind = start_.kind;
        start.for_others = true;
        start.past_remote = remote_ended_;
        start.bypassed = bypassed_;
        return start;
    }

    /// @param flight  the store has one in flight
    [[nodiscard]] ReadStep found(bool flight) noexcept {
        return flight ? ReadStep{ReadAct::wait_underway, ReadCount::joined}
                      : ReadStep{ReadAct::queue};
    }

    /// @param own  it was not there: this read has queued it
    [[nodiscard]] ReadStep queued(bool own) noexcept {
        own_ = own;
        return {ReadAct::wait_queued, own ? ReadCount::nothing : ReadCount::joined};
    }

    /// Rule S11.
    ///
    /// @param stale  a stale copy is there
    /// @param due    of a refresh: the copy is near its end, so that nobody else has refreshed it
    /// @param ours   false: the slot holds what is not the store's to touch, such as another type
    [[nodiscard]] ReadStep opened(Slot slot, bool stale, bool due = true,
                                  bool ours = true) noexcept {
        ours_ = ours;
        stale_ = stale && start_.kind == ReadKind::miss;
        if (start_.kind == ReadKind::refresh) {
            return slot != Slot::lead ? ReadStep{ReadAct::give_nothing}
                   : due              ? ReadStep{ReadAct::load_leased, ReadCount::refreshes}
                                      : ReadStep{ReadAct::give_back};
        }
        if (slot == Slot::lead) {
            return {ReadAct::load_leased};
        }
        if (start_.kind == ReadKind::reload) {
            return bypass();
        }
        switch (slot) {
            case Slot::hit: return {remote_ended_ ? ReadAct::give_remote : ReadAct::give_hit};
            case Slot::join: return wait(ReadAct::wait_flight);
            case Slot::remote:
                // For one only: else a hot key that leaves no copy makes a convoy.
                return remote_ended_ ? bypass() : wait(ReadAct::wait_remote);
            case Slot::lead:
            case Slot::bypass: break;
        }
        return bypass();
    }

    /// @param waited_for  the step that waited
    /// @param brought     what the flight brought; only of one that is over
    [[nodiscard]] ReadStep waited(ReadAct waited_for, WaitEnd end, FlightEnd brought) noexcept {
        if (end == WaitEnd::deadlock) {
            return waited_for == ReadAct::wait_queued && start_.kind == ReadKind::reload
                       ? in_this_thread()
                       : without_lease(ReadAct::load_alone);
        }
        if (end != WaitEnd::over) {
            return gave_up(end, waited_for == ReadAct::wait_queued);
        }
        if (waited_for == ReadAct::wait_predecessor) {
            return {ReadAct::load_bypass};
        }
        if (waited_for == ReadAct::wait_ahead) {
            return {ReadAct::find_next};
        }
        if (brought == FlightEnd::nothing || brought == FlightEnd::refused) {
            return look_again(waited_for, brought);
        }
        if (brought == FlightEnd::failure) {
            return {stale_ ? ReadAct::give_stale : ReadAct::throw_failure};
        }
        if (waited_for == ReadAct::wait_bypass) {
            return unfilled(ReadAct::give_joined);
        }
        return {waited_for == ReadAct::wait_queued && own_ ? ReadAct::give_queued
                                                           : ReadAct::give_joined};
    }

    /// What the queued load would have waited for is to be waited for: `act`.
    ///
    /// @param ours  of the slot, as `opened`
    [[nodiscard]] ReadStep handed_on(ReadAct act, bool ours) noexcept {
        ours_ = ours;
        if (!own_) {
            return {act};  // it has been counted as joined
        }
        const bool bypasses = act == ReadAct::wait_bypass || act == ReadAct::wait_ahead;
        return bypasses ? without_lease(act) : ReadStep{act, ReadCount::joined};
    }

    /// Of one for others: how they are to wait.
    [[nodiscard]] ReadAct handed() const noexcept { return handed_; }
    [[nodiscard]] bool ours() const noexcept { return ours_; }

    [[nodiscard]] ReadStep waited_remote(RemoteEnd how) noexcept {
        switch (how) {
            case RemoteEnd::ended: remote_ended_ = true; return again();
            case RemoteEnd::died: return again();
            case RemoteEnd::timed_out: return gave_up(WaitEnd::timed_out, false);
            case RemoteEnd::cancelled: return gave_up(WaitEnd::cancelled, false);
            case RemoteEnd::lasts: break;
        }
        remote_ended_ = true;
        return on_executor_ ? again() : bypass();
    }

    /// @param leads  it is this read's to carry out
    /// @param behind  another is ahead of it, and has begun
    [[nodiscard]] ReadStep joined_bypass(bool leads, bool behind) noexcept {
        if (leads) {
            return behind              ? ReadStep{ReadAct::wait_predecessor}
                   : start_.for_others ? without_lease(ReadAct::load_bypass)
                                       : ReadStep{ReadAct::load_bypass};
        }
        return start_.for_others ? hand_on(behind ? ReadAct::wait_ahead : ReadAct::wait_bypass)
                                 : ReadStep{ReadAct::wait_bypass};
    }

    /// After `wait_ahead`, whatever is under way now has begun since, or is still to begin.
    ///
    /// @param flight  there is one
    [[nodiscard]] ReadStep found_next(bool flight) const noexcept {
        return flight ? ReadStep{ReadAct::wait_bypass} : again();
    }

    /// @param load  the step that loaded
    [[nodiscard]] ReadStep loaded(ReadAct load) noexcept {
        return load == ReadAct::load_leased ? ReadStep{ReadAct::fill}
                                            : unfilled(ReadAct::give_loaded);
    }
    /// Gives what the reload without a lease has brought.
    [[nodiscard]] ReadStep invalidated() const noexcept { return {give_}; }
    /// @param load  the step that loaded
    [[nodiscard]] ReadStep load_failed(ReadAct load) noexcept {
        failed_ = true;
        return {load == ReadAct::load_leased ? ReadAct::give_back : ReadAct::throw_failure};
    }

    /// @param kept    the slot holds the value
    /// @param failed  the store, or what it calls, has thrown
    [[nodiscard]] ReadStep filled(bool kept, bool failed) noexcept {
        if (failed) {
            return {ReadAct::undo_fill};
        }
        return {start_.kind == ReadKind::reload && !kept ? ReadAct::close_reload
                                                         : ReadAct::give_loaded};
    }
    /// @param failed  the store has thrown
    [[nodiscard]] ReadStep closed(bool failed) noexcept {
        return {failed ? ReadAct::undo_fill : ReadAct::give_loaded};
    }
    [[nodiscard]] ReadStep undone() noexcept { return {ReadAct::give_loaded}; }
    [[nodiscard]] ReadStep gave_back() noexcept {
        if (!failed_) {
            return {ReadAct::give_nothing};
        }
        return {stale_ ? ReadAct::give_stale : ReadAct::throw_failure};
    }

    /// A stale copy may stand in for what a load does not bring in time.
    [[nodiscard]] bool has_stale() const noexcept { return stale_; }

private:
    // The first step, and where a read goes that is to look again.
    [[nodiscard]] ReadStep again() const noexcept {
        const bool reload = start_.kind == ReadKind::reload;
        if (on_executor_) {
            return {reload ? ReadAct::queue_reload : ReadAct::find_underway};
        }
        return {reload ? ReadAct::open_reload : ReadAct::open};
    }

    // The executor does not carry it out.
    [[nodiscard]] ReadStep in_this_thread() noexcept {
        on_executor_ = false;
        return again();
    }

    [[nodiscard]] ReadStep wait(ReadAct act) noexcept {
        return start_.for_others ? hand_on(act) : ReadStep{act, ReadCount::joined};
    }

    [[nodiscard]] ReadStep hand_on(ReadAct act) noexcept {
        handed_ = act;
        return {ReadAct::hand_on};
    }

    [[nodiscard]] ReadStep bypass() noexcept {
        stale_ = false;
        return start_.for_others ? ReadStep{ReadAct::lead_bypass}
                                 : without_lease(ReadAct::join_bypass);
    }

    // A read is counted as bypassed once.
    [[nodiscard]] ReadStep without_lease(ReadAct act) noexcept {
        return {act, std::exchange(bypassed_, true) ? ReadCount::nothing : ReadCount::bypassed};
    }

    // What fills nothing is given; but a reload ends as an invalidation, where there may be a copy.
    [[nodiscard]] ReadStep unfilled(ReadAct give) noexcept {
        give_ = give;
        return {start_.kind == ReadKind::reload && ours_ ? ReadAct::invalidate : give};
    }

    // The flight has ended without an answer: its leader has gone, or what it brought was invalidated.
    [[nodiscard]] ReadStep look_again(ReadAct waited_for, FlightEnd brought) noexcept {
        if (waited_for == ReadAct::wait_queued &&
            (brought == FlightEnd::refused || start_.kind == ReadKind::reload)) {
            return in_this_thread();
        }
        if (waited_for == ReadAct::wait_bypass && !on_executor_) {
            return {ReadAct::join_bypass};
        }
        return again();
    }

    // The wait has ended before the flight.
    [[nodiscard]] ReadStep gave_up(WaitEnd end, bool queued) const noexcept {
        if (end == WaitEnd::recursive) {
            return {ReadAct::throw_recursive};
        }
        const bool late = end == WaitEnd::timed_out;
        if (stale_) {
            return {ReadAct::give_stale, ReadCount::nothing, queued && late};
        }
        return {late ? ReadAct::throw_timed_out : ReadAct::throw_cancelled};
    }

    ReadStart start_{};
    bool stale_ = false;         // a stale copy may stand in for what a load does not bring
    bool ours_ = true;           // the slot
    bool own_ = false;           // the queued load
    bool on_executor_ = false;   // which opens the slot and loads for it
    bool bypassed_ = false;      // and counted
    bool remote_ended_ = false;  // a load of another process has been waited for
    bool failed_ = false;        // the load
    ReadAct handed_ = ReadAct::hand_on;
    ReadAct give_ = ReadAct::give_loaded;  // once a reload without a lease has invalidated
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_STEPS_HPP
