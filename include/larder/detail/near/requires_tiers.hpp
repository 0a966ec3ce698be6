// SPDX-License-Identifier: MIT

/// @file
/// One readable error for each thing that the tiers of a TieredStore lack.

#ifndef LARDER_DETAIL_NEAR_REQUIRES_TIERS_HPP
#define LARDER_DETAIL_NEAR_REQUIRES_TIERS_HPP

#include <larder/concepts.hpp>
#include <larder/detail/near/near_feed.hpp>
#include <larder/detail/near/near_query.hpp>
#include <larder/detail/support/key_from_text.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <exception>
#include <memory>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

/// Keeps near copies: in this process, with tags, and tells of a copy all that there is to know.
template <class S>
concept KeepsNearCopies = CoherentStore<S> && !S::shared && !S::fallible && S::keeps_tags &&
                          requires(S& s, const typename S::key_type& key, NearFeed::Instant now) {
                              s.peek(
                                  key, [](auto&&...) {}, now);
                              s.examine(
                                  key, [](auto&&...) {}, now);
                              s.clear();
                          };

/// Tells a listener what has changed.
template <class S>
concept Watched = CoherentStore<S> && requires(S& s, NearListener& listener, Ttl silence) {
    { s.watch(listener, silence) } -> std::convertible_to<std::shared_ptr<NearFeed>>;
};

template <class Near, class Far>
consteval bool same_types() {
    if constexpr (KeepsNearCopies<Near> && Watched<Far>) {
        return std::same_as<typename Near::key_type, typename Far::key_type> &&
               std::same_as<typename Near::value_type, typename Far::value_type>;
    } else {
        return true;
    }
}
template <class Near, class Far>
consteval bool same_clocks() {
    if constexpr (KeepsNearCopies<Near> && Watched<Far>) {
        return std::same_as<typename Near::clock_type, typename Far::clock_type>;
    } else {
        return true;
    }
}
template <class Near>
consteval bool finds_by_text() {
    if constexpr (KeepsNearCopies<Near>) {
        return InvertibleKey<typename Near::key_type> &&
               std::default_initializable<typename Near::key_type>;
    } else {
        return true;
    }
}
template <class Far>
consteval bool tells_tags() {
    if constexpr (Watched<Far>) {
        return !Far::keeps_tags || TellsTags<typename Far::Query>;
    } else {
        return true;
    }
}

template <class Far>
consteval bool tells_failures() {
    if constexpr (Watched<Far>) {
        return !Far::fallible || requires(typename Far::Query& query) {
            { (query.failure) } -> std::same_as<std::exception_ptr&>;
        };
    } else {
        return true;
    }
}

template <class Near, class Far>
struct RequiresTiers {
    static_assert(KeepsNearCopies<Near>,
                  "larder: the near store of a TieredStore keeps copies in this process: it is a "
                  "larder::MemoryStore");
    static_assert(Watched<Far>,
                  "larder: the far store of a TieredStore tells what has changed: it is a "
                  "larder::RedisStore, or has watch(listener, silence)");
    static_assert(same_types<Near, Far>(),
                  "larder: both stores of a TieredStore have the same key_type and value_type");
    static_assert(same_clocks<Near, Far>(),
                  "larder: both stores of a TieredStore tell the time by the same clock");
    static_assert(finds_by_text<Near>(),
                  "larder: a near copy is found by the text of its key: the key needs "
                  "bool from_key(std::string_view, K&) beside its to_key");
    static_assert(tells_tags<Far>(),
                  "larder: a far store that keeps tags tells those of a copy: query.wants_tags, "
                  "query.tags");
    static_assert(tells_failures<Far>(),
                  "larder: a far store that fails tells a read why: query.failure");
};

template <class Near, class Far>
inline constexpr bool tiers_ok =
    KeepsNearCopies<Near> && Watched<Far> && same_types<Near, Far>() && same_clocks<Near, Far>() &&
    finds_by_text<Near>() && tells_tags<Far>() && tells_failures<Far>();

/// The base of a store whose tiers lack something: RequiresTiers has said what, and nothing more should be
/// said.
class NoTiers {
public:
    using key_type = int;
    using value_type = int;

protected:
    template <class... Given>
    explicit NoTiers(const Given&...) {}
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_NEAR_REQUIRES_TIERS_HPP
