// SPDX-License-Identifier: MIT

/// @file
/// Steps of the slot protocol that a store may leave out: what is done in their place.

#ifndef LARDER_DETAIL_SLOT_PROTOCOL_CALLS_HPP
#define LARDER_DETAIL_SLOT_PROTOCOL_CALLS_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <exception>
#include <span>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

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
