// SPDX-License-Identifier: MIT

/// @file
/// Tags in memory: a version each, and the clock that versions and copies are compared by. The steps are
/// those of the model in tests/models/tags.pml, which proves what they are for.

#ifndef LARDER_DETAIL_MEMORY_TAG_VERSIONS_HPP
#define LARDER_DETAIL_MEMORY_TAG_VERSIONS_HPP

#include <larder/detail/memory/tag_marks.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/entry.hpp>
#include <larder/hash.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// The tags of one store. Invalidating costs the same for ten copies and for ten million: a copy
/// looks its tags up when it is read.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and keeps no tags does not compile it.
template <class Tag = std::string>
class TagVersions {
public:
    /// The moment a lease or a ticket is handed out at.
    [[nodiscard]] Epoch now() const noexcept { return {1, tick_.load(std::memory_order_acquire)}; }

    /// The marks of a copy whose lease or ticket is from `epoch`; null where there are no tags.
    [[nodiscard]] std::unique_ptr<TagMarks> mark(const Tags& tags, const Epoch& epoch) {
        if (tags.empty()) {
            return nullptr;
        }
        std::vector<std::shared_ptr<TagVersion>> versions;
        versions.reserve(tags.size());
        {
            const std::scoped_lock lock{mutex_};
            for (const std::string& tag : tags) {
                versions.push_back(version_of(tag));
            }
        }
        return std::make_unique<TagMarks>(std::move(versions), epoch.tick);
    }

    /// Makes every copy that carries one of the tags a miss, and every lease and ticket that is out
    /// worthless for a value that carries one. Rule T2.
    void invalidate(std::span<const Tag> tags) {
        const std::scoped_lock lock{mutex_};
        std::vector<std::shared_ptr<TagVersion>> versions;
        versions.reserve(tags.size());
        for (const Tag& tag : tags) {
            versions.push_back(version_of(tag));
        }
        const std::uint64_t tick = tick_.load(std::memory_order_relaxed) + 1;
        tick_.store(tick, std::memory_order_release);
        for (const auto& version : versions) {
            version->store(tick, std::memory_order_release);
        }
    }

private:
    std::shared_ptr<TagVersion> version_of(const Tag& tag) {
        if (const auto at = versions_.find(tag); at != versions_.end()) {
            return at->second;
        }
        prune();
        return versions_.emplace(tag, std::make_shared<TagVersion>(floor_)).first->second;
    }

    // Tags that no copy carries go. Nothing older than the newest of them may come back by a tag
    // that is made anew. Rule T3.
    void prune() {
        if (versions_.size() < prune_at_) {
            return;
        }
        for (auto at = versions_.begin(); at != versions_.end();) {
            if (at->second.use_count() == 1) {
                floor_ = (std::max)(floor_, at->second->load(std::memory_order_relaxed));
                at = versions_.erase(at);
            } else {
                ++at;
            }
        }
        prune_at_ = 1024 + 2 * versions_.size();
    }

    std::mutex mutex_{};
    std::unordered_map<Tag, std::shared_ptr<TagVersion>, Hash<Tag>, std::equal_to<>> versions_{};
    std::atomic<std::uint64_t> tick_{1};
    std::uint64_t floor_ = 0;
    std::size_t prune_at_ = 1024;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_TAG_VERSIONS_HPP
