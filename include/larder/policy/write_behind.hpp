// SPDX-License-Identifier: MIT

/// @file
/// WriteBehind: the journal at once, the database later.

#ifndef LARDER_POLICY_WRITE_BEHIND_HPP
#define LARDER_POLICY_WRITE_BEHIND_HPP

#include <larder/concepts.hpp>
#include <larder/detail/coherent.hpp>
#include <larder/detail/policy_base.hpp>
#include <larder/detail/user/arguments.hpp>
#include <larder/detail/user/diagnostics.hpp>
#include <larder/detail/user/refused.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write_behind/flusher.hpp>
#include <larder/detail/write_behind/journaled_repository.hpp>
#include <larder/entry.hpp>
#include <larder/fwd.hpp>
#include <larder/journal/journal.hpp>
#include <larder/journal/memory.hpp>
#include <larder/options.hpp>
#include <larder/policy/unfenced.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The store says what its journal is.
template <class S>
concept brings_journal = requires { typename Coherent<S>::journal_type; };

/// The journal of a policy that is given none: the store's own, else in memory, by the store's clock.
template <class S>
struct JournalBeside {
    using type = MemoryJournal<typename Unwrapped<S>::key_type, typename Unwrapped<S>::value_type,
                               typename Coherent<S>::clock_type>;
};
template <class S>
    requires(store_ok<S> && brings_journal<S>)
struct JournalBeside<S> {
    using type = typename Coherent<S>::journal_type;
};
// Of what is no store: any, so that the policy says what is missing.
template <class S>
    requires(!store_ok<S>)
struct JournalBeside<S> {
    using type = MemoryJournal<int, int>;
};

template <class S>
concept shared_between_processes = requires { requires Coherent<S>::shared; };

/// Of what is no store: any, so that the policy says what is missing.
template <class J, class S>
concept journals =
    !store_ok<S> || (std::same_as<typename J::key_type, typename Unwrapped<S>::key_type> &&
                     std::same_as<typename J::value_type, typename Unwrapped<S>::value_type>);

template <class J>
concept is_unshared = requires { requires J::unshared; };

}  // namespace detail

