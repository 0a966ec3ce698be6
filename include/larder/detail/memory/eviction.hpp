// SPDX-License-Identifier: MIT

/// @file
/// Which copy goes when there is no room: S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are
/// all you need for cache eviction", SOSP 2023, algorithm 1).

#ifndef LARDER_DETAIL_MEMORY_EVICTION_HPP
#define LARDER_DETAIL_MEMORY_EVICTION_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>

LARDER_NS_BEGIN

namespace detail {

/// What an entry carries for its eviction. Entries do not move while they are listed.
struct Evictable {
    std::uint8_t uses = 0;    // since it was listed, at most 3
    bool settled = false;     // in the main queue
    bool refreshing = false;  // not ours: it fills a gap that every hit reads anyway
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
class EvictionQueue {
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

/// The hashes of entries that went from the small queue not long ago.
template <class Hash = std::size_t>
class Ghosts {
public:
    void add(Hash hash, std::size_t most) {
        order_.push_back(hash);
        ++counts_[hash];
        while (order_.size() > most) {
            forget(order_.front());
            order_.pop_front();
        }
    }
    /// True, once, if the hash is remembered.
    bool take(Hash hash) noexcept { return counts_.erase(hash) > 0; }

private:
    void forget(Hash hash) {
        if (const auto at = counts_.find(hash); at != counts_.end() && --at->second == 0) {
            counts_.erase(at);
        }
    }

    std::deque<Hash> order_{};
    std::unordered_map<Hash, std::uint32_t> counts_{};
};

/// New entries pass through a small queue, a tenth of all; those used there more than once, and
/// those that come back soon after they went, stay in the main queue. A scan passes through the
/// small queue and leaves the rest alone.
///
/// Not synchronised. Owns none of the entries.
///
/// @tparam Entry  derives from Evictable
template <class Entry>
class Eviction {
public:
    void insert(Evictable& entry, std::size_t hash) noexcept {
        entry.uses = 0;
        entry.settled = ghosts_.take(hash);
        queue_of(entry).push(entry);
    }

    /// For an entry that leaves for another reason than lack of room.
    void remove(Evictable& entry) noexcept { queue_of(entry).remove(entry); }

    /// For when all entries leave at once.
    void forget() noexcept { small_ = main_ = {}; }

    /// Unlists the entry that is to go; null if there is none.
    ///
    /// @param hash_of  the hash of an entry's key
    template <class HashOf>
    Entry* evict(HashOf&& hash_of) noexcept {
        while (small_.size() + main_.size() > 0) {
            const bool from_small =
                main_.size() == 0 || small_.size() * 10 > small_.size() + main_.size();
            EvictionQueue& queue = from_small ? small_ : main_;
            Entry& entry = static_cast<Entry&>(*queue.oldest());
            if (from_small && entry.uses <= 1) {
                // What is remembered is a matter of luck: without room for it, go on.
                try {
                    ghosts_.add(hash_of(entry), (std::max)(main_.size(), std::size_t{1}));
                } catch (...) {}
                queue.remove(entry);
                return &entry;
            }
            if (!from_small && entry.uses == 0) {
                queue.remove(entry);
                return &entry;
            }
            queue.remove(entry);
            entry.uses = from_small ? std::uint8_t{0} : static_cast<std::uint8_t>(entry.uses - 1);
            entry.settled = true;
            main_.push(entry);
        }
        return nullptr;
    }

private:
    EvictionQueue& queue_of(const Evictable& entry) noexcept {
        return entry.settled ? main_ : small_;
    }

    EvictionQueue small_{};
    EvictionQueue main_{};
    Ghosts<> ghosts_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_EVICTION_HPP
