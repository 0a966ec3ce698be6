// SPDX-License-Identifier: MIT

/// @file
/// Makes any store one that keeps the slot protocol.

#ifndef LARDER_DETAIL_COHERENT_HPP
#define LARDER_DETAIL_COHERENT_HPP

#include <larder/concepts.hpp>
#include <larder/store/coordinated.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What a policy keeps of the store that it is given: a handle to it, or a coordinator around a plain one.
template <class S>
using Coherent = std::conditional_t<CoherentStore<Unwrapped<S>>, Unwrapped<S>, Coordinated<S>>;

template <class S>
[[nodiscard]] Coherent<S> coherent(S store) {
    if constexpr (std::same_as<S, Coherent<S>>) {
        return store;
    } else if constexpr (CoherentStore<Unwrapped<S>>) {
        return store.get();
    } else {
        return Coherent<S>{std::move(store)};
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_COHERENT_HPP
