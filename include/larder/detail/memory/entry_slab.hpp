// SPDX-License-Identifier: MIT

/// @file
/// The entries of a shard, by number.

#ifndef LARDER_DETAIL_MEMORY_ENTRY_SLAB_HPP
#define LARDER_DETAIL_MEMORY_ENTRY_SLAB_HPP

#include <larder/detail/memory/chunks.hpp>
#include <larder/detail/memory/entry_head.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// What the shards of one type of store know of its entries.
struct EntryType {
    std::size_t size;                                  ///< of an entry
    EntryHead* (*make)(void* at);                      ///< a new one, of nothing
    std::uint64_t (*hash)(const EntryHead&) noexcept;  ///< of its key
    void (*clear)(EntryHead&) noexcept;                ///< destroys what is in it

    /// Of entries like `E`, which begins with an `EntryHead`.
    template <class E>
    static const EntryType& of() noexcept {
        static constexpr EntryType type{
            sizeof(E), [](void* at) -> EntryHead* { return ::new (at) E; },
            [](const EntryHead& head) noexcept {
                return static_cast<const E&>(head).hash_of_key();
            },
            [](EntryHead& head) noexcept { static_cast<E&>(head).clear(); }};
        return type;
    }
};

/// Entries in chunks, which never move: numbers are as good as addresses, in half the room.
///
/// Thread safety: under the shard's lock, but for `as`, of a number that was handed over by a release
/// store.
class EntrySlab {
public:
    /// The most entries of a shard.
    static constexpr std::size_t most = (std::size_t{1} << entry_id_bits) - 1;

    explicit EntrySlab(const EntryType& type) noexcept
        : type_{type}, chunks_{type.size << chunk_bits_} {}
    EntrySlab(const EntrySlab&) = delete;
    EntrySlab& operator=(const EntrySlab&) = delete;
    ~EntrySlab() {
        for (EntryId id = 1; id < end_; ++id) {
            type_.clear(head(id));
        }
    }

    /// Says how many entries it may come to hold, before it holds any. A chunk costs some eighty bytes
    /// of the allocator's, and half of the last one is waste: their sum is least about here.
    ///
    /// @param share  more than `most`: nobody knows
    void expect(std::size_t share) noexcept {
        constexpr std::size_t largest = 16'384;  // bytes
        const std::size_t entries = share > most ? 2'048 : share;
        chunk_bits_ = std::clamp(static_cast<unsigned>(std::bit_width(5 * entries) / 2), 4U, 10U);
        while (chunk_bits_ > 2 && type_.size << chunk_bits_ > largest) {
            --chunk_bits_;
        }
        chunks_.resize_chunks(type_.size << chunk_bits_);
    }

    [[nodiscard]] EntryHead& head(EntryId id) const noexcept {
        return *reinterpret_cast<EntryHead*>(chunks_.at(id >> chunk_bits_) +
                                             (id & mask()) * type_.size);
    }
    /// The same as what it is.
    template <class E>
    [[nodiscard, gnu::always_inline]] E& as(EntryId id) const noexcept {
        const unsigned bits = chunk_bits_;  // read once
        return reinterpret_cast<E*>(chunks_.at(id >> bits))[id & ((EntryId{1} << bits) - 1)];
    }
    [[nodiscard]] std::uint64_t hash(EntryId id) const noexcept { return type_.hash(head(id)); }

    /// The numbers that were ever handed out are below.
    [[nodiscard]] EntryId end() const noexcept { return end_; }
    /// True if no entry more can be had.
    [[nodiscard]] bool full() const noexcept { return first_free_ == 0 && end_ > most; }

    /// A number for an entry; not while `full`.
    ///
    /// @throws std::bad_alloc  in which case there is none
    EntryId allocate() {
        if (first_free_ != 0) {
            const EntryId id = first_free_;
            first_free_ = head(id).newer();
            return id;
        }
        while (end_ >= chunks_.size() << chunk_bits_) {
            std::byte* const chunk = chunks_.add();
            for (std::size_t n = 0; n <= mask(); ++n) {
                type_.make(chunk + n * type_.size);
            }
        }
        return end_++;
    }
    /// Gives one back, in which nothing is left.
    void free(EntryId id) noexcept {
        EntryHead& entry = head(id);
        entry.set(EntryState{});
        entry.set_newer(first_free_);
        first_free_ = id;
    }

private:
    [[nodiscard]] std::size_t mask() const noexcept { return (std::size_t{1} << chunk_bits_) - 1; }

    const EntryType& type_;
    unsigned chunk_bits_ = 4;
    Chunks chunks_;
    EntryId end_ = 1;  // 0 is none
    EntryId first_free_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_ENTRY_SLAB_HPP
