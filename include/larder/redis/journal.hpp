// SPDX-License-Identifier: MIT

/// @file
/// RedisJournal: changes wait in Redis, for whichever process writes them.

#ifndef LARDER_REDIS_JOURNAL_HPP
#define LARDER_REDIS_JOURNAL_HPP

#include <larder/concepts.hpp>
#include <larder/detail/journal/kept_value.hpp>
#include <larder/detail/slot/record_end.hpp>
#include <larder/detail/support/key_from_text.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/fwd.hpp>
#include <larder/journal/journal.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/journal/claim_steps.hpp>
#include <larder/redis/detail/journal/core.hpp>
#include <larder/redis/detail/journal/journal_bytes.hpp>
#include <larder/redis/detail/journal/recorder.hpp>
#include <larder/redis/detail/store/slot_put.hpp>
#include <larder/redis/journal_options.hpp>
#include <larder/redis/key_name.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

template <class V>
struct JsonCodec;

/// A journal in Redis: the default of WriteBehind over a RedisStore. What is recorded outlives every
/// process, and whichever has a flusher writes it. It outlives the server as far as that keeps what it
/// was told; `RedisJournalOptions::durability` asks for more.
///
/// ```cpp
/// larder::RedisJournal<int, Product> journal{redis, "product", {.durability = larder::redis::Durability::fsync}};
/// larder::WriteBehind products{store, ProductTable{db}, journal, {.ttl = 1h}};
/// ```
///
/// Where the store is on the same server, a copy and its change are written in one step.
///
/// A server whose `maxmemory-policy` could evict changes is refused, at the first use and after every
/// reconnect. Changes whose key or value does not decode become dead letters: `undecodable`.
///
/// A cheap handle: copies share the journal, as does every other of its name on that server.
///
/// Thread safety: all members may run concurrently, in all processes; each is one atomic step.
/// @throws StoreError  the server cannot be reached, answers too late, or refuses: redis/error.hpp
///
/// @tparam C  a Codec, that of the store; JsonCodec is in <larder/json.hpp>
template <class K, class V, class C>
class RedisJournal {
    static_assert(
        requires { sizeof(C); },
        "larder: RedisJournal keeps values as JSON unless it is given a codec: "
        "include <larder/json.hpp>");
    static_assert(
        redis::Nameable<K> && detail::InvertibleKey<K>,
        "larder: a key of a journal is an integer, an enumeration, a string, a tuple of these, or has "
        "std::string to_key(const K&) and bool from_key(std::string_view, K&) in its own namespace");
    static_assert(
        !requires { sizeof(C); } || Codec<C, V>,
        "larder: a Codec needs encode(const V&) -> std::string, "
        "decode(std::string_view) -> V and static constexpr bool textual");

    using Claim = Claimed<K, V>;

public:
    using key_type = K;
    using value_type = V;
    using codec_type = C;

    static constexpr bool durable = true;
    static constexpr bool shared = true;

    /// @param name  that of the store whose values it journals
    /// @throws std::invalid_argument  a name that makes no sense
    RedisJournal(redis::Client client, std::string name, RedisJournalOptions options = {},
                 C codec = {})
        : shared_{std::make_shared<Shared>(std::move(client), name, options, std::move(codec))} {}

    /// Takes the place of the key's pending change, and of its dead letter; the version given to it.
    std::uint64_t record(const Change<K, V>& change) {
        return *core().record(request_of(change.key, change.value), unbounded);
    }

    /// The same; none, and nothing is done, if the key has nothing pending and `most` others have.
    std::optional<std::uint64_t> record(Change<K, V>&& change, std::size_t most) {
        return core().record(request_of(change.key, change.value), most);
    }

    /// The same in one step with the copy: none, too, if its slot is on another server. Rule W11.
    std::optional<std::uint64_t> record(const K& key, const detail::KeptValue<V>& value,
                                        std::size_t most, const redis::detail::SlotPut& put) {
        if (!core().is_beside(put)) {
            return std::nullopt;
        }
        redis::detail::RecordRequest request = request_of(key, value);
        request.put = &put;
        return core().record(std::move(request), most);
    }

