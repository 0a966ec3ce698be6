// SPDX-License-Identifier: MIT

/// @file
/// The slot protocol of a TieredStore, as policies ask it.

#ifndef LARDER_DETAIL_NEAR_TIERED_SLOTS_HPP
#define LARDER_DETAIL_NEAR_TIERED_SLOTS_HPP

#include <larder/concepts.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/near/near_copies.hpp>
#include <larder/detail/near/near_query.hpp>
#include <larder/detail/near/near_reads.hpp>
#include <larder/detail/near/requires_tiers.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/slot/protocol_calls.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/arguments.hpp>
#include <larder/entry.hpp>
#include <larder/stats.hpp>
#include <larder/store/tiered_options.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

// What of a far store's types a policy looks for.
template <class Far>
struct FarJournal {};
template <class Far>
    requires requires { typename Far::journal_type; }
struct FarJournal<Far> {
    using journal_type = typename Far::journal_type;
};
template <class Far>
struct FarAtOnce {};
template <class Far>
    requires requires { typename Far::AtOnce; }
struct FarAtOnce<Far> {
    using AtOnce = typename Far::AtOnce;
};

/// What the handles of one TieredStore share.
template <class Near, class Far>
struct Tiers {
    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    Tiers(Near near, Far far_store, const TieredStoreOptions& options)
        : far{std::move(far_store)}, copies{std::move(near), options} {
        validate(options);
        copies.listen(far);
    }

    Far far;
    NearCopies<Near> copies;
};

/// The members of a TieredStore that policies ask for. What is said of a handle holds for it.
///
/// Thread safety: all members may run concurrently.
template <class Near, class Far>
class TieredSlots : public FarJournal<Far>, public FarAtOnce<Far> {
    using Reads = NearReads<Near, Far>;
    using FarQuery = typename Far::Query;

public:
    using key_type = typename Far::key_type;
    using value_type = typename Far::value_type;
    using clock_type = typename Far::clock_type;
    using near_type = Near;
    using far_type = Far;
    using Query = NearQuery<FarQuery>;
    using Opening = detail::Opening<value_type>;

    static constexpr bool keeps_tags = Far::keeps_tags;
    static constexpr bool fallible = Far::fallible;
    static constexpr bool shared = Far::shared;

    /// By which lives and waits are measured.
    [[nodiscard]] const clock_type& clock() const noexcept { return behind().clock(); }

    /// A whole write of far in one step with another. Rule W11.
    template <class Record>
        requires requires { typename Far::AtOnce; }
    bool write_at_once(const key_type& key, std::optional<value_type> value, const CopyTerms& terms,
                       const Record& record) {
        const Drop<key_type> drop{copies(), key};
        return behind().write_at_once(key, std::move(value), terms, record);
    }
    /// The same of many, each in a step of its own.
    template <class Record>
    auto write_many_at_once(std::span<const Change<key_type, value_type>> changes,
                            std::span<const CopyTerms> terms, const Record& record)
        requires requires(Far& f) { f.write_many_at_once(changes, terms, record); }
    {
        const NearDrop drop{copies(), changes,
                            [](const auto& change) -> const auto& { return change.key; }};
        return behind().write_many_at_once(changes, terms, record);
    }

