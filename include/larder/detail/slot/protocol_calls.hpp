// SPDX-License-Identifier: MIT

/// @file
/// Steps of the slot protocol that a store may have in a plainer form.

#ifndef LARDER_DETAIL_SLOT_PROTOCOL_CALLS_HPP
#define LARDER_DETAIL_SLOT_PROTOCOL_CALLS_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// `peek_many`, where each query is told what was seen, if that saves its `open_many` anything.
///
/// @param queries  one a key
template <class S, class K, class See>
void peek_many(S& store, std::span<const K> keys, See&& see, std::span<typename S::Query> queries) {
    if constexpr (std::is_empty_v<typename S::Query>) {
        store.peek_many(keys, std::forward<See>(see));
    } else {
        store.peek_many(keys, std::forward<See>(see), queries);
    }
}

/// `open_many`, likewise.
template <class S, class K>
[[nodiscard]] auto open_many(S& store, std::span<const K> keys,
                             std::span<typename S::Query> queries) {
    if constexpr (std::is_empty_v<typename S::Query>) {
        return store.open_many(keys);
    } else {
        return store.open_many(keys, queries);
    }
}

/// `open_refresh`, dated where that costs anything.
template <class S, class K>
[[nodiscard]] auto open_refresh(S& store, const K& key, bool force, Dated dated) {
    if constexpr (requires { store.open_refresh(key, force, dated); }) {
        return store.open_refresh(key, force, dated);
    } else {
        return store.open_refresh(key, force);
    }
}

/// `begin_write`, likewise.
template <class S, class K>
[[nodiscard]] Ticket begin_write(S& store, const K& key, Ttl life, Dated dated) {
    if constexpr (requires { store.begin_write(key, life, dated); }) {
        return store.begin_write(key, life, dated);
    } else {
        return store.begin_write(key, life);
    }
}

/// `begin_write_many`, likewise.
template <class S, class K>
[[nodiscard]] std::vector<Ticket> begin_write_many(S& store, std::span<const K> keys, Ttl life,
                                                   Dated dated) {
    if constexpr (requires { store.begin_write_many(keys, life, dated); }) {
        return store.begin_write_many(keys, life, dated);
    } else {
        return store.begin_write_many(keys, life);
    }
}

/// `finish_write` of each, in one round trip where the store can: each fails by itself.
///
/// @param requests  values and terms are taken out of them
/// @return in their order
/// @throws whatever kept the store from being told of any; it may have heard of some
template <class S, class K, class V>
[[nodiscard]] std::vector<WriteEnd> finish_write_many(S& store,
                                                      std::span<FinishRequest<K, V>> requests) {
    if constexpr (requires { store.finish_write_many(requests); }) {
        return store.finish_write_many(requests);
    } else {
        std::vector<WriteEnd> ends(requests.size());
        for (std::size_t i = 0; i < requests.size(); ++i) {
            auto& [key, ticket, how, value, terms] = requests[i];
            try {
                ends[i].found =
                    store.finish_write(*key, ticket, how, std::move(value), std::move(terms));
            } catch (...) {
                ends[i].failure = std::current_exception();
            }
        }
        return ends;
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_PROTOCOL_CALLS_HPP
