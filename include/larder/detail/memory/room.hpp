// SPDX-License-Identifier: MIT

/// @file
/// How much a MemoryStore holds, and how much it may.

#ifndef LARDER_DETAIL_MEMORY_ROOM_HPP
#define LARDER_DETAIL_MEMORY_ROOM_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstddef>

LARDER_NS_BEGIN

namespace detail {

/// The room of all shards. Counting before storing keeps the bounds hard, however many threads store.
///
/// Thread safety: all members may run concurrently.
class Room {
public:
    /// @param max_weight  0: weight does not count
    Room(std::size_t capacity, std::size_t max_weight) noexcept
        : capacity_{capacity}, max_weight_{max_weight} {}

    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] std::size_t entries() const noexcept {
        return entries_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::size_t weight() const noexcept {
        return weight_.load(std::memory_order_relaxed);
    }
    /// The most of what is bounded: weight, if that is.
    [[nodiscard]] std::size_t most() const noexcept {
        return max_weight_ != 0 ? max_weight_ : capacity_;
    }
    /// True if an entry of this weight would not fit into an empty store.
    [[nodiscard]] bool never_fits(std::size_t weight) const noexcept {
        return max_weight_ != 0 && weight > max_weight_;
    }

    /// Takes room for so many entries of so much weight in all; false if there is none.
    bool reserve(std::size_t entries, std::size_t weight) noexcept {
        if (!add(entries_, capacity_, entries)) {
            return false;
        }
        if (max_weight_ != 0 && !add(weight_, max_weight_, weight)) {
            free(entries, 0);
            return false;
        }
        return true;
    }
    /// Gives it back.
    void free(std::size_t entries, std::size_t weight) noexcept {
        if (entries != 0) {
            entries_.fetch_sub(entries, std::memory_order_relaxed);
        }
        if (weight != 0) {
            weight_.fetch_sub(weight, std::memory_order_relaxed);
        }
    }

private:
    // A full store is only looked at: no line goes from core to core for it.
    static bool add(std::atomic<std::size_t>& used, std::size_t most, std::size_t more) noexcept {
        if (more == 0) {
            return true;
        }
        std::size_t now = used.load(std::memory_order_relaxed);
        do {
            if (more > most || now > most - more) {
                return false;
            }
        } while (!used.compare_exchange_weak(now, now + more, std::memory_order_relaxed));
        return true;
    }

    const std::size_t capacity_;
    const std::size_t max_weight_;
    alignas(64) std::atomic<std::size_t> entries_{0};
    std::atomic<std::size_t> weight_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_ROOM_HPP
