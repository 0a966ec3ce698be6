// SPDX-License-Identifier: MIT

/// @file
/// What the read path and the write path of one policy share: store, loader, options, counters.

#ifndef LARDER_DETAIL_CORE_HPP
#define LARDER_DETAIL_CORE_HPP

#include <larder/concepts.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/keyed_core.hpp>
#include <larder/detail/policy_in_hand.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The heart of a policy, on the heap, so that it outlives a move. Tasks touch it only with a pass of
/// its scope: the policy's destructor waits for those, and then loader, observer and store handle go.
///
/// @tparam S  a CoherentStore's handle
/// @tparam L  the loader or repository, as the user passed it
template <class S, class L>
struct Core final : KeyedCore<typename S::key_type> {
    using Store = S;
    using Loader = L;
    using Key = typename S::key_type;
    using Value = typename S::value_type;
    using Keyed = KeyedCore<Key>;
    using Instant = typename Keyed::Instant;

    Core(S store_handle, L loader_given, Options options_given)
        : Keyed{std::move(options_given)},
          store{std::move(store_handle)},
          loader{std::move(loader_given)} {}

    S store;
    L loader;

    /// What a Tagged policy adds to each entry; empty function: nothing. Set before any load.
    std::function<Tags(const Key&, const std::optional<Value>&)> tags_of{};

    /// Whether what a loader gives may carry tags.
    ///
    /// @tparam Given  the loader: the policy's own, or one for a call
    template <class Given = L>
    [[nodiscard]] Dated dated() const noexcept {
        return loads_tags<Given, S>() || tags_of ? Dated::yes : Dated::no;
    }

    /// What this policy's reads ask of a store.
    ///
    /// @param remaining  the caller wants to know how long the copy has left
    [[nodiscard]] auto query(bool remaining = false) const {
        typename S::Query query{};
        if constexpr (requires { query.remaining; }) {
            query.remaining =
                remaining || this->refresh_below > 0 || this->options.grace > Ttl::zero();
            query.tagged = static_cast<bool>(tags_of);
            query.dated = dated();
            query.usual = this->options.ttl;
        }
        if constexpr (has_near<S>) {
            query.ask = near_ask(remaining);
        }
        return query;
    }

    /// What they ask of near copies.
    [[nodiscard]] NearAsk near_ask(bool remaining) const noexcept {
        return {.exact = remaining || this->refresh_below > 0,
                .tagged = static_cast<bool>(tags_of)};
    }

    /// A read has loaded without a lease: where there are near copies, none is older.
    void passed_by([[maybe_unused]] const Key& key) noexcept {
        if constexpr (has_near<S>) {
            store.pass_by(key);
        }
    }

    /// Lifetime and tags for a copy of `value`; `own_ttl` is the loader's wish.
    [[nodiscard]] CopyTerms copy_terms(const Key& key, const std::optional<Value>& value,
                                       const std::optional<Ttl>& own_ttl, Tags tags) const {
        if (tags_of) {
            for (std::string& tag : tags_of(key, value)) {
                tags.push_back(std::move(tag));
            }
        }
        return this->terms_of(value.has_value(), own_ttl, std::move(tags));
    }

    [[nodiscard]] Stats stats() const {
        Stats all = store.stats();
        this->counters.add_to(all);
        all.load_times = this->load_times.read();
        return all;
    }

    [[nodiscard]] PolicyInHand in_hand() const {
        return {store.in_hand(), this->loads().busy(), this->loads().refreshing(),
                this->background->scope.running()};
    }

    // ---- the store, by key ----

    [[nodiscard]] Instant now() const override { return store.clock().now(); }
    [[nodiscard]] std::shared_ptr<AnyFlight> underway(const Key& key) override {
        return store.underway(key);
    }
    void release(const Key& key, const Lease& lease) override { store.release(key, lease); }
    [[nodiscard]] std::optional<std::optional<Ttl>> remote_lease(const Key& key,
                                                                 const Lease& lease) override {
        if constexpr (requires { store.remote_lease(key, lease); }) {
            return {store.remote_lease(key, lease)};
        } else {
            return std::nullopt;
        }
    }
    void erase(const Key& key) override { store.erase(key); }
    bool remember(const Key& key, const MissedInvalidation& missed) override {
        if constexpr (S::fallible) {
            return store.queue_invalidation(key, this->options.max_queued_invalidations, missed);
        } else {
            return false;
        }
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_CORE_HPP
