// SPDX-License-Identifier: MIT

/// @file
/// Writes of many keys that go on together.

#ifndef LARDER_DETAIL_WRITE_WRITE_BATCH_HPP
#define LARDER_DETAIL_WRITE_WRITE_BATCH_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write/open_write.hpp>
#include <larder/detail/write/write_steps.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The writes of many keys. Those that have come to the same step go on together, in one call of the
/// store; what fails is each one's own.
///
/// Of one thread at a time.
///
/// @tparam C  a Core
template <class C>
class WriteBatch {
public:
    using Key = typename C::Key;
    using Value = typename C::Value;

    /// Begins the write of every key, or of none.
    ///
    /// @param keys  outlive it
    /// @throws why the store could not be told, in which case no key's write has begun
    WriteBatch(C& core, const std::vector<Key>& keys, AfterWrite after) : core_{&core} {
        writes_.reserve(keys.size());
        for (const Key& key : keys) {
            writes_.emplace_back(core, key, after);
        }
        try {
            const std::vector<Ticket> tickets =
                begin_write_many(core.store, std::span<const Key>{keys}, core.options.ticket,
                                 Open::dated(core, after));
            for (std::size_t i = 0; i < keys.size(); ++i) {
                writes_[i].begun(tickets[i]);
            }
            return;
        } catch (const StoreError&) {
            // One by one: the store may still take some.
        }
        for (Open& write : writes_) {
            write.open();
            write.rethrow();
        }
    }

    /// The database is about to be asked, by somebody else.
    void saving() noexcept {
        for (Open& write : writes_) {
            write.saving();
        }
    }

    /// What became of the i-th there.
    ///
    /// @param row  outlives this; null: there is none
    void saved(std::size_t i, Written written, const Value* row = nullptr) noexcept {
        writes_[i].saved(written, row);
    }

    /// Carries out what comes after the saves. Nothing is left of any.
    void finish() noexcept {
        try {
            while (end_together() || invalidate_together()) {}
        } catch (...) {
            // There is no memory for a batch: each by itself.
        }
        for (Open& write : writes_) {
            write.finish();
        }
    }

private:
    using Open = OpenWrite<C>;

    template <class Which>
    std::vector<Open*> those(const Which& which) {
        std::vector<Open*> some;
        for (Open& write : writes_) {
            if (which(write.next())) {
                some.push_back(&write);
            }
        }
        return some;
    }

    // Those with a ticket. False: there are none.
    bool end_together() {
        const std::vector<Open*> some = those(
            [](WriteStep next) { return next == WriteStep::finish || next == WriteStep::clear; });
        if (some.empty()) {
            return false;
        }
        std::vector<FinishRequest<Key, Value>> requests(some.size());
        for (std::size_t i = 0; i < some.size(); ++i) {
            some[i]->ending(requests[i]);
        }
        std::vector<WriteEnd> ends;
        WriteEnd untold;
        try {
            ends = finish_write_many(core_->store, std::span{requests});
        } catch (...) {
            untold.failure = std::current_exception();
        }
        for (std::size_t i = 0; i < some.size(); ++i) {
            some[i]->ended(untold.failure ? untold : ends[i]);
        }
        return true;
    }

    // Those without. False: there are none.
    bool invalidate_together() {
        const std::vector<Open*> some =
            those([](WriteStep next) { return next == WriteStep::invalidate; });
        if (some.empty()) {
            return false;
        }
        std::vector<Key> keys;
        keys.reserve(some.size());
        for (const Open* const write : some) {
            keys.push_back(write->key());
        }
        bool erased = false;
        try {
            core_->store.erase_many(std::span<const Key>{keys});
            erased = true;
        } catch (...) {}  // they will be queued
        for (Open* const write : some) {
            write->invalidated(erased);
        }
        return true;
    }

    C* core_;
    std::vector<Open> writes_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_WRITE_BATCH_HPP
