// SPDX-License-Identifier: MIT

/// @file
/// The invalidation of tags.

#ifndef LARDER_REDIS_DETAIL_STORE_TAG_INVALIDATION_HPP
#define LARDER_REDIS_DETAIL_STORE_TAG_INVALIDATION_HPP

#include <larder/redis/detail/store/ids.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/scripts.hpp>
#include <larder/redis/detail/store/slot_format.hpp>
#include <larder/redis/detail/store/slot_names.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Makes misses of what carries a tag. A thin view of a store's state: make one where it is needed.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicTagInvalidation {
public:
    explicit BasicTagInvalidation(const StoreState& state) noexcept : state_{state} {}

    /// Makes every copy that carries one of these tags a miss: at once in each partition, in one round
    /// trip for all of them.
    ///
    /// @throws StoreError  a server cannot be told; the others may have been
    void invalidate(std::span<const std::string> tags) const {
        if (tags.empty()) {
            return;
        }
        std::vector<std::string> distinct{tags.begin(), tags.end()};
        std::sort(distinct.begin(), distinct.end());
        distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
        const std::string era = hex(new_id());
        Pipeline pipeline;
        pipeline.repeatable();
        std::vector<std::string> keys;
        for (std::size_t i = 0; i < state_.names.partitions().count(); ++i) {
            keys.clear();
            SlotNames::append_tags(keys, state_.names.home_of(i), distinct);
            add_script(pipeline, *state_.channel, SlotScripts::instance().invalidate_tags, keys,
                       {era});
        }
        const std::vector<Reply> replies = state_.send(pipeline);
        for (std::size_t i = 0; i < replies.size(); ++i) {
            if (is_torn(replies[i])) {
                one_by_one(state_.names.home_of(i), distinct, era);
            } else if (replies[i].is_error()) {
                state_.throw_error(pipeline, i, replies[i]);
            }
        }
    }

private:
    // The same where a script of several keys is refused: the clock first, so that nothing is kept any more
    // that was loaded before, and then each version goes, which makes a miss of what carries its tag. The
    // other way round, what was loaded before could give the tag a version again. Rules R3 and T2.
    void one_by_one(const std::string& home, std::span<const std::string> tags,
                    std::string_view era) const {
        static_cast<void>(
            state_.step(SlotScripts::instance().invalidate_tags, {SlotNames::clock(home)}, {era}));
        Pipeline pipeline;
        pipeline.repeatable();
        for (const std::string& tag : tags) {
            add_script(pipeline, *state_.channel, SlotScripts::instance().forget_tag,
                       {SlotNames::tag(home, tag)}, {});
        }
        static_cast<void>(state_.run(pipeline));
    }

    const StoreState& state_;
};

using TagInvalidation = BasicTagInvalidation<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_TAG_INVALIDATION_HPP
