// SPDX-License-Identifier: MIT

/// @file
/// Carries what is recorded on to the database: when, how much at once, and in which thread.

#ifndef LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP
#define LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/detail/support/ticker.hpp>
#include <larder/detail/write_behind/batch_size.hpp>
#include <larder/detail/write_behind/batch_writer.hpp>
#include <larder/detail/write_behind/batches_under_way.hpp>
#include <larder/detail/write_behind/flush_requests.hpp>
#include <larder/detail/write_behind/flush_signal.hpp>
#include <larder/detail/write_behind/outage.hpp>
#include <larder/detail/write_behind/round_turn.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/journal/journal.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Claim, write, settle; never take out first. A thread of its own claims, and hands each batch to the
/// policy's executor, whose task claims further ones for a while; another thread renews the claims of all
/// that are under way. A forked child has a flusher of its own, whose threads start at its first write.
///
/// @tparam C  the Core of a policy whose loader is a JournaledRepository
template <class C>
class Flusher {
    using Batch = typename BatchWriter<C>::Batch;
    using SharedBatch = std::shared_ptr<Batch>;

public:
    explicit Flusher(C& core)
        : core_{core},
          writer_{core},
          keeper_{[this] { return keep(); }},
          ticker_{[this] { return step(); }} {
        signal().connect([this] { return ticker_.kick(); });
        ticker_.kick();  // the journal may hold changes of before
    }
    Flusher(const Flusher&) = delete;
    Flusher& operator=(const Flusher&) = delete;

    /// Writes what is left, for as long as `drain` allows, and tells the observer of the rest.
    ~Flusher() {
        draining_ = true;
        paused_ = false;
        try {
            flush(options().drain);
        } catch (...) {
            // The journal cannot be asked: what it holds is told below.
        }
        writer_.stop();
        ticker_.stop();
        if (Own* const own = own_.find()) {
            while (const SharedBatch batch = unbegun(*own)) {
                write(*own, *batch);  // gives it back
            }
            signal().rest().wait((SteadyTime::time_point::max)(),
                                 [own] { return own->batches.idle(); });
        }
        keeper_.stop();
        report_left();
    }

    /// @return how many changes are left
    /// @throws StoreError  the journal cannot be asked, not even after `within`
    std::size_t flush(Ttl within) {
        if (is_empty()) {
            return 0;
        }
        Own& own = own_.get();
        const auto until = later(SteadyTime::now(), (std::max)(within, Ttl::zero()));
        {
            FlushRequests::Waiting mine{own.requests};
            // What is under way is not settled yet: the journal, which may be far, need not be asked.
            const auto done = [&] { return own.batches.idle() && (paused_ || is_empty()); };
            while (!ticker_.kick() && !done() && SteadyTime::now() < until) {
                step();  // there can be no thread
                signal().rest().wait((std::min)(until, later(SteadyTime::now(), pulse)), done);
            }
            if (signal().rest().wait(until, done) && !paused_) {
                mine.served();
            }
        }
        // What is recorded after this waits for company again.
        own.batches.wait_for_claims(until);
        return core_.loader.journal().size();
    }

    /// Claims nothing any more. What is being written goes on.
    void pause() {
        paused_ = true;
        Own& own = own_.get();
        own.batches.wait_for_claims((SteadyTime::time_point::max)());
        signal().rest().notify();
    }
    /// Goes on.
    void resume() {
        paused_ = false;
        ticker_.kick();
    }

private:
    using SteadyTime = std::chrono::steady_clock;

    // A change that waits for its next try raises no signal, nor does one of another process.
    static constexpr Ttl heartbeat{50};
    static constexpr Ttl pulse{5};  // while somebody waits for us

    // A batch beside others is worth a thread if these take longer than that; and how long one task of
    // the executor's goes on with further batches.
    static constexpr Ttl brief{C::Loader::journal_type::durable ? 0 : 1};
    static constexpr Ttl task_time{10};

    // Of one process.
    struct Own {
        FlushRequests requests{};
        BatchesUnderWay<Batch> batches{};
        BatchSize size{};
        Outage outage{};
        std::atomic<bool> may_be_crowded{true};
        std::atomic<SteadyTime::time_point> begun{};

        // Rounds are made by one at a time. Of whose turn it is:
        std::atomic<bool> turn{false};
        bool gathering = false;  // changes that were signalled wait for company
    };

    [[nodiscard]] FlushSignal& signal() const noexcept { return core_.loader.signal(); }
    [[nodiscard]] const WriteBehindOptions& options() const noexcept {
        return core_.loader.options();
    }