    /// The same of many, each in a step of its own, in one round trip: what became of each.
    ///
    /// @param puts  the copies, by the places of the changes
    /// @throws anything  what the codec throws, in which case nothing is recorded
    [[nodiscard]] std::vector<detail::RecordEnd> record_many(
        std::span<const Change<K, V>> changes, std::size_t most,
        std::span<const redis::detail::SlotPut> puts) {
        if (changes.empty() || !core().is_beside(puts.front())) {
            return std::vector<detail::RecordEnd>(changes.size());
        }
        std::vector<redis::detail::RecordRequest> requests;
        requests.reserve(changes.size());
        for (std::size_t i = 0; i < changes.size(); ++i) {
            requests.push_back(request_of(changes[i].key, changes[i].value));
            requests.back().put = &puts[i];
        }
        return core().record_many(requests, most);
    }

    /// What is recorded of the key and not yet settled.
    ///
    /// @throws StoreError  or it does not decode
    [[nodiscard]] std::optional<Change<K, V>> pending(const K& key) const {
        return std::move(pending_many(std::span{&key, 1}).front());
    }

    /// The same of many, in one round trip, in the order of the keys.
    [[nodiscard]] std::vector<std::optional<Change<K, V>>> pending_many(
        std::span<const K> keys) const {
        std::vector<std::optional<Change<K, V>>> all(keys.size());
        if (keys.empty()) {
            return all;
        }
        std::vector<std::string> names;
        names.reserve(keys.size());
        for (const K& key : keys) {
            names.push_back(redis::key_name(key));
        }
        const auto raw = core().pending(names);
        for (std::size_t i = 0; i < keys.size(); ++i) {
            if (raw[i]) {
                try {
                    all[i].emplace(Change<K, V>{keys[i], decode(raw[i]->value), raw[i]->version});
                } catch (const std::exception& error) {
                    throw core().undecodable(names[i], error.what());
                }
            }
        }
        return all;
    }

    /// Changes that nobody else has in hand, the oldest first: those as old as `age`, or due again. Those
    /// that do not decode are buried.
    [[nodiscard]] std::vector<Claim> claim(std::size_t max, Ttl life, Ttl age) {
        std::vector<Claim> claims;
        std::vector<redis::detail::RawClaim> raw;
        do {
            raw = core().claim(max, life, age);
            try {
                claims.reserve(raw.size());
                for (const redis::detail::RawClaim& one : raw) {
                    std::string why;
                    if (auto change = change_of(one.change, why)) {
                        claims.push_back({std::move(*change), one.claim, one.attempts});
                    } else {
                        core().bury(raw_name(one), why, one.attempts + 1);
                    }
                }
            } catch (...) {
                give_back(raw);
                throw;
            }
        } while (claims.empty() && !raw.empty());  // others may be due behind those
        return claims;
    }

    /// The claims live on, for so long from now; zero: they are over.
    void renew(std::span<const Claim> claims, Ttl life) { core().renew(names_of(claims), life); }

    /// The database has them; false for those that were not the claim's any more, or are not the newest.
    [[nodiscard]] std::vector<bool> settle(std::span<const Claim> claims) {
        return core().settle(names_of(claims));
    }

    /// To be tried again after `delay`.
    void defer(const Claim& mine, Ttl delay) {
        core().defer(name_of(mine), delay, mine.attempts + 1);
    }

    /// Becomes a dead letter, unless a newer change is recorded or the claim has ended: then false.
    bool bury(const Claim& mine, std::string_view why) {
        return core().bury(name_of(mine), why, mine.attempts + 1);
    }

    /// What the database would not take, the oldest first; but for `undecodable`.
    [[nodiscard]] std::vector<DeadLetter<K, V>> dead_letters() const {
        std::vector<DeadLetter<K, V>> letters;
        for (redis::detail::RawLetter& raw : core().letters()) {
            std::string why;
            if (auto change = change_of(raw.change, why)) {
                letters.push_back(
                    {std::move(*change), std::move(raw.why), raw.attempts, raw.first, raw.last});
            }
        }
        return letters;
    }

    /// Dead letters whose key or value does not decode, as bytes: the key's text, the codec's bytes.
    [[nodiscard]] std::vector<DeadLetter<std::string, std::string>> undecodable() const {
        std::vector<DeadLetter<std::string, std::string>> letters;
        for (redis::detail::RawLetter& raw : core().letters()) {
            std::string why;
            if (!change_of(raw.change, why)) {
                letters.push_back(std::move(raw));
            }
        }
        return letters;
    }

