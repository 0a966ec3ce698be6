// SPDX-License-Identifier: MIT

/// @file
/// memoize: any function, cached by its arguments.

#ifndef LARDER_MEMOIZE_HPP
#define LARDER_MEMOIZE_HPP

#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/policy/cache_aside.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <functional>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Calls a function with the parts of a key.
template <class S, class F>
class ApplyToKey {
public:
    using Key = typename Unwrapped<S>::key_type;
    using Value = typename Unwrapped<S>::value_type;

    explicit ApplyToKey(F function) : function_{std::move(function)} {}

    Loaded<Value> operator()(const Key& key) {
        if constexpr (std::invocable<F&, const Key&>) {
            return as_loaded<Value>(std::invoke(function_, key));
        } else {
            return as_loaded<Value>(std::apply(function_, key));
        }
    }

private:
    F function_;
};

}  // namespace detail

/// What `memoize` returns: called as the function is, it answers from the cache.
///
/// Thread safety: may be called concurrently, if the function may.
///
/// @tparam S  the store; its key is the argument, or a std::tuple of the arguments
template <class S, class F>
class Memoized {
    using Loader = detail::ApplyToKey<S, F>;

public:
    using cache_type = CacheAside<S, Loader>;
    using key_type = typename cache_type::key_type;
    using value_type = typename cache_type::value_type;

    /// @throws std::invalid_argument  an option makes no sense; it names field and value
    Memoized(S store, F function, Options options)
        : cache_{std::move(store), Loader{std::move(function)}, std::move(options)} {}

    /// The function's value for these arguments: computed once, then remembered for `Options::ttl`.
    ///
    /// @return what the store holds: `V`, or `std::optional<V>` where the function gives one
    /// @throws whatever the function throws, which is not remembered
    template <class... Args>
        requires std::constructible_from<key_type, const Args&...>
    auto operator()(const Args&... args) {
        if constexpr (sizeof...(Args) == 1 && (std::same_as<Args, key_type> && ...)) {
            return call(args...);
        } else {
            return call(key_type(args...));
        }
    }

    /// Forgets the value for these arguments.
    ///
    /// @return true if there was one
    /// @throws StoreError  it may still be given: a lost invalidation must not be silent
    template <class... Args>
        requires std::constructible_from<key_type, const Args&...>
    bool forget(const Args&... args) {
        return cache_.invalidate(key_type(args...));
    }

    /// The cache behind it: `stats()`, `refresh(key)` and all other verbs.
    [[nodiscard]] cache_type& cache() noexcept { return cache_; }

private:
    using Result = decltype(std::declval<Loader&>()(std::declval<const key_type&>()));

    template <class G, class K>
    static constexpr bool gives_value() {
        if constexpr (std::invocable<G&, const K&>) {
            return std::same_as<std::remove_cvref_t<std::invoke_result_t<G&, const K&>>,
                                value_type>;
        } else {
            return std::same_as<std::remove_cvref_t<decltype(std::apply(std::declval<G&>(),
                                                                        std::declval<const K&>()))>,
                                value_type>;
        }
    }

    // A function that always gives a value is not answered by an absence that another policy on the
    // store has found.
    auto call(const key_type& key) {
        std::optional<value_type> value = cache_.get(key);
        if constexpr (gives_value<F, key_type>()) {
            if (!value) {
                value = cache_.refresh(key);
            }
            return std::move(value).value();
        } else {
            return value;
        }
    }

    cache_type cache_;
};

/// Caches a function by its arguments, in a store whose key is made of them.
///
/// ```cpp
/// larder::MemoryStore<std::tuple<int, std::string>, double> store;
/// auto price = larder::memoize(store, quote, {.ttl = 1min});  // double quote(int, std::string)
/// price(42, "EUR");  // computed
/// price(42, "EUR");  // remembered
/// ```
///
/// The function must depend on its arguments alone. Callers that ask at once share one computation.
///
/// @throws std::invalid_argument  an option makes no sense; it names field and value
template <class S, class F>
[[nodiscard]] Memoized<S, F> memoize(S store, F function, Options options = {}) {
    return {std::move(store), std::move(function), std::move(options)};
}

LARDER_NS_END

#endif  // LARDER_MEMOIZE_HPP
