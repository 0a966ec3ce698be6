// SPDX-License-Identifier: MIT

/// @file
/// The journal in front of the database, as the repository of a write-behind policy.

#ifndef LARDER_DETAIL_WRITE_BEHIND_JOURNALED_REPOSITORY_HPP
#define LARDER_DETAIL_WRITE_BEHIND_JOURNALED_REPOSITORY_HPP

#include <larder/concepts.hpp>
#include <larder/detail/journal/kept_value.hpp>
#include <larder/detail/slot/record_end.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/process.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/detail/write_behind/flush_signal.hpp>
#include <larder/detail/write_behind/flush_tally.hpp>
#include <larder/detail/write_behind/journal_full.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/journal/journal.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Saves into the journal; loads what is pending, else the row. A cheap handle, shared with the
/// flusher, which carries the changes on.
///
/// Thread safety: all members may run concurrently.
template <class J, class R>
class JournaledRepository {
public:
    using Key = typename J::key_type;
    using Value = typename J::value_type;
    using journal_type = J;
    using repository_type = R;

    JournaledRepository(J journal, R repository, WriteBehindOptions options)
        : state_{std::make_shared<State>(std::move(journal), std::move(repository), options)} {
        validate(options);
    }

    [[nodiscard]] J& journal() const noexcept { return state_->journal; }
    [[nodiscard]] R& repository() const noexcept { return state_->repository; }
    [[nodiscard]] const WriteBehindOptions& options() const noexcept { return state_->options; }

    // ---- as a repository ----

    Loaded<Value> load(const Key& key) const { return std::move(load_sourced(key).loaded); }
    Sourced<Value> load_sourced(const Key& key) const { return load_sourced(key, repository()); }

    /// The pending change if there is one, and only then the row, by whatever loader was given: asked
    /// the other way round, a change that is written in between is missed. Rule W1.
    template <class L>
    Sourced<Value> load_sourced(const Key& key, L& given) const {
        Asked asked = ask_of(key);
        if (asked.change) {
            Sourced<Value> pending{{}, Source::pending};
            pending.loaded.value = std::move(asked.change->value);
            return pending;
        }
        Sourced<Value> row{load_one<Value>(given, key)};
        if (!asked.answered) {
            row.source = Source::bypassed;
            row.loaded.ttl = Ttl::zero();
        }
        return row;
    }

    /// The same for many keys: one batch for those without a pending change.
    template <class L, class Around>
    std::vector<Loaded<Value>> load_many_covered(std::span<const Key> keys, L& given,
                                                 const Around& around) const {
        std::vector<Loaded<Value>> all(keys.size());
        std::vector<Key> left;
        std::vector<std::size_t> place;
        std::vector<bool> answered;
        std::vector<Asked> asked = ask_of_many(keys);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            if (asked[i].change) {
                all[i].value = std::move(asked[i].change->value);
            } else {
                left.push_back(keys[i]);
                place.push_back(i);
                answered.push_back(asked[i].answered);
            }
        }
        if (!left.empty()) {
            auto rows = load_many<Value>(given, std::span<const Key>{left}, around);
            for (std::size_t i = 0; i < rows.size(); ++i) {
                if (!answered[i]) {
                    rows[i].ttl = Ttl::zero();
                }
                all[place[i]] = std::move(rows[i]);
            }
        }
        return all;
    }

    /// Copies are made by processes, too, that do not know of this journal: a read asks it first.
    static constexpr bool before_copies = requires { requires J::unshared; };

    /// The change that waits, if there is one.
    template <class Q>
    std::optional<Change<Key, Value>> pending(const Q& key) const {
        using Pending = std::optional<Change<Key, Value>>;
        return ask([&] {
                   if constexpr (!BatchJournal<J>) {  // where asking costs little
                       if (journal().size() == 0) {
                           return Pending{};
                       }
                   }
                   return journal().pending(Key(key));
               })
            .change;
    }

    void save(const Key& key, const Value& value) const {
        record({key, std::optional<Value>{value}, 0});
    }
    void remove(const Key& key) const { record({key, std::nullopt, 0}); }

    /// Whether a change can be recorded in one step with another: with what a store has for that.
    template <class Step>
    static constexpr bool at_once =
        requires(J& journal, const Key& key, KeptValue<Value>& value, std::size_t most,
                 const Step& step) { journal.record(key, value, most, step); };
    /// The same of many, each in a step of its own.
    template <class Step>
    static constexpr bool many_at_once =
        requires(J& journal, std::span<const Change<Key, Value>> changes, std::size_t most,
                 std::span<const Step> steps) { journal.record_many(changes, most, steps); };

    /// The same as `save`, or, without a value, as `remove`, in one step with another. `write(record)`
    /// is to call `record(step)`, and to give what that gives: false if there is no room for the change,
    /// or if `step()` was false, in which case it may be called again. Rule W11.
    template <class Write>
    bool save_within(const Key& key, const Value* value, const Write& write) const {
        KeptValue<Value> kept = keep_copy(value);
        const bool recorded = write([&](const auto& step) {
            return journal().record(key, kept, options().max_pending, step).has_value();
        });
        if (recorded) {
            signal().raise();
        }
        return recorded;
    }

    /// The same for many: what became of each. Of those that were not written, and did not fail, there was
    /// no room for the change.
    template <class Step>
    std::vector<RecordEnd> save_many_within(std::span<const Change<Key, Value>> changes,
                                            std::span<const Step> steps) const {
        std::vector<RecordEnd> ends = journal().record_many(changes, options().max_pending, steps);
        signal().raise();
        return ends;
    }

    // ---- towards the flusher ----

    [[nodiscard]] FlushSignal& signal() const noexcept { return state_->signal; }

    /// So many changes wait that they should not wait for company as well.
    [[nodiscard]] bool crowded() const {
        return journal().size() >= options().max_pending - options().max_pending / 2;
    }
    [[nodiscard]] FlushTally& tally() const noexcept { return state_->tally; }

    void add_to(Stats& stats) const {
        try {
            stats.pending = journal().size();
            stats.oldest = journal().oldest().value_or(Ttl::zero());
            if constexpr (requires { journal().buried(); }) {
                stats.dead_letters = journal().buried();
            } else {
                stats.dead_letters = journal().dead_letters().size();
            }
        } catch (const StoreError&) {
            ++stats.store_errors;
        }
        tally().add_to(stats);
    }

