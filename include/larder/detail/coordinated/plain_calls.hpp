// SPDX-License-Identifier: MIT

/// @file
/// What a user's plain store can do, and what it throws.

#ifndef LARDER_DETAIL_COORDINATED_PLAIN_CALLS_HPP
#define LARDER_DETAIL_COORDINATED_PLAIN_CALLS_HPP

#include <larder/clock.hpp>
#include <larder/concepts.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstddef>
#include <exception>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The store's own clock, where it has one.
template <class S>
struct ClockOf {
    using type = SteadyClock;
};
template <class S>
    requires requires(const S& s) {
        { s.clock() } -> Clock;
    }
struct ClockOf<S> {
    using type = std::remove_cvref_t<decltype(std::declval<const S&>().clock())>;
};

/// A plain store, whose failures are StoreErrors. One round trip for many keys where it can do that.
///
/// Thread safety: that of the store.
///
/// @tparam S  a plain Store, or a std::reference_wrapper of one
template <class S>
class PlainCalls {
    using Plain = Unwrapped<S>;

public:
    using Key = typename Plain::key_type;
    using Value = typename Plain::value_type;
    using Pair = std::pair<Key, std::optional<Value>>;
    using clock_type = typename ClockOf<Plain>::type;

    static constexpr bool finds_many = requires(Plain& plain, std::span<const Key> keys) {
        { plain.find_many(keys) } -> std::same_as<std::vector<std::optional<Entry<Value>>>>;
    };
    static constexpr bool puts_many = requires(Plain& plain, std::span<const Pair> pairs,
                                               Lifetime life) { plain.put_many(pairs, life); };
    static constexpr bool erases_many = requires(Plain& plain, std::span<const Key> keys) {
        { plain.erase_many(keys) } -> std::convertible_to<std::size_t>;
    };

    explicit PlainCalls(S store) : store_{std::move(store)} {}

    [[nodiscard]] std::optional<Entry<Value>> find(const Key& key) {
        return call(key, [&] { return plain().find(key); });
    }
    void put(const Key& key, std::optional<Value> value, const Lifetime& life) {
        call(key, [&] {
            plain().put(key, std::move(value), cut(life));
            return true;
        });
    }
    bool erase(const Key& key) {
        return call(key, [&] { return plain().erase(key); });
    }

    /// @throws StoreError  too, if it did not answer for each key
    [[nodiscard]] std::vector<std::optional<Entry<Value>>> find_many(std::span<const Key> keys)
        requires finds_many
    {
        auto entries = call(keys.front(), [&] { return plain().find_many(keys); });
        if (entries.size() != keys.size()) {
            throw StoreError{Errc::bad_batch,
                             "the store was asked for " + std::to_string(keys.size()) +
                                 " keys and answered for " + std::to_string(entries.size())};
        }
        return entries;
    }
    void put_many(std::span<const Pair> pairs, const Lifetime& life)
        requires puts_many
    {
        call(pairs.front().first, [&] {
            plain().put_many(pairs, cut(life));
            return true;
        });
    }
    std::size_t erase_many(std::span<const Key> keys)
        requires erases_many
    {
        return call(keys.front(),
                    [&] { return static_cast<std::size_t>(plain().erase_many(keys)); });
    }

    /// @throws StoreError  if it has no such function
    void clear() {
        if constexpr (requires { plain().clear(); }) {
            plain().clear();
        } else {
            throw StoreError{"it cannot be cleared"};
        }
    }

    /// The store's own, or one of real time.
    [[nodiscard]] clock_type clock() {
        if constexpr (requires {
                          { plain().clock() } -> Clock;
                      }) {
            return plain().clock();
        } else {
            return clock_type{};
        }
    }

    /// What it counts itself, if it does.
    [[nodiscard]] Stats stats() {
        if constexpr (requires {
                          { plain().stats() } -> std::same_as<Stats>;
                      }) {
            return plain().stats();
        } else {
            return {};
        }
    }

private:
    [[nodiscard]] Plain& plain() noexcept { return static_cast<Plain&>(store_); }

    template <class Operation>
    static auto call(const Key& key, Operation&& operation) {
        try {
            return operation();
        } catch (const StoreError&) {
            throw;
        } catch (const std::exception& error) {
            std::throw_with_nested(StoreError{"key " + key_text(key) + ": " + error.what()});
        } catch (...) {
            std::throw_with_nested(StoreError{"key " + key_text(key)});
        }
    }

    S store_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_COORDINATED_PLAIN_CALLS_HPP
