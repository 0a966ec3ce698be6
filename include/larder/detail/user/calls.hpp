// SPDX-License-Identifier: MIT

/// @file
/// The one place that calls the user's loader and repository, and makes their answers alike.

#ifndef LARDER_DETAIL_USER_CALLS_HPP
#define LARDER_DETAIL_USER_CALLS_HPP

#include <larder/concepts.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

template <class V, class R>
Loaded<V> as_loaded(R&& result) {
    if constexpr (std::same_as<std::remove_cvref_t<R>, Loaded<V>>) {
        return std::forward<R>(result);
    } else {
        // Not an aggregate initialiser: V may be constructible from an optional of itself.
        Loaded<V> loaded;
        loaded.value = std::optional<V>(std::forward<R>(result));
        return loaded;
    }
}

/// What a load brought, and from where.
template <class V>
struct Sourced {
    Loaded<V> loaded{};
    Source source = Source::loaded;
};

/// Whether what a loader gives may carry tags of its own: one that gives no Loaded has none to give.
template <class L, class S>
[[nodiscard]] consteval bool loads_tags() {
    using Key = typename S::key_type;
    using Value = typename S::value_type;
    if constexpr (requires { typename Unwrapped<L>::repository_type; }) {
        return loads_tags<typename Unwrapped<L>::repository_type,
                          S>();  // a pending change has none
    } else {
        bool tags = false;
        if constexpr (LoadsFor<L, Key, Value>) {
            tags = std::same_as<LoadResult<L, Key>, Loaded<Value>>;
        }
        if constexpr (LoadsMany<L, S>) {
            using Rows = std::remove_cvref_t<decltype(std::declval<Unwrapped<L>&>().load_many(
                std::declval<std::span<const Key>>()))>;
            tags = tags || std::same_as<typename Rows::value_type, Loaded<Value>>;
        }
        return tags;
    }
}

template <class V, class L, class K>
Loaded<V> load_one(L& loader, const K& key) {
    return as_loaded<V>(call_loader(loader, key));
}

/// Nothing is done around a load.
struct Unframed {
    template <class K>
    int operator()(const K&) const noexcept {
        return 0;
    }
};

/// In one batch where the loader can, else one by one.
///
/// @param around  gives an object that lives while a key is loaded alone
/// @throws Error  `bad_batch`: the loader answered for another number of keys
template <class V, class L, class K, class Around = Unframed>
std::vector<Loaded<V>> load_many(L& loader, std::span<const K> keys, const Around& around = {}) {
    auto& unwrapped = static_cast<Unwrapped<L>&>(loader);
    std::vector<Loaded<V>> all;
    all.reserve(keys.size());
    if constexpr (requires { unwrapped.load_many(keys); }) {
        using Results = decltype(unwrapped.load_many(keys));
        Results&& results = unwrapped.load_many(keys);
        if (results.size() != keys.size()) {
            throw Error{Errc::bad_batch, "load_many was asked for " + std::to_string(keys.size()) +
                                             " keys and answered for " +
                                             std::to_string(results.size())};
        }
        for (auto&& result : results) {
            if constexpr (std::is_reference_v<Results>) {
                all.push_back(as_loaded<V>(result));  // the loader keeps them
            } else {
                all.push_back(as_loaded<V>(std::move(result)));
            }
        }
    } else {
        for (const K& key : keys) {
            [[maybe_unused]] const auto& frame = around(key);
            all.push_back(load_one<V>(loader, key));
        }
    }
    return all;
}

/// What `given` says, a loader for one call. Where the policy's own loader holds back changes that
/// the database has not seen, these cover it.
template <class V, class Own, class L, class K>
Sourced<V> load_one_covered(Own& own, L& given, const K& key) {
    if constexpr (requires { own.load_sourced(key, given); }) {
        return own.load_sourced(key, given);
    } else {
        return {load_one<V>(given, key)};
    }
}

/// The same for many keys.
template <class V, class Own, class L, class K, class Around = Unframed>
std::vector<Loaded<V>> load_many_covered(Own& own, L& given, std::span<const K> keys,
                                         const Around& around = {}) {
    if constexpr (requires { own.load_many_covered(keys, given, around); }) {
        return own.load_many_covered(keys, given, around);
    } else {
        return load_many<V>(given, keys, around);
    }
}

/// @param row  keeps what `save` gives, if it gives the row as stored
/// @return the row as it now is: `value`, unless `save` says another; null: it says that there is none
template <class V, class R, class K>
const V* save_one(R& repository, const K& key, const V& value, std::optional<V>& row) {
    auto& unwrapped = static_cast<Unwrapped<R>&>(repository);
    using Result = std::remove_cvref_t<decltype(unwrapped.save(key, value))>;
    if constexpr (std::same_as<Result, V>) {
        return std::addressof(row.emplace(unwrapped.save(key, value)));
    } else if constexpr (std::same_as<Result, std::optional<V>>) {
        row = unwrapped.save(key, value);
        return row ? std::addressof(*row) : nullptr;
    } else {
        static_cast<void>(unwrapped.save(key, value));
        return std::addressof(value);
    }
}

template <class R, class K>
void remove_one(R& repository, const K& key) {
    static_cast<void>(static_cast<Unwrapped<R>&>(repository).remove(key));
}

/// @return which changes were applied
/// @throws Error  `bad_batch`: the repository answered for another number of changes
template <class R, class K, class V>
std::vector<bool> save_many(R& repository, std::span<const Change<K, V>> changes) {
    auto& unwrapped = static_cast<Unwrapped<R>&>(repository);
    using Result = std::remove_cvref_t<decltype(unwrapped.save_many(changes))>;
    if constexpr (std::same_as<Result, std::vector<bool>>) {
        std::vector<bool> applied = unwrapped.save_many(changes);
        if (applied.size() != changes.size()) {
            throw Error{Errc::bad_batch, "save_many was given " + std::to_string(changes.size()) +
                                             " changes and answered for " +
                                             std::to_string(applied.size())};
        }
        return applied;
    } else {
        static_cast<void>(unwrapped.save_many(changes));
        return std::vector<bool>(changes.size(), true);
    }
}

/// True only if the exception, or the repository itself, says that nothing was written.
template <class R>
[[nodiscard]] bool wrote_nothing(R& repository, const std::exception_ptr& failure) noexcept {
    try {
        std::rethrow_exception(failure);
    } catch (const NotWritten&) {
        return true;
    } catch (const std::exception& error) {
        auto& unwrapped = static_cast<Unwrapped<R>&>(repository);
        if constexpr (requires {
                          { unwrapped.wrote_nothing(error) } -> std::convertible_to<bool>;
                      }) {
            try {
                return unwrapped.wrote_nothing(error);
            } catch (...) {
                return false;
            }
        } else {
            return false;
        }
    } catch (...) {
        return false;
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_USER_CALLS_HPP
