// SPDX-License-Identifier: MIT

/// @file
/// Writes claimed changes to the database, and tells the journal what became of each.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BATCH_WRITER_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BATCH_WRITER_HPP

#include <larder/concepts.hpp>
#include <larder/detail/core.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/detail/write_behind/claimed_batch.hpp>
#include <larder/detail/write_behind/outage.hpp>
#include <larder/detail/write_behind/retry_delay.hpp>
#include <larder/entry.hpp>
#include <larder/hash.hpp>
#include <larder/journal/journal.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// What fails together is split until the change that is to blame stands alone; that one is tried again
/// later, and buried at last.
///
/// Thread safety: several batches may be written at once.
///
/// @tparam C  the Core of a policy whose loader is a JournaledRepository
template <class C>
class BatchWriter {
    using Key = typename C::Key;
    using Value = typename C::Value;
    using Repository = typename C::Loader::repository_type;
    using Claims = std::span<const Claimed<Key, Value>>;

public:
    using Batch = ClaimedBatch<Key, Value>;

    explicit BatchWriter(C& core) noexcept : core_{core} {}

    /// Nothing begins any more.
    void stop() noexcept { stopped_ = true; }
    [[nodiscard]] bool stopped() const noexcept { return stopped_; }

    /// Writes them together where the repository can, and apart where that fails. What is not begun,
    /// since the drain is over or the database is down, is given back: whoever comes next need not wait.
    /// What the journal cannot be told of is written again once its claims have ended.
    ///
    /// @return false if something was not taken
    bool write(Batch& batch, Outage& outage) noexcept {
        if (outage.down() && batch.left() > 1) {
            give_back(batch, batch.left() - 1);  // the last is tried
        }
        const bool well = !stopped_ && write_next(batch, batch.left(), outage);
        if (batch.left() > 0) {
            give_back(batch, batch.left());
            core_.loader.signal().room().notify();
        }
        return well;
    }

private:
    static constexpr bool together = BatchRepositoryFor<Repository, typename C::Store>;
    static constexpr bool versioned = VersionedRepositoryFor<Repository, typename C::Store>;
    static constexpr bool unshared = requires { requires C::Loader::journal_type::unshared; };

    [[nodiscard]] auto& journal() const noexcept { return core_.loader.journal(); }
    [[nodiscard]] auto& tally() const noexcept { return core_.loader.tally(); }
    [[nodiscard]] bool over(const Outage& outage) const noexcept {
        return stopped_ || outage.down();
    }

    void give_back(Batch& batch, std::size_t count) const noexcept {
        const Claims rest = batch.pop(count);
        tell(rest, [&] { journal().renew(rest, Ttl::zero()); });
    }

    // What the journal is told, it is told again if that fails: a claim that is not settled keeps its
    // change for long.
    template <class Tell>
    static auto insist(Tell&& tell) {
        try {
            return tell();
        } catch (...) {
            return tell();
        }
    }
    // The same, and if it fails again, the observer is told.
    template <class Tell>
    void tell(Claims claims, Tell&& tell) const noexcept {
        try {
            insist(tell);
        } catch (...) {
            core_.report(EventKind::store_failed, claims.front().change.key,
                         std::current_exception());
        }
    }

    // The next `count`; of what fails, one half after the other, until the one to blame stands alone.
    // Rule W7.
    bool write_next(Batch& batch, std::size_t count, Outage& outage) noexcept {
        if constexpr (together) {
            if (count > 1) {
                try {
                    const auto applied = save_many(core_.loader.repository(), batch.next(count));
                    outage.taken();
                    written(batch, applied);
                    return true;
                } catch (...) {}  // what is to blame fails again, alone
                for (const std::size_t part : {count / 2, count - count / 2}) {
                    if (!over(outage)) {
                        write_next(batch, part, outage);
                    }
                }
                return false;
            }
        }
        return write_apart(batch, count, outage);
    }

