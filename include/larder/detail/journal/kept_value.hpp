// SPDX-License-Identifier: MIT

/// @file
/// A value whose replacement cannot fail.

#ifndef LARDER_DETAIL_JOURNAL_KEPT_VALUE_HPP
#define LARDER_DETAIL_JOURNAL_KEPT_VALUE_HPP

#include <larder/version.hpp>

#include <memory>
#include <optional>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

/// A value, or none: in place where its moves cannot fail, else on the heap.
template <class V>
using KeptValue =
    std::conditional_t<std::is_nothrow_move_constructible_v<V> && std::is_nothrow_swappable_v<V>,
                       std::optional<V>, std::unique_ptr<V>>;

/// A copy of a value, or none of null.
template <class V>
[[nodiscard]] KeptValue<V> keep_copy(const V* value) {
    KeptValue<V> kept{};
    if (value != nullptr) {
        if constexpr (std::is_same_v<KeptValue<V>, std::optional<V>>) {
            kept.emplace(*value);
        } else {
            kept = std::make_unique<V>(*value);
        }
    }
    return kept;
}

/// A copy of it.
template <class V>
[[nodiscard]] std::optional<V> copy_of(const KeptValue<V>& value) {
    return value ? std::optional<V>{*value} : std::nullopt;
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_JOURNAL_KEPT_VALUE_HPP
