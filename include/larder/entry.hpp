// SPDX-License-Identifier: MIT

/// @file
/// The words all parts share: lifetimes, entries, what loaders return, what `fetch` answers.

#ifndef LARDER_ENTRY_HPP
#define LARDER_ENTRY_HPP

#include <larder/version.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

/// A span of time in milliseconds, the finest step that every bundled store honours.
using Ttl = std::chrono::milliseconds;

/// Names of what an entry depends on. `invalidate_tag(t)` makes every entry that carries `t` a miss.
using Tags = std::vector<std::string>;

/// How long a copy lives: servable for `fresh`, then for `grace` more only as a stale fallback.
struct Lifetime {
    Ttl fresh{};
    Ttl grace{0};
};

/// What a store holds for a key, as of the moment it was asked.
///
/// Relative times only: no wall clock ever crosses a process.
template <class V>
struct Entry {
    /// Empty: the source is known to have no such key.
    std::optional<V> value{};

    /// Time left as fresh; zero or less: stale, within its grace.
    Ttl remaining{};
};

template <class V>
Entry(V, Ttl) -> Entry<V>;
template <class V>
Entry(std::optional<V>, Ttl) -> Entry<V>;

/// What a loader may return instead of `std::optional<V>`: the loader then decides lifetime and tags.
template <class V>
struct Loaded {
    std::optional<V> value{};

    /// Replaces `Options::ttl` (or `negative_ttl`); zero or less: return it, do not cache it.
    std::optional<Ttl> ttl{};

    Tags tags{};
};

template <class V, class... Rest>
Loaded(V, Rest...) -> Loaded<V>;
template <class V, class... Rest>
Loaded(std::optional<V>, Rest...) -> Loaded<V>;

/// A change on its way to the database.
template <class K, class V>
struct Change {
    K key{};

    /// Empty: the row is removed.
    std::optional<V> value{};

    /// Grows per key; 0 where nobody hands out versions.
    std::uint64_t version{0};
};

template <class K, class V>
Change(K, V, std::uint64_t) -> Change<K, V>;
template <class K, class V>
Change(K, std::optional<V>, std::uint64_t) -> Change<K, V>;
template <class K, class V>
Change(K, std::optional<V>) -> Change<K, V>;
template <class K, class V>
Change(K, V) -> Change<K, V>;

/// Where the answer to a read came from.
enum class Source : std::uint8_t {
    hit,       ///< a fresh copy in the store
    near_hit,  ///< a fresh copy in this process, in front of the store
    stale,     ///< a copy past its time, within its grace
    pending,   ///< a change that is recorded and not yet in the database
    loaded,    ///< this call loaded it
    joined,    ///< this call waited for a load that another had begun
    bypassed,  ///< loaded past the cache: a write was in flight, or the store could not be used
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(Source source) noexcept {
    switch (source) {
        case Source::hit: return "hit";
        case Source::near_hit: return "near_hit";
        case Source::stale: return "stale";
        case Source::pending: return "pending";
        case Source::loaded: return "loaded";
        case Source::joined: return "joined";
        case Source::bypassed: return "bypassed";
    }
    return "unknown";
}

/// A value and where it came from.
template <class V>
struct Fetched {
    /// Empty: the source has no such key.
    std::optional<V> value{};

    Source source{Source::loaded};

    /// Since the copy was made; zero for what was just loaded.
    Ttl age{0};

    /// Time left as fresh; zero or less for a stale copy and for what was not cached.
    Ttl remaining{0};
};

/// Which copies a read accepts.
enum class From : std::uint8_t {
    any,     ///< whatever is fresh
    far,     ///< no copy of this process' own: ask the store that is shared
    source,  ///< no copy at all: reload, as `refresh` does
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(From from) noexcept {
    switch (from) {
        case From::any: return "any";
        case From::far: return "far";
        case From::source: return "source";
    }
    return "unknown";
}

/// Per-call options of a read: `cache.get(k, {.timeout = 50ms})`.
struct Read {
    /// How long this call waits. A stale copy within its grace is then served, else
    /// `Errc::timed_out` is thrown; the load goes on for the others.
    std::optional<Ttl> timeout{};

    /// Ends the wait early, with `Errc::cancelled` where there is no stale copy.
    std::stop_token stop{};

    From from = From::any;
};

LARDER_NS_END

#endif  // LARDER_ENTRY_HPP
