// SPDX-License-Identifier: MIT

/// @file
/// One read that found no fresh copy: carries out its steps, one at a time.

#ifndef LARDER_DETAIL_READ_READ_RUN_HPP
#define LARDER_DETAIL_READ_READ_RUN_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/flight/queued_load.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/read/bypass_load.hpp>
#include <larder/detail/read/executor_load.hpp>
#include <larder/detail/read/leased_load.hpp>
#include <larder/detail/read/lookup.hpp>
#include <larder/detail/read/read_steps.hpp>
#include <larder/detail/read/remote_wait.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
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

/// The steps of one read, as `ReadSteps` decides them. `begin`, then `carry_out` until the step is the
/// last, then `end`; or all of it, blocking, in one call of `run`. What it has in hand when it is
/// destroyed is given back.
///
/// Of one thread at a time. Key and loader must outlive it.
///
/// @tparam Load  one of the loads of loads.hpp
template <class E, class Load>
class ReadRun {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    ReadRun(E& core, const Key& key, const Load& load)
        : core_{core}, key_{key}, load_{load}, query_{core.query()} {}
    ReadRun(const ReadRun&) = delete;
    ReadRun& operator=(const ReadRun&) = delete;

    /// All of the read. Reads on behalf of others are without `lookup` and `patience`.
    ///
    /// @throws whatever the loader threw, or `Error`
    Fetched<Value> run(ReadKind kind) { return run(begin(kind, Patience{})); }
    Fetched<Value> run(ReadStep step) {
        while (!step.last()) {
            step = carry_out(step);
        }
        return end(step);
    }

    /// The first step of a miss.
    ///
    /// @param lookup  what has been found; it is taken
    ReadStep begin(Lookup<E>&& lookup, Patience patience) {
        own_patience_ = patience;
        query_ = std::move(lookup.query);
        stale_ = std::move(lookup.stale);
        if (Load::outlives_call && stale_ && core_.options.load_timeout) {
            const auto soon = later(std::chrono::steady_clock::now(), *core_.options.load_timeout);
            patience.deadline = patience.deadline ? (std::min)(*patience.deadline, soon) : soon;
        }
        return start(ReadKind::miss, std::move(patience));
    }

    /// The first step of any other read.
    ReadStep begin(ReadKind kind, Patience patience) {
        own_patience_ = patience;
        return start(kind, std::move(patience));
    }

    /// Carries one step out, and says the next. A wait blocks, unless what it waits for is over.
    ///
    /// @throws whatever a store throws that is no `StoreError`, such as std::bad_alloc
    ReadStep carry_out(ReadStep step) {
        switch (step.act) {
            case ReadAct::find_underway: return counted(find_underway());
            case ReadAct::open:
            case ReadAct::open_reload:
            case ReadAct::open_refresh: return opened(open(step.act));
            case ReadAct::queue:
            case ReadAct::queue_reload: return counted(queue(step.act));
            case ReadAct::join_bypass: return counted(join_bypass());
            case ReadAct::wait_underway:
            case ReadAct::wait_flight:
            case ReadAct::wait_bypass:
            case ReadAct::wait_predecessor: return waited(step.act, wait_for(*flight_, patience_));
            case ReadAct::wait_queued:
                return waited(step.act, wait_for(queued_->load(), patience_));
            case ReadAct::wait_remote:
                return counted(steps_.waited_remote(
                    RemoteWait<E>{core_, key_, remote_, remote_since_, patience_}()));
            case ReadAct::load_leased:
            case ReadAct::load_bypass:
            case ReadAct::load_alone: return load(step.act);
            case ReadAct::fill: {
                const KeyFrame<Key> frame{&core_, key_};  // a store's listener is called in a fill
                leased_->fill();
                return filled();
            }
            case ReadAct::close_reload: {
                const KeyFrame<Key> frame{&core_, key_};
                leased_->close_reload();
                return steps_.closed(leased_->filled().failure != nullptr);
            }
            case ReadAct::invalidate: {
                const KeyFrame<Key> frame{&core_, key_};
                // Where even that cannot be, the next read fails as well.
                static_cast<void>(core_.invalidate(key_));
                return steps_.invalidated();
            }
            case ReadAct::undo_fill: {
                const KeyFrame<Key> frame{&core_, key_};
                leased_->undo_fill();
                return steps_.undone();
            }
            case ReadAct::give_back: return give_back();
            default: break;
        }
        return step;  // the last
    }

