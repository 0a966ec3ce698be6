// SPDX-License-Identifier: MIT

/// @file
/// The steps over slots, for values of a type.

#ifndef LARDER_REDIS_DETAIL_STORE_VALUE_SLOTS_HPP
#define LARDER_REDIS_DETAIL_STORE_VALUE_SLOTS_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/redis/client.hpp>
#include <larder/redis/detail/store/filler.hpp>
#include <larder/redis/detail/store/key_slots.hpp>
#include <larder/redis/detail/store/lease_acquirer.hpp>
#include <larder/redis/detail/store/query.hpp>
#include <larder/redis/detail/store/reader.hpp>
#include <larder/redis/detail/store/slot_view.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/detail/store/values.hpp>
#include <larder/redis/detail/store/writer.hpp>
#include <larder/redis/store_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// What the handles of one store share, with what makes bytes of its values.
template <class V, class C>
struct ValueState final : StoreState {
    ValueState(Client given, std::string name, const RedisStoreOptions& chosen, C c)
        : StoreState{std::move(given), std::move(name), chosen, value_type_of<V, C>()},
          codec{std::move(c)} {}

    const C codec;
};

/// What reads and leases find, as values. All else is over names and bytes, and knows no V. A thin
/// view of the store's state: make one where it is needed.
template <class V, class C>
class ValueSlots {
public:
    using Opening = larder::detail::Opening<V>;

    explicit ValueSlots(ValueState<V, C>& state) noexcept : state_{state} {}

    /// Reads one slot: `found(copy, value)`, if it has a copy.
    ///
    /// @throws StoreError  the server cannot be asked
    template <class Found>
    bool read(const std::string& slot, Query& query, Found&& found) const {
        std::optional<V> value;
        Decoder<V, C> values{state_.codec, std::span{&value, 1}};
        const SlotReading seen = SlotReader{state_, values}.read(slot, query);
        SlotReader::note(seen.slot, query);
        if (seen.slot.copy) {
            found(*seen.slot.copy, value);
        }
        return seen.slot.copy.has_value();
    }

    /// The same for many, in one round trip: `found(place, copy, value)`.
    ///
    /// @param queries  one a key; those tell of whose servers do not answer while others do
    /// @throws StoreError  no server can be asked
    template <class Found>
    void read_many(const TrustedSlots& some, std::span<Query> queries, Found&& found) const {
        std::vector<std::optional<V>> values(queries.size());
        Decoder<V, C> sink{state_.codec, values};
        const auto copies = SlotReader{state_, sink}.read_many(some.slots, some.places, queries);
        for (std::size_t i = 0; i < copies.size(); ++i) {
            if (copies[i]) {
                found(some.places[i], *copies[i], values[some.places[i]]);
            }
        }
        if (failed(queries) != queries.end()) {
            state_.failed();
        }
    }
    /// The same of all or of none.
    ///
    /// @throws StoreError  a server cannot be asked
    template <class Found>
    void read_all(const TrustedSlots& some, std::span<Query> queries, Found&& found) const {
        read_many(some, queries, std::forward<Found>(found));
        if (const auto first = failed(queries); first != queries.end()) {
            std::rethrow_exception(first->failure);
        }
    }

    /// Opens one slot for a reader without a fresh copy.
    ///
    /// @throws StoreError  the server cannot be asked
    [[nodiscard]] Opening open(const std::string& slot, Query& query) {
        return open_as(slot, Opens::miss, query);
    }
    /// The same beside a fresh copy; forced: whatever the slot holds, but for a write.
    [[nodiscard]] Opening open_refresh(const std::string& slot, bool force,
                                       larder::detail::Dated dated) {
        Query query{.dated = dated};
        return open_as(slot, force ? Opens::forced : Opens::refresh, query);
    }
    /// Opens many, in one round trip if they are as the queries have seen; none is left open if it
    /// throws.
    void open_many(const TrustedSlots& some, std::span<Query> queries,
                   std::span<Opening> openings) {
        std::vector<SlotOpening> opened(openings.size());
        std::vector<std::optional<V>> found(openings.size());
        Decoder<V, C> values{state_.codec, found};
        LeaseAcquirer{state_, values}.open_many(some.slots, some.places, queries, opened);
        hand_over(some.slots, some.places, opened, found, openings);
    }

