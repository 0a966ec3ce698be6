// SPDX-License-Identifier: MIT

/// @file
/// The steps of one read that found no fresh copy, whatever the value.

#ifndef LARDER_DETAIL_READ_KEYED_READ_HPP
#define LARDER_DETAIL_READ_KEYED_READ_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/flight/queued_load.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/keyed_core.hpp>
#include <larder/detail/read/bypass_load.hpp>
#include <larder/detail/read/executor_load.hpp>
#include <larder/detail/read/held_lease.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/read/read_steps.hpp>
#include <larder/detail/read/remote_wait.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The part of a ReadRun that knows neither value nor loader: carries out the steps that ReadSteps
/// decides. What it has in hand when it is destroyed is given back.
///
/// Of one thread at a time. The key must outlive it.
template <class K>
class KeyedRead {
public:
    KeyedRead(const KeyedRead&) = delete;
    KeyedRead& operator=(const KeyedRead&) = delete;

    /// The first step of a read without `lookup`.
    ReadStep begin(ReadKind kind, Patience patience) {
        own_patience_ = patience;
        return start({.kind = kind}, std::move(patience));
    }

    /// The first step of one that the executor carries out.
    ReadStep begin(const ReadStart& known) { return start(known, Patience{}); }

    /// What its waiters are to wait for: of one that has ended with `hand_on`.
    [[nodiscard]] HandedOn handed_on() const {
        return {steps_.handed(), flight_, remote_, remote_since_, steps_.ours()};
    }

    /// Carries one step out, and says the next. A wait blocks, unless what it waits for is over.
    ///
    /// @throws whatever a store throws that is no `StoreError`, such as std::bad_alloc
    ReadStep carry_out(ReadStep step) {
        switch (step.act) {
            case ReadAct::find_underway: return counted(find_underway());
            case ReadAct::open:
            case ReadAct::open_reload:
            case ReadAct::open_refresh: return answered(open(step.act));
            case ReadAct::queue:
            case ReadAct::queue_reload: return counted(queue(step.act));
            case ReadAct::join_bypass:
            case ReadAct::lead_bypass: return counted(join_bypass(step.act));
            case ReadAct::find_next: return counted(find_next());
            case ReadAct::wait_underway:
            case ReadAct::wait_flight:
            case ReadAct::wait_bypass:
            case ReadAct::wait_predecessor:
            case ReadAct::wait_ahead: return waited(step.act, wait_for(*flight_, patience_));
            case ReadAct::wait_queued:
                return waited(step.act, wait_for(queued_->load(), patience_));
            case ReadAct::wait_remote:
                return counted(steps_.waited_remote(
                    RemoteWait<K>{core_, key_, remote_, remote_since_, patience_}()));
            case ReadAct::load_leased:
            case ReadAct::load_bypass:
            case ReadAct::load_alone: return load(step.act);
            case ReadAct::fill: {
                const KeyFrame<K> frame{&core_, key_};  // a store's listener is called in a fill
                fill();
                return filled();
            }
            case ReadAct::close_reload: {
                const KeyFrame<K> frame{&core_, key_};
                leased_->close_reload();
                return steps_.closed(leased_->filled().failure != nullptr);
            }
            case ReadAct::invalidate: {
                const KeyFrame<K> frame{&core_, key_};
                // Where even that cannot be, the next read fails as well.
                static_cast<void>(core_.invalidate(key_));
                return steps_.invalidated();
            }
            case ReadAct::undo_fill: {
                const KeyFrame<K> frame{&core_, key_};
                leased_->undo_fill();
                return steps_.undone();
            }
            case ReadAct::give_back: return give_back();
            default: break;
        }
        return step;  // the last
    }

    /// Carries out all steps but the last, and says that.
    ///
    /// @throws as `carry_out`
    ReadStep carry_on(ReadStep step) {
        while (!step.last()) {
            step = carry_out(step);
        }
        return step;
    }

    /// What a wait waits for; null for the lease of another process. A wait for what is over does not
    /// block.
    [[nodiscard]] const AnyFlight* awaited() const noexcept { return flight_.get(); }

    /// It has ended: whoever waits for its load without a lease need not wait for its destruction.
    void let_go() noexcept { bypass_.reset(); }

