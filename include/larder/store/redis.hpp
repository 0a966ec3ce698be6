// SPDX-License-Identifier: MIT

/// @file
/// RedisStore: copies in Redis, shared by processes.

#ifndef LARDER_STORE_REDIS_HPP
#define LARDER_STORE_REDIS_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/drop_queue.hpp>
#include <larder/detail/later.hpp>
#include <larder/detail/slot.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/hash.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/redis/lessor.hpp>
#include <larder/redis/slot_format.hpp>
#include <larder/redis/slot_reader.hpp>
#include <larder/redis/slot_scripts.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/redis/store_state.hpp>
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
    using Lessor = redis::detail::Lessor<V, C>;
    using Sighted = redis::detail::Sighted<V>;
    using Pipeline = redis::Pipeline;
    using Reply = redis::Reply;

public:
    using key_type = K;
    using value_type = V;
    using codec_type = C;
    using clock_type = SteadyClock;
    using Look = redis::detail::Look;
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
        if (!distrusted(key)) {
            const std::string name = slot(key);
            reader().read(std::span{&name, 1}, Look{.remaining = true},
                          [&](std::size_t, const Sighted& seen) {
                              if (seen.copy) {
                                  entry = seen.copy->entry;
                              }
                          });
        }
        return entry;
    }

    /// Stores, unless a write of the key is in flight; a life of zero or less erases, and so does a
    /// value that is too large.
    void put(const K& key, std::optional<V> value, Lifetime life) {
        const std::pair<K, std::optional<V>> pair{key, std::move(value)};
        put_many(std::span{&pair, 1}, life);
    }

    /// Drops the copy; true if there was one.
    template <class Q = K>
    bool erase(const Q& key) {
        const std::string name = slot(key);
        const auto moment = state_->drops.moment();
        const bool had = erase_slots(std::span{&name, 1}) == 1;
        state_->drops.forget(K(key), state_->clock.now(), moment);
        return had;
    }

    [[nodiscard]] std::vector<std::optional<Entry<V>>> find_many(std::span<const K> keys) const {
        std::vector<std::optional<Entry<V>>> entries(keys.size());
        read_many(keys, Look{.remaining = true},
                  [&](std::size_t i, const Sighted& seen) { entries[i] = seen.copy->entry; });
        return entries;
    }
    void put_many(std::span<const std::pair<K, std::optional<V>>> pairs, Lifetime life) {
        if (pairs.empty()) {
            return;
        }
        Pipeline pipeline;
        pipeline.repeatable();
        for (const auto& [key, value] : pairs) {
            const std::string name = slot(key);
            const std::optional<std::string> bytes =
                life.fresh > Ttl::zero() ? encode(value, {life, {}}, {}) : std::nullopt;
            if (bytes) {
                redis::detail::add_script(pipeline, scripts().put, {name},
                                          {milliseconds(life), *bytes});
            } else {
                redis::detail::add_script(pipeline, scripts().erase, {name}, {});
            }
        }
        const auto moment = state_->drops.moment();
        static_cast<void>(state_->run(pipeline));
        for (const auto& [key, value] : pairs) {
            state_->leases.lose(slot(key));
            state_->drops.forget(key, state_->clock.now(), moment);
        }
    }
    std::size_t erase_many(std::span<const K> keys) {
        const auto moment = state_->drops.moment();
        const std::size_t had = erase_slots(slots_of(keys));
        for (const K& key : keys) {
            state_->drops.forget(key, state_->clock.now(), moment);
        }
        return had;
    }

    // ---- beyond the plain Store ----

    /// Erases every key of this name, page by page; what is stored meanwhile may stay.
    void clear() {
        const std::string pattern = redis::detail::glob_escaped(state_->names.slots()) + '*';
        std::string cursor = "0";
        do {
            const Reply page =
                state_->client.command("SCAN", cursor, "MATCH", pattern, "COUNT", 500);
            cursor = std::string{page[0].text()};
            std::vector<std::string> slots;
            for (std::size_t i = 0; i < page[1].size(); ++i) {
                slots.emplace_back(page[1][i].text());
            }
            erase_slots(slots);
        } while (cursor != "0");
    }

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
    bool peek(const Q& key, See&& see, Look& look) const {
        if (distrusted(key)) {
            look.saw = Look::Saw::bypass;
            return false;
        }
        bool there = false;
        try {
            const std::string name = slot(key);
            reader().read(std::span{&name, 1}, look, [&](std::size_t, const Sighted& seen) {
                there = seen.copy.has_value();
                if (there) {
                    show(*seen.copy, see);
                }
                Reader::note(seen, look);
            });
        } catch (const StoreError&) {
            state_->failed();
            look.saw = Look::Saw::failure;
            look.failure = std::current_exception();
        }
        return there;
    }
    template <class Q, class See>
    bool peek(const Q& key, See&& see) const {
        Look look{.remaining = true};
        return peek(key, std::forward<See>(see), look);
    }
    template <class See>
    void peek_many(std::span<const K> keys, See&& see, Look look = {.remaining = true}) const {
        try {
            read_many(keys, look, [&](std::size_t i, const Sighted& seen) {
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
        try {
            for (const redis::detail::HeldLease& held : state_->leases.of(name)) {
                if (reader().left_of(name, {held.id, {}, held.beside})) {
                    return state_->leases.flight(held.id);
                }
            }
        } catch (const StoreError&) {
            state_->failed();
        }
        return nullptr;
    }

    /// How long a lease has left, if the slot still shows it.
    [[nodiscard]] std::optional<Ttl> foreign(const K& key, const detail::Lease& lease) const {
        return reader().left_of(slot(key), lease);
    }

    [[nodiscard]] Opening open(const K& key, Look& look) {
        return distrusted(key) ? Opening{} : lessor().open(slot(key), look);
    }
    [[nodiscard]] Opening open(const K& key) {
        Look look{.remaining = true};
        return open(key, look);
    }
    [[nodiscard]] std::vector<Opening> open_many(std::span<const K> keys,
                                                 const Look& look = {.remaining = true}) {
        std::vector<Opening> openings;
        openings.reserve(keys.size());
        try {
            lessor().open_many(slots_of(keys), look, [&](std::size_t i, Opening opening) {
                openings.push_back(std::move(opening));
                if (distrusted(keys[i])) {
                    give_back(keys[i], std::exchange(openings.back(), Opening{}));
                }
            });
        } catch (...) {
            for (std::size_t i = 0; i < openings.size(); ++i) {
                give_back(keys[i], openings[i]);
            }
            throw;
        }
        return openings;
    }

    [[nodiscard]] Opening open_refresh(const K& key, bool force) {
        if (distrusted(key)) {
            return {};
        }
        return force ? lessor().take(slot(key))
                     : lessor().reopen(slot(key), Look{}, redis::detail::Beside::fresh);
    }

    detail::Filled fill(const K& key, const detail::Lease& lease, const std::optional<V>& value,
                        const detail::Keeping& keeping) {
        const detail::Filling<K, V> one{&key, lease, &value, &keeping};
        const detail::Filled filled = fill_many(std::span{&one, 1}).front();
        if (filled.failure) {
            std::rethrow_exception(filled.failure);
        }
        return filled;
    }
    /// In one round trip. A value that cannot be encoded fails alone.
    [[nodiscard]] std::vector<detail::Filled> fill_many(
        std::span<const detail::Filling<K, V>> rows) {
        std::vector<detail::Filled> all(rows.size());
        std::vector<std::size_t> places;  // of the replies that tell of a fill
        Pipeline pipeline;
        pipeline.repeatable();
        std::vector<LeaseEnd> ends;
        ends.reserve(rows.size());
        for (std::size_t i = 0; i < rows.size(); ++i) {
            ends.emplace_back(state_->leases, rows[i].lease.id);
            std::optional<std::string> bytes;
            try {
                bytes = bytes_of(rows[i]);
            } catch (...) {
                all[i].failure = std::current_exception();
            }
            // Whether the tags of what is not kept stand is asked all the same.
            if (bytes || (rows[i].lease && !rows[i].keeping->tags.empty() && !all[i].failure)) {
                places.resize(pipeline.size(), rows.size());
                places.push_back(i);
                add_fill(pipeline, rows[i], bytes);
            } else {
                Lessor::add_release(pipeline, slot(*rows[i].key), rows[i].lease);
            }
        }
        if (pipeline.size() > 0) {
            const std::vector<Reply> replies = state_->run(pipeline);
            for (std::size_t at = 0; at < places.size(); ++at) {
                if (places[at] < rows.size()) {
                    all[places[at]].kept = replies[at][1].integer() == 1;
                    all[places[at]].tags_stand = replies[at][2].integer() == 1;
                }
            }
        }
        return all;
    }
    void release(const K& key, const detail::Lease& lease) {
        if (lease) {
            const LeaseEnd end{state_->leases, lease.id};
            Lessor::release(*state_, slot(key), lease);
        }
    }
    void withdraw(const K& key, const detail::Lease& lease) {
        // A fill of nothing.
        const std::optional<V> nothing;
        const detail::Keeping unkept{};
        fill(key, lease, nothing, unkept);
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
        std::vector<detail::Ticket> tickets(keys.size());
        std::vector<detail::Ticket> replaced(keys.size());
        for (bool again = false;; again = true) {
            for (detail::Ticket& ticket : tickets) {
                ticket.id = redis::detail::new_id();
            }
            try {
                begin(keys, life, tickets, replaced);
                return tickets;
            } catch (const redis::ConnectionError&) {
                // It may be carried out yet. Another attempt has another id, and names this one.
                if (again) {
                    undo(keys, tickets);
                    throw;
                }
                replaced = tickets;
            } catch (...) {
                undo(keys, tickets);
                throw;
            }
        }
    }
    bool finish_write(const K& key, const detail::Ticket& ticket, detail::Finish how,
                      const std::optional<V>& value, const detail::Keeping& keeping) {
        std::optional<std::string> bytes;
        if (how == detail::Finish::value && keeping.kept()) {
            bytes = encode(value, keeping, ticket.epoch);
        }
        const bool tagged = bytes && !keeping.tags.empty();
        std::vector<std::string> keys{slot(key)};
        if (tagged) {
            keys = with_tags(std::move(keys), keeping.tags);
        }
        const Reply reply =
            state_->step(tagged ? scripts().finish_tagged : scripts().finish, keys,
                         {redis::detail::hex(ticket.id), bytes ? milliseconds(keeping.life) : "0",
                          bytes ? std::string_view{*bytes} : std::string_view{},
                          redis::detail::to_text(ticket.epoch)});
        return reply[0].integer() == 1;
    }

    /// Remembers a drop that the server missed. Loads in flight here will not fill.
    bool queue_drop(const K& key, std::size_t most, const detail::Missed& missed) {
        return state_->drops.add(key, most, missed, state_->clock.now());
    }
    [[nodiscard]] std::size_t queued_drops() const noexcept { return state_->drops.size(); }

private:
    using Drops = detail::DropQueue<K, Hash<K>>;

    struct State : redis::detail::StoreState<V, C> {
        using redis::detail::StoreState<V, C>::StoreState;

        clock_type clock{};
        Drops drops{};
    };

    // A lease ends with what is done to it, whatever becomes of that.
    class LeaseEnd {
    public:
        LeaseEnd(redis::detail::Leases<V>& leases, std::uint64_t id) noexcept
            : leases_{&leases}, id_{id} {}
        LeaseEnd(LeaseEnd&& other) noexcept
            : leases_{std::exchange(other.leases_, nullptr)}, id_{other.id_} {}
        LeaseEnd& operator=(LeaseEnd&&) = delete;
        ~LeaseEnd() {
            if (leases_ != nullptr) {
                leases_->remove(id_);
            }
        }

    private:
        redis::detail::Leases<V>* leases_;
        std::uint64_t id_;
    };

    [[nodiscard]] Reader reader() const noexcept { return Reader{*state_}; }
    [[nodiscard]] Lessor lessor() const noexcept { return Lessor{*state_}; }
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
    std::optional<std::string> encode(const std::optional<V>& value, const detail::Keeping& keeping,
                                      const detail::Epoch& epoch) const {
        std::optional<std::string> body;
        if (value) {
            body = state_->codec.encode(*value);
            if (body->size() > state_->options.max_value_bytes) {
                state_->oversized.fetch_add(1, std::memory_order_relaxed);
                return std::nullopt;
            }
        }
        const bool plain = C::textual && body && keeping.tags.empty() && !keeping.own_life &&
                           keeping.life.grace <= Ttl::zero() &&
                           (body->empty() || body->front() != redis::detail::SlotBytes::magic);
        if (plain) {
            return body;
        }
        const Lifetime life = within_bounds(keeping.life);
        return redis::detail::write_slot(body, keeping.own_life ? life.fresh : Ttl::zero(),
                                         life.grace, epoch, keeping.tags);
    }
    static Lifetime within_bounds(const Lifetime& life) {
        constexpr Ttl most = redis::detail::longest_life;
        return {std::clamp(life.fresh, Ttl{1}, most), std::clamp(life.grace, Ttl{0}, most)};
    }
    // Empty if nothing is to be stored.
    std::optional<std::string> bytes_of(const detail::Filling<K, V>& row) const {
        const bool wanted = row.lease && row.keeping->kept() && !distrusted(*row.key);
        return wanted ? encode(*row.value, *row.keeping, row.lease.epoch) : std::nullopt;
    }
    void add_fill(Pipeline& pipeline, const detail::Filling<K, V>& row,
                  const std::optional<std::string>& bytes) const {
        const detail::Lease& lease = row.lease;
        std::vector<std::string> keys{slot(*row.key)};
        if (lease.beside) {
            keys.push_back(redis::detail::Names::side(keys.front()));
        }
        const bool tagged = !row.keeping->tags.empty();
        if (tagged) {
            keys = with_tags(std::move(keys), row.keeping->tags);
        }
        const redis::Script& script = lease.beside
                                          ? (tagged ? scripts().refill_tagged : scripts().refill)
                                          : (tagged ? scripts().fill_tagged : scripts().fill);
        redis::detail::add_script(
            pipeline, script, keys,
            {redis::detail::loading_bytes(lease.id), bytes ? milliseconds(row.keeping->life) : "0",
             bytes.value_or(std::string{}), redis::detail::to_text(lease.epoch),
             redis::detail::hex(lease.id)});
    }
    // A life with its grace, as Redis takes it.
    static std::string milliseconds(const Lifetime& life) {
        const Lifetime bounded = within_bounds(life);
        return std::to_string((bounded.fresh + bounded.grace).count());
    }

    // ---- reads ----

    // Copies of keys that may be served; `found(i, sighted)` for each.
    template <class Found>
    void read_many(std::span<const K> keys, const Look& look, Found&& found) const {
        reader().read(slots_of(keys), look, [&](std::size_t i, const Sighted& seen) {
            if (seen.copy && !distrusted(keys[i])) {
                found(i, seen);
            }
        });
    }
    template <class See>
    static void show(const detail::Copy<V>& copy, See&& see) {
        const V* const value = copy.entry.value ? std::addressof(*copy.entry.value) : nullptr;
        see(value, Remaining{copy.entry.remaining}, copy.fresh, copy.refreshing);
    }
    void give_back(const K& key, const Opening& opening) noexcept {
        if (opening.slot != detail::Slot::lead) {
            return;
        }
        try {
            release(key, opening.lease);
        } catch (...) {
            state_->failed();  // it ends by itself
        }
    }

    // ---- writes ----

    void begin(std::span<const K> keys, Ttl life, std::vector<detail::Ticket>& tickets,
               const std::vector<detail::Ticket>& replaced) const {
        const std::string length =
            std::to_string(std::clamp(life, Ttl{1}, redis::detail::longest_ticket).count());
        Pipeline pipeline;
        pipeline.command("GET", state_->names.clock());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            redis::detail::add_script(
                pipeline, scripts().begin, {slot(keys[i])},
                {redis::detail::hex(tickets[i].id), length,
                 replaced[i] ? redis::detail::hex(replaced[i].id) : std::string{}});
        }
        const std::vector<Reply> replies = state_->run(pipeline);
        const detail::Epoch epoch = lessor().epoch_of(replies.front());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            state_->leases.lose(slot(keys[i]));
            tickets[i].epoch = epoch;
        }
    }
    // Tickets that may have been written and will not be used.
    void undo(std::span<const K> keys, const std::vector<detail::Ticket>& tickets) const noexcept {
        try {
            Pipeline pipeline;
            pipeline.repeatable();
            for (std::size_t i = 0; i < keys.size(); ++i) {
                redis::detail::add_script(pipeline, scripts().finish, {slot(keys[i])},
                                          {redis::detail::hex(tickets[i].id), "0", ""});
            }
            static_cast<void>(state_->client.run(pipeline));
        } catch (...) {
            state_->failed();  // they end by themselves
        }
    }

    std::size_t erase_slots(std::span<const std::string> slots) const {
        if (slots.empty()) {
            return 0;
        }
        Pipeline pipeline;
        pipeline.repeatable();
        for (const std::string& name : slots) {
            redis::detail::add_script(pipeline, scripts().erase, {name}, {});
        }
        std::size_t had = 0;
        for (const Reply& reply : state_->run(pipeline)) {
            had += reply.integer() == 1 ? 1U : 0U;
        }
        for (const std::string& name : slots) {
            state_->leases.lose(name);
        }
        return had;
    }

    // True while the server has not been told of a drop; tries to tell it first.
    template <class Q>
    bool distrusted(const Q& key) const {
        if (state_->drops.empty()) [[likely]] {
            return false;
        }
        constexpr std::size_t batch = 256;
        const auto tell = [this](std::span<const typename Drops::Drop> drops) {
            std::vector<std::string> slots;
            slots.reserve(drops.size());
            for (const auto& drop : drops) {
                slots.push_back(slot(drop.key));
            }
            erase_slots(slots);
        };
        const auto clear = [this] { RedisStore{*this}.clear(); };
        state_->drops.replay(batch, batch, state_->clock.now(), tell, clear);
        return state_->drops.contains(K(key));
    }

    std::shared_ptr<State> state_;
};

LARDER_NS_END

#endif  // LARDER_STORE_REDIS_HPP