    /// Calls `see(value or null, remaining, life, refreshing)` with a near copy, where there is one that may
    /// be served.
    template <class Q, class See>
    bool look(const Q& key, See&& see, const NearAsk& ask) const {
        return copies().look(key, see, ask);
    }
    /// Calls it with the far copy, for a read that near has not served; false if there is none. The query
    /// says whether it was a near copy after all, which another thread has made meanwhile.
    template <class Q, class See>
    bool peek_past(const Q& key, See&& see, Query& query) const {
        return reads().peek(as_key<key_type>(key), see, query);
    }
    /// Both, one after the other.
    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query& query) const {
        query.served = !query.ask.skip && look(key, see, query.ask);
        return query.served || peek_past(key, see, query);
    }
    /// The same, for whoever does not open afterwards.
    template <class Q, class See>
    bool peek(const Q& key, See&& see) const {
        Query query = whole_query();
        return peek(key, see, query);
    }
    /// The same for many: `see(i, value or null, remaining, life, refreshing)`.
    ///
    /// @param queries  one a key, as `open_many` takes them; all ask the same
    template <class See>
    void peek_many(std::span<const key_type> keys, See&& see, std::span<Query> queries) const {
        reads().peek_many(keys, see, queries);
    }
    /// The same, for whoever does not open afterwards.
    template <class See>
    void peek_many(std::span<const key_type> keys, See&& see) const {
        std::vector<Query> queries(keys.size(), whole_query());
        reads().peek_many(keys, see, std::span{queries});
    }

    /// What a read has come to elsewhere than in a copy: near has nothing older. Rule N3.
    void pass_by(const key_type& key) const noexcept { copies().drop(key); }

    /// The flight of a load in this process, if the far slot still shows its lease.
    [[nodiscard]] std::shared_ptr<Flight<value_type>> underway(const key_type& key) {
        return behind().underway(key);
    }
    /// How long a lease has left, if the far slot still shows it.
    [[nodiscard]] std::optional<Ttl> remote_lease(const key_type& key, const Lease& lease) const
        requires requires(const Far& f) { f.remote_lease(key, lease); }
    {
        return behind().remote_lease(key, lease);
    }

    /// Far's lease, or what its slot holds instead.
    [[nodiscard]] Opening open(const key_type& key, Query& query) {
        const Drop<key_type> drop{copies(), key};
        return behind().open(key, static_cast<FarQuery&>(query));
    }
    /// The same, for whoever has not peeked.
    [[nodiscard]] Opening open(const key_type& key) {
        Query query = whole_query();
        return open(key, query);
    }
    /// The same for many.
    [[nodiscard]] std::vector<Opening> open_many(std::span<const key_type> keys,
                                                 std::span<Query> queries) {
        const Drop<key_type> drop{copies(), keys};
        std::vector<FarQuery> asked{std::make_move_iterator(queries.begin()),
                                    std::make_move_iterator(queries.end())};
        return detail::open_many(behind(), keys, std::span{asked});
    }
    /// The same, for whoever has not peeked.
    [[nodiscard]] std::vector<Opening> open_many(std::span<const key_type> keys,
                                                 const Query& query = whole_query()) {
        std::vector<Query> queries(keys.size(), query);
        return open_many(keys, std::span{queries});
    }
    /// Far's lease beside a fresh copy; forced: whatever its slot holds, but for a write.
    [[nodiscard]] Opening open_refresh(const key_type& key, bool force, Dated dated = Dated::yes) {
        return detail::open_refresh(behind(), key, force, dated);
    }

    /// Keeps what a load gave, far, if the slot there still shows its lease. Loads never fill near.
    Filled fill(const key_type& key, const Lease& lease, std::optional<value_type> value,
                const CopyTerms& terms) {
        const Drop<key_type> drop{copies(), key};
        return behind().fill(key, lease, std::move(value), terms);
    }
    /// The same in one round trip.
    [[nodiscard]] std::vector<Filled> fill_many(
        std::span<const FillRequest<key_type, value_type>> rows)
        requires requires(Far& f) { f.fill_many(rows); }
    {
        const NearDrop drop{copies(), rows,
                            [](const auto& row) -> const auto& { return *row.key; }};
        return behind().fill_many(rows);
    }
    /// The load failed, or there was no need of one: then near is behind.
    void release(const key_type& key, const Lease& lease) {
        const Drop<key_type> drop{copies(), key};
        behind().release(key, lease);
    }
    /// The load answered, and its answer is not kept.
    void withdraw(const key_type& key, const Lease& lease) {
        const Drop<key_type> drop{copies(), key};
        behind().withdraw(key, lease);
    }
    /// Opens a write.
    [[nodiscard]] Ticket begin_write(const key_type& key, Ttl life, Dated dated = Dated::yes) {
        const Drop<key_type> drop{copies(), key};
        return detail::begin_write(behind(), key, life, dated);
    }
    /// Opens a write on every key, or on none.
    [[nodiscard]] std::vector<Ticket> begin_write_many(std::span<const key_type> keys, Ttl life,
                                                       Dated dated = Dated::yes) {
        const Drop<key_type> drop{copies(), keys};
        return detail::begin_write_many(behind(), keys, life, dated);
    }
    /// Ends a write; false if its ticket was not there any more.
    bool finish_write(const key_type& key, const Ticket& ticket, Finish how,
                      std::optional<value_type> value, const CopyTerms& terms) {
        const Drop<key_type> drop{copies(), key};
        return behind().finish_write(key, ticket, how, std::move(value), terms);
    }
    /// The same of many: each fails by itself.
    [[nodiscard]] std::vector<WriteEnd> finish_write_many(
        std::span<FinishRequest<key_type, value_type>> requests) {
        using Request = FinishRequest<key_type, value_type>;
        const NearDrop drop{copies(), std::span<const Request>{requests},
                            [](const auto& request) -> const auto& { return *request.key; }};
        return detail::finish_write_many(behind(), requests);
    }

    /// Remembers an invalidation that far missed. Near has no copy from then on: far is asked, and says
    /// that it has none.
    bool queue_invalidation(const key_type& key, std::size_t most, const MissedInvalidation& missed)
        requires Far::fallible
    {
        const Drop<key_type> drop{copies(), key};
        return behind().queue_invalidation(key, most, missed);
    }
    /// How many are remembered.
    [[nodiscard]] std::size_t queued_invalidations() const noexcept
        requires Far::fallible
    {
        return behind().queued_invalidations();
    }

    /// Leases and tickets that are out, near and far.
    [[nodiscard]] InHand in_hand() const {
        InHand all = behind().in_hand();
        all += copies().near().in_hand();
        return all;
    }

protected:
    template <class Row>
    using Drop = NearDrop<Near, Row>;

    TieredSlots(Near near, Far far, const TieredStoreOptions& options)
        : tiers_{std::make_shared<Tiers<Near, Far>>(std::move(near), std::move(far), options)} {}

    // Asks for all that there is to know.
    [[nodiscard]] static Query whole_query() {
        Query query{};
        query.ask.exact = true;
        if constexpr (requires { query.remaining; }) {
            query.remaining = true;
        }
        return query;
    }

    [[nodiscard]] Far& behind() const noexcept { return tiers_->far; }
    [[nodiscard]] NearCopies<Near>& copies() const noexcept { return tiers_->copies; }

private:
    [[nodiscard]] Reads reads() const noexcept { return Reads{tiers_->copies, tiers_->far}; }

    std::shared_ptr<Tiers<Near, Far>> tiers_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_TIERED_SLOTS_HPP
