// SPDX-License-Identifier: MIT

/// @file
/// What a read asks of near copies, beside what it asks of the store behind them.

#ifndef LARDER_DETAIL_NEAR_NEAR_QUERY_HPP
#define LARDER_DETAIL_NEAR_NEAR_QUERY_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <concepts>

LARDER_NS_BEGIN

namespace detail {

/// What is asked of near copies, beside what is asked of the far store.
///
/// @tparam FarQuery  the far store's
template <class FarQuery>
struct NearQuery : FarQuery {
    NearAsk ask{};

    /// The answer: a near copy is served.
    bool served = false;
};

/// What a far store tells of a copy beside its value, where it is asked: `query.wants_tags`, `query.tags`.
template <class FarQuery>
concept TellsTags = requires(FarQuery& query) {
    { (query.wants_tags) } -> std::same_as<bool&>;
    { (query.tags) } -> std::same_as<Tags&>;
};

/// Asks for all that a near copy is to know.
template <class FarQuery>
void ask_for_near([[maybe_unused]] FarQuery& query) {
    if constexpr (requires { query.remaining; }) {
        query.remaining = true;
    }
    if constexpr (TellsTags<FarQuery>) {
        query.wants_tags = true;
        query.tags.clear();
    }
}

/// The life of a copy that does not tell its own: what the policy gives; zero: nobody knows.
template <class FarQuery>
[[nodiscard]] Ttl usual_life([[maybe_unused]] const FarQuery& query) noexcept {
    if constexpr (requires { query.usual; }) {
        return query.usual;
    } else {
        return Ttl::zero();
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_NEAR_QUERY_HPP
