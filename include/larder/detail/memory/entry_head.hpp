// SPDX-License-Identifier: MIT

/// @file
/// The sixteen bytes that an entry of a MemoryStore has besides its key and its value.

#ifndef LARDER_DETAIL_MEMORY_ENTRY_HEAD_HPP
#define LARDER_DETAIL_MEMORY_ENTRY_HEAD_HPP

#include <larder/detail/memory/packed_life.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// Microseconds since a store was made.
using Micros = std::uint64_t;

/// The number of an entry in its shard; 0: none.
using EntryId = std::uint32_t;

/// How many bits a number has: a shard holds at most so many entries, less one.
inline constexpr unsigned entry_id_bits = 20;

/// What a hit needs to know of an entry, in one word.
class EntryState {
public:
    /// The latest moment there is, in about 570 years.
    static constexpr Micros end_of_time = (Micros{1} << 54U) - 1;

    EntryState() = default;
    explicit constexpr EntryState(std::uint64_t bits) noexcept : bits_{bits} {}
    [[nodiscard]] constexpr std::uint64_t bits() const noexcept { return bits_; }

    /// Where its freshness ends; 0: there is no copy, a write in flight has taken it.
    [[nodiscard]] constexpr Micros fresh_until() const noexcept { return bits_ >> 10U; }
    [[nodiscard]] constexpr bool vacant() const noexcept { return fresh_until() == 0; }
    [[nodiscard]] constexpr bool fresh(Micros now) const noexcept { return now < fresh_until(); }

    /// An entry, and not the place of one.
    [[nodiscard]] constexpr bool listed() const noexcept { return (bits_ & listed_bit) != 0; }
    /// It has a value; else the source is known to have none.
    [[nodiscard]] constexpr bool has_value() const noexcept { return (bits_ & value_bit) != 0; }
    /// A reload of it was under way, and may still be.
    [[nodiscard]] constexpr bool refreshing() const noexcept {
        return (bits_ & refreshing_bit) != 0;
    }
    /// There is more to it than its freshness: it carries tags, or a reload may be under way.
    [[nodiscard]] constexpr bool needs_lock() const noexcept {
        return (bits_ & (marked_bit | refreshing_bit)) != 0;
    }
    /// It carries tags.
    [[nodiscard]] constexpr bool marked() const noexcept { return (bits_ & marked_bit) != 0; }
    /// It has a grace.
    [[nodiscard]] constexpr bool graced() const noexcept { return (bits_ & graced_bit) != 0; }
    /// How often it was hit, as far as the eviction policy counts.
    [[nodiscard]] constexpr unsigned uses() const noexcept {
        return static_cast<unsigned>(bits_ & uses_bits);
    }
    /// Which queue of the eviction policy it is in.
    [[nodiscard]] constexpr unsigned queue() const noexcept {
        return static_cast<unsigned>(bits_ >> 8U) & 3U;
    }

    [[nodiscard]] constexpr EntryState with_fresh_until(Micros until) const noexcept {
        return EntryState{(bits_ & 1023U) | (until << 10U)};
    }
    [[nodiscard]] constexpr EntryState with_listed(bool is) const noexcept {
        return with(listed_bit, is);
    }
    [[nodiscard]] constexpr EntryState with_value(bool is) const noexcept {
        return with(value_bit, is);
    }
    [[nodiscard]] constexpr EntryState with_refreshing(bool is) const noexcept {
        return with(refreshing_bit, is);
    }
    [[nodiscard]] constexpr EntryState with_marked(bool is) const noexcept {
        return with(marked_bit, is);
    }
    [[nodiscard]] constexpr EntryState with_graced(bool is) const noexcept {
        return with(graced_bit, is);
    }
    [[nodiscard]] constexpr EntryState with_uses(unsigned uses) const noexcept {
        return EntryState{(bits_ & ~uses_bits) | (uses & uses_bits)};
    }
    [[nodiscard]] constexpr EntryState with_queue(unsigned queue) const noexcept {
        return EntryState{(bits_ & ~(std::uint64_t{3} << 8U)) | (std::uint64_t{queue & 3U} << 8U)};
    }

private:
    static constexpr std::uint64_t uses_bits = 7;
    static constexpr std::uint64_t listed_bit = 1U << 3U;
    static constexpr std::uint64_t value_bit = 1U << 4U;
    static constexpr std::uint64_t refreshing_bit = 1U << 5U;
    static constexpr std::uint64_t marked_bit = 1U << 6U;
    static constexpr std::uint64_t graced_bit = 1U << 7U;

    [[nodiscard]] constexpr EntryState with(std::uint64_t bit, bool is) const noexcept {
        return EntryState{is ? bits_ | bit : bits_ & ~bit};
    }

    std::uint64_t bits_ = 0;
};

/// What an entry has besides its key and its value. Only who has the shard's lock changes it, but for
/// the uses, which readers count.
class EntryHead {
public:
    [[nodiscard]] EntryState state() const noexcept {
        return EntryState{state_.load(std::memory_order_acquire)};
    }
    void set(EntryState state) noexcept { state_.store(state.bits(), std::memory_order_release); }

    /// One hit more, by a reader who saw `seen`, without the lock. It is lost where the entry has
    /// changed since.
    void used(EntryState seen, unsigned most) noexcept {
        if (seen.uses() < most) {
            std::uint64_t bits = seen.bits();
            state_.compare_exchange_strong(bits, bits + 1, std::memory_order_relaxed);
        }
    }

    /// The life that it was given.
    [[nodiscard]] Ttl life() const noexcept { return PackedLife::unpack(packed_life()); }
    [[nodiscard]] std::uint64_t packed_life() const noexcept {
        return links_.load(std::memory_order_acquire) >> 40U;
    }
    void set_life(Ttl life) noexcept { set_link(PackedLife::pack(life), 40, PackedLife::bits); }

    /// The neighbours in its queue.
    [[nodiscard]] EntryId newer() const noexcept { return link(entry_id_bits); }
    [[nodiscard]] EntryId older() const noexcept { return link(0); }
    void set_newer(EntryId id) noexcept { set_link(id, entry_id_bits, entry_id_bits); }
    void set_older(EntryId id) noexcept { set_link(id, 0, entry_id_bits); }

private:
    [[nodiscard]] EntryId link(unsigned at) const noexcept {
        constexpr std::uint64_t mask = (std::uint64_t{1} << entry_id_bits) - 1;
        return static_cast<EntryId>((links_.load(std::memory_order_relaxed) >> at) & mask);
    }
    void set_link(std::uint64_t to, unsigned at, unsigned bits) noexcept {
        const std::uint64_t mask = ((std::uint64_t{1} << bits) - 1) << at;
        const std::uint64_t others = links_.load(std::memory_order_relaxed) & ~mask;
        links_.store(others | (to << at), std::memory_order_release);
    }

    std::atomic<std::uint64_t> state_{0};
    std::atomic<std::uint64_t> links_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_ENTRY_HEAD_HPP