    /// Tells how a wait has ended, however it was waited, and says the next step.
    ReadStep waited(ReadAct waited_for, WaitEnd end) {
        FlightEnd brought = FlightEnd::nothing;
        if (end == WaitEnd::over) {
            if (flight_->brought()) {
                brought = FlightEnd::value;
            } else if (flight_->failure()) {
                brought = FlightEnd::failure;
            } else if (waited_for == ReadAct::wait_queued) {
                if (const HandedOn* const on = on_executor().handed_on()) {
                    return take_over(*on);
                }
                brought = queued_->load().abandoned() ? FlightEnd::refused : FlightEnd::nothing;
            }
        }
        const ReadStep step = steps_.waited(waited_for, end, brought);
        if (step.leave_queued) {
            queued_->leave_for_the_next();
        }
        return counted(step);
    }

    /// Tells that the load of the lease is over, and whether it has failed.
    ReadStep loaded_leased() {
        failure_ = leased_->failure();
        return failure_ ? steps_.load_failed(ReadAct::load_leased)
                        : steps_.loaded(ReadAct::load_leased);
    }

    /// Tells that the fill of the lease is over.
    ReadStep filled() {
        const Filled& filled = leased_->filled();
        return steps_.filled(filled.kept, filled.failure != nullptr);
    }

protected:
    // What a slot has answered, without the value.
    struct Answer {
        Slot slot = Slot::bypass;
        bool stale = false;  // there is a copy that may be served
        bool due = true;     // there is none that is far from its end
        bool writing = false;
        Lease lease{};
        std::shared_ptr<AnyFlight> flight{};
        HeldLease<K>* leased = nullptr;  // `lead`: the load of the lease
    };

    /// @param outlives_call  its load may go on when the call has returned
    KeyedRead(KeyedCore<K>& core, const K& key, bool outlives_call) noexcept
        : core_{core}, key_{key}, outlives_call_{outlives_call} {}
    ~KeyedRead() = default;

    // The first step of a miss.
    ReadStep begin_miss(Patience patience, bool stale) {
        own_patience_ = patience;
        if (outlives_call_ && stale && core_.options.load_timeout) {
            const auto soon = later(std::chrono::steady_clock::now(), *core_.options.load_timeout);
            patience.deadline = patience.deadline ? (std::min)(*patience.deadline, soon) : soon;
        }
        return start({.stale = stale}, std::move(patience));
    }

    // Tells what `open` has answered, however it was asked.
    ReadStep answered(Answer&& answer) {
        if (answer.leased != nullptr) {
            leased_ = answer.leased;
        }
        if (answer.slot == Slot::remote) {
            remote_ = answer.lease;
            remote_since_ = std::chrono::steady_clock::now();
        }
        flight_ = std::move(answer.flight);
        const bool ours = answer.slot != Slot::bypass || answer.writing || store_failed_;
        const ReadStep step = steps_.opened(answer.slot, answer.stale, answer.due, ours);
        if (!steps_.has_stale()) {
            patience_ = own_patience_;  // `load_timeout` is for who can be served at its end
        }
        return counted(step);
    }

    // Throws what the last step says.
    [[noreturn]] void refuse(ReadStep step) const {
        switch (step.act) {
            case ReadAct::throw_timed_out:
                throw Error{Errc::timed_out, "waiting for the load of key " + key_text(key_)};
            case ReadAct::throw_cancelled:
                throw Error{Errc::cancelled, "waiting for the load of key " + key_text(key_)};
            case ReadAct::throw_recursive:
                throw Error{Errc::recursive_load,
                            "the load of key " + key_text(key_) + " waits for itself"};
            default: std::rethrow_exception(failure_ ? failure_ : flight_->failure());
        }
    }

    [[nodiscard]] ReadKind kind() const noexcept { return kind_; }
    [[nodiscard]] const K& key() const noexcept { return key_; }
    [[nodiscard]] HeldLease<K>* leased() const noexcept { return leased_; }
    [[nodiscard]] BypassLoad<K>& bypass() noexcept { return *bypass_; }

private:
    // ---- what depends on the value ----

    // Opens the slot. Throws StoreError.
    virtual Answer ask(ReadAct act) = 0;

    // Loads, under the lease or without one, and keeps what that brings. Throws what the loader throws.
    virtual void load_row(ReadAct act) = 0;

    // Fills the slot with it.
    virtual void fill() noexcept = 0;

    // The same read, for the executor. All that are queued are made so.
    virtual std::shared_ptr<ExecutorLoad<K>> for_executor(const ReadStart& start) = 0;

    // A flight for whoever joins a load without a lease.
    virtual std::shared_ptr<AnyFlight> make_flight() = 0;

    // ---- the rest ----

