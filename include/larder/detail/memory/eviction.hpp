// SPDX-License-Identifier: MIT

/// @file
/// Which copy goes when there is no room: S3-FIFO (Yang, Zhang, Qiu, Yue and Rashmi, "FIFO queues are
/// all you need for cache eviction", SOSP 2023, algorithm 1).

#ifndef LARDER_DETAIL_MEMORY_EVICTION_HPP
#define LARDER_DETAIL_MEMORY_EVICTION_HPP

#include <larder/detail/memory/eviction_queue.hpp>
#include <larder/detail/memory/ghosts.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

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
        entry.in_main = ghosts_.recall(hash);
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
            EvictableQueue& queue = from_small ? small_ : main_;
            auto& entry = static_cast<Entry&>(*queue.oldest());
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
            entry.in_main = true;
            main_.push(entry);
        }
        return nullptr;
    }

private:
    EvictableQueue& queue_of(const Evictable& entry) noexcept {
        return entry.in_main ? main_ : small_;
    }

    EvictableQueue small_{};
    EvictableQueue main_{};
    Ghosts<> ghosts_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_EVICTION_HPP