/// WriteThrough into a journal in front of the database: a write returns when it is recorded, and
/// the database follows, in batches, the newest change of each key only.
///
/// ```cpp
/// larder::WriteBehind views{store, ViewCounts{db}, {.ttl = 24h}, {.max_pending = 10'000}};
/// views.put(42, 1001);  // the copy and the journal
/// views.get(42);        // 1001, whether or not the database has it yet
/// ```
///
/// | Verb            | Database                                      | Copy                         |
/// |-----------------|-----------------------------------------------|------------------------------|
/// | `get`, `fetch`  | one load a miss, if no change is pending      | kept; `pending` changes too  |
/// | `peek`          | untouched                                     | untouched                    |
/// | `put`, `remove` | later; retried, split, at last buried         | replaced                     |
/// | `invalidate`    | untouched; a pending change stays             | dropped                      |
///
/// A write that the database keeps refusing becomes a dead letter: `dead_letters`, `revive`,
/// `discard`. With a MemoryJournal what is pending is lost when the process dies; a child that forks
/// off begins with nothing pending, and writes what it puts itself.
///
/// The repository's `save` should take a version (`save(k, v, version) -> bool`): it is what keeps an
/// older write that was stalled from covering a newer one; a durable journal requires it, or
/// `unfenced`. Its writes may come twice. A store that processes share requires a journal that they
/// share, or `unshared`.
///
/// Thread safety: all verbs may run concurrently. The destructor writes what is pending, for
/// `WriteBehindOptions::drain` at most, and tells the observer of what is left.
///
/// @tparam S  where copies live
/// @tparam R  the repository
/// @tparam J  where changes wait: a Journal
template <class S, class R, class J>
class WriteBehind : detail::RequiresStore<S>,
                    detail::RequiresLoader<R, S>,
                    public detail::PolicyBaseOf<S, detail::JournaledRepository<J, R>,
                                                detail::AfterWrite::replace> {
    using Base =
        detail::PolicyBaseOf<S, detail::JournaledRepository<J, R>, detail::AfterWrite::replace>;
    using Plain = detail::Unwrapped<S>;
    static_assert(detail::journals<J, S>,
                  "larder: a journal has the key_type and the value_type of the store beside it");
    static_assert(RepositoryFor<R, Plain> || VersionedRepositoryFor<R, Plain>,
                  "larder: WriteBehind needs a repository: save(key, value) and remove(key)");
    static_assert(
        !J::durable || VersionedRepositoryFor<R, Plain> || detail::is_unfenced<R>,
        "larder: a durable journal needs a repository with save(key, value, version) -> bool "
        "and remove(key, version) -> bool, or unfenced(repository)");
    static_assert(!detail::shared_between_processes<S> || J::shared || detail::is_unshared<J>,
                  "larder: a store that processes share needs a journal that they share, or "
                  "unshared(journal)");

public:
    using key_type = typename Base::key_type;
    using value_type = typename Base::value_type;
    using journal_type = J;

    /// A policy with a journal of its own, in memory unless its store says otherwise.
    ///
    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    WriteBehind(S store, R repository, Options options = {}, WriteBehindOptions behind = {})
        : WriteBehind{store, std::move(repository), journal_beside(store), std::move(options),
                      behind} {}

    /// The same with a journal of your own.
    template <class Given>
        requires std::same_as<Given, J> && Journal<Given>
    WriteBehind(S store, R repository, Given journal, Options options = {},
                WriteBehindOptions behind = {})
        : Base{std::move(store),
               detail::JournaledRepository<J, R>{std::move(journal), std::move(repository), behind},
               std::move(options)},
          flusher_{std::make_unique<Flusher>(this->core())} {}

    WriteBehind(WriteBehind&&) noexcept = default;
    /// Ends this policy as its destructor does, then takes the other's place.
    WriteBehind& operator=(WriteBehind&& other) noexcept {
        if (this != &other) {
            flusher_ = std::move(other.flusher_);
            Base::operator=(std::move(other));
        }
        return *this;
    }

    /// The fresh copy, or else the change that waits, or else nothing: it loads nothing, waits for nothing,
    /// and refreshes nothing.
    ///
    /// @return empty, too, when the key was removed or the source is known to have no such key
    /// @throws StoreError  the journal cannot be asked, and `read_without_journal` is off
    template <class Q = key_type>
        requires detail::KeyFor<Q, key_type>
    [[nodiscard]] std::optional<value_type> peek(const Q& key) const {
        // A copy that others have made may be older than what waits here. Rule W10.
        constexpr bool journal_first = detail::is_unshared<J>;
        std::optional<value_type> copy;
        if (!journal_first && (copy = Base::peek(key))) {
            return copy;
        }
        if (auto change = this->core().loader.pending(key)) {
            return std::move(change->value);
        }
        return journal_first ? Base::peek(key) : std::move(copy);
    }

    /// Writes what is pending now, without waiting for company. What is recorded after it has returned
    /// waits for its `delay` again.
    ///
    /// @return how many changes are left after `within`
    /// @throws StoreError  the journal cannot be asked, not even after `within`
    std::size_t flush(Ttl within) const { return flusher_->flush(within); }

    /// Claims nothing any more: once it has returned, only what was claimed before is still written, to
    /// its end. `flush` returns when that is reached, and says what is left. Writers meet a
    /// full journal as they would with a database that is away. The destructor ends a pause: it writes
    /// what is left. Other processes that share the journal go on.
    void pause() const { flusher_->pause(); }

    /// Ends a pause.
    void resume() const { flusher_->resume(); }

    /// How many changes wait for the database.
    ///
    /// @throws StoreError  the journal cannot be asked
    [[nodiscard]] std::size_t pending() const { return journal().size(); }

    /// How long the first of them has waited; none if nothing waits.
    ///
    /// @throws StoreError  the journal cannot be asked
    [[nodiscard]] std::optional<Ttl> oldest() const { return journal().oldest(); }

    /// The changes that the database would not take.
    ///
    /// @throws StoreError  the journal cannot be asked
    [[nodiscard]] std::vector<DeadLetter<key_type, value_type>> dead_letters() const {
        return journal().dead_letters();
    }

    /// Tries a dead letter again, unless a newer change has taken it away.
    ///
    /// @return true if it was there
    /// @throws StoreError  the journal cannot be asked; nothing has changed
    bool revive(const key_type& key) const {
        const bool revived = journal().revive(key);
        if (revived) {
            this->core().invalidate(key);
            this->core().loader.signal().raise();
        }
        return revived;
    }

    /// Forgets a dead letter: that change never reaches the database. `Stats::discarded` counts them.
    ///
    /// @return true if it was there
    /// @throws StoreError  the journal cannot be asked; nothing has changed
    bool discard(const key_type& key) const {
        const bool discarded = journal().discard(key);
        this->core().loader.tally().discarded += discarded ? 1 : 0;
        return discarded;
    }

    /// The journal: what waits, how much and for how long.
    [[nodiscard]] J& journal() const noexcept { return this->core().loader.journal(); }

    /// The policy's counters, and what waits for the database.
    [[nodiscard]] Stats stats() const {
        Stats stats = Base::stats();
        this->core().loader.add_to(stats);
        return stats;
    }

    /// Not offered: the truth is the journal, which a transaction of your own would pass by.
    LARDER_REFUSED(
        "larder: WriteBehind has no writing: the truth is the journal, which a transaction "
        "of your own would pass by",
        class... Keys)
    void writing(Keys&&...) const LARDER_NEVER;

private:
    using Flusher = detail::Flusher<typename Base::Core>;

    // A journal of this policy's own, by the store's clock.
    static J journal_beside(const S& store) {
        if constexpr (detail::brings_journal<S>) {
            return static_cast<const Plain&>(store).journal();
        } else if constexpr (requires { J{static_cast<const Plain&>(store).clock()}; }) {
            return J{static_cast<const Plain&>(store).clock()};
        } else {
            return J{};
        }
    }

    std::unique_ptr<Flusher> flusher_;
};

/// With a journal of the user's own.
template <class S, class R, class J>
    requires Journal<J>
WriteBehind(S, R, J, Options = {}, WriteBehindOptions = {}) -> WriteBehind<S, R, J>;

template <class S>
WriteBehind(S, detail::AnyLoader, ...) -> WriteBehind<S, detail::MistakenOptions>;

LARDER_NS_END

#endif  // LARDER_POLICY_WRITE_BEHIND_HPP
