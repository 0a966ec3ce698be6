// SPDX-License-Identifier: MIT

/// @file
/// RedisStore: copies in Redis, shared by processes.

#ifndef LARDER_REDIS_STORE_HPP
#define LARDER_REDIS_STORE_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/slot/invalidation_replay.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/hash.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/store/lease_acquirer.hpp>
#include <larder/redis/detail/store/reader.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
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
/// the drop of their key, and this process does not trust its copy until the server was told.
///
/// A cheap handle: copies share everything, the queue of missed drops too.
///
/// Thread safety: all members may run concurrently; operations on one key are atomic and
/// linearizable across processes.
/// @throws StoreError  the server cannot be reached, answers too late, or refuses: redis/error.hpp
///
/// @tparam C  a Codec; JsonCodec is in <larder/json.hpp>
template <class K, class V, class C = JsonCodec<V>>
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
    using Reader = redis::detail::SlotReader<V, C>;
    using LeaseAcquirer = redis::detail::LeaseAcquirer<V, C>;
    using Sighted = redis::detail::Sighted<V>;
    using Pipeline = redis::Pipeline;
    using Reply = redis::Reply;

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
        std::optional<Entry<V>> entry;
        const std::string name = slot(key);
        if (!distrusted(name)) {
            reader().read(std::span{&name, 1}, Query{.remaining = true},
                          [&](std::size_t, Sighted& seen) {
                              if (seen.copy) {
                                  entry = std::move(seen.copy->entry);
                              }
                          });
        }
        return entry;
    }

    /// Stores, unless a write of the key is in flight; a life of zero or less erases, and so does a
    /// value that is too large. It is sent once: after a NoReply of unknown outcome it may yet be
    /// carried out.
    void put(const K& key, const std::optional<V>& value, Lifetime life) {
        Pipeline pipeline;
        std::vector<std::string> slots{slot(key)};
        add_put(pipeline, slots.front(), value, life);
        overwrite(pipeline, slots);
    }

    /// Drops the copy; true if there was one.
    template <class Q = K>
    bool erase(const Q& key) {
        const std::string name = slot(key);
        return erase_told(std::span{&name, 1}) == 1;
    }

    [[nodiscard]] std::vector<std::optional<Entry<V>>> find_many(std::span<const K> keys) const {
        std::vector<std::optional<Entry<V>>> entries(keys.size());
        read_many(keys, Query{.remaining = true},
                  [&](std::size_t i, Sighted& seen) { entries[i] = std::move(seen.copy->entry); });
        return entries;
    }
    void put_many(std::span<const std::pair<K, std::optional<V>>> pairs, Lifetime life) {
        Pipeline pipeline;
        std::vector<std::string> slots;
        slots.reserve(pairs.size());
        for (const auto& [key, value] : pairs) {
            add_put(pipeline, slots.emplace_back(slot(key)), value, life);
        }
        overwrite(pipeline, slots);
    }
    std::size_t erase_many(std::span<const K> keys) { return erase_told(slots_of(keys)); }

    // ---- beyond the plain Store ----

    /// Erases every key of this name, page by page; what is stored meanwhile may stay.
    void clear() { state_->clear(); }

    /// Makes every copy that carries one of these tags a miss, in time that does not depend on how
    /// many there are. A load or a write in flight will not leave a value that carries one.
    void invalidate_tags(std::span<const std::string> tags) {
        static_cast<void>(state_->step(scripts().invalidate, with_tags({}, tags),
                                       {redis::detail::hex(redis::detail::new_id())}));
    }

    [[nodiscard]] const redis::Client& client() const noexcept { return state_->client; }
    [[nodiscard]] const clock_type& clock() const noexcept { return state_->clock; }

    /// What the server failed at, bytes that did not decode, values that were too large, drops that
    /// are queued, and whether the server is being asked.
    [[nodiscard]] Stats stats() const {
        Stats stats;
        stats.store_errors = state_->failures.load(std::memory_order_relaxed);
        stats.undecodable = state_->undecodable.load(std::memory_order_relaxed);
        stats.oversized = state_->oversized.load(std::memory_order_relaxed);
        stats.queued_invalidations = state_->drops.size();
        stats.breaker = state_->client.breaker();
        return stats;
    }

    // ---- the slot protocol, for policies ----

    /// Calls `see(value or null, remaining, life, refreshing)` with the copy; false if there is none.
    /// A server that fails is a miss: `open` with the same look will say so.
    template <class Q, class See>
    bool peek(const Q& key, See&& see, Query& query) const {
        const std::string name = slot(key);
        if (distrusted(name)) {
            query.saw = Query::Saw::bypass;
            return false;
        }
        bool there = false;
        try {
            reader().read(std::span{&name, 1}, query, [&](std::size_t, const Sighted& seen) {
                there = seen.copy.has_value();
                if (there) {
                    show(*seen.copy, see);
                }
                Reader::note(seen, query);
            });
        } catch (const StoreError&) {
            state_->failed();
            query.saw = Query::Saw::failure;
            query.failure = std::current_exception();
        }
        return there;
    }
    template <class Q, class See>
    bool peek(const Q& key, See&& see) const {
        Query query{.remaining = true};
        return peek(key, std::forward<See>(see), query);
    }
    template <class See>
    void peek_many(std::span<const K> keys, See&& see, Query query = {.remaining = true}) const {
        try {
            read_many(keys, query, [&](std::size_t i, const Sighted& seen) {
                show(*seen.copy,
                     [&](const V* value, Remaining remaining, Ttl life, bool refreshing) {
                         see(i, value, remaining, life, refreshing);
                     });
            });
        } catch (const StoreError&) {
            state_->failed();
        }
    }

    /// The flight of a load in this process, if the slot still shows its lease.
    [[nodiscard]] std::shared_ptr<Flight> underway(const K& key) {
        const std::string name = slot(key);
        if (distrusted(name)) {
            return nullptr;
        }
        try {
            for (auto& [lease, flight] : state_->leases.of(name)) {
                if (reader().left_of(name, {lease.id, {}, lease.beside})) {
                    return std::move(flight);
                }
            }
        } catch (const StoreError&) {
            state_->failed();
        }
        return nullptr;
    }

    /// How long a lease has left, if the slot still shows it.
    [[nodiscard]] std::optional<Ttl> remote_lease(const K& key, const detail::Lease& lease) const {
        return reader().left_of(slot(key), lease);
    }

    [[nodiscard]] Opening open(const K& key, Query& query) {
        const std::string name = slot(key);
        return distrusted(name) ? Opening{} : lessor().open(name, query);
    }
    [[nodiscard]] Opening open(const K& key) {
        Query query{.remaining = true};
        return open(key, query);
    }
    [[nodiscard]] std::vector<Opening> open_many(std::span<const K> keys,
                                                 const Query& query = {.remaining = true}) {
        std::vector<Opening> openings(keys.size());
        const Trusted asked = trusted(keys);
        try {
            lessor().open_many(asked.slots, query, [&](std::size_t i, Opening opening) {
                openings[asked.places[i]] = std::move(opening);
            });
        } catch (...) {
            for (std::size_t i = 0; i < asked.slots.size(); ++i) {
                give_back(asked.slots[i], openings[asked.places[i]]);
            }
            throw;
        }
        return openings;
    }

    [[nodiscard]] Opening open_refresh(const K& key, bool force) {
        const std::string name = slot(key);
        if (distrusted(name)) {
            return {};
        }
        return force ? lessor().take(name)
                     : lessor().reopen(name, Query{}, redis::detail::Beside::fresh);
    }

    detail::Filled fill(const K& key, const detail::Lease& lease, const std::optional<V>& value,
                        const detail::CopyTerms& terms) {
        const detail::FillRequest<K, V> one{&key, lease, &value, &terms};
        const detail::Filled filled = fill_many(std::span{&one, 1}).front();
        if (filled.failure) {
            std::rethrow_exception(filled.failure);
        }
        return filled;
    }
    /// In one round trip. A value that cannot be encoded fails alone.
    [[nodiscard]] std::vector<detail::Filled> fill_many(
        std::span<const detail::FillRequest<K, V>> rows) {
        std::vector<detail::Filled> all(rows.size());
        std::vector<Fill> fills;
        fills.reserve(rows.size());
        Pipeline pipeline;
        pipeline.repeatable();
        for (std::size_t i = 0; i < rows.size(); ++i) {
            if (rows[i].lease) {
                Fill& fill = fills.emplace_back(Fill{i, slot(*rows[i].key), {}});
                try {
                    fill.bytes = bytes_of(fill.slot, rows[i]);
                } catch (...) {
                    all[i].failure = std::current_exception();
                }
                add_fill(pipeline, rows[i], fill);
            }
        }
        const std::vector<Reply> replies = state_->run(pipeline);
        for (std::size_t i = 0; i < fills.size(); ++i) {
            const Fill& fill = fills[i];
            state_->leases.remove(fill.slot, rows[fill.row].lease.id);
            all[fill.row].kept = replies[i][1].integer() == 1;
            all[fill.row].tags_stand = replies[i][2].integer() == 1;
        }
        return all;
    }
    void release(const K& key, const detail::Lease& lease) {
        if (lease) {
            LeaseAcquirer::release(*state_, slot(key), lease);
        }
    }
    /// A fill of nothing.
    void withdraw(const K& key, const detail::Lease& lease) {
        fill(key, lease, std::nullopt, detail::CopyTerms{});
    }
    void close_refresh(const K& key, const detail::Lease& lease) {
        const std::string name = slot(key);
        static_cast<void>(state_->step(scripts().close_refresh,
                                       {name, redis::detail::Names::side(name)},
                                       {redis::detail::hex(lease.id)}));
    }

    [[nodiscard]] detail::Ticket begin_write(const K& key, Ttl life) {
        return begin_write_many(std::span<const K>{&key, 1}, life).front();
    }
    /// Opens every key, or gives back those that it has opened.
    [[nodiscard]] std::vector<detail::Ticket> begin_write_many(std::span<const K> keys, Ttl life) {
        const std::vector<std::string> slots = slots_of(keys);
        std::vector<detail::Ticket> tickets(keys.size());
        std::vector<detail::Ticket> replaced(keys.size());
        for (bool again = false;; again = true) {
            for (detail::Ticket& ticket : tickets) {
                ticket.id = redis::detail::new_id();
            }
            try {
                begin(slots, life, tickets, replaced);
                return tickets;
            } catch (const redis::ConnectionError&) {
                // It may be carried out yet. Another attempt has another id, and names this one.
                if (again) {
                    undo(slots, tickets, replaced);
                    throw;
                }
                replaced = tickets;
            } catch (...) {
                undo(slots, tickets, replaced);
                throw;
            }
        }
    }
    bool finish_write(const K& key, const detail::Ticket& ticket, detail::Finish how,
                      const std::optional<V>& value, const detail::CopyTerms& terms) {
        std::optional<std::string> bytes;
        if (how == detail::Finish::value && terms.kept()) {
            bytes = encode(value, terms, ticket.epoch);
        }
        const bool tagged = bytes && !terms.tags.empty();
        std::vector<std::string> keys{slot(key)};
        if (tagged) {
            keys = with_tags(std::move(keys), terms.tags);
        }
        const Reply reply =
            state_->step(tagged ? scripts().finish_tagged : scripts().finish, keys,
                         {redis::detail::hex(ticket.id), bytes ? milliseconds(terms.life) : "0",
                          bytes ? std::string_view{*bytes} : std::string_view{},
                          redis::detail::to_text(ticket.epoch)});
        return reply[0].integer() == 1;
    }

    /// Remembers a drop that the server missed. Loads in flight here will not fill. One that is forced
    /// is never lost: where it cannot be remembered, no copy is trusted until all are erased.
    bool queue_invalidation(const K& key, std::size_t most,
                            const detail::MissedInvalidation& missed) {
        try {
            return state_->drops.add(slot(key), most, missed);
        } catch (...) {
            if (!missed.force) {
                throw;
            }
            state_->drops.lose();
            return true;
        }
    }
    [[nodiscard]] std::size_t queued_invalidations() const noexcept { return state_->drops.size(); }

    /// LeaseRenewer that are out. Tickets are in the server alone: the slots show them.
    [[nodiscard]] detail::InHand in_hand() const { return {state_->leases.count(), 0}; }

