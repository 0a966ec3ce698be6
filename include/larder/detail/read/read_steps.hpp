// SPDX-License-Identifier: MIT

/// @file
/// What a read that found no fresh copy does next: decisions alone.

#ifndef LARDER_DETAIL_READ_READ_STEPS_HPP
#define LARDER_DETAIL_READ_READ_STEPS_HPP

#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// What a read is for.
enum class ReadKind : std::uint8_t {
    miss,
    reload,   ///< by name: no older copy may be served once it has returned
    refresh,  ///< in the background, of a copy that is still served
};

/// What is to be done. Each is one call of a store, one load, one wait or one look into the tables of
/// this process; whoever has done it tells `ReadSteps` the answer with the function named here. The
/// last ones end the read.
enum class ReadAct : std::uint8_t {
    find_underway,  ///< ask the store what it has in flight in this process: `found`
    open,           ///< open the slot: `opened`
    open_reload,    ///< take the lease from whoever has it: `opened`
    open_refresh,   ///< take a lease beside a copy that stands: `opened`

    queue,         ///< queue the read on the executor, or find it queued: `queued`
    queue_reload,  ///< queue a reload of this read's own: `queued`
    join_bypass,   ///< join the next load without a lease: `joined_bypass`

    wait_underway,     ///< wait for the flight that `find_underway` found: `waited`
    wait_flight,       ///< wait for the flight that `open` found: `waited`
    wait_queued,       ///< wait for the queued load: `waited`
    wait_bypass,       ///< wait for another's load without a lease: `waited`
    wait_predecessor,  ///< wait for the load without a lease that is ahead of this read's: `waited`
    wait_remote,       ///< wait for the lease of another process: `waited_remote`

    load_leased,  ///< load under the lease: `loaded`, `load_failed`
    load_bypass,  ///< load for whoever has joined, without a lease: `loaded`, `load_failed`
    load_alone,   ///< load for nobody else, without a lease: `loaded`, `load_failed`

    fill,          ///< fill the slot, or withdraw the lease: `filled`
    close_reload,  ///< a reload whose fill was refused: invalidate the key: `closed`
    invalidate,    ///< the same, of a reload that has no lease: `invalidated`
    undo_fill,     ///< what could not be stored: give the lease back, drop an older copy: `undone`
    give_back,     ///< give the lease back, tell the waiters why: `gave_back`

    give_hit,       ///< the copy that `open` found
    give_remote,    ///< the same, left by the load of another process
    give_stale,     ///< the stale copy
    give_joined,    ///< what the flight brought that was waited for
    give_queued,    ///< the same, of the load that this read has queued itself
    give_loaded,    ///< what this read has loaded; whoever joined is told. Throws instead where an
                    ///< older copy is still served, so that nobody is told what the next may deny
    give_nothing,   ///< of a refresh: there is nothing to do
    throw_failure,  ///< why the load failed, whoever carried it out
    throw_timed_out,  ///< `Errc::timed_out`
    throw_cancelled,  ///< `Errc::cancelled`
    throw_recursive,  ///< `Errc::recursive_load`
};

/// What is to be counted with a step.
enum class ReadCount : std::uint8_t { nothing, joined, bypassed, refreshes };

/// The next step of a read.
struct ReadStep {
    ReadAct act;
    ReadCount count = ReadCount::nothing;

    /// The caller goes, and yet what it has queued is to be carried out: for the next.
    bool leave_queued = false;

    /// The read ends with it.
    [[nodiscard]] bool last() const noexcept { return act >= ReadAct::give_hit; }

    friend bool operator==(const ReadStep&, const ReadStep&) = default;
};

/// What is known when a read begins.
struct ReadStart {
    ReadKind kind = ReadKind::miss;

    /// Whether this thread may wait for a load of the key: what `LoadFrame::ask` says.
    MayWait may = MayWait::yes;

    /// There is a stale copy, which may be served.
    bool stale = false;

    /// The last load has failed, and it is too soon for another.
    bool backs_off = false;

    /// The caller waits until a deadline or a stop request only.
    bool limited = false;

    /// The load may go on when the call has returned.
    bool outlives_call = false;
};

/// What a flight that is over has brought.
enum class FlightEnd : std::uint8_t {
    nothing,  ///< whoever waited is to look again
    value,
    failure,
    refused,  ///< the executor has not taken it, or has thrown it away
};

