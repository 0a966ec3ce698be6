// SPDX-License-Identifier: MIT

/// @file
/// The verbs that all policies have.

#ifndef LARDER_DETAIL_POLICY_BASE_HPP
#define LARDER_DETAIL_POLICY_BASE_HPP

#include <larder/concepts.hpp>
#include <larder/detached.hpp>
#include <larder/detail/coherent.hpp>
#include <larder/detail/core.hpp>
#include <larder/detail/read/loads.hpp>
#include <larder/detail/read/read_many.hpp>
#include <larder/detail/read/read_path.hpp>
#include <larder/detail/read/warm_queue.hpp>
#include <larder/detail/read/warmer.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/arguments.hpp>
#include <larder/detail/user/bulk_call.hpp>
#include <larder/detail/user/diagnostics.hpp>
#include <larder/detail/user/refused.hpp>
#include <larder/detail/write/after_write.hpp>
#include <larder/detail/write/write_path.hpp>
#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/policy/warm_options.hpp>
#include <larder/policy/writing.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The verbs of the strategies. Documented once, here, for all of them; the policies' own pages say
/// what they do differently.
///
/// Thread safety: all members may run concurrently, except that a policy is moved, assigned and
/// destroyed by one thread alone. A policy that was moved from may only be destroyed or assigned.
template <class S, class L, AfterWrite After>
class PolicyBase {
    using Store = Coherent<S>;

public:
    using key_type = typename Store::key_type;
    using value_type = typename Store::value_type;
    using store_type = S;
    using loader_type = L;

    PolicyBase(PolicyBase&&) noexcept = default;

    /// Ends this policy as its destructor does, then takes the other's place.
    PolicyBase& operator=(PolicyBase&& other) noexcept {
        if (this != &other) {
            close();
            core_ = std::move(other.core_);
        }
        return *this;
    }
    PolicyBase(const PolicyBase&) = delete;
    PolicyBase& operator=(const PolicyBase&) = delete;

    /// Waits for loads and refreshes that have begun.
    ~PolicyBase() { close(); }

    /// The value of `key`: the fresh copy, or what the loader says, which is then kept.
    ///
    /// @return empty when the source has no such key
    /// @throws whatever the loader threw, when there is no stale copy within its grace; nothing is
    ///         cached then
    /// @throws Error  `recursive_load`: the loader asked for the key it was loading
    template <class Q = key_type>
        requires KeyFor<Q, key_type>
    [[nodiscard]] std::optional<value_type> get(const Q& key) const {
        return reads().get(key, own_load());
    }

    /// The same with a deadline, a stop token, or a freshness of this call's own.
    ///
    /// @throws Error  `timed_out` or `cancelled`: no value in time, and no stale copy within its
    ///         grace; the load goes on for the others
    template <class Q = key_type>
        requires KeyFor<Q, key_type>
    [[nodiscard]] std::optional<value_type> get(const Q& key, const Read& how) const {
        return reads().fetch(key, how, own_load()).value;
    }

    /// The same with a loader for this call. The call returns only when a load that it began has
    /// finished, so that a loader may refer to the caller's variables; `detached(f)` lets the call
    /// return at its time-out. Whoever joins gets what the load's owner loads.
    template <class Q = key_type, class F>
        requires KeyFor<Q, key_type> && CallLoaderFor<F, Store>
    [[nodiscard]] std::optional<value_type> get(const Q& key, F&& loader,
                                                const Read& how = {}) const {
        return fetch(key, std::forward<F>(loader), how).value;
    }

    /// `get`, plus where the answer came from, its age, and the time it has left.
    template <class Q = key_type>
        requires KeyFor<Q, key_type>
    [[nodiscard]] Fetched<value_type> fetch(const Q& key, const Read& how = {}) const {
        return reads().fetch(key, how, own_load());
    }

