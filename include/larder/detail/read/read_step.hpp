// SPDX-License-Identifier: MIT

/// @file
/// The steps of a read, by name.

#ifndef LARDER_DETAIL_READ_READ_STEP_HPP
#define LARDER_DETAIL_READ_READ_STEP_HPP

#include <larder/detail/flight/wait_graph.hpp>
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
    lead_bypass,   ///< lead a load without a lease, if none is under way: `joined_bypass`
    find_next,     ///< ask for a load without a lease that is under way or next: `found_next`

    wait_underway,     ///< wait for the flight that `find_underway` found: `waited`
    wait_flight,       ///< wait for the flight that `open` found: `waited`
    wait_queued,       ///< wait for the queued load: `waited`
    wait_bypass,       ///< wait for another's load without a lease: `waited`
    wait_predecessor,  ///< wait for the load without a lease that is ahead of this read's: `waited`
    wait_ahead,        ///< the same before this read has a load: `waited`
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
    hand_on,        ///< of the executor's: its waiters are to wait as `handed` says
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

    /// The executor carries it out, and others wait for it.
    bool for_others = false;

    /// Of one for others: it is to wait for no load of another process, since one of them has.
    bool past_remote = false;

    /// Of one for others: who has queued it has been counted as bypassed.
    bool bypassed = false;
};

/// What a flight that is over has brought.
enum class FlightEnd : std::uint8_t {
    nothing,  ///< whoever waited is to look again
    value,
    failure,
    refused,  ///< the executor has not taken it, or has thrown it away
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_STEP_HPP
