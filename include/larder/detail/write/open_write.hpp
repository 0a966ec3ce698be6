// SPDX-License-Identifier: MIT

/// @file
/// A write of one key in flight: carries out one step at a time.

#ifndef LARDER_DETAIL_WRITE_OPEN_WRITE_HPP
#define LARDER_DETAIL_WRITE_OPEN_WRITE_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write/write_steps.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <exception>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The duty of a write. Whoever lets go of it before its end says nothing: until `saving` it has
/// written nothing, and after that nobody knows what it has written.
///
/// What fails is kept, and thrown by `rethrow`, so that what is owed then is carried out first.
/// Rule S13.
///
/// @tparam C  a Core
template <class C>
class OpenWrite {
public:
    using Key = typename C::Key;
    using Value = typename C::Value;

    /// Does nothing yet.
    ///
    /// @param key  outlives it
    OpenWrite(C& core, const Key& key, AfterWrite after) noexcept
        : core_{&core}, key_{&key}, after_{after}, steps_{core.options.on_store_failure} {}
    OpenWrite(C& core, const Key&& key, AfterWrite after) = delete;
    OpenWrite(OpenWrite&& other) noexcept
        : core_{std::exchange(other.core_, nullptr)},
          key_{other.key_},
          row_{other.row_},
          ticket_{other.ticket_},
          after_{other.after_},
          steps_{other.steps_},
          failure_{std::move(other.failure_)} {}
    OpenWrite& operator=(OpenWrite&&) = delete;
    OpenWrite(const OpenWrite&) = delete;
    OpenWrite& operator=(const OpenWrite&) = delete;
    ~OpenWrite() {
        if (core_ != nullptr) {
            steps_.leave();
            finish();
        }
    }

    [[nodiscard]] WriteStep next() const noexcept { return steps_.next(); }

    /// Carries out the next step.
    ///
    /// @param save  lets the database decide, and gives the row as it now is, which outlives this; null
    ///              if there is none
    template <class Save>
    void step(Save&& save) noexcept {
        switch (next()) {
            case WriteStep::begin: begin(); break;
            case WriteStep::queue: queue(); break;
            case WriteStep::save: attempt(save); break;
            default: end_step(); break;
        }
    }

    /// Carries out what comes before the save; refused if `next()` is `done` after it.
    void open() noexcept {
        while (next() != WriteStep::save && next() != WriteStep::done) {
            next() == WriteStep::begin ? begin() : queue();
        }
    }

    /// The store was told, of many writes at once.
    void begun(const Ticket& ticket) noexcept {
        ticket_ = ticket;
        steps_.answered(WriteAnswer::done);
    }

    /// The database is about to be asked, by somebody else.
    void saving() noexcept { steps_.saving(); }

    /// What became of it there.
    ///
    /// @param row  outlives this; null: there is none
    void saved(Written written, const Value* row = nullptr) noexcept {
        if (next() != WriteStep::save) {
            return;  // it has ended
        }
        row_ = row;
        if (written == Written::yes) {
            core_->end_back_off(*key_);
        }
        steps_.saved(written);
    }

    /// Carries out what comes after the save.
    void finish() noexcept {
        while (next() != WriteStep::done) {
            end_step();
        }
    }

    [[nodiscard]] const Key& key() const noexcept { return *key_; }

    /// What the store is to be told where `finish` or `clear` is next. Where the copy cannot be made,
    /// that is reported, and `clear` is next.
    ///
    /// @param request  as new; filled in place, since the move of a value may throw
    void ending(FinishRequest<Key, Value>& request) noexcept {
        request.key = key_;
        request.ticket = ticket_;
        if (next() != WriteStep::finish || after_ != AfterWrite::replace) {
            return;
        }
        try {
            if (row_ != nullptr) {
                request.value.emplace(*row_);
            }
            request.terms = core_->copy_terms(*key_, request.value, std::nullopt, {});
            request.how = request.terms.kept() ? Finish::value : Finish::nothing;
        } catch (...) {
            ended({false, std::current_exception()});
        }
    }

