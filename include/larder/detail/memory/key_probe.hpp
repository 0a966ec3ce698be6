// SPDX-License-Identifier: MIT

/// @file
/// What is looked up in a MemoryStore.

#ifndef LARDER_DETAIL_MEMORY_KEY_PROBE_HPP
#define LARDER_DETAIL_MEMORY_KEY_PROBE_HPP

#include <larder/detail/support/mix.hpp>
#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// The hash of a key, whose high bits count, too: one of fewer bits is spread.
template <class KeyHash, class Q>
[[nodiscard]] std::uint64_t hash_bits(const Q& key) noexcept(noexcept(KeyHash{}(key))) {
    const auto hash = KeyHash{}(key);
    if constexpr (sizeof(hash) < sizeof(std::uint64_t)) {
        return mix_bits(static_cast<std::uint64_t>(hash));
    } else {
        return static_cast<std::uint64_t>(hash);
    }
}

/// A key, or what it is looked up by, beside its hash: it is hashed once an operation.
template <class Q>
struct KeyProbe {
    const Q& key;
    std::uint64_t hash;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_KEY_PROBE_HPP
