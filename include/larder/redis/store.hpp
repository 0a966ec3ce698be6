// SPDX-License-Identifier: MIT

/// @file
/// RedisStore: copies in Redis, shared by processes.

#ifndef LARDER_REDIS_STORE_HPP
#define LARDER_REDIS_STORE_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/fwd.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/store/filler.hpp>
#include <larder/redis/detail/store/key_slots.hpp>
#include <larder/redis/detail/store/query.hpp>
#include <larder/redis/detail/store/reader.hpp>
#include <larder/redis/detail/store/slot_put.hpp>
#include <larder/redis/detail/store/slot_view.hpp>
#include <larder/redis/detail/store/tag_invalidation.hpp>
#include <larder/redis/detail/store/value_slots.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/detail/store/writer.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

template <class V>
struct JsonCodec;

namespace detail {
class NearFeed;
class NearListener;
}  // namespace detail
namespace redis::detail {
template <class>
class BasicTrackingFeed;
}  // namespace redis::detail

/// Copies in Redis, for all processes that share the server: keys `product:1`, `product:2`, … whose
/// values `redis-cli` shows as the codec wrote them.
///
/// ```cpp
/// larder::redis::Client redis{"redis://127.0.0.1:6379"};
/// larder::RedisStore<int, Product> store{redis, "product"};
/// larder::CacheAside products{store, ProductTable{db}, {.ttl = 1h}};
/// ```
///
/// A value that another program wrote is a hit, too. Values with tags, a grace or a life of their
/// own, known absences, and all values of a codec that is not textual carry a short header, which
/// begins with the byte 0x01. Bytes that do not decode are a miss, counted in `undecodable`.
///
/// While the server is away, or refuses writes, policies go on without it: reads load, writes queue
/// the invalidation of their key, and this process does not trust its copy until the server was told.
///
/// A cheap handle: copies share everything, the queue of missed invalidations too.
///
/// Thread safety: all members may run concurrently; operations on one key are linearizable across processes.
/// @throws StoreError  the server cannot be reached, answers too late, or refuses: redis/error.hpp
///
/// @tparam C  a Codec; JsonCodec is in <larder/json.hpp>
template <class K, class V, class C>
class RedisStore {
    static_assert(
        requires { sizeof(C); },
        "larder: RedisStore keeps values as JSON unless it is given a codec: "
        "include <larder/json.hpp>");
    static_assert(
        redis::Nameable<K>,
        "larder: a key in Redis is an integer, an enumeration, a string, a tuple of these, "
        "or has std::string to_key(const K&) in its own namespace");
    static_assert(
        !requires { sizeof(C); } || Codec<C, V>,
        "larder: a Codec needs encode(const V&) -> std::string, "
        "decode(std::string_view) -> V and static constexpr bool textual");

    using Flight = detail::Flight<V>;
    using Remaining = detail::Remaining;
    using FoundCopy = redis::detail::FoundCopy;
    using Reader = redis::detail::SlotReader;
    using State = redis::detail::ValueState<V, C>;
    using Values = redis::detail::ValueSlots<V, C>;

public:
    using key_type = K;
    using value_type = V;
    using codec_type = C;
    using clock_type = SteadyClock;
    using Query = redis::detail::Query;
    using Opening = detail::Opening<V>;

    static constexpr bool keeps_tags = true;
    static constexpr bool fallible = true;
    static constexpr bool shared = true;

    /// @param name  the first part of the key names; see `redis::require_namespace`
    /// @throws std::invalid_argument  a name or an option that makes no sense, or the name and that
    ///                                of another store of this client are `shop` and `shop:cart`
    RedisStore(redis::Client client, std::string name, RedisStoreOptions options = {}, C codec = {})
        : state_{std::make_shared<State>(std::move(client), std::move(name), options,
                                         std::move(codec))} {}

    // ---- the plain Store ----

    /// The copy, fresh or stale within its grace.
    template <class Q = K>
    [[nodiscard]] std::optional<Entry<V>> find(const Q& key) const {
        const std::string name = slots().of(key);
        if (state_->distrusts(name)) {
            return std::nullopt;
        }
        std::optional<Entry<V>> entry;
        Query query{.remaining = true};
        values().read(name, query, [&](const FoundCopy& copy, std::optional<V>& value) {
            entry.emplace(Values::entry_of(copy, value));
        });
        return entry;
    }