    // One by one. The journal is told at once of all that were taken until one fails.
    bool write_apart(Batch& batch, std::size_t count, Outage& outage) noexcept {
        auto& repository = static_cast<Unwrapped<Repository>&>(core_.loader.repository());
        bool well = true;
        do {
            std::vector<bool> applied;
            std::exception_ptr failure;
            try {
                const auto changes = batch.next(count);
                applied.reserve(count);
                do {
                    applied.push_back(apply_one(repository, changes[applied.size()]));
                    outage.taken();
                } while (applied.size() < count && !stopped_);
            } catch (...) {
                failure = std::current_exception();
            }
            count -= applied.size();
            written(batch, applied);
            if (failure) {
                --count;
                well = false;
                failed(batch, failure, outage);
            }
        } while (count > 0 && !over(outage));
        return well;
    }

    // False: the row is newer. Rule W5.
    static bool apply_one(Unwrapped<Repository>& repository, const Change<Key, Value>& change) {
        if constexpr (versioned) {
            return change.value ? repository.save(change.key, *change.value, change.version)
                                : repository.remove(change.key, change.version);
        } else {
            if (change.value) {
                static_cast<void>(repository.save(change.key, *change.value));
            } else {
                static_cast<void>(repository.remove(change.key));
            }
            return true;
        }
    }

    // The database has answered for the next ones.
    void written(Batch& batch, const std::vector<bool>& applied) noexcept {
        for (std::size_t from = 0; from < applied.size();) {
            std::size_t to = from;
            while (to < applied.size() && applied[to] == applied[from]) {
                ++to;
            }
            const Claims claims = batch.pop(to - from);
            if (applied[from]) {
                settle(claims);
            } else {
                tally().refused += claims.size();
                for (const auto& one : claims) {
                    bury(one, nullptr);
                }
            }
            from = to;
        }
        core_.loader.signal().room().notify();
    }

    // Only now does the journal forget them. Rule W6.
    void settle(Claims claims) noexcept {
        tell(claims, [&] {
            if constexpr (unshared) {
                // Other processes see neither the journal nor, without this, that the row has changed.
                // If the store cannot be told, the claims end by themselves, and all is done again.
                for (const auto& one : claims) {
                    core_.store.erase(one.change.key);
                }
            }
            const std::vector<bool> mine = journal().settle(claims);
            for (std::size_t i = 0; i < claims.size(); ++i) {
                if (i >= mine.size() || !mine[i]) {
                    // Buried or superseded meanwhile: copies may show what no longer counts.
                    core_.invalidate(claims[i].change.key);
                }
            }
        });
    }

    // The next one has failed alone.
    void failed(Batch& batch, const std::exception_ptr& failure, Outage& outage) noexcept {
        const WriteBehindOptions& options = core_.loader.options();
        const Claims one = batch.pop(1);
        const bool counts = counts_against(one.front().change.key, outage);
        if (counts && one.front().attempts + 1 >= options.attempts) {
            bury(one.front(), failure);
        } else {
            ++tally().retries;
            tell(one, [&] {
                if (counts) {
                    journal().defer(one.front(), retry_delay(options, one.front().attempts));
                } else {
                    journal().renew(one, outage.last_rest());  // it is due again without an attempt
                }
            });
        }
        core_.loader.signal().room().notify();
    }
    bool counts_against(const Key& key, Outage& outage) const noexcept {
        try {
            return outage.failed(core_.loader.options(), Hash<Key>{}(key),
                                 std::chrono::steady_clock::now());
        } catch (...) {
            return true;  // the user's hash
        }
    }

    // Of no failure: the row is newer.
    void bury(const Claimed<Key, Value>& claimed, const std::exception_ptr& failure) noexcept {
        tell(std::span{&claimed, 1}, [&] {
            if (journal().bury(claimed, failure ? text_of(failure) : "refused")) {
                ++tally().buried;
                core_.report(EventKind::buried, claimed.change.key, failure);
            }
        });
        core_.invalidate(claimed.change.key);
    }

    static std::string text_of(const std::exception_ptr& failure) {
        try {
            std::rethrow_exception(failure);
        } catch (const std::exception& error) {
            return error.what();
        } catch (...) {
            return "an exception that is no std::exception";
        }
    }

    C& core_;
    std::atomic<bool> stopped_{false};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_BATCH_WRITER_HPP