    /// The store was told that, by somebody else. The database has committed: nothing throws.
    /// Rule S15.
    void ended(const WriteEnd& end) noexcept {
        const bool leaves = next() == WriteStep::finish;
        if (end.failure) {
            leaves ? core_->report(EventKind::fill_failed, *key_, end.failure)
                   : core_->count(Count::store_errors);
            steps_.answered(WriteAnswer::failed);
        } else if (leaves && !end.found) {
            core_->count(Count::lost_tickets);
            core_->report(EventKind::lost_ticket, *key_);
            steps_.answered(WriteAnswer::lost);
        } else {
            steps_.answered(WriteAnswer::done);
        }
    }

    /// The copy was erased, or could not be, where `invalidate` is next.
    void invalidated(bool erased) noexcept {
        if (!erased) {
            core_->count(Count::store_errors);
        }
        steps_.answered(erased ? WriteAnswer::done : WriteAnswer::failed);
    }

    /// @throws what the database threw, or why the write was refused before it was asked
    void rethrow() const {
        if (failure_) {
            std::rethrow_exception(failure_);
        }
    }

private:
    void begin() noexcept {
        try {
            begun(core_->store.begin_write(*key_, core_->options.ticket));
        } catch (const StoreError&) {
            failure_ = std::current_exception();
            core_->count(Count::store_errors);
            core_->report(EventKind::store_failed, *key_, failure_);
            steps_.answered(WriteAnswer::failed);
        } catch (...) {
            failure_ = std::current_exception();
            steps_.leave();
        }
    }

    void queue() noexcept {
        const bool queued = core_->queue_invalidation(*key_, {});
        failure_ = queued ? std::exception_ptr{} : queue_is_full();
        steps_.answered(queued ? WriteAnswer::done : WriteAnswer::failed);
    }

    // If the repository throws, and does not say that it wrote nothing, the commit may still land.
    template <class Save>
    void attempt(Save& save) noexcept {
        saving();
        try {
            saved(Written::yes, save());
        } catch (...) {
            failure_ = std::current_exception();
            saved(wrote_nothing(core_->loader, failure_) ? Written::no : Written::unknown);
        }
    }

    void end_step() noexcept {
        switch (next()) {
            case WriteStep::finish:
            case WriteStep::clear: end(); break;
            case WriteStep::invalidate: invalidate(); break;
            case WriteStep::queue_owed:
                // Whether the store has heard of the end or not: the ticket ends with the replay.
                queue_forced({.ticket = ticket_, .force = true});
                break;
            case WriteStep::queue_held:
                queue_forced({.hold = core_->options.ticket, .force = true});
                break;
            default: break;
        }
    }

    void queue_forced(const MissedInvalidation& missed) noexcept {
        core_->queue_invalidation(*key_, missed);
        steps_.answered(WriteAnswer::done);
    }

    void end() noexcept {
        FinishRequest<Key, Value> request;
        ending(request);
        WriteEnd end;
        try {
            end.found = core_->store.finish_write(
                *key_, ticket_, request.how, std::move(request.value), std::move(request.terms));
        } catch (...) {
            end.failure = std::current_exception();
        }
        ended(end);
    }

    void invalidate() noexcept {
        bool erased = false;
        try {
            core_->store.erase(*key_);
            erased = true;
        } catch (...) {}  // it will be queued
        invalidated(erased);
    }

    [[nodiscard]] std::exception_ptr queue_is_full() const noexcept {
        try {
            return std::make_exception_ptr(
                StoreError{Errc::store_full, "the store cannot be told of the write of key " +
                                                 key_text(*key_) +
                                                 ", and the queue of invalidations is full"});
        } catch (...) {
            return std::current_exception();
        }
    }

    C* core_;
    const Key* key_;
    const Value* row_ = nullptr;
    Ticket ticket_{};
    AfterWrite after_;
    WriteSteps steps_;
    std::exception_ptr failure_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_OPEN_WRITE_HPP