    /// Stores, unless a write of the key is in flight; a life of zero or less erases, and so does a
    /// value that is too large. It is sent once: after a NoReply of unknown outcome it may yet be
    /// carried out.
    void put(const K& key, const std::optional<V>& value, Lifetime life) {
        redis::Pipeline pipeline;
        const std::string name = slots().of(key);
        writer().add_put(pipeline, name, bytes_of(value), life);
        writer().put(pipeline, std::span{&name, 1});
    }

    /// Drops the copy; true if there was one.
    template <class Q = K>
    bool erase(const Q& key) {
        const std::string name = slots().of(key);
        return writer().erase(std::span{&name, 1}) == 1;
    }

    /// Their copies, in one round trip, in the order of the keys.
    [[nodiscard]] std::vector<std::optional<Entry<V>>> find_many(std::span<const K> keys) const {
        std::vector<std::optional<Entry<V>>> entries(keys.size());
        std::vector<Query> queries(keys.size(), Query{.remaining = true});
        values().read_all(slots().trusted(keys), queries,
                          [&](std::size_t i, const FoundCopy& copy, std::optional<V>& value) {
                              entries[i] = Values::entry_of(copy, value);
                          });
        return entries;
    }

    /// As `put`, in one round trip; not atomic.
    void put_many(std::span<const std::pair<K, std::optional<V>>> pairs, Lifetime life) {
        redis::Pipeline pipeline;
        std::vector<std::string> names;
        names.reserve(pairs.size());
        for (const auto& [key, value] : pairs) {
            writer().add_put(pipeline, names.emplace_back(slots().of(key)), bytes_of(value), life);
        }
        writer().put(pipeline, names);
    }

    /// As `erase`, in one round trip; how many copies there were.
    std::size_t erase_many(std::span<const K> keys) { return writer().erase(slots().of_all(keys)); }

    // ---- beyond the plain Store ----

    /// Erases every key of this name, page by page; what is stored meanwhile may stay.
    void clear() { state_->clear(); }

    /// Makes every copy that carries one of these tags a miss, in time that does not depend on how
    /// many there are: by one script a partition, all in one round trip. A load or a write in flight will not leave a value that carries one.
    void invalidate_tags(std::span<const std::string> tags) {
        redis::detail::TagInvalidation{*state_}.invalidate(tags);
    }

    /// The client that this store asks.
    [[nodiscard]] const redis::Client& client() const noexcept { return state_->client; }

    /// By which lives and waits are measured.
    [[nodiscard]] const clock_type& clock() const noexcept { return state_->clock; }

    /// What the server failed at, bytes that did not decode, values that were too large,
    /// invalidations that are queued, and whether the server is being asked.
    [[nodiscard]] Stats stats() const { return state_->stats(); }

    /// Where WriteBehind keeps changes of these values, unless it is given another.
    using journal_type = RedisJournal<K, V, C>;

    /// The journal of this store's name, on the same server.
    ///
    /// @tparam J  known once <larder/redis/journal.hpp> is there
    template <class J = journal_type>
    [[nodiscard]] J journal() const {
        return J{state_->client,
                 state_->space,
                 {.schema = state_->options.schema, .partitions = state_->options.partitions},
                 state_->codec};
    }

    /// What tells near copies of the changes of this store's keys, whoever makes them. It needs
    /// `<larder/redis/detail/tracking/tracking_feed.hpp>`.
    ///
    /// @param listener  must outlive it
    /// @param silence   how long near copies are served without a word of the server
    template <class Tag = void>
    [[nodiscard]] std::shared_ptr<detail::NearFeed> watch(detail::NearListener& listener,
                                                          Ttl silence) const {
        return std::make_shared<redis::detail::BasicTrackingFeed<Tag>>(
            state_->client, state_->names, state_->channel, listener, silence);
    }

    // ---- the slot protocol, for policies ----

    /// What one step with another takes, so that a write is one.
    using AtOnce = redis::detail::SlotPut;

