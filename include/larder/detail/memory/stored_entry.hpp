// SPDX-License-Identifier: MIT

/// @file
/// An entry of a MemoryStore.

#ifndef LARDER_DETAIL_MEMORY_STORED_ENTRY_HPP
#define LARDER_DETAIL_MEMORY_STORED_ENTRY_HPP

#include <larder/detail/memory/cell.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/key_probe.hpp>
#include <larder/version.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

LARDER_NS_BEGIN

namespace detail {

/// The hash of a key, where asking for it again might fail or cost much.
template <bool Keeps>
struct KeptHash {
    std::uint64_t hash = 0;
};
template <>
struct KeptHash<false> {};

/// Comparing such keys looks at nothing but their bytes.
template <class K>
inline constexpr bool plain_key = std::is_arithmetic_v<K> || std::is_enum_v<K>;
template <class T, std::size_t N>
inline constexpr bool plain_key<std::array<T, N>> = plain_key<T>;

/// They are compared by ==.
template <class K, class KeyEqual>
inline constexpr bool plainly_equal =
    std::is_same_v<KeyEqual, std::equal_to<>> || std::is_same_v<KeyEqual, std::equal_to<K>>;

/// A head, a key and a value. The key is there while the state says `listed`, the value while it says
/// `has_value`.
template <class K, class V, class KeyHash, class KeyEqual>
struct StoredEntry : EntryHead,
                     KeptHash<!(std::is_trivially_copyable_v<K> && sizeof(K) <= 16 &&
                                std::is_nothrow_invocable_v<const KeyHash&, const K&>)> {
    using Key = K;
    using Value = V;

    /// Readers take a copy of it without the lock. What a pointer in it shows may be gone by then, so that
    /// of a key none is followed, and a value is none.
    static constexpr bool by_words = plain_key<K> && plainly_equal<K, KeyEqual> &&
                                     std::is_trivially_copyable_v<V> && !std::is_pointer_v<V> &&
                                     std::is_same_v<Kept<K>, K> && std::is_same_v<Kept<V>, V> &&
                                     sizeof(K) + sizeof(V) <= 128;

    Cell<K, by_words> key{};
    Cell<V, by_words> value{};

    [[nodiscard]] std::uint64_t hash_of_key() const noexcept {
        if constexpr (requires { this->hash; }) {
            return this->hash;
        } else {
            return hash_bits<KeyHash>(key.get());
        }
    }
    void set_hash(std::uint64_t is) noexcept {
        if constexpr (requires { this->hash; }) {
            this->hash = is;
        }
    }
    /// Destroys what is in it.
    void clear() noexcept {
        if (this->state().has_value()) {
            (void)value.take();
        }
        if (this->state().listed()) {
            (void)key.take();
        }
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_STORED_ENTRY_HPP
