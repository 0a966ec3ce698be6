// SPDX-License-Identifier: MIT

/// @file
/// A queue of entries, threaded through them.

#ifndef LARDER_DETAIL_MEMORY_EVICTION_QUEUE_HPP
#define LARDER_DETAIL_MEMORY_EVICTION_QUEUE_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// What an entry carries for its eviction. Entries do not move while they are listed.
struct Evictable {
    std::uint8_t uses = 0;    // since it was listed, at most 3
    bool in_main = false;     // in the main queue, not the small one
    bool refreshing = false;  // not of eviction: it fills a gap that every hit reads anyway
    Evictable* newer = nullptr;
    Evictable* older = nullptr;

    /// All that a hit costs.
    void used() noexcept {
        if (uses < 3) {
            ++uses;
        }
    }
};

/// A queue of entries, threaded through them.
class EvictableQueue {
public:
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] Evictable* oldest() const noexcept { return oldest_; }

    void push(Evictable& entry) noexcept {
        entry.older = newest_;
        entry.newer = nullptr;
        (newest_ != nullptr ? newest_->newer : oldest_) = &entry;
        newest_ = &entry;
        ++size_;
    }
    void remove(Evictable& entry) noexcept {
        (entry.newer != nullptr ? entry.newer->older : newest_) = entry.older;
        (entry.older != nullptr ? entry.older->newer : oldest_) = entry.newer;
        --size_;
    }

private:
    Evictable* newest_ = nullptr;
    Evictable* oldest_ = nullptr;
    std::size_t size_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_EVICTION_QUEUE_HPP