    /// @copydoc fetch
    template <class Q = key_type, class F>
        requires KeyFor<Q, key_type> && CallLoaderFor<F, Store>
    [[nodiscard]] Fetched<value_type> fetch(const Q& key, F&& loader, const Read& how = {}) const {
        if constexpr (is_detached<std::remove_cvref_t<F>>) {
            using Given = typename std::remove_cvref_t<F>::loader_type;
            const GivenLoad<Core, Given> load{
                core_.get(), std::make_shared<Given>(std::forward<F>(loader).loader)};
            return reads().fetch(key, how, load);
        } else {
            const LentLoad<Core, std::remove_reference_t<F>> load{core_.get(),
                                                                  std::addressof(loader)};
            return reads().fetch(key, how, load);
        }
    }

    /// The fresh copy of `key`, or nothing: it loads nothing, waits for nothing, and refreshes nothing.
    ///
    /// @return empty when there is no fresh copy, and when the source is known to have no such key
    template <class Q = key_type>
        requires KeyFor<Q, key_type>
    [[nodiscard]] std::optional<value_type> peek(const Q& key) const {
        std::optional<value_type> value;
        auto query = core_->query();
        core_->store.peek(
            as_lookup_key<key_type>(key),
            [&](const value_type* found, Remaining remaining, Ttl, bool) {
                if (found != nullptr && remaining > Remaining::zero()) {
                    value.emplace(*found);
                }
            },
            query);
        return value;
    }

    /// The values of many keys, in their order: one store round trip, one batch load for what is
    /// missing. Keys that others are loading are waited for last.
    ///
    /// @throws whatever the loader threw, when a key has neither a value nor a stale copy
    [[nodiscard]] std::vector<std::optional<value_type>> get_many(
        std::span<const key_type> keys) const {
        return ReadMany<Core>{*core_}(keys);
    }

    /// @copydoc get_many
    template <class R>
        requires RangeOf<R, key_type> && (!std::convertible_to<R &&, std::span<const key_type>>)
    [[nodiscard]] std::vector<std::optional<value_type>> get_many(R&& keys) const {
        return get_many(std::span<const key_type>{as_keys<key_type>(keys)});
    }

    /// @copydoc get_many
    [[nodiscard]] std::vector<std::optional<value_type>> get_many(
        std::initializer_list<key_type> keys) const {
        return get_many(std::span<const key_type>{keys.begin(), keys.size()});
    }

    /// Writes to the database, then leaves the copy as the policy says.
    ///
    /// @throws whatever `save` threw. Unless that says that nothing was written (`NotWritten`), the
    ///         write may still take effect: the key is served from the database until
    ///         `Options::ticket` has passed
    /// @throws StoreError  before the database was touched: the store cannot be told, and
    ///         `on_store_failure` is `fail` or the queue of invalidations is full
    template <class Q = key_type>
        requires KeyFor<Q, key_type> && RepositoryFor<L, Store>
    void put(const Q& key, const value_type& value) const {
        writes().put(as_key<key_type>(key), value);
    }

    /// Writes many rows, in one batch where the repository can. The last of duplicates wins.
    ///
    /// @throws PartialWrite  some were not written; it tells which were, were not, or may be
    template <class R>
        requires RepositoryFor<L, Store>
    void put_many(R&& pairs) const {
        std::vector<Change<key_type, value_type>> changes;
        for (auto&& [key, value] : pairs) {
            changes.push_back({key_type(key), std::optional<value_type>{value}, 0});
        }
        writes().put_many(std::move(changes));
    }

    /// @copydoc put_many
    void put_many(std::initializer_list<std::pair<key_type, value_type>> pairs) const
        requires RepositoryFor<L, Store>
    {
        put_many(std::span<const std::pair<key_type, value_type>>{pairs.begin(), pairs.size()});
    }

    /// Removes the row, then leaves no copy (or a known absence) as the policy says.
    ///
    /// @throws as `put`
    template <class Q = key_type>
        requires KeyFor<Q, key_type> && RepositoryFor<L, Store>
    void remove(const Q& key) const {
        writes().remove(as_key<key_type>(key));
    }

