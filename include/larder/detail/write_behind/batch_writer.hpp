// SPDX-License-Identifier: MIT

/// @file
/// Writes claimed changes to the database, and tells the journal what became of each.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BATCH_WRITER_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BATCH_WRITER_HPP

#include <larder/concepts.hpp>
#include <larder/detail/core.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/detail/write_behind/flush_signal.hpp>
#include <larder/detail/write_behind/retry_delay.hpp>
#include <larder/entry.hpp>
#include <larder/journal/journal.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
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
/// @tparam C  the Core of a policy whose loader is a JournaledRepository
template <class C>
class BatchWriter {
    using Key = typename C::Key;
    using Value = typename C::Value;
    using Repository = typename C::Loader::repository_type;

public:
    using Claims = std::span<const Claimed<Key, Value>>;

    explicit BatchWriter(C& core) noexcept : core_{core} {}

    /// Nothing begins any more.
    void stop() noexcept { stopped_ = true; }
    [[nodiscard]] bool stopped() const noexcept { return stopped_; }

    /// Writes them together where the repository can, and apart where that fails. What the journal
    /// cannot be told of is written again once its claims have ended.
    void write(Claims claims) noexcept {
        if (stopped_) {
            // The drain is over: they are told of, not begun, and whoever comes next need not wait.
            renew(claims, Ttl::zero());
            return;
        }
        try {
            if (claims.size() > 1 && !together) {
                for (const auto& one : claims) {
                    write(std::span{&one, 1});
                }
                return;
            }
            std::vector<bool> applied;
            try {
                applied = apply(claims);
            } catch (...) {
                split(claims, std::current_exception());
                return;
            }
            settle(claims, applied);
            signal().notify_waiters();
        } catch (...) {
            core_.report(EventKind::store_failed, claims.front().change.key,
                         std::current_exception());
        }
    }

    /// The claims live on while the database is slow.
    void renew(Claims claims) noexcept { renew(claims, core_.loader.options().claim); }

private:
    static constexpr bool together = BatchRepositoryFor<Repository, typename C::Store>;
    static constexpr bool versioned = VersionedRepositoryFor<Repository, typename C::Store>;
    static constexpr bool unshared = requires { requires C::Loader::journal_type::unshared; };

    // For so long from now on; zero: they are given back.
    void renew(Claims claims, Ttl life) noexcept {
        try {
            journal().renew(claims, life);
        } catch (...) {
            core_.report_all(EventKind::store_failed, std::current_exception());
        }
    }

    [[nodiscard]] auto& journal() const noexcept { return core_.loader.journal(); }
    [[nodiscard]] FlushSignal& signal() const noexcept { return core_.loader.signal(); }

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

    std::vector<bool> apply(Claims claims) {
        auto& repository = core_.loader.repository();
        if constexpr (together) {
            if (claims.size() > 1) {
                std::vector<Change<Key, Value>> changes;
                changes.reserve(claims.size());
                for (const auto& claimed : claims) {
                    changes.push_back(claimed.change);
                }
                return save_many(repository, std::span<const Change<Key, Value>>{changes});
            }
        }
        return {apply_one(static_cast<Unwrapped<Repository>&>(repository), claims.front().change)};
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

    // Until the one to blame stands alone. Rule W7.
    void split(Claims claims, const std::exception_ptr& failure) {
        if (claims.size() > 1) {
            const std::size_t half = claims.size() / 2;
            write(claims.first(half));
            write(claims.subspan(half));
        } else {
            try_later(claims.front(), failure);
            signal().notify_waiters();
        }
    }

    // Only now does the journal forget them. Rule W6.
    void settle(Claims claims, const std::vector<bool>& applied) {
        std::vector<Claimed<Key, Value>> written;
        for (std::size_t i = 0; i < claims.size(); ++i) {
            if (applied[i]) {
                written.push_back(claims[i]);
            } else {
                ++core_.loader.tally().refused;
                bury(claims[i], "refused", nullptr);
            }
        }
        if constexpr (unshared) {
            // Other processes see neither the journal nor, without this, that the row has changed. If
            // the store cannot be told, the claims end by themselves, and all is done again.
            for (const auto& one : written) {
                core_.store.erase(one.change.key);
            }
        }
        const std::vector<bool> mine = insist([&] { return journal().settle(written); });
        for (std::size_t i = 0; i < written.size(); ++i) {
            if (!mine[i]) {
                // Buried or superseded meanwhile: copies may show what no longer counts.
                core_.invalidate(written[i].change.key);
            }
        }
    }

    void try_later(const Claimed<Key, Value>& claimed, const std::exception_ptr& failure) {
        const WriteBehindOptions& options = core_.loader.options();
        if (claimed.attempts + 1 >= options.attempts) {
            bury(claimed, text_of(failure), failure);
            return;
        }
        ++core_.loader.tally().retries;
        const Ttl delay = retry_delay(options, claimed.attempts);
        insist([&] { journal().defer(claimed, delay); });
    }

    void bury(const Claimed<Key, Value>& claimed, const std::string& why,
              const std::exception_ptr& failure) {
        if (insist([&] { return journal().bury(claimed, why); })) {
            ++core_.loader.tally().buried;
            core_.report(EventKind::buried, claimed.change.key, failure);
        }
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
