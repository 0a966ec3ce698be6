// SPDX-License-Identifier: MIT

/// @file
/// The steps of one write, whatever the value.

#ifndef LARDER_DETAIL_WRITE_KEYED_WRITE_HPP
#define LARDER_DETAIL_WRITE_KEYED_WRITE_HPP

#include <larder/detail/keyed_core.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write/write_steps.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <exception>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The part of an OpenWrite that knows neither value nor repository: carries out the steps that
/// WriteSteps decides. Of one thread at a time.
template <class K>
class KeyedWrite {
public:
    KeyedWrite(const KeyedWrite&) = delete;
    KeyedWrite& operator=(const KeyedWrite&) = delete;
    KeyedWrite& operator=(KeyedWrite&&) = delete;

    [[nodiscard]] WriteStep next() const noexcept { return steps_.next(); }

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

    /// Carries out what comes after the save.
    void finish() noexcept {
        while (next() != WriteStep::done) {
            end_step();
        }
    }

    [[nodiscard]] const K& key() const noexcept { return *key_; }

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

protected:
    /// @param key  outlives it
    KeyedWrite(KeyedCore<K>& core, const K& key, AfterWrite after) noexcept
        : core_{&core}, key_{&key}, after_{after}, steps_{core.options.on_store_failure} {}
    KeyedWrite(KeyedWrite&& other) noexcept
        : core_{std::exchange(other.core_, nullptr)},
          key_{other.key_},
          ticket_{other.ticket_},
          after_{other.after_},
          steps_{other.steps_},
          failure_{std::move(other.failure_)} {}
    ~KeyedWrite() = default;

    // Its owner has left it.
    void leave() noexcept {
        if (core_ != nullptr) {
            steps_.leave();
            finish();
        }
    }

    // Any step but the save.
    void advance() noexcept {
        switch (next()) {
            case WriteStep::begin: begin(); break;
            case WriteStep::queue: queue(); break;
            default: end_step(); break;
        }
    }

    // What became of it in the database.
    void outcome(Written written) noexcept {
        if (written == Written::yes) {
            core_->end_back_off(*key_);
        }
        steps_.saved(written);
    }
    void failed(std::exception_ptr why) noexcept { failure_ = std::move(why); }

    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }
    [[nodiscard]] const Ticket& ticket() const noexcept { return ticket_; }
    [[nodiscard]] bool replaces() const noexcept { return after_ == AfterWrite::replace; }

private:
    // ---- what depends on the store and the value ----

    virtual Ticket begin_write() = 0;

    // Carries out `finish` or `clear`.
    virtual void end() noexcept = 0;

    // ---- the rest ----

    void begin() noexcept {
        try {
            begun(begin_write());
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

    void invalidate() noexcept {
        bool erased = false;
        try {
            core_->erase(*key_);
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

    KeyedCore<K>* core_;
    const K* key_;
    Ticket ticket_{};
    AfterWrite after_;
    WriteSteps steps_;
    std::exception_ptr failure_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_KEYED_WRITE_HPP
