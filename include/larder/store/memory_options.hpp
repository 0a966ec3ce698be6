// SPDX-License-Identifier: MIT

/// @file
/// How large a MemoryStore may be, and who is told of what leaves it.

#ifndef LARDER_STORE_MEMORY_OPTIONS_HPP
#define LARDER_STORE_MEMORY_OPTIONS_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

LARDER_NS_BEGIN

/// Why a copy left a MemoryStore.
enum class RemovalCause : std::uint8_t {
    replaced,  ///< another value took its place: `put`, a load that filled, a write that finished
    erased,    ///< `erase`, an invalidation, a write that began
    expired,   ///< its life and its grace had passed, or one of its tags was invalidated
    evicted,   ///< there was no room
    cleared,   ///< `clear`
};

/// The enumerator's name.
[[nodiscard]] constexpr std::string_view to_string(RemovalCause cause) noexcept {
    switch (cause) {
        case RemovalCause::replaced: return "replaced";
        case RemovalCause::erased: return "erased";
        case RemovalCause::expired: return "expired";
        case RemovalCause::evicted: return "evicted";
        case RemovalCause::cleared: return "cleared";
    }
    return "unknown";
}

/// Tuning of a MemoryStore, written with designated initialisers: `{.capacity = 10'000}`.
template <class K, class V>
struct MemoryStoreOptions {
    /// The most entries, a hard bound. Unset: 100,000, or no bound where `max_weight` is set.
    std::optional<std::size_t> capacity{};

    /// The most weight, as `weigh` counts it; 0: weight does not count.
    std::size_t max_weight{0};

    /// The weight of an entry, at least 1, asked once when it is stored. Must be pure.
    std::function<std::size_t(const K&, const V&)> weigh{};

    /// How many parts with a lock each; 0: by the number of cores and the capacity. There are more where
    /// one would have to hold more than half a million entries; it never holds more than a million.
    std::size_t shards{0};

    /// Told of each value that left, after it has left, without a lock held: it may call the store.
    /// What it throws is ignored.
    std::function<void(const K&, const V&, RemovalCause)> on_removal{};
};

LARDER_NS_END

#endif  // LARDER_STORE_MEMORY_OPTIONS_HPP