private:
    using Drops =
        detail::InvalidationReplay<std::string, Hash<std::string>, SteadyClock>;  // by slot

    struct State : redis::detail::StoreState<V, C> {
        using redis::detail::StoreState<V, C>::StoreState;

        // What the server has missed: how writes ended, and that the copy goes.
        void tell(std::span<const typename Drops::Invalidation> missed) {
            Pipeline pipeline;
            pipeline.repeatable();
            std::vector<std::string> slots;
            slots.reserve(missed.size());
            for (const auto& drop : missed) {
                for (const detail::Ticket& ticket : drop.tickets) {
                    add_end(pipeline, drop.key, ticket);
                }
                redis::detail::add_script(pipeline, scripts().erase, {drop.key}, {});
                slots.push_back(drop.key);
            }
            this->erased(pipeline, slots);
        }

        clock_type clock{};
        // Owns no part of this, and ends first.
        Drops drops{clock,
                    {.tell = [this](auto missed) { tell(missed); },
                     .at_once = 256,
                     .clear = [this] { this->clear(); }}};
    };

    // A fill as it is sent.
    struct Fill {
        std::size_t row = 0;
        std::string slot{};
        std::optional<std::string> bytes{};  // empty: nothing is to be kept
    };

    // Keys that may be asked for: the server was told of all their drops.
    struct Trusted {
        std::vector<std::string> slots{};
        std::vector<std::size_t> places{};
    };

    [[nodiscard]] Reader reader() const noexcept { return Reader{*state_}; }
    [[nodiscard]] LeaseAcquirer lessor() const noexcept { return LeaseAcquirer{*state_}; }
    static const redis::detail::SlotScripts& scripts() {
        return redis::detail::SlotScripts::instance();
    }

    // ---- names ----

    template <class Q>
    [[nodiscard]] std::string slot(const Q& key) const {
        if constexpr (!redis::NamesItself<K> && std::convertible_to<const Q&, std::string_view>) {
            return state_->names.slot(key);
        } else if constexpr (std::same_as<Q, K>) {
            return state_->names.slot(redis::key_name(key));
        } else {
            return state_->names.slot(redis::key_name(K(key)));
        }
    }
    [[nodiscard]] std::vector<std::string> slots_of(std::span<const K> keys) const {
        std::vector<std::string> slots;
        slots.reserve(keys.size());
        for (const K& key : keys) {
            slots.push_back(slot(key));
        }
        return slots;
    }
    [[nodiscard]] std::vector<std::string> with_tags(std::vector<std::string> keys,
                                                     std::span<const std::string> tags) const {
        keys.push_back(state_->names.clock());
        for (const std::string& tag : tags) {
            keys.push_back(state_->names.tag(tag));
        }
        return keys;
    }

    // ---- values ----

    // Empty if it is too large to be kept.
    std::optional<std::string> encode(const std::optional<V>& value, const detail::CopyTerms& terms,
                                      const detail::Epoch& epoch) const {
        std::optional<std::string> bytes = framed(value, terms, epoch);
        if (bytes && bytes->size() > state_->most_slot_bytes()) {
            bytes.reset();
        }
        if (!bytes) {
            state_->oversized.fetch_add(1, std::memory_order_relaxed);
        }
        return bytes;
    }
    std::optional<std::string> framed(const std::optional<V>& value, const detail::CopyTerms& terms,
                                      const detail::Epoch& epoch) const {
        std::optional<std::string> body;
        if (value) {
            body = state_->codec.encode(*value);
            if (body->size() > state_->options.max_value_bytes) {
                return std::nullopt;
            }
        }
        const bool plain = C::textual && body && terms.tags.empty() && !terms.own_life &&
                           terms.life.grace <= Ttl::zero() &&
                           (body->empty() || body->front() != redis::detail::SlotBytes::magic);
        if (plain) {
            return body;
        }
        const Lifetime life = within_bounds(terms.life);
        return redis::detail::write_slot(body, terms.own_life ? life.fresh : Ttl::zero(),
                                         life.grace, epoch, terms.tags);
    }
    static Lifetime within_bounds(const Lifetime& life) {
        constexpr Ttl most = redis::detail::longest_life;
        return {std::clamp(life.fresh, Ttl{1}, most), std::clamp(life.grace, Ttl{0}, most)};
    }
    void add_put(Pipeline& pipeline, const std::string& name, const std::optional<V>& value,
                 Lifetime life) const {
        const std::optional<std::string> bytes =
            life.fresh > Ttl::zero() ? encode(value, {life, {}}, {}) : std::nullopt;
        if (bytes) {
            redis::detail::add_script(pipeline, scripts().put, {name},
                                      {milliseconds(life), *bytes});
        } else {
            redis::detail::add_script(pipeline, scripts().erase, {name}, {});
        }
    }
    // Sent once: another's value may have come between.
    void overwrite(const Pipeline& pipeline, std::span<const std::string> slots) {
        const auto moment = state_->drops.moment();
        const auto held = state_->leases.now();
        static_cast<void>(state_->run(pipeline));
        for (const std::string& name : slots) {
            state_->leases.lose(name, held);
            state_->drops.forget(name, moment);
        }
    }

    // Empty if nothing is to be stored.
    std::optional<std::string> bytes_of(const std::string& name,
                                        const detail::FillRequest<K, V>& row) const {
        const bool wanted = row.terms->kept() && !distrusted(name);
        return wanted ? encode(*row.value, *row.terms, row.lease.epoch) : std::nullopt;
    }
    void add_fill(Pipeline& pipeline, const detail::FillRequest<K, V>& row,
                  const Fill& fill) const {
        const detail::Lease& lease = row.lease;
        std::vector<std::string> keys{fill.slot};
        if (lease.beside) {
            keys.push_back(redis::detail::Names::side(keys.front()));
        }
        const bool tagged = !row.terms->tags.empty();
        if (tagged) {
            keys = with_tags(std::move(keys), row.terms->tags);
        }
        const redis::Script& script = lease.beside
                                          ? (tagged ? scripts().refill_tagged : scripts().refill)
                                          : (tagged ? scripts().fill_tagged : scripts().fill);
        redis::detail::add_script(
            pipeline, script, keys,
            {redis::detail::loading_bytes(lease.id),
             fill.bytes ? milliseconds(row.terms->life) : "0",
             fill.bytes ? std::string_view{*fill.bytes} : std::string_view{},
             redis::detail::to_text(lease.epoch), redis::detail::hex(lease.id)});
    }
    // A life with its grace, as Redis takes it.
    static std::string milliseconds(const Lifetime& life) {
        const Lifetime bounded = within_bounds(life);
        return std::to_string((bounded.fresh + bounded.grace).count());
    }

    // ---- reads ----

    // Asked before the bytes are: who is told of a drop while it reads has read what was there before.
    [[nodiscard]] Trusted trusted(std::span<const K> keys) const {
        Trusted all;
        all.slots.reserve(keys.size());
        all.places.reserve(keys.size());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            std::string name = slot(keys[i]);
            if (!distrusted(name)) {
                all.slots.push_back(std::move(name));
                all.places.push_back(i);
            }
        }
        return all;
    }
    // Copies of keys that may be served; `found(i, sighted)` for each.
    template <class Found>
    void read_many(std::span<const K> keys, const Query& query, Found&& found) const {
        const Trusted asked = trusted(keys);
        reader().read(asked.slots, query, [&](std::size_t i, Sighted& seen) {
            if (seen.copy) {
                found(asked.places[i], seen);
            }
        });
    }
    template <class See>
    static void show(const detail::Copy<V>& copy, See&& see) {
        const V* const value = copy.entry.value ? std::addressof(*copy.entry.value) : nullptr;
        see(value, Remaining{copy.entry.remaining}, copy.fresh, copy.refreshing);
    }
    void give_back(const std::string& name, const Opening& opening) noexcept {
        if (opening.slot != detail::Slot::lead) {
            return;
        }
        try {
            LeaseAcquirer::release(*state_, name, opening.lease);
        } catch (...) {
            state_->failed();  // it ends by itself
        }
    }

    // ---- writes ----

    void begin(std::span<const std::string> slots, Ttl life, std::span<detail::Ticket> tickets,
               std::span<const detail::Ticket> replaced) const {
        const std::string length =
            std::to_string(std::clamp(life, Ttl{1}, redis::detail::longest_ticket).count());
        Pipeline pipeline;
        pipeline.command("GET", state_->names.clock());
        for (std::size_t i = 0; i < slots.size(); ++i) {
            redis::detail::add_script(
                pipeline, scripts().begin, {slots[i]},
                {redis::detail::hex(tickets[i].id), length,
                 replaced[i] ? redis::detail::hex(replaced[i].id) : std::string{}});
        }
        const auto held = state_->leases.now();
        const std::vector<Reply> replies = ask(pipeline, tickets);
        const detail::Epoch epoch = lessor().epoch_of(replies.front());
        for (std::size_t i = 0; i < slots.size(); ++i) {
            state_->leases.lose(slots[i], held);
            tickets[i].epoch = epoch;
        }
    }
    // What cannot have been written is no ticket. The first command reads the clock: that may be
    // forbidden.
    std::vector<Reply> ask(const Pipeline& pipeline, std::span<detail::Ticket> tickets) const {
        std::vector<Reply> replies;
        try {
            replies = state_->client.run(pipeline);
        } catch (const redis::NoReply& failure) {
            if (failure.outcome() == redis::Outcome::not_sent) {
                std::fill(tickets.begin(), tickets.end(), detail::Ticket{});
            }
            throw;
        }
        for (std::size_t i = 0; i < tickets.size(); ++i) {
            if (replies[i + 1].is_error()) {
                tickets[i] = {};
            }
        }
        state_->check(pipeline, replies, 1);
        return replies;
    }
    // Tickets that may have been written and will not be used, of both attempts. If the server cannot
    // be told, it is when it is back: else they would hide their keys.
    void undo(std::span<const std::string> slots, std::span<const detail::Ticket> tickets,
              std::span<const detail::Ticket> replaced) noexcept {
        try {
            Pipeline pipeline;
            pipeline.repeatable();
            for (std::size_t i = 0; i < slots.size(); ++i) {
                for (const detail::Ticket& ticket : {tickets[i], replaced[i]}) {
                    if (ticket) {
                        add_end(pipeline, slots[i], ticket);
                    }
                }
            }
            static_cast<void>(state_->run(pipeline));
        } catch (...) {
            state_->failed();
            for (std::size_t i = 0; i < slots.size(); ++i) {
                for (const detail::Ticket& ticket : {tickets[i], replaced[i]}) {
                    if (ticket) {
                        state_->drops.add(slots[i], 0, {.ticket = ticket, .force = true});
                    }
                }
            }
        }
    }
    // A write ends and leaves nothing.
    static void add_end(Pipeline& pipeline, const std::string& name, const detail::Ticket& ticket) {
        redis::detail::add_script(pipeline, scripts().finish, {name},
                                  {redis::detail::hex(ticket.id), "0", ""});
    }

    // After this, what was queued before it is done.
    std::size_t erase_told(std::span<const std::string> slots) {
        const auto moment = state_->drops.moment();
        const std::size_t had = slots.empty() ? 0 : state_->erase(slots);
        for (const std::string& name : slots) {
            state_->drops.forget(name, moment);
        }
        return had;
    }

    // True while the server has not been told of a drop; tries to tell it first.
    bool distrusted(const std::string& name) const {
        if (state_->drops.empty()) [[likely]] {
            return false;
        }
        state_->drops.help();
        return state_->drops.contains(name);
    }

    std::shared_ptr<State> state_;
};

LARDER_NS_END

#endif  // LARDER_REDIS_STORE_HPP