    /// A whole write in one step with another: `record(put)` is to carry out both, and says whether it
    /// did. Rule W11.
    template <class Record>
    bool write_at_once(const K& key, const std::optional<V>& value, const detail::CopyTerms& terms,
                       const Record& record) {
        return writer().write_at_once(slots().of(key), bytes_of(value), terms, record);
    }
    /// The same of many, each in a step of its own: what `record(puts)` gives, which says of each what
    /// became of it.
    ///
    /// @param terms  of the copies of the changes' values
    template <class Record>
    auto write_many_at_once(std::span<const Change<K, V>> changes,
                            std::span<const detail::CopyTerms> terms, const Record& record) {
        return values().write_many_at_once(slots(), changes, terms, record);
    }

    /// Calls `see(value or null, remaining, life, refreshing)` with the copy; false if there is none.
    /// A server that fails is a miss: `open` with the same query will say so.
    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query& query) const {
        const std::string& name = slots().of(key, query);
        if (state_->distrusts(name)) {
            query.seen = Query::Seen::bypass;
            return false;
        }
        try {
            return values().read(name, query,
                                 [&](const FoundCopy& copy, const std::optional<V>& value) {
                                     show(copy, value, see);
                                 });
        } catch (const StoreError&) {
            state_->failed();
            query.seen = Query::Seen::failure;
            query.failure = std::current_exception();
            return false;
        }
    }
    /// The same, for whoever does not open afterwards.
    template <class Q, class See>
    bool peek(const Q& key, See&& see) const {
        Query query{.remaining = true};
        return peek(key, std::forward<See>(see), query);
    }
    /// The same for many: `see(i, value or null, remaining, life, refreshing)`; of those that answer.
    ///
    /// @param queries  one a key, as `open_many` takes them; all ask the same
    template <class See>
    void peek_many(std::span<const K> keys, See&& see, std::span<Query> queries) const {
        try {
            values().read_many(
                slots().trusted(keys), queries,
                [&](std::size_t i, const FoundCopy& copy, const std::optional<V>& found) {
                    show(copy, found,
                         [&](const V* value, Remaining remaining, Ttl life, bool refreshing) {
                             see(i, value, remaining, life, refreshing);
                         });
                });
        } catch (const StoreError&) {
            state_->failed();
            for (Query& query : queries) {
                query.failure = std::current_exception();
            }
        }
    }
    /// The same, for whoever does not open afterwards.
    template <class See>
    void peek_many(std::span<const K> keys, See&& see,
                   const Query& query = {.remaining = true}) const {
        std::vector<Query> queries(keys.size(), query);
        peek_many(keys, std::forward<See>(see), std::span{queries});
    }

    /// The flight of a load in this process, if the slot still shows its lease.
    [[nodiscard]] std::shared_ptr<Flight> underway(const K& key) {
        return std::static_pointer_cast<Flight>(Reader::underway(*state_, slots().of(key)));
    }

    /// How long a lease has left, if the slot still shows it.
    ///
    /// @throws StoreError  the server cannot be asked
    [[nodiscard]] std::optional<Ttl> remote_lease(const K& key, const detail::Lease& lease) const {
        return Reader::left_of(*state_, slots().of(key), lease);
    }

    /// The lease, or what the slot holds instead. The query says what `peek` has seen.
    ///
    /// @throws StoreError  the server cannot be asked
    [[nodiscard]] Opening open(const K& key, Query& query) {
        const std::string& name = slots().of(key, query);
        return values().open(name, query);
    }
    /// The same, for whoever has not peeked.
    [[nodiscard]] Opening open(const K& key) {
        Query query{.remaining = true};
        return open(key, query);
    }
    /// The same for many, in one round trip if their slots are as `peek_many` has seen them; none is
    /// left open if it throws.
    [[nodiscard]] std::vector<Opening> open_many(std::span<const K> keys,
                                                 std::span<Query> queries) {
        std::vector<Opening> openings(keys.size());
        values().open_many(slots().trusted(keys), queries, openings);
        return openings;
    }
    /// The same, for whoever has not peeked.
    [[nodiscard]] std::vector<Opening> open_many(std::span<const K> keys,
                                                 const Query& query = {.remaining = true}) {
        std::vector<Query> queries(keys.size(), query);
        return open_many(keys, std::span{queries});
    }

    /// The lease beside a fresh copy; forced: whatever the slot holds, but for a write.
    ///
    /// @throws StoreError  the server cannot be asked
    [[nodiscard]] Opening open_refresh(const K& key, bool force,
                                       detail::Dated dated = detail::Dated::yes) {
        return values().open_refresh(slots().of(key), force, dated);
    }

    /// Keeps what a load gave if the slot still shows its lease; what is not to be kept is withdrawn.
    ///
    /// @throws StoreError  the server cannot be told
    /// @throws anything    what the codec throws
    detail::Filled fill(const K& key, const detail::Lease& lease, const std::optional<V>& value,
                        const detail::CopyTerms& terms) {
        return filler().fill(slots().of(key), lease, bytes_of(value), terms);
    }
    /// The same in one round trip; a value that cannot be encoded fails alone.
    [[nodiscard]] std::vector<detail::Filled> fill_many(
        std::span<const detail::FillRequest<K, V>> rows) {
        return values().fill_many(slots(), rows);
    }
    /// The load failed.
    void release(const K& key, const detail::Lease& lease) {
        if (lease) {
            state_->release(slots().of(key), lease);
        }
    }
    /// A fill of nothing.
    void withdraw(const K& key, const detail::Lease& lease) {
        fill(key, lease, std::nullopt, detail::CopyTerms{});
    }
    /// Opens a write.
    ///
    /// @throws StoreError  the server cannot be told
    [[nodiscard]] detail::Ticket begin_write(const K& key, Ttl life,
                                             detail::Dated dated = detail::Dated::yes) {
        const std::string name = slots().of(key);
        detail::Ticket ticket;
        writer().begin_write(std::span{&name, 1}, life, dated, std::span{&ticket, 1});
        return ticket;
    }
    /// Opens a write on every key, or on none.
    [[nodiscard]] std::vector<detail::Ticket> begin_write_many(
        std::span<const K> keys, Ttl life, detail::Dated dated = detail::Dated::yes) {
        std::vector<detail::Ticket> tickets(keys.size());
        writer().begin_write(slots().of_all(keys), life, dated, tickets);
        return tickets;
    }
    /// Ends a write; false if its ticket was not there any more.
    bool finish_write(const K& key, const detail::Ticket& ticket, detail::Finish how,
                      const std::optional<V>& value, const detail::CopyTerms& terms) {
        return writer().finish_write(slots().of(key), ticket, how, bytes_of(value), terms);
    }
    /// The same in one round trip: each fails by itself.
    ///
    /// @throws StoreError  the server cannot be told, or has not said whether it was
    [[nodiscard]] std::vector<detail::WriteEnd> finish_write_many(
        std::span<const detail::FinishRequest<K, V>> requests) {
        return values().finish_write_many(slots(), requests);
    }

    /// Remembers an invalidation that the server missed. Loads in flight here will not fill. One that
    /// is forced is never lost: where it cannot be remembered, no copy is trusted until all are erased.
    bool queue_invalidation(const K& key, std::size_t most,
                            const detail::MissedInvalidation& missed) {
        try {
            return state_->missed.add(slots().of(key), most, missed);
        } catch (...) {
            if (!missed.force) {
                throw;
            }
            state_->missed.lose();
            return true;
        }
    }
    /// How many are remembered.
    [[nodiscard]] std::size_t queued_invalidations() const noexcept {
        return state_->missed.size();
    }

    /// Leases that are out. Tickets are in the server alone: the slots show them.
    [[nodiscard]] detail::InHand in_hand() const { return {state_->leases.count(), 0}; }

private:
    [[nodiscard]] auto slots() const noexcept { return redis::detail::KeySlots<K>{*state_}; }
    [[nodiscard]] Values values() const noexcept { return Values{*state_}; }
    [[nodiscard]] auto filler() const noexcept { return redis::detail::SlotFiller{*state_}; }
    [[nodiscard]] auto writer() const noexcept { return redis::detail::SlotWriter{*state_}; }

    // Its bytes, once they are asked for.
    [[nodiscard]] auto bytes_of(const std::optional<V>& value) const noexcept {
        return redis::detail::Encoder{
            state_->codec, [&value](std::size_t) -> const std::optional<V>& { return value; }};
    }

    template <class See>
    static void show(const FoundCopy& copy, const std::optional<V>& value, See&& see) {
        see(copy.entry.value ? std::addressof(*value) : nullptr, Remaining{copy.entry.remaining},
            copy.fresh, copy.refreshing);
    }

    std::shared_ptr<State> state_;
};

LARDER_NS_END

#endif  // LARDER_REDIS_STORE_HPP
