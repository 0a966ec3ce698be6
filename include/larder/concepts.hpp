// SPDX-License-Identifier: MIT

/// @file
/// The extension points: Store (where copies live), Loader and Repository (where the truth lives),
/// Codec (how a value becomes bytes), and what the policies themselves satisfy.

#ifndef LARDER_CONCEPTS_HPP
#define LARDER_CONCEPTS_HPP

#include <larder/clock.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/fwd.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

// Keys are integers, enumerations, strings, and pairs, tuples and arrays of keys; a type of your own has
// `==`, and std::hash or `std::string to_key(const K&)` in its own namespace: see Hash.

/// Looked up without being a K: a view of a string key.
template <class Q, class K>
concept LookupKey = std::same_as<Q, K> || (std::same_as<K, std::string> &&
                                           std::convertible_to<const Q&, std::string_view>);

// ---- Store ---------------------------------------------------------------------------------

template <class S>
concept HasKeyType = requires { typename S::key_type; };

template <class S>
concept HasValueType = requires { typename S::value_type; };

template <class S>
concept Findable = requires(S& s, const typename S::key_type& key) {
    { s.find(key) } -> std::same_as<std::optional<Entry<typename S::value_type>>>;
};

template <class S>
concept Puttable =
    requires(S& s, const typename S::key_type& key, std::optional<typename S::value_type> value,
             Lifetime life) { s.put(key, std::move(value), life); };

template <class S>
concept Erasable = requires(S& s, const typename S::key_type& key) {
    { s.erase(key) } -> std::same_as<bool>;
};

/// A keyed container of copies that expire: memory, a server, a tier of both.
///
/// | Expression           | Returns              | Effect                                          |
/// |----------------------|----------------------|-------------------------------------------------|
/// | `s.find(k)`          | `optional<Entry<V>>` | the copy, fresh or stale within its grace       |
/// | `s.put(k, v, life)`  | ignored              | `find(k)` gives `v` until `life` has passed; an empty `v` is a known absence |
/// | `s.erase(k)`         | `bool`               | `find(k)` is empty; true if a copy was dropped  |
///
/// What the compiler cannot check, and tests/contract does: the three may run concurrently and are
/// linearizable per key; one that fails throws StoreError and leaves the entry as it was, or
/// absent; none calls back into a policy. A copy of a store is a handle to the same entries;
/// `std::ref(store)` serves for one that cannot be copied.
template <class S>
concept Store = HasKeyType<S> && HasValueType<S> && Findable<S> && Puttable<S> && Erasable<S>;

/// A Store that also keeps the slot protocol: loads are leases, writes are tickets.
template <class S>
concept CoherentStore =
    Store<S> &&
    requires(S& s, const typename S::key_type& key, std::optional<typename S::value_type> value,
             const detail::Lease& lease, const detail::Ticket& ticket, detail::CopyTerms terms,
             std::span<const typename S::key_type> keys, typename S::Query query) {
        { s.open(key, query) } -> std::same_as<detail::Opening<typename S::value_type>>;
        {
            s.open_many(keys, query)
        } -> std::same_as<std::vector<detail::Opening<typename S::value_type>>>;
        { s.fill(key, lease, std::move(value), terms) } -> std::same_as<detail::Filled>;
        s.release(key, lease);
        s.withdraw(key, lease);
        { s.begin_write(key, Ttl{}) } -> std::same_as<detail::Ticket>;
        { s.begin_write_many(keys, Ttl{}) } -> std::same_as<std::vector<detail::Ticket>>;
        {
            s.finish_write(key, ticket, detail::Finish::nothing, std::move(value), terms)
        } -> std::same_as<bool>;
        { s.open_refresh(key, true) } -> std::same_as<detail::Opening<typename S::value_type>>;
        { s.clock() } -> Clock;
        { S::keeps_tags } -> std::convertible_to<bool>;
        { S::fallible } -> std::convertible_to<bool>;
        { S::shared } -> std::convertible_to<bool>;
    };