    /// Opens a write on these keys, for a transaction of your own around several rows.
    ///
    /// @throws StoreError  as `put`, in which case no key is open
    template <class... Q>
        requires(sizeof...(Q) > 0) && (KeyFor<Q, key_type> && ...)
    [[nodiscard]] Writing<detail::Core<Store, L>> writing(const Q&... keys) const {
        return open_writes({key_type(keys)...});
    }

    /// @copydoc writing
    template <class R>
        requires RangeOf<R, key_type> && (!KeyFor<std::remove_cvref_t<R>, key_type>)
    [[nodiscard]] Writing<detail::Core<Store, L>> writing(R&& keys) const {
        return open_writes(as_keys<key_type>(keys));
    }

    /// Drops the copy: call it when the row was changed past this policy, once that is committed.
    ///
    /// @return true if there was a copy
    /// @throws StoreError  the copy may still be there: a lost invalidation must not be silent
    template <class Q = key_type>
        requires KeyFor<Q, key_type>
    bool invalidate(const Q& key) const {
        const auto& mine = as_key<key_type>(key);
        core_->end_back_off(mine);
        return core_->store.erase(mine);
    }

    /// Drops many copies, in one round trip where the store can.
    ///
    /// @return how many were there
    /// @throws StoreError  as `invalidate`: any of the copies may still be there
    std::size_t invalidate_many(std::span<const key_type> keys) const {
        for (const key_type& key : keys) {
            core_->end_back_off(key);
        }
        return core_->store.erase_many(keys);
    }

    /// @copydoc invalidate_many
    template <class R>
        requires RangeOf<R, key_type> && (!std::convertible_to<R &&, std::span<const key_type>>)
    std::size_t invalidate_many(R&& keys) const {
        return invalidate_many(std::span<const key_type>{as_keys<key_type>(keys)});
    }

    /// @copydoc invalidate_many
    std::size_t invalidate_many(std::initializer_list<key_type> keys) const {
        return invalidate_many(std::span<const key_type>{keys.begin(), keys.size()});
    }

    /// Loads now and keeps that; never satisfied by a load that began earlier. When it returns,
    /// nothing older than what it returned is served.
    ///
    /// @throws whatever the loader threw, in which case the copy is as it was
    template <class Q = key_type>
        requires KeyFor<Q, key_type>
    std::optional<value_type> refresh(const Q& key) const {
        return reads().reload(as_key<key_type>(key), Read{}, own_load()).value;
    }

    /// Fills the cache before anybody asks: the keys in batches, in their order, each loaded at once
    /// under leases. Keys that are fresh, or that others load or write, are left alone; those whose
    /// load throws are reported, and the others go on.
    ///
    /// The range is walked once, under a lock, by whichever thread takes the next batch, so that it
    /// may be single-pass and need not fit into memory. A key that comes again is loaded once, if its
    /// row is kept. Up to `parallel` batches run at once, in the calling thread and on the executor.
    /// Returns when all that began has ended. The destructor of the policy waits for the batches that
    /// have begun, and lets no other begin.
    ///
    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    /// @throws whatever `progress` or the range threw, after which no batch has begun
    template <class R>
        requires RangeOf<R, key_type>
    WarmReport<key_type> warm(R&& keys, const WarmOptions& how = {}) const {
        return warm_with<L>(keys, how, [](Core& core, std::span<const key_type> batch) {
            return timed_many(core, batch);
        });
    }

    /// @copydoc warm
    WarmReport<key_type> warm(std::initializer_list<key_type> keys,
                              const WarmOptions& how = {}) const {
        return warm(std::span<const key_type>{keys.begin(), keys.size()}, how);
    }

    /// The same with a loader for this call, best one for many keys: a callable or a `load_many` that
    /// is given a `span<const key_type>` and gives a vector in the same order. It may refer to the
    /// caller's variables, and is called from `parallel` threads at once.
    template <class R, class F>
        requires RangeOf<R, key_type> && BulkLoaderFor<F, Store>
    WarmReport<key_type> warm(R&& keys, F&& loader, const WarmOptions& how = {}) const {
        using Given = std::remove_reference_t<F>;
        using Bulk = std::conditional_t<LoadsMany<Given, Store> || !CallsWithMany<Given, Store>,
                                        Given&, BulkCall<Given>>;
        return warm_with<Bulk>(keys, how, [&](Core& core, std::span<const key_type> batch) {
            Bulk bulk{loader};
            return timed_many(core, batch, bulk);
        });
    }