private:
    struct State {
        State(J j, R r, WriteBehindOptions o)
            : journal{std::move(j)}, repository{std::move(r)}, options{o} {}

        J journal;
        R repository;
        const WriteBehindOptions options;
        FlushSignal signal{};
        ForkLocal<std::mutex> one_writer{};
        FlushTally tally{};
    };

    struct Asked {
        std::optional<Change<Key, Value>> change{};

        // If not, the row may be older than a change that nobody can see now.
        bool answered = true;
    };

    // A journal that cannot be asked is not skipped. Rule W3.
    template <class Question>
    Asked ask(Question&& question) const {
        try {
            return {question()};
        } catch (const StoreError&) {
            if (!options().read_without_journal) {
                throw;
            }
            return {{}, false};
        }
    }
    Asked ask_of(const Key& key) const {
        return ask([&] { return journal().pending(key); });
    }

    // All at once where the journal can.
    std::vector<Asked> ask_of_many(std::span<const Key> keys) const {
        std::vector<Asked> all;
        all.reserve(keys.size());
        if constexpr (BatchJournal<J>) {
            using Many = std::vector<std::optional<Change<Key, Value>>>;
            bool answered = true;
            Many many;
            try {
                many = journal().pending_many(keys);
            } catch (const StoreError&) {
                if (!options().read_without_journal) {
                    throw;
                }
                answered = false;
                many.resize(keys.size());
            }
            for (auto& change : many) {
                all.push_back({std::move(change), answered});
            }
        } else {
            for (const Key& key : keys) {
                all.push_back(ask_of(key));
            }
        }
        return all;
    }

    // What it throws leaves the change unacknowledged. Rule W2.
    void record(Change<Key, Value> change) const {
        if (!try_record(change)) {
            signal().raise_urgent();
            const auto until = later(std::chrono::steady_clock::now(), options().block_for);
            if (options().when_full == WhenFull::reject ||
                !signal().room().wait(until, [&] { return try_record(change); })) {
                throw JournalFull{Errc::journal_full,
                                  std::to_string(options().max_pending) +
                                      " changes wait for the database; that of key " +
                                      key_text(change.key) + " was not taken"};
            }
        }
        signal().raise();
    }

    // False if there is no room, with `change` as it was. That of a key that has one pending takes none.
    // Rule W9.
    bool try_record(Change<Key, Value>& change) const {
        const std::size_t most = options().max_pending;
        if constexpr (BoundedJournal<J>) {
            return journal().record(std::move(change), most).has_value();
        } else {
            // The place that was seen must still be there: one writer at a time.
            const std::scoped_lock lock{state_->one_writer.get()};
            if (journal().size() >= most && !journal().pending(change.key)) {
                return false;
            }
            journal().record(std::move(change));
            return true;
        }
    }

    std::shared_ptr<State> state_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_JOURNALED_REPOSITORY_HPP