/// A Store that takes many keys in one round trip.
template <class S>
concept BatchStore =
    Store<S> &&
    requires(S& s, std::span<const typename S::key_type> keys,
             std::span<const std::pair<typename S::key_type, std::optional<typename S::value_type>>>
                 pairs,
             Lifetime life) {
        {
            s.find_many(keys)
        } -> std::same_as<std::vector<std::optional<Entry<typename S::value_type>>>>;
        s.put_many(pairs, life);
        { s.erase_many(keys) } -> std::convertible_to<std::size_t>;
    };

/// A CoherentStore whose entries carry tags.
template <class S>
concept TaggingStore =
    CoherentStore<S> && S::keeps_tags &&
    requires(S& s, std::span<const std::string> tags) { s.invalidate_tags(tags); };

// ---- Loader and Repository -----------------------------------------------------------------

namespace detail {

/// What a loader may give: exactly one of these, so that an `int` does not pass for a string.
template <class R, class V>
concept Loadable = std::same_as<R, std::optional<V>> || std::same_as<R, Loaded<V>> ||
                   std::same_as<R, V> || std::same_as<R, std::nullopt_t>;

/// What a std::reference_wrapper refers to; anything else as it is, its constness too.
template <class L>
struct Unwrap {
    using type = std::remove_reference_t<L>;
};
template <class L>
    requires(!std::same_as<std::unwrap_reference_t<std::remove_cvref_t<L>>, std::remove_cvref_t<L>>)
struct Unwrap<L> {
    using type = std::remove_reference_t<std::unwrap_reference_t<std::remove_cvref_t<L>>>;
};
template <class L>
using Unwrapped = typename Unwrap<L>::type;

template <class L, class K>
concept HasLoad = requires(Unwrapped<L>& l, const K& key) { l.load(key); };

template <class L, class K>
concept HasCall = requires(Unwrapped<L>& l, const K& key) { std::invoke(l, key); };

template <class L, class K>
concept CallsAtAll = HasLoad<L, K> || HasCall<L, K>;

/// `.load` where there is one, else the call operator.
template <class L, class K>
    requires CallsAtAll<L, K>
decltype(auto) call_loader(L& loader, const K& key) {
    auto& unwrapped = static_cast<Unwrapped<L>&>(loader);
    if constexpr (HasLoad<L, K>) {
        return unwrapped.load(key);
    } else {
        return std::invoke(unwrapped, key);
    }
}

template <class L, class K>
using LoadResult = std::remove_cvref_t<decltype(call_loader(
    std::declval<std::remove_reference_t<L>&>(), std::declval<const K&>()))>;

template <class L, class K, class V>
concept LoadsFor = CallsAtAll<L, K> && requires { requires Loadable<LoadResult<L, K>, V>; };

}  // namespace detail

/// Fetches the truth for a key: a callable, or an object with `.load(key)` (which wins), or a
/// std::reference_wrapper of either. It gives exactly `optional<V>`, `Loaded<V>`, `V` or `nullopt_t`.
///
/// It is called from several threads at once, may block and may throw anything, and must read the
/// latest committed state (no lagging replica). It must not ask the cache for the key it loads.
template <class L, class S>
concept LoaderFor = detail::LoadsFor<L, typename S::key_type, typename S::value_type>;

namespace detail {

template <class L, class S>
concept HasLoadMany =
    requires(Unwrapped<L>& l, std::span<const typename S::key_type> keys) { l.load_many(keys); };

template <class L, class S>
concept LoadsMany = requires(Unwrapped<L>& l, std::span<const typename S::key_type> keys) {
    requires Loadable<typename std::remove_cvref_t<decltype(l.load_many(keys))>::value_type,
                      typename S::value_type>;
};

template <class L, class S>
concept CallsWithMany = requires(Unwrapped<L>& l, std::span<const typename S::key_type> keys) {
    requires Loadable<typename std::remove_cvref_t<decltype(std::invoke(l, keys))>::value_type,
                      typename S::value_type>;
};

}  // namespace detail

/// A loader that fetches many keys at once: `load_many(span<const K>)` gives a vector of what `load`
/// may give, in the same order.
template <class L, class S>
concept BatchLoaderFor = LoaderFor<L, S> && detail::LoadsMany<L, S>;

