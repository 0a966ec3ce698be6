// SPDX-License-Identifier: MIT

/// @file
/// What a write does next: a decision without I/O, locks or threads.

#ifndef LARDER_DETAIL_WRITE_WRITE_STEPS_HPP
#define LARDER_DETAIL_WRITE_WRITE_STEPS_HPP

#include <larder/error.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// One call of the store or of the database.
enum class WriteStep : std::uint8_t {
    begin,       ///< tell the store that a write begins: it gives the ticket
    queue,       ///< it could not be told: queue an invalidation, if there is room
    save,        ///< the database decides
    finish,      ///< end the ticket, and leave in the slot what the policy wants
    clear,       ///< end the ticket, and leave no copy
    invalidate,  ///< there is no ticket: drop the copy
    queue_owed,  ///< the store could not be told of the end: queue an invalidation, room or not
    queue_held,  ///< the same, and the key is distrusted while the write may still take effect
    done,        ///< there is none: nothing is in hand
};

/// How a step other than `save` ended.
enum class WriteAnswer : std::uint8_t {
    done,
    lost,    ///< `finish`: the ticket was gone, and so the store has left no copy
    failed,  ///< `queue`: there was no room; else the store could not carry it out
};

/// The write of one key: begin, save, finish, and what becomes of it where one of them fails.
///
/// | Step         | done   | lost | failed                               |
/// |--------------|--------|------|--------------------------------------|
/// | `begin`      | `save` |      | `queue`, or `done` (`fail`: refused) |
/// | `queue`      | `save` |      | `done`: refused                      |
/// | `finish`     | `done` | `done` | `clear`                            |
/// | `clear`      | `done` |      | `queue_owed`                         |
/// | `invalidate` | `done` |      | `queue_owed`                         |
/// | `queue_…`    | `done` |      | `done`: it never fails               |
///
/// | `save`, told | with a ticket | without      |
/// |--------------|---------------|--------------|
/// | `yes`        | `finish`      | `invalidate` |
/// | `no`         | `clear`       | `invalidate` |
/// | `unknown`    | `done`: the ticket stands until its deadline | `queue_held` |
class WriteSteps {
public:
    explicit WriteSteps(OnStoreFailure on_store_failure) noexcept
        : refuses_{on_store_failure == OnStoreFailure::fail} {}

    [[nodiscard]] WriteStep next() const noexcept { return next_; }

    /// The store was told of the write, and the write has a ticket.
    [[nodiscard]] bool has_ticket() const noexcept { return has_ticket_; }

    /// How the next step, which is not `save`, has ended. Rule S2.
    void answered(WriteAnswer answer) noexcept {
        const bool failed = answer == WriteAnswer::failed;
        switch (next_) {
            case WriteStep::begin:
                has_ticket_ = !failed;
                next_ = !failed ? WriteStep::save : refuses_ ? WriteStep::done : WriteStep::queue;
                break;
            case WriteStep::queue: next_ = failed ? WriteStep::done : WriteStep::save; break;
            case WriteStep::finish: next_ = failed ? WriteStep::clear : WriteStep::done; break;
            case WriteStep::clear:
            case WriteStep::invalidate:
                next_ = failed ? WriteStep::queue_owed : WriteStep::done;
                break;
            case WriteStep::save:
            case WriteStep::queue_owed:
            case WriteStep::queue_held:
            case WriteStep::done: next_ = WriteStep::done; break;
        }
    }

    /// The database is about to be asked: from here on, nobody knows what a write that is left has
    /// written.
    void saving() noexcept { touched_ = true; }

    /// What became of the write in the database. Rule S7.
    void saved(Written written) noexcept {
        switch (written) {
            case Written::yes:
                next_ = has_ticket_ ? WriteStep::finish : WriteStep::invalidate;
                break;
            case Written::no: next_ = has_ticket_ ? WriteStep::clear : WriteStep::invalidate; break;
            case Written::unknown:
                next_ = has_ticket_ ? WriteStep::done : WriteStep::queue_held;
                break;
        }
    }

    /// Nobody will say how it ends. What is next then, if anything, must still be carried out.
    void leave() noexcept {
        switch (next_) {
            case WriteStep::begin:
            case WriteStep::queue: next_ = WriteStep::done; break;
            case WriteStep::save: saved(touched_ ? Written::unknown : Written::no); break;
            default: break;
        }
    }

private:
    WriteStep next_ = WriteStep::begin;
    bool refuses_;
    bool has_ticket_ = false;
    bool touched_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_WRITE_STEPS_HPP
