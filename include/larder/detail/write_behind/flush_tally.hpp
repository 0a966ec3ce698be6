// SPDX-License-Identifier: MIT

/// @file
/// What became of the changes that a flusher could not simply write.

#ifndef LARDER_DETAIL_WRITE_BEHIND_FLUSH_TALLY_HPP
#define LARDER_DETAIL_WRITE_BEHIND_FLUSH_TALLY_HPP

#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// Counted by the flusher, and where a user decides.
///
/// Thread safety: its members are atomic.
struct FlushTally {
    std::atomic<std::uint64_t> retries{0};
    std::atomic<std::uint64_t> refused{0};
    std::atomic<std::uint64_t> buried{0};
    std::atomic<std::uint64_t> discarded{0};
    std::atomic<std::uint64_t> batches{0};
    std::atomic<std::uint64_t> batched{0};

    /// A batch of `count` changes is to be written.
    void began(std::size_t count) noexcept {
        ++batches;
        batched += count;
    }

    void add_to(Stats& stats) const noexcept {
        stats.batches = batches;
        stats.batched = batched;
        stats.discarded = discarded;
        stats.retries = retries;
        stats.refused = refused;
        stats.buried = buried;
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_FLUSH_TALLY_HPP