    // A journal that cannot be asked may hold something.
    [[nodiscard]] bool is_empty() const noexcept {
        try {
            return core_.loader.journal().size() == 0;
        } catch (...) {
            return false;
        }
    }

    Ticker::Next step() noexcept {
        Ttl next = heartbeat;
        try {
            next = round(own_.get());
        } catch (...) {
            core_.report_all(EventKind::store_failed, std::current_exception());
        }
        notify_all();  // whatever has come of it: the last batch may have been written
        return next;
    }

    // Claims all that is due, as far as there is room. What was signalled may wait for company before.
    Ttl round(Own& own) {
        const RoundTurn turn{own.turn};
        if (!turn.mine()) {
            return heartbeat;  // whoever has it calls again
        }
        while (const SharedBatch batch = unbegun(own)) {
            write(own, *batch);
        }
        if (paused_) {
            return heartbeat;
        }
        const Ttl company = (std::min)(options().delay, heartbeat);
        const bool in_time = !own.requests.hurry() && !signal().urgent();
        if (in_time && signal().raised() && company > Ttl::zero() &&
            !std::exchange(own.gathering, true)) {
            return company;
        }
        own.gathering = false;
        if (signal().raised() || signal().urgent()) {
            own.may_be_crowded = true;
        }
        signal().clear();
        const std::uint64_t asked = own.requests.asked();
        Ttl wait = room(own);
        while (wait == Ttl::zero()) {
            const std::optional<SharedBatch> next = next_batch(own, false);
            if (!next) {
                break;  // a task was quicker
            }
            const SharedBatch& batch = *next;
            if (batch == nullptr) {
                const bool idle = own.batches.idle();
                if (idle && !paused_) {
                    own.requests.serve(asked);
                }
                return own.requests.hurry() && idle ? pulse : heartbeat;
            }
            if (!hand_over(own, batch) && batch->turn()->begin()) {
                write(own, *batch);
            }
            wait = room(own);
        }
        return wait > Ttl::zero() ? (std::min)(wait, heartbeat) : heartbeat;
    }

    void notify_all() noexcept {
        try {
            signal().room().notify();
            signal().rest().notify();
        } catch (...) {}  // a child without memory for them: nobody waits there
    }

    // While the database is down, one change at a time is tried.
    std::size_t most_batches(Own& own) { return own.outage.down() ? 1 : options().parallel; }

    // How long no further batch is to be begun; zero: one may be.
    Ttl room(Own& own) {
        const auto now = SteadyTime::now();
        const std::size_t count = own.batches.size();
        if (writer_.stopped() || count >= most_batches(own)) {
            return heartbeat;
        }
        const Ttl rest = own.outage.rest(now);
        return count > 0 && now - own.begun.load() < brief ? (std::max)(rest, brief) : rest;
    }

    // Null if nothing is due; nothing if there is no room after all. Several may claim at once: a journal
    // that is far answers them together. Who claims begins it at once, or hands it over.
    std::optional<SharedBatch> next_batch(Own& own, bool begin) {
        auto batch = std::make_shared<Batch>();
        typename BatchesUnderWay<Batch>::Claiming claiming{own.batches, most_batches(own), late()};
        if (!claiming.begun()) {
            return std::nullopt;
        }
        if (!claim(own, *batch)) {
            return SharedBatch{};
        }
        if (begin) {
            static_cast<void>(batch->turn()->begin());
        }
        core_.loader.tally().began(batch->size());
        own.begun = batch->since();
        if (claiming.add(batch)) {
            keeper_.kick();
        }
        return batch;
    }
    // The same for a task that has time left.
    SharedBatch next_batch_of_task(Own& own) noexcept {
        if (room(own) > Ttl::zero()) {
            return nullptr;
        }
        try {
            return next_batch(own, true).value_or(nullptr);
        } catch (...) {
            return nullptr;  // the flusher's own thread tries again, and tells
        }
    }

    bool claim(Own& own, Batch& batch) {
        if (paused_) {
            return false;
        }
        renew_late(own);
        const bool at_once = own.requests.hurry() || is_crowded(own);
        const bool down = own.outage.down();
        const std::size_t most = down ? own.outage.reach() : own.size.next(options());
        auto& journal = core_.loader.journal();
        auto claims = journal.claim(most, options().claim, at_once ? Ttl::zero() : options().delay);
        try {
            batch.take(claims);
        } catch (...) {
            journal.renew(claims, Ttl::zero());
            throw;
        }
        if (down) {
            own.outage.reached(options(), batch.size());
        }
        return batch.size() > 0;
    }

