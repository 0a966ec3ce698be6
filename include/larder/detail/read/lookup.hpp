// SPDX-License-Identifier: MIT

/// @file
/// The look for a copy: all that a hit costs.

#ifndef LARDER_DETAIL_READ_LOOKUP_HPP
#define LARDER_DETAIL_READ_LOOKUP_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Its loader holds back changes that a copy may be older than.
template <class E>
inline constexpr bool before_copies = requires { requires E::Loader::before_copies; };

/// True of a copy that is near its end: it is reloaded in the background, once, while it is still
/// served.
template <class E>
[[nodiscard]] bool is_due(const E& core, Remaining remaining, Ttl life) noexcept {
    if (core.refresh_below <= 0) {
        return false;
    }
    using Seconds = std::chrono::duration<double>;
    const Ttl whole_life = life > Ttl::zero() ? life : core.options.ttl;
    return Seconds{remaining} < core.refresh_below * Seconds{whole_life};
}

/// A copy as an answer, with its age.
template <class E>
[[nodiscard]] Fetched<typename E::Value> as_fetched(const E& core, Copy<typename E::Value>&& copy,
                                                    Source source) {
    const Ttl whole_life = copy.fresh > Ttl::zero() ? copy.fresh : core.options.ttl;
    const Ttl age = (std::max)(whole_life - copy.entry.remaining, Ttl::zero());
    return {std::move(copy.entry.value), source, age, copy.entry.remaining};
}

/// What one read has found before it loads anything.
template <class E>
struct Lookup {
    using Value = typename E::Value;
    using Query = typename E::Store::Query;

    /// The caller wants to know how long a copy has left.
    bool exact = false;

    /// Which copies it takes.
    From from = From::any;

    /// What the store is asked, and, where asking twice costs more, what it has answered; once it is asked.
    std::optional<Query> query{};

    /// The copy that may be served when a load fails or is late.
    std::optional<Copy<Value>> stale{};

    /// Where what was found came from.
    Source source = Source::hit;

    /// The value of a fresh copy goes to `take`, by reference; false if there is none. A pending
    /// change that other processes cannot know of comes before any copy, and has no time left.
    /// Rule W10.
    ///
    /// @param refresh  called if the copy is near its end, and nobody reloads it
    template <class Q, class Take, class Refresh>
    bool find(E& core, const Q& key, Take&& take, const Refresh& refresh) {
        if constexpr (before_copies<E>) {
            if (const auto change = core.loader.pending(key)) {
                source = Source::pending;
                take(change->value ? std::addressof(*change->value) : nullptr, Remaining{}, Ttl{});
                core.count(Count::hits);
                return true;
            }
        }
        if constexpr (has_near<typename E::Store>) {
            return (from == From::any && find_near(core, key, take, refresh)) ||
                   find_past_near(core, key, take, refresh);
        } else {
            return find_in(core, take, refresh, [&](const auto& see) {
                core.store.peek(key, see, query.emplace(core.query(exact)));
            });
        }
    }

private:
    // A near copy is fresh, and nobody reloads it; it comes without a query for what is behind it.
    template <class Q, class Take, class Refresh>
    bool find_near(E& core, const Q& key, const Take& take, const Refresh& refresh) {
        source = Source::near_hit;
        bool due = false;
        const bool found = core.store.look(
            key,
            [&](const Value* value, Remaining remaining, Ttl life, bool) {
                take(value, remaining, life);
                due = is_due(core, remaining, life);
            },
            core.near_ask(exact));
        if (found) [[likely]] {
            counted(core, due, refresh);
        }
        return found;
    }
    template <class Q, class Take, class Refresh>
    [[gnu::noinline]] bool find_past_near(E& core, const Q& key, const Take& take,
                                          const Refresh& refresh) {
        query.emplace(core.query(exact)).ask.skip = from != From::any;
        return find_in(core, take, refresh, [&](const auto& see) {
            core.store.peek_past(
                key,
                [&](const Value* value, Remaining remaining, Ttl life, bool refreshing) {
                    source = query->served ? Source::near_hit : Source::hit;
                    see(value, remaining, life, refreshing);
                },
                *query);
        });
    }

    template <class Take, class Refresh, class Peek>
    bool find_in(E& core, Take&& take, const Refresh& refresh, const Peek& peek) {
        bool fresh = false;
        bool due = false;
        peek([&](const Value* value, Remaining remaining, Ttl life, bool refreshing) {
            if (remaining > Remaining::zero()) {
                take(value, remaining, life);
                fresh = true;
                due = !refreshing && is_due(core, remaining, life);
            } else if (value != nullptr && core.options.grace > Ttl::zero()) {
                stale.emplace(Copy<Value>{{*value, whole(remaining)}, life, refreshing});
            }
        });
        if (fresh) {
            counted(core, due, refresh);
        }
        return fresh;
    }

    template <class Refresh>
    void counted(E& core, bool due, const Refresh& refresh) {
        core.count(source == Source::near_hit ? Count::near_hits : Count::hits);
        if (due) [[unlikely]] {
            refresh();
        }
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_LOOKUP_HPP