    ReadStep start(ReadStart known, Patience patience) {
        patience_ = std::move(patience);
        kind_ = known.kind;
        known.backs_off = known.stale && core_.loads().backs_off(key_, core_.now());
        known.limited = !patience_.endless();
        known.outlives_call = outlives_call_;
        known.may = LoadFrame::any() ? LoadFrame::ask(&core_, key_) : MayWait::yes;
        return counted(steps_.begin(known));
    }

    ReadStep counted(ReadStep step) noexcept {
        switch (step.count) {
            case ReadCount::nothing: break;
            case ReadCount::joined: core_.count(Count::joined); break;
            case ReadCount::bypassed: core_.count(Count::bypassed); break;
            case ReadCount::refreshes: core_.count(Count::refreshes); break;
        }
        return step;
    }

    ReadStep find_underway() {
        flight_ = core_.underway(key_);
        return steps_.found(flight_ != nullptr);
    }

    ReadStep find_next() {
        flight_ = core_.loads().bypass_underway(key_);
        return steps_.found_next(flight_ != nullptr);
    }

    // A read that the executor carries out begins anew there.
    ReadStep queue(ReadAct act) {
        const ReadStart start = steps_.for_executor();
        std::shared_ptr<ExecutorLoad<K>> made = for_executor(start);
        if (start.past_remote) {
            made->pass_remote();
        }
        bool own = true;
        if (act == ReadAct::queue_reload) {
            queued_.emplace(made);
        } else {
            auto [waiter, is_new] = core_.loads().queue(key_, made);
            own = is_new;
            queued_.emplace(std::move(waiter));
        }
        if (own) {
            submit(core_, std::move(made));
        }
        flight_ = queued_->load().flight();
        return steps_.queued(own);
    }

    Answer open(ReadAct act) {
        try {
            return ask(act);
        } catch (const StoreError&) {
            if (act == ReadAct::open_refresh) {
                throw;
            }
            store_failed_ = true;
            core_.count(Count::store_errors);
            if (act == ReadAct::open) {
                core_.report(EventKind::store_failed, key_, std::current_exception());
            }  // else it ends as an invalidation, and that is told of
            return {};
        }
    }

    [[nodiscard]] const ExecutorLoad<K>& on_executor() const noexcept {
        return static_cast<const ExecutorLoad<K>&>(queued_->load());
    }

    ReadStep take_over(const HandedOn& on) {
        flight_ = on.flight;
        remote_ = on.remote;
        remote_since_ = on.remote_since;
        return counted(steps_.handed_on(on.wait, on.ours));
    }

    ReadStep join_bypass(ReadAct act) {
        using Join = typename BypassLoad<K>::Join;
        bypass_.emplace(core_, key_, make_flight(),
                        act == ReadAct::lead_bypass ? Join::idle : Join::next);
        flight_ = bypass_->awaited();
        return steps_.joined_bypass(bypass_->leads(), bypass_->behind());
    }

    ReadStep load(ReadAct act) {
        try {
            if (act == ReadAct::load_bypass) {
                bypass_->begin();
            }
            const KeyFrame<K> frame{&core_, key_};
            load_row(act);
        } catch (...) {
            failure_ = std::current_exception();
        }
        if (!failure_) {
            return steps_.loaded(act);
        }
        if (act == ReadAct::load_leased) {
            leased_->load_failed(failure_);
        } else {
            core_.count(Count::load_failures);
        }
        if (act == ReadAct::load_bypass) {
            bypass_->fail(failure_);
        }
        return steps_.load_failed(act);
    }

    ReadStep give_back() {
        leased_->give_back();
        const ReadStep step = steps_.gave_back();
        if (step.act == ReadAct::give_stale) {
            core_.back_off(key_);
            core_.report(EventKind::load_failed, key_, failure_);
        }
        return step;
    }

    KeyedCore<K>& core_;
    const K& key_;
    ReadSteps steps_{};
    ReadKind kind_ = ReadKind::miss;
    const bool outlives_call_;
    bool store_failed_ = false;  // at `open`
    Patience own_patience_{};    // the caller's
    Patience patience_{};        // no longer than that: `load_timeout`, while there is a stale copy

    std::shared_ptr<AnyFlight> flight_{};  // what is waited for
    Lease remote_{};                       // the same, of another process
    std::chrono::steady_clock::time_point remote_since_{};
    std::optional<QueuedWaiter> queued_{};
    std::optional<BypassLoad<K>> bypass_{};
    HeldLease<K>* leased_ = nullptr;
    std::exception_ptr failure_{};  // of this read's own load
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_KEYED_READ_HPP