/// What `warm` takes for one call: an object with `load_many`, a callable that does the same, or a
/// plain loader.
template <class L, class S>
concept BulkLoaderFor =
    detail::LoadsMany<L, S> ||
    (!detail::HasLoadMany<L, S> && (detail::CallsWithMany<L, S> || LoaderFor<L, S>));

namespace detail {

template <class R, class K, class V>
concept SavesPlain = requires(Unwrapped<R>& r, const K& key, const V& value) {
    r.save(key, value);
    r.remove(key);
};

template <class R, class K, class V>
concept SavesVersioned =
    requires(Unwrapped<R>& r, const K& key, const V& value, std::uint64_t version) {
        { r.save(key, value, version) } -> std::same_as<bool>;
        { r.remove(key, version) } -> std::same_as<bool>;
    };

/// What a batch write may answer.
template <class R>
concept Applied = std::same_as<R, void> || std::same_as<R, std::vector<bool>>;

template <class R, class S>
concept HasSaveMany =
    requires(Unwrapped<R>& r,
             std::span<const Change<typename S::key_type, typename S::value_type>> changes) {
        r.save_many(changes);
    };

}  // namespace detail

/// A repository whose writes carry a version: `save(k, v, version) -> bool` and `remove(k, version)
/// -> bool` apply when the row's version is not greater, and say whether they did.
template <class R, class S>
concept VersionedRepositoryFor =
    LoaderFor<R, S> && detail::SavesVersioned<R, typename S::key_type, typename S::value_type>;

/// A loader that also writes: `save(k, v)` and `remove(k)`. `save` may return the row as stored,
/// exactly `V` or `optional<V>`: that is then what is cached.
///
/// An exception that also derives from NotWritten, or that the repository's own
/// `wrote_nothing(const std::exception&)` accepts, says that nothing was written; any other leaves
/// the outcome unknown.
template <class R, class S>
concept RepositoryFor =
    LoaderFor<R, S> && detail::SavesPlain<R, typename S::key_type, typename S::value_type>;

/// A repository that writes many changes at once: `save_many(span<const Change<K, V>>)` gives
/// nothing, or a vector of bool: which were applied.
template <class R, class S>
concept BatchRepositoryFor =
    LoaderFor<R, S> &&
    requires(detail::Unwrapped<R>& r,
             std::span<const Change<typename S::key_type, typename S::value_type>> changes) {
        requires detail::Applied<std::remove_cvref_t<decltype(r.save_many(changes))>>;
    };

// ---- Codec ---------------------------------------------------------------------------------

/// Turns values into bytes and back. `textual`: its bytes are text that others may read.
///
/// `decode` throws CodecError (or anything) for bytes that it does not know: a counted miss.
template <class C, class V>
concept Codec = requires(const C& codec, const V& value, std::string_view bytes) {
    { codec.encode(value) } -> std::same_as<std::string>;
    { codec.decode(bytes) } -> std::same_as<V>;
    { C::textual } -> std::convertible_to<bool>;
};

// ---- What policies satisfy -----------------------------------------------------------------

/// A cache to read from: every policy.
template <class C>
concept Cache = requires(C& cache, const typename C::key_type& key,
                         std::span<const typename C::key_type> keys, const Read& how) {
    { cache.get(key) } -> std::same_as<std::optional<typename C::value_type>>;
    { cache.get(key, how) } -> std::same_as<std::optional<typename C::value_type>>;
    { cache.fetch(key) } -> std::same_as<Fetched<typename C::value_type>>;
    { cache.get_many(keys) } -> std::same_as<std::vector<std::optional<typename C::value_type>>>;
    { cache.refresh(key) } -> std::same_as<std::optional<typename C::value_type>>;
    cache.invalidate(key);
    cache.invalidate_many(keys);
    { cache.warm(keys) } -> std::same_as<WarmReport<typename C::key_type>>;
    cache.stats();
};

/// A cache to write through, too: a policy over a repository.
template <class C>
concept WritableCache = Cache<C> && requires(C& cache, const typename C::key_type& key,
                                             const typename C::value_type& value) {
    cache.put(key, value);
    cache.remove(key);
};

LARDER_NS_END

#endif  // LARDER_CONCEPTS_HPP