    /// Gives or throws what the last step says.
    Fetched<Value> end(ReadStep step) {
        switch (step.act) {
            case ReadAct::give_hit: return as_fetched(core_, std::move(*copy_), Source::hit);
            case ReadAct::give_remote: return as_fetched(core_, std::move(*copy_), Source::joined);
            case ReadAct::give_stale:
                core_.count(Count::stale_hits);
                return as_fetched(core_, std::move(*stale_), Source::stale);
            case ReadAct::give_queued: return *as_flight_of<Fetched<Value>>(*flight_).result();
            case ReadAct::give_joined: {
                Fetched<Value> fetched = *as_flight_of<Fetched<Value>>(*flight_).result();
                if (fetched.source == Source::loaded) {
                    fetched.source = Source::joined;
                }
                return fetched;
            }
            case ReadAct::give_loaded:
                return leased_ != nullptr ? leased_->complete() : std::move(*loaded_);
            case ReadAct::throw_failure:
                std::rethrow_exception(failure_ ? failure_ : flight_->failure());
            case ReadAct::throw_timed_out:
                throw Error{Errc::timed_out, "waiting for the load of key " + key_text(key_)};
            case ReadAct::throw_cancelled:
                throw Error{Errc::cancelled, "waiting for the load of key " + key_text(key_)};
            case ReadAct::throw_recursive:
                throw Error{Errc::recursive_load,
                            "the load of key " + key_text(key_) + " waits for itself"};
            default: break;
        }
        return {};
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
            } else if (waited_for == ReadAct::wait_queued && queued_->load().abandoned()) {
                brought = FlightEnd::refused;
            }
        }
        const ReadStep step = steps_.waited(waited_for, end, brought);
        if (step.leave_queued) {
            queued_->leave_for_the_next();
        }
        return counted(step);
    }

    /// Tells what `open` has answered, however it was asked.
    ///
    /// @param leased  the load of its lease, if another holds it
    ReadStep opened(Opening<Value>&& opening, LeasedLoad<E>* leased = nullptr) {
        if (leased != nullptr) {
            leased_ = leased;
        } else if (opening.slot == Slot::lead) {
            leased_ = &own_lease_.emplace(core_, key_, opening, kind_);
        }
        const bool due = !opening.copy || is_due(core_, Remaining{opening.copy->entry.remaining},
                                                 opening.copy->fresh);
        if (opening.slot == Slot::remote) {
            remote_ = opening.lease;
            remote_since_ = std::chrono::steady_clock::now();
        }
        flight_ = std::move(opening.flight);
        const bool hit = opening.slot == Slot::hit;
        (hit ? copy_ : stale_) = std::move(opening.copy);
        const bool ours = opening.slot != Slot::bypass || opening.writing || store_failed_;
        const ReadStep step = steps_.opened(opening.slot, !hit && stale_, due, ours);
        if (!steps_.has_stale()) {
            patience_ = own_patience_;  // `load_timeout` is for who can be served at its end
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

private:
    ReadStep start(ReadKind kind, Patience patience) {
        patience_ = std::move(patience);
        kind_ = kind;
        ReadStart known;
        known.kind = kind;
        known.stale = stale_.has_value();
        known.backs_off = stale_ && core_.loads().backs_off(key_, core_.now());
        known.limited = !patience_.endless();
        known.outlives_call = Load::outlives_call;
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
        flight_ = core_.store.underway(key_);
        return steps_.found(flight_ != nullptr);
    }

    // A read that the executor carries out begins anew there, and waits for others as long as they take.
    ReadStep queue(ReadAct act) {
        const ReadKind kind = kind_;
        auto made = std::make_shared<ExecutorLoad<E>>(
            core_, key_, [load = load_, kind](E& core, const Key& key) {
                return ReadRun{core, key, load}.run(kind);
            });
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
        query_ = core_.query();  // what it has answered will be old
        flight_ = queued_->load().flight();
        return steps_.queued(own);
    }

    Opening<Value> open(ReadAct act) {
        try {
            return act == ReadAct::open
                       ? core_.store.open(key_, query_)
                       : core_.store.open_refresh(key_, act == ReadAct::open_reload);
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

    ReadStep join_bypass() {
        bypass_.emplace(core_, key_);
        flight_ = bypass_->awaited();
        return steps_.joined_bypass(bypass_->leads(), flight_ != nullptr);
    }

    ReadStep load(ReadAct act) {
        try {
            if (act == ReadAct::load_leased) {
                const KeyFrame<Key> frame{&core_, key_};
                leased_->loaded(timed(core_, key_, load_));
            } else if (act == ReadAct::load_bypass) {
                loaded_.emplace((*bypass_)(load_));
            } else {
                loaded_.emplace(detail::load_alone(core_, key_, load_));
            }
        } catch (...) {
            failure_ = std::current_exception();
        }
        if (!failure_) {
            return steps_.loaded(act);
        }
        if (act == ReadAct::load_leased) {
            leased_->load_failed(failure_);
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

    E& core_;
    const Key& key_;
    const Load& load_;
    ReadSteps steps_{};
    ReadKind kind_ = ReadKind::miss;
    typename E::Store::Query query_;
    Patience own_patience_{};  // the caller's
    Patience patience_{};      // no longer than that: `load_timeout`, while there is a stale copy

    bool store_failed_ = false;  // at `open`
    std::optional<Copy<Value>> stale_{};
    std::optional<Copy<Value>> copy_{};    // the hit of `open`
    std::shared_ptr<AnyFlight> flight_{};  // what is waited for
    Lease remote_{};                       // the same, of another process
    std::chrono::steady_clock::time_point remote_since_{};
    std::optional<QueuedWaiter> queued_{};
    std::optional<BypassLoad<E>> bypass_{};
    std::optional<LeasedLoad<E>> own_lease_{};
    LeasedLoad<E>* leased_ = nullptr;
    std::optional<Fetched<Value>> loaded_{};  // without a lease
    std::exception_ptr failure_{};            // of this read's own load
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_RUN_HPP