    /// @copydoc warm
    template <class F>
        requires BulkLoaderFor<F, Store>
    WarmReport<key_type> warm(std::initializer_list<key_type> keys, F&& loader,
                              const WarmOptions& how = {}) const {
        return warm(std::span<const key_type>{keys.begin(), keys.size()}, loader, how);
    }

    // What a mistake finds, so that the compiler names the cure.
    LARDER_REFUSED(LARDER_NEEDS_A_REPOSITORY, class Q = key_type)
    void put(const Q&, const value_type&) const
        requires(!RepositoryFor<L, Store>)
    LARDER_NEVER;
    LARDER_REFUSED(LARDER_NEEDS_A_REPOSITORY, class R)
    void put_many(R&&) const
        requires(!RepositoryFor<L, Store>)
    LARDER_NEVER;
    LARDER_REFUSED(LARDER_NEEDS_A_REPOSITORY, class Q = key_type)
    void put_many(std::initializer_list<std::pair<Q, value_type>>) const
        requires(!RepositoryFor<L, Store>)
    LARDER_NEVER;
    LARDER_REFUSED(LARDER_NEEDS_A_REPOSITORY, class Q = key_type)
    void remove(const Q&) const
        requires(!RepositoryFor<L, Store>)
    LARDER_NEVER;
    LARDER_REFUSED(LARDER_NEEDS_ANOTHER_LOADER, class Q = key_type, class F)
    std::optional<value_type> get(const Q&, F&&, const Read& = {}) const
        requires MistakenLoaderFor<F, Store>
    LARDER_NEVER;
    LARDER_REFUSED(LARDER_NEEDS_ANOTHER_LOADER, class Q = key_type, class F)
    Fetched<value_type> fetch(const Q&, F&&, const Read& = {}) const
        requires MistakenLoaderFor<F, Store>
    LARDER_NEVER;

    /// What happened so far: this policy's reads and loads, and its store's evictions.
    [[nodiscard]] Stats stats() const { return core_->stats(); }

protected:
    friend struct Inspect;
    using Core = detail::Core<Store, L>;
    PolicyBase(S store, L loader, Options options)
        : core_{std::make_shared<Core>(coherent(std::move(store)), std::move(loader),
                                       std::move(options))} {}

    [[nodiscard]] Core& core() const noexcept { return *core_; }

private:
    void close() noexcept {
        if (core_) {
            core_->background->scope.close();
            core_->events.flush();
            core_.reset();
        }
    }

    [[nodiscard]] ReadPath<Core> reads() const noexcept { return ReadPath<Core>{*core_}; }
    [[nodiscard]] WritePath<Core> writes() const noexcept { return WritePath<Core>{*core_, After}; }
    [[nodiscard]] OwnLoad<Core> own_load() const noexcept { return {core_.get()}; }

    // Given: the loader that `load` calls.
    template <class Given, class R, class Load>
    WarmReport<key_type> warm_with(R& keys, const WarmOptions& how, const Load& load) const {
        validate(how);
        WarmRange<key_type, R> queue{keys, how};
        return Warmer<Core>{*core_, queue, load, core_->template dated<Given>(), how}();
    }

    Writing<Core> open_writes(std::vector<key_type> keys) const {
        erase_repeated(keys);
        return Writing<Core>{core_, std::move(keys)};
    }

    std::shared_ptr<Core> core_;
};

/// The base of every policy, chosen so that a missing function is the one error.
template <class S, class L, AfterWrite After>
using PolicyBaseOf =
    std::conditional_t<store_ok<S> && loader_ok<L, S>, PolicyBase<S, L, After>, NoPolicy>;

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_POLICY_BASE_HPP
