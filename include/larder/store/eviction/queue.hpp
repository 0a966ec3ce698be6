// SPDX-License-Identifier: MIT

/// @file
/// A queue of entries, threaded through them: what eviction policies are made of.

#ifndef LARDER_STORE_EVICTION_QUEUE_HPP
#define LARDER_STORE_EVICTION_QUEUE_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

/// A first-in, first-out queue of entries, threaded through them: it has only its two ends, and each
/// entry knows its neighbours (`EvictionPolicy` in policy.hpp says how). All steps are O(1).
///
/// **Thread safety**: none. Its copy is another name for the same entries: use one of the two.
class EvictionQueue {
public:
    using Id = std::uint32_t;

    /// How many entries it has.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// The end where entries leave; 0 if it is empty.
    [[nodiscard]] Id oldest() const noexcept { return oldest_; }
    /// The end where entries come in; 0 if it is empty.
    [[nodiscard]] Id newest() const noexcept { return newest_; }

    /// Puts an entry that is in no queue behind all others.
    template <class Entries>
    void push(Entries& entries, Id id) noexcept {
        entries.set_older(id, newest_);
        entries.set_newer(id, Id{0});
        if (newest_ != 0) {
            entries.set_newer(newest_, id);
        } else {
            oldest_ = id;
        }
        newest_ = id;
        ++size_;
    }

    /// Takes out an entry of this queue, wherever it stands.
    template <class Entries>
    void remove(Entries& entries, Id id) noexcept {
        const Id newer = entries.newer(id);
        const Id older = entries.older(id);
        if (newer != 0) {
            entries.set_older(newer, older);
        } else {
            newest_ = older;
        }
        if (older != 0) {
            entries.set_newer(older, newer);
        } else {
            oldest_ = newer;
        }
        --size_;
    }

private:
    Id newest_ = 0;
    Id oldest_ = 0;
    std::size_t size_ = 0;
};

LARDER_NS_END

#endif  // LARDER_STORE_EVICTION_QUEUE_HPP
