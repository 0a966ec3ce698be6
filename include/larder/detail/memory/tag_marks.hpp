// SPDX-License-Identifier: MIT

/// @file
/// The tags that a copy carries.

#ifndef LARDER_DETAIL_MEMORY_TAG_MARKS_HPP
#define LARDER_DETAIL_MEMORY_TAG_MARKS_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// A tag's version: the clock as of its last invalidation.
using TagVersion = std::atomic<std::uint64_t>;

/// The tags of one copy, and the moment from which they must not have been invalidated.
class TagMarks {
public:
    TagMarks(std::vector<std::shared_ptr<TagVersion>> tags, std::uint64_t since) noexcept
        : tags_{std::move(tags)}, since_{since} {}

    /// True while none of the tags was invalidated after the lease or the ticket. Rule T1.
    [[nodiscard]] bool stand() const noexcept {
        return std::all_of(tags_.begin(), tags_.end(), [this](const auto& version) {
            return version->load(std::memory_order_acquire) <= since_;
        });
    }

private:
    std::vector<std::shared_ptr<TagVersion>> tags_;
    std::uint64_t since_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_TAG_MARKS_HPP