    /// As SlotFiller does.
    ///
    /// @param slots  of the rows' keys
    template <class K>
    [[nodiscard]] std::vector<larder::detail::Filled> fill_many(
        const KeySlots<K>& slots, std::span<const larder::detail::FillRequest<K, V>> rows) {
        std::vector<SlotFill> fills;
        fills.reserve(rows.size());
        for (const auto& row : rows) {
            fills.push_back({slots.of(*row.key), row.lease, row.terms});
        }
        Encoder values{state_.codec,
                       [rows](std::size_t i) -> const std::optional<V>& { return *rows[i].value; }};
        return SlotFiller{state_}.fill_many(fills, values);
    }

    /// As SlotWriter does.
    ///
    /// @param slots  of the requests' keys
    template <class K>
    [[nodiscard]] std::vector<larder::detail::WriteEnd> finish_write_many(
        const KeySlots<K>& slots, std::span<const larder::detail::FinishRequest<K, V>> requests) {
        std::vector<SlotFinish> rows;
        rows.reserve(requests.size());
        for (const auto& [key, ticket, how, value, terms] : requests) {
            rows.push_back({slots.of(*key), ticket, how, &terms});
        }
        Encoder values{state_.codec, [requests](std::size_t i) -> const std::optional<V>& {
                           return requests[i].value;
                       }};
        return SlotWriter{state_}.finish_write_many(rows, values);
    }

    /// As SlotWriter does.
    ///
    /// @param slots  of the changes' keys
    template <class K, class Record>
    [[nodiscard]] auto write_many_at_once(const KeySlots<K>& slots,
                                          std::span<const Change<K, V>> changes,
                                          std::span<const larder::detail::CopyTerms> terms,
                                          const Record& record) {
        std::vector<std::string> names;
        names.reserve(changes.size());
        for (const Change<K, V>& change : changes) {
            names.push_back(slots.of(change.key));
        }
        Encoder values{state_.codec, [changes](std::size_t i) -> const std::optional<V>& {
                           return changes[i].value;
                       }};
        return SlotWriter{state_}.write_many_at_once(names, values, terms, record);
    }

    /// A copy as an entry; the value is taken.
    [[nodiscard]] static Entry<V> entry_of(const FoundCopy& copy, std::optional<V>& value) {
        return {copy.entry.value ? std::move(value) : std::nullopt, copy.entry.remaining};
    }

private:
    [[nodiscard]] static auto failed(std::span<Query> queries) noexcept {
        return std::find_if(queries.begin(), queries.end(),
                            [](const Query& query) { return query.seen == Query::Seen::failure; });
    }

    enum class Opens : std::uint8_t { miss, refresh, forced };

    Opening open_as(const std::string& slot, Opens what, Query& query) {
        Opening opening;
        if (!state_.distrusts(slot)) {
            std::optional<V> value;
            Decoder<V, C> values{state_.codec, std::span{&value, 1}};
            LeaseAcquirer acquirer{state_, values};
            SlotOpening opened = what == Opens::miss ? acquirer.open(slot, query)
                                 : what == Opens::forced
                                     ? acquirer.force(slot, query.dated)
                                     : acquirer.open_beside(slot, query, Beside::fresh);
            hand_over(std::span{&slot, 1}, std::array<std::size_t, 1>{}, std::span{&opened, 1},
                      std::span{&value, 1}, std::span{&opening, 1});
        }
        return opening;
    }

    // What slots have answered, with the values that they hold. All leases are given back if the move
    // of a value throws.
    void hand_over(std::span<const std::string> slots, std::span<const std::size_t> places,
                   std::span<SlotOpening> opened, std::span<std::optional<V>> values,
                   std::span<Opening> openings) {
        try {
            for (const std::size_t at : places) {
                auto& [slot, copy, lease, lead, flight, writing, failure] = opened[at];
                Opening& opening = openings[at];
                opening.slot = slot;
                opening.lease = lease;
                opening.lead = std::move(lead);
                opening.flight = std::move(flight);
                opening.writing = writing;
                opening.failure = std::move(failure);
                if (copy) {
                    opening.copy.emplace(larder::detail::Copy<V>{entry_of(*copy, values[at]),
                                                                 copy->fresh, copy->refreshing});
                }
            }
        } catch (...) {
            give_back(state_, slots, places, opened);
            throw;
        }
    }

    ValueState<V, C>& state_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_VALUE_SLOTS_HPP