/// One read, as a machine without store, lock, thread or clock: told what the last step has answered,
/// it says the next one. Whoever carries the steps out may block on a wait, or suspend.
///
/// An answer is told after the step that asks for it, once.
class ReadSteps {
public:
    /// The first step.
    [[nodiscard]] ReadStep begin(const ReadStart& start) noexcept {
        start_ = start;
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
        const bool on_executor = start.outlives_call && start.limited;
        if (start.kind == ReadKind::reload) {
            return {on_executor ? ReadAct::queue_reload : ReadAct::open_reload};
        }
        if (start.may == MayWait::deadlock) {
            return {ReadAct::load_alone, ReadCount::bypassed};
        }
        return {on_executor ? ReadAct::find_underway : ReadAct::open};
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
            case Slot::join: return {ReadAct::wait_flight, ReadCount::joined};
            case Slot::remote:
                // For one only: else a hot key that leaves no copy makes a convoy.
                return remote_ended_ ? bypass() : ReadStep{ReadAct::wait_remote, ReadCount::joined};
            case Slot::lead:
            case Slot::bypass: break;
        }
        return bypass();
    }

    /// @param waited_for  the step that waited
    /// @param brought     what the flight brought; only of one that is over
    [[nodiscard]] ReadStep waited(ReadAct waited_for, WaitEnd end, FlightEnd brought) noexcept {
        const bool without_lease =
            waited_for == ReadAct::wait_bypass || waited_for == ReadAct::wait_predecessor;
        if (end == WaitEnd::deadlock) {
            return waited_for == ReadAct::wait_queued && start_.kind == ReadKind::reload
                       ? ReadStep{ReadAct::open_reload}
                       : ReadStep{ReadAct::load_alone,
                                  without_lease ? ReadCount::nothing : ReadCount::bypassed};
        }
        if (end != WaitEnd::over) {
            return gave_up(end, waited_for == ReadAct::wait_queued);
        }
        if (waited_for == ReadAct::wait_predecessor) {
            return {ReadAct::load_bypass};
        }
        if (brought == FlightEnd::nothing || brought == FlightEnd::refused) {
            return look_again(waited_for, brought);
        }
        if (brought == FlightEnd::failure) {
            return {stale_ ? ReadAct::give_stale : ReadAct::throw_failure};
        }
        if (without_lease) {
            return unfilled(ReadAct::give_joined);
        }
        return {waited_for == ReadAct::wait_queued && own_ ? ReadAct::give_queued
                                                           : ReadAct::give_joined};
    }

    [[nodiscard]] ReadStep waited_remote(RemoteEnd how) noexcept {
        switch (how) {
            case RemoteEnd::ended: remote_ended_ = true; return {ReadAct::open};
            case RemoteEnd::died: return {ReadAct::open};
            case RemoteEnd::timed_out: return gave_up(WaitEnd::timed_out, false);
            case RemoteEnd::cancelled: return gave_up(WaitEnd::cancelled, false);
            case RemoteEnd::lasts: break;
        }
        return bypass();
    }

    /// @param leads  it is this read's to carry out
    /// @param behind  another is ahead of it
    [[nodiscard]] ReadStep joined_bypass(bool leads, bool behind) noexcept {
        return {!leads   ? ReadAct::wait_bypass
                : behind ? ReadAct::wait_predecessor
                         : ReadAct::load_bypass};
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
    [[nodiscard]] ReadStep bypass() noexcept {
        stale_ = false;
        return {ReadAct::join_bypass, ReadCount::bypassed};
    }

    // What fills nothing is given; but a reload ends as an invalidation, where there may be a copy.
    [[nodiscard]] ReadStep unfilled(ReadAct give) noexcept {
        give_ = give;
        return {start_.kind == ReadKind::reload && ours_ ? ReadAct::invalidate : give};
    }

    // The flight has ended without an answer: its leader has gone, or what it brought was invalidated.
    [[nodiscard]] ReadStep look_again(ReadAct waited_for, FlightEnd brought) const noexcept {
        switch (waited_for) {
            case ReadAct::wait_flight: return {ReadAct::open};
            case ReadAct::wait_bypass: return {ReadAct::join_bypass};
            case ReadAct::wait_queued:
                if (start_.kind == ReadKind::reload) {
                    return {ReadAct::open_reload};
                }
                return {brought == FlightEnd::refused ? ReadAct::open : ReadAct::find_underway};
            default: return {ReadAct::find_underway};
        }
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
    bool remote_ended_ = false;  // a load of another process has been waited for to its end
    bool failed_ = false;        // the load
    ReadAct give_ = ReadAct::give_loaded;  // once a reload without a lease has invalidated
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_STEPS_HPP
