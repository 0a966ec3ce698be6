// SPDX-License-Identifier: MIT

/// @file
/// Many keys, by as few MGETs as there may be.

#ifndef LARDER_REDIS_DETAIL_STORE_MULTI_GET_HPP
#define LARDER_REDIS_DETAIL_STORE_MULTI_GET_HPP

#include <larder/error.hpp>
#include <larder/redis/detail/store/script_calls.hpp>
#include <larder/redis/detail/store/state.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <exception>
#include <span>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// What many keys hold, read in one round trip: by an MGET for each home, and so that no reply is larger
/// than the client takes, if the values are no larger than they may be. Of a cluster those keys are read
/// whose nodes answer.
///
/// A template so that whoever includes it and has no store does not compile it.
template <class = void>
class BasicMultiGet {
public:
    /// Nothing.
    BasicMultiGet() = default;

    /// @param homes  one a key
    /// @throws StoreError  no server can be asked
    BasicMultiGet(const StoreState& state, std::span<const std::string> keys,
                  std::span<const std::string_view> homes) {
        const std::size_t most =
            (std::max)(std::size_t{1}, state.most_slot_bytes() / state.options.max_value_bytes);
        std::vector<std::size_t> order;
        order.reserve(keys.size());
        for (std::size_t i = 0; i < keys.size(); ++i) {
            order.push_back(i);
        }
        std::stable_sort(order.begin(), order.end(),
                         [&](std::size_t a, std::size_t b) { return homes[a] < homes[b]; });
        Pipeline pipeline;
        std::vector<std::size_t> ends;  // of each MGET, in the order
        std::vector<std::string_view> words;
        for (std::size_t begin = 0; begin < order.size(); begin = ends.back()) {
            words.assign(1, "MGET");
            std::size_t end = begin;
            do {
                words.push_back(keys[order[end]]);
                ++end;
            } while (end < order.size() && end - begin < most &&
                     homes[order[end]] == homes[order[begin]]);
            pipeline.command(std::span<const std::string_view>{words});
            ends.push_back(end);
        }
        PipelineAccess::take_torn(pipeline);
        replies_.resize(pipeline.size());
        failure_ = state.send_partly(pipeline, replies_);
        all_.resize(keys.size(), ReplyView{nullptr});
        unread_.resize(failure_ ? keys.size() : 0);
        std::vector<std::size_t> torn;
        for (std::size_t i = 0, begin = 0; i < ends.size(); begin = ends[i], ++i) {
            if (is_torn(replies_[i])) {
                torn.insert(torn.end(), order.begin() + static_cast<std::ptrdiff_t>(begin),
                            order.begin() + static_cast<std::ptrdiff_t>(ends[i]));
                continue;
            }
            if (replies_[i].is_error()) {
                state.throw_error(pipeline, i, replies_[i]);
            }
            if (failure_ && !replies_[i].is_array()) {
                for (std::size_t at = begin; at < ends[i]; ++at) {
                    unread_[order[at]] = true;
                }
                continue;
            }
            if (replies_[i].size() != ends[i] - begin) {
                throw StoreError{"MGET was answered for another number of keys"};
            }
            for (std::size_t at = begin; at < ends[i]; ++at) {
                all_[order[at]] = replies_[i][at - begin];
            }
        }
        if (!torn.empty()) {
            read_each(state, keys, torn);
        }
    }

    /// What the i-th key holds; nil, too, if it could not be read.
    [[nodiscard]] ReplyView operator[](std::size_t i) const noexcept { return all_[i]; }

    /// Why some could not be read; null: all were.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

    /// Whether the i-th is one of them.
    [[nodiscard]] bool unread(std::size_t i) const noexcept { return failure_ && unread_[i]; }

private:
    // While a slot moves a command with several of its keys is refused as long as one of them has not
    // arrived, or is nowhere; one of a single key is carried out.
    void read_each(const StoreState& state, std::span<const std::string> keys,
                   std::span<const std::size_t> torn) {
        Pipeline pipeline;
        for (const std::size_t i : torn) {
            pipeline.command("GET", keys[i]);
        }
        single_ = state.send(pipeline);
        for (std::size_t at = 0; at < torn.size(); ++at) {
            all_[torn[at]] = single_[at];
        }
    }

    std::vector<Reply> replies_{};
    std::vector<Reply> single_{};
    std::vector<ReplyView> all_{};
    std::exception_ptr failure_{};
    std::vector<bool> unread_{};  // by the keys, if some are
};

using MultiGet = BasicMultiGet<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_MULTI_GET_HPP
