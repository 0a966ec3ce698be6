// SPDX-License-Identifier: MIT

/// @file
/// What a TieredStore does as a Store.

#ifndef LARDER_DETAIL_NEAR_TIERED_COPIES_HPP
#define LARDER_DETAIL_NEAR_TIERED_COPIES_HPP

#include <larder/concepts.hpp>
#include <larder/detail/near/near_copies.hpp>
#include <larder/detail/near/requires_tiers.hpp>
#include <larder/detail/near/tiered_slots.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/arguments.hpp>
#include <larder/entry.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The members of a TieredStore: the plain Store, and what it has beside, over the slot protocol.
///
/// Thread safety: all members may run concurrently.
template <class Near, class Far>
class TieredCopies : public TieredSlots<Near, Far> {
    using Slots = TieredSlots<Near, Far>;
    using Slots::behind;
    using Slots::copies;
    template <class Row>
    using Drop = typename Slots::template Drop<Row>;

public:
    using typename Slots::key_type;
    using typename Slots::Query;
    using typename Slots::value_type;

    // ---- the plain Store ----

    /// The copy, fresh or stale within its grace.
    template <class Q = key_type>
    [[nodiscard]] std::optional<Entry<value_type>> find(const Q& key) const {
        std::optional<Entry<value_type>> entry;
        Query query = Slots::whole_query();
        this->peek(
            key,
            [&](const value_type* value, Remaining remaining, Ttl, bool) {
                keep(entry, value, remaining);
            },
            query);
        require(entry, query);
        return entry;
    }

    /// Stores in far, unless a write of the key is in flight; a life of zero or less erases.
    void put(const key_type& key, std::optional<value_type> value, Lifetime life) {
        const Drop<key_type> drop{copies(), key};
        behind().put(key, std::move(value), life);
    }

    /// Drops the copies, far and near; true if far had one.
    template <class Q = key_type>
    bool erase(const Q& key) {
        const key_type& mine = as_key<key_type>(key);
        const Drop<key_type> drop{copies(), mine};
        return behind().erase(mine);
    }

    /// Their copies, in the order of the keys: far is asked, in one round trip, for what near lacks.
    [[nodiscard]] std::vector<std::optional<Entry<value_type>>> find_many(
        std::span<const key_type> keys) const {
        std::vector<std::optional<Entry<value_type>>> entries(keys.size());
        std::vector<Query> queries(keys.size(), Slots::whole_query());
        this->peek_many(
            keys,
            [&](std::size_t i, const value_type* value, Remaining remaining, Ttl, bool) {
                keep(entries[i], value, remaining);
            },
            std::span{queries});
        for (std::size_t i = 0; i < keys.size(); ++i) {
            require(entries[i], queries[i]);
        }
        return entries;
    }

    /// As `put`, in one round trip; not atomic.
    void put_many(std::span<const std::pair<key_type, std::optional<value_type>>> pairs,
                  Lifetime life) {
        const NearDrop drop{copies(), pairs,
                            [](const auto& pair) -> const auto& { return pair.first; }};
        behind().put_many(pairs, life);
    }

    /// As `erase`, in one round trip; how many copies far had.
    std::size_t erase_many(std::span<const key_type> keys) {
        const Drop<key_type> drop{copies(), keys};
        return behind().erase_many(keys);
    }

    // ---- beyond the plain Store ----

    /// Erases every key that far has, and every near copy.
    void clear() {
        struct DropAll {
            NearCopies<Near>& copies;
            ~DropAll() { copies.drop_all(); }
        } const drop{copies()};
        behind().clear();
    }

    /// Makes every copy that carries one of these tags a miss: far and near here before it returns, and
    /// near elsewhere as it is told.
    void invalidate_tags(std::span<const std::string> tags)
        requires Far::keeps_tags
    {
        struct DropTags {
            NearCopies<Near>& copies;
            std::span<const std::string> tags;
            ~DropTags() { copies.drop_tags(tags); }
        } const drop{copies(), tags};
        behind().invalidate_tags(tags);
    }

    /// The store behind the near copies.
    [[nodiscard]] const Far& far() const noexcept { return behind(); }

    /// What far has counted; what near copies were told, how, and why all were dropped; entries, weight
    /// and capacity of near, and what left it.
    [[nodiscard]] Stats stats() const {
        Stats stats = behind().stats();
        copies().add_to(stats);
        return stats;
    }

    /// The journal beside far.
    [[nodiscard]] auto journal() const
        requires requires { typename Far::journal_type; }
    {
        return behind().journal();
    }

protected:
    using Slots::Slots;

private:
    static void keep(std::optional<Entry<value_type>>& entry, const value_type* value,
                     Remaining remaining) {
        entry.emplace();
        if (value != nullptr) {
            entry->value.emplace(*value);
        }
        entry->remaining = whole(remaining);
    }
    // What far failed at is no answer.
    static void require([[maybe_unused]] const std::optional<Entry<value_type>>& entry,
                        [[maybe_unused]] const Query& query) {
        if constexpr (requires { query.failure; }) {
            if (!entry && query.failure) {
                std::rethrow_exception(query.failure);
            }
        }
    }
};

/// The members, or none where the tiers lack something.
template <class Near, class Far>
struct ChosenTiers {
    using type = NoTiers;
};
template <class Near, class Far>
    requires tiers_ok<Near, Far>
struct ChosenTiers<Near, Far> {
    using type = TieredCopies<Near, Far>;
};
template <class Near, class Far>
using TieredCopiesOf = typename ChosenTiers<Near, Far>::type;

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_TIERED_COPIES_HPP