    // The journal, which may be far, is not asked again before this process has recorded something.
    bool is_crowded(Own& own) const {
        if (!own.may_be_crowded.exchange(false)) {
            return false;
        }
        bool crowded = true;
        try {
            crowded = core_.loader.crowded();
        } catch (...) {
            own.may_be_crowded = true;
            throw;
        }
        if (crowded) {
            own.may_be_crowded = true;
        }
        return crowded;
    }

    // Where the keeper was kept from it, since the process stood still, say: or we would claim what we
    // are writing, and the older change could be written last.
    void renew_late(Own& own) {
        const auto now = SteadyTime::now();
        const auto is_late = [&](const Batch& batch) { return now - batch.renewed() >= late(); };
        while (const SharedBatch batch = own.batches.find(is_late)) {
            batch->renew(core_.loader.journal(), options().claim);
        }
    }

    // So old a claim may soon be another's.
    [[nodiscard]] Ttl late() const noexcept {
        const Ttl life = cut(options().claim);
        return life - life / 3;
    }

    // The task may outlive the policy, and then finds nothing to do: it holds nothing of the user's.
    bool hand_over(Own& own, const SharedBatch& batch) noexcept {
        try {
            return core_.executor.submit([this, &own, background = core_.background,
                                          turn = batch->turn(), lent = batch.get()] {
                // Whoever begins a batch is waited for, and with the pass all else that is touched.
                const TaskScope::Pass pass{background->scope};
                if (pass && turn->begin()) {
                    write_on(own, *lent);
                }
            });
        } catch (...) {
            return false;
        }
    }

    // One that the executor has dropped, or that it does not begin while we drain: it is ours now.
    SharedBatch unbegun(Own& own) {
        return own.batches.find([this](const Batch& batch) {
            return !batch.turn()->begun() && (draining_ || batch.dropped()) &&
                   batch.turn()->begin();
        });
    }

    // In a task: that batch, and, if it did not take long, further ones.
    void write_on(Own& own, Batch& first) noexcept {
        FlushSignal& told = signal();
        {
            const typename BatchesUnderWay<Batch>::Task task{own.batches};
            const auto until = SteadyTime::now() + task_time;
            write(own, first);
            while (SteadyTime::now() < until) {
                const SharedBatch batch = next_batch_of_task(own);
                if (batch == nullptr) {
                    break;
                }
                write(own, *batch);
            }
            ticker_.kick();
        }  // from here on the flusher may be gone
        told.rest().notify();
    }

    // Of who has begun it.
    void write(Own& own, Batch& batch) noexcept {
        const std::size_t count = batch.size();
        const auto began = SteadyTime::now();
        const bool well = writer_.write(batch, own.outage);
        const auto took = std::chrono::duration_cast<Ttl>(SteadyTime::now() - began);
        own.size.ended(options(), count, took, !well);
        own.batches.remove(batch);
    }

    // Renews what is under way, and was not claimed a moment ago.
    Ticker::Next keep() noexcept {
        const Ttl third = (std::max)(cut(options().claim) / 3, Ttl{1});
        try {
            const auto now = SteadyTime::now();
            const auto batches = own_.get().batches.kept();
            if (batches.empty()) {
                return std::nullopt;
            }
            for (const SharedBatch& batch : batches) {
                if (now - batch->renewed() >= third / 2) {
                    keep(*batch);
                }
            }
        } catch (...) {
            core_.report_all(EventKind::store_failed, std::current_exception());
        }
        return third;
    }
    // One that cannot be renewed costs the others nothing.
    void keep(Batch& batch) noexcept {
        try {
            batch.renew(core_.loader.journal(), options().claim);
        } catch (...) {
            core_.report_all(EventKind::store_failed, std::current_exception());
        }
    }

    void report_left() noexcept {
        try {
            if (const std::size_t left = core_.loader.journal().size(); left > 0) {
                core_.report_all(
                    EventKind::not_drained,
                    std::make_exception_ptr(Error{
                        Errc::closed, std::to_string(left) +
                                          " changes were not written before the policy went"}));
            }
        } catch (...) {
            core_.report_all(EventKind::not_drained, std::current_exception());
        }
    }

    C& core_;
    BatchWriter<C> writer_;
    std::atomic<bool> draining_{false};
    std::atomic<bool> paused_{false};
    ForkLocal<Own> own_{};
    Ticker keeper_;
    Ticker ticker_;  // the last: its thread uses the others
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP
