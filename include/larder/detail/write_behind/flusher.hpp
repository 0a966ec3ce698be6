// SPDX-License-Identifier: MIT

/// @file
/// Carries what is recorded on to the database: when, how much at once, and in which thread.

#ifndef LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP
#define LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/ticker.hpp>
#include <larder/detail/write_behind/batch_task.hpp>
#include <larder/detail/write_behind/batch_writer.hpp>
#include <larder/detail/write_behind/flush_requests.hpp>
#include <larder/detail/write_behind/flush_signal.hpp>
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
#include <string>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Claim, write, settle; never take out first. A thread of its own keeps time; the writing is done by
/// the policy's executor. A forked child has a flusher of its own, whose thread starts at its first
/// write.
///
/// @tparam C  the Core of a policy whose loader is a JournaledRepository
template <class C>
class Flusher {
    using Claims = std::vector<Claimed<typename C::Key, typename C::Value>>;

public:
    explicit Flusher(C& core) : core_{core}, writer_{core}, ticker_{[this] { return step(); }} {
        signal().connect([this] { return ticker_.kick(); });
        ticker_.kick();  // the journal may hold changes of before
    }
    Flusher(const Flusher&) = delete;
    Flusher& operator=(const Flusher&) = delete;

    /// Writes what is left, for as long as `drain` allows, and tells the observer of the rest.
    ~Flusher() {
        draining_ = true;
        try {
            flush(options().drain);
        } catch (...) {
            // The journal cannot be asked: what it holds is told below.
        }
        writer_.stop();
        ticker_.stop();
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
            if (!ticker_.kick()) {
                step();  // there can be no thread
            }
            if (signal().wait(until, [this] { return is_empty(); })) {
                mine.served();
            }
        }
        // What is recorded after this waits for company again.
        signal().wait(until, [&] { return !own.claiming; });
        return core_.loader.journal().size();
    }

private:
    using SteadyTime = std::chrono::steady_clock;

    // A change that waits for its next try raises no signal, nor does one of another process.
    static constexpr Ttl heartbeat{50};
    static constexpr Ttl pulse{5};  // while somebody waits for us

    // Of one process.
    struct Own {
        FlushRequests requests{};
        std::atomic<bool> claiming{false};
        std::atomic<bool> gathering{false};  // changes that were signalled wait for company
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
        try {
            return round(own_.get());
        } catch (...) {
            core_.report_all(EventKind::store_failed, std::current_exception());
            return heartbeat;
        }
    }

    // Writes all that is due. What was signalled may wait for company before that.
    Ttl round(Own& own) {
        const Ttl company = (std::min)(options().delay, heartbeat);
        const bool in_time = !own.requests.hurry() && !signal().urgent();
        if (in_time && signal().raised() && company > Ttl::zero() &&
            !own.gathering.exchange(true)) {
            return company;
        }
        own.gathering = false;
        signal().clear();
        const std::uint64_t asked = own.requests.asked();
        while (!writer_.stopped() && write_batch(own)) {}
        own.requests.serve(asked);
        signal().notify_waiters();
        return own.requests.hurry() ? pulse : heartbeat;
    }

    // False if nothing is due.
    bool write_batch(Own& own) {
        const auto task = std::make_shared<BatchTask>();  // before there is something to lose
        const Claims claims = claim(own);
        if (claims.empty()) {
            return false;
        }
        if (hand_over(task, claims)) {
            attend(task, claims);
        } else if (task->begin()) {
            writer_.write(claims);
        }
        return true;
    }

    Claims claim(Own& own) {
        struct Claiming {
            Own& own;
            FlushSignal& signal;
            Claiming(Own& of, FlushSignal& told) : own{of}, signal{told} { own.claiming = true; }
            ~Claiming() {
                own.claiming = false;
                signal.notify_waiters();
            }
        } const claiming{own, signal()};
        const bool at_once = own.requests.hurry() || core_.loader.crowded();
        return core_.loader.journal().claim(options().batch, options().claim,
                                            at_once ? Ttl::zero() : options().delay);
    }

    // The task may outlive the policy, and then finds nothing to do: it holds nothing of the user's.
    bool hand_over(const std::shared_ptr<BatchTask>& task, const Claims& claims) noexcept {
        try {
            return core_.executor.submit([this, task, &claims] {
                if (task->begin()) {
                    writer_.write(claims);
                    task->end();
                }
            });
        } catch (...) {
            return false;
        }
    }

    // Until the task has ended. What the executor has dropped, or does not begin while we drain, is
    // carried out here; when the drain is over, what has not begun never does.
    void attend(const std::shared_ptr<BatchTask>& task, const Claims& claims) {
        const Ttl third = (std::max)(options().claim / 3, Ttl{1});
        auto renew_at = later(SteadyTime::now(), third);
        while (!task->wait((std::min)(third, heartbeat))) {
            const bool dropped = task.use_count() == 1;
            if ((draining_ || dropped) && task->begin()) {
                writer_.write(claims);
                return;
            }
            if (SteadyTime::now() >= renew_at) {
                renew_at = later(SteadyTime::now(), third);
                writer_.renew(claims);
            }
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
    ForkLocal<Own> own_{};
    Ticker ticker_;  // the last: its thread uses the others
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_FLUSHER_HPP
