// SPDX-License-Identifier: MIT

/// @file
/// How many changes are written together: as many as the database takes in good time.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BATCH_SIZE_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BATCH_SIZE_HPP

#include <larder/entry.hpp>
#include <larder/policy/write_behind_options.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <limits>

LARDER_NS_BEGIN

namespace detail {

/// Begins with `batch`. A batch that took more than a quarter of `claim`, or that failed, halves the
/// next one; a full one that took less than an eighth lets the next one have more, by an eighth of
/// `batch`. Never more than that. (Additive increase and multiplicative decrease: Chiu and Jain, 1989.)
///
/// Thread safety: all members may run concurrently.
class BatchSize {
public:
    /// How many changes are to be claimed.
    [[nodiscard]] std::size_t next(const WriteBehindOptions& options) const noexcept {
        return (std::min)(size_.load(std::memory_order_relaxed), options.batch);
    }

    /// A batch of `count` changes has ended.
    ///
    /// @param failed  something of it was not taken
    void ended(const WriteBehindOptions& options, std::size_t count, Ttl took,
               bool failed) noexcept {
        const std::size_t size = next(options);
        std::size_t then = size;
        if (took > options.claim / 4) {
            then = (std::min)(size, count) / 2;
        } else if (failed) {
            then = count > 1 ? size / 2 : size;  // what fails alone says nothing of batches
        } else if (count >= size && took < options.claim / 8) {
            then += (std::min)(options.batch - size, (std::max)(options.batch / 8, std::size_t{1}));
        }
        size_.store((std::max)(then, std::size_t{1}), std::memory_order_relaxed);
    }

private:
    std::atomic<std::size_t> size_{(std::numeric_limits<std::size_t>::max)()};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_BATCH_SIZE_HPP