    /// The dead letter is pending again, with its version; false if there is none. Rule W8.
    bool revive(const K& key) { return core().revive(redis::key_name(key)); }

    /// The dead letter is forgotten; false if there is none.
    bool discard(const K& key) { return core().discard(redis::key_name(key)); }

    /// The greatest key that is pending or a dead letter; none if nothing is. For the floor of a Sequence:
    /// the database does not know these rows yet. One round trip, of as many keys.
    [[nodiscard]] std::optional<K> greatest_key() const
        requires std::integral<K>
    {
        std::optional<K> greatest;
        for (const std::string& name : core().names()) {
            K key{};
            if (detail::key_from_text(std::string_view{name}, key) &&
                (!greatest || *greatest < key)) {
                greatest = key;
            }
        }
        return greatest;
    }

    /// Dead letters there are, those that do not decode among them. One round trip.
    [[nodiscard]] std::size_t buried() const { return core().buried(); }

    /// Changes pending. One round trip.
    [[nodiscard]] std::size_t size() const { return core().size(); }

    /// The age of the oldest pending change; none if nothing is pending. One round trip.
    [[nodiscard]] std::optional<Ttl> oldest() const { return core().oldest(); }

private:
    using Core = redis::detail::JournalCore;

    static constexpr std::size_t unbounded = (std::numeric_limits<std::size_t>::max)();

    struct Shared {
        Shared(redis::Client client, const std::string& name, const RedisJournalOptions& options,
               C given)
            : core{std::move(client), name, options}, codec{std::move(given)} {}

        Core core;
        const C codec;
    };

    [[nodiscard]] Core& core() const noexcept { return shared_->core; }

    // A value, or none: in an optional or behind a pointer.
    template <class Value>
    redis::detail::RecordRequest request_of(const K& key, const Value& value) const {
        redis::detail::RecordRequest request{
            redis::key_name(key),
            redis::detail::JournalBytes::sign(
                value ? std::optional<std::string>{shared_->codec.encode(*value)} : std::nullopt),
            nullptr};
        core().require_claimable(request);
        return request;
    }

    [[nodiscard]] std::optional<V> decode(const std::optional<std::string>& bytes) const {
        return bytes ? std::optional<V>{shared_->codec.decode(*bytes)} : std::nullopt;
    }

    // Nothing, and why, if it does not decode. Memory that is out is no reason to bury a change.
    std::optional<Change<K, V>> change_of(const redis::detail::RawChange& raw,
                                          std::string& why) const {
        if (raw.version == 0) {
            why = "larder: bytes that are no change";
            return std::nullopt;
        }
        try {
            K key{};
            if (!detail::key_from_text(std::string_view{raw.key}, key)) {
                why = "larder: the key does not decode";
                return std::nullopt;
            }
            return Change<K, V>{std::move(key), decode(raw.value), raw.version};
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception& error) {
            why = std::string{"larder: the value does not decode: "} + error.what();
        } catch (...) {
            why = "larder: the value does not decode";
        }
        return std::nullopt;
    }

    static redis::detail::ClaimName name_of(const Claim& mine) {
        return {redis::key_name(mine.change.key), mine.change.version, mine.claim};
    }
    static redis::detail::ClaimName raw_name(const redis::detail::RawClaim& mine) {
        return {mine.change.key, mine.change.version, mine.claim};
    }
    static std::vector<redis::detail::ClaimName> names_of(std::span<const Claim> claims) {
        std::vector<redis::detail::ClaimName> names;
        names.reserve(claims.size());
        for (const Claim& one : claims) {
            names.push_back(name_of(one));
        }
        return names;
    }

    // If the server cannot be told, they end by themselves.
    void give_back(const std::vector<redis::detail::RawClaim>& raw) noexcept {
        try {
            std::vector<redis::detail::ClaimName> names;
            names.reserve(raw.size());
            for (const redis::detail::RawClaim& one : raw) {
                names.push_back(raw_name(one));
            }
            core().renew(names, Ttl::zero());
        } catch (...) {}
    }

    std::shared_ptr<Shared> shared_;
};

LARDER_NS_END

#endif  // LARDER_REDIS_JOURNAL_HPP
