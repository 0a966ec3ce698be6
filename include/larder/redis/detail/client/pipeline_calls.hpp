// SPDX-License-Identifier: MIT

/// @file
/// What a pipeline needs of connections and of time.

#ifndef LARDER_REDIS_DETAIL_CLIENT_PIPELINE_CALLS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_PIPELINE_CALLS_HPP

#include <larder/redis/detail/client/blocking_time.hpp>
#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/call_time.hpp>
#include <larder/redis/options.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace redis::detail {

/// Whether it has a connection of its own for its size.
[[nodiscard]] inline bool is_bulk(const Pipeline& pipeline, const ClientOptions& options) noexcept {
    constexpr std::size_t bulk_commands = 512;  // one of more is bulk
    return PipelineAccess::bulk(pipeline) ||
           PipelineAccess::bytes(pipeline).size() > options.bulk || pipeline.size() > bulk_commands;
}

/// The time that it has, from now.
[[nodiscard]] inline CallTime time_of(const Pipeline& pipeline, const ClientOptions& options) {
    CallTime time;
    time.start = std::chrono::steady_clock::now();
    if (const auto blocks = PipelineAccess::blocks(pipeline); blocks != for_ever) {
        // So that no sum of a day each overflows.
        constexpr std::size_t most = 16 * 1024;
        const std::size_t times = is_bulk(pipeline, options)
                                      ? 1 + PipelineAccess::bytes(pipeline).size() / (1024 * 1024) +
                                            pipeline.size() / 1024
                                      : 1;
        time.deadline =
            time.start + blocks +
            options.command_timeout * static_cast<std::int64_t>((std::min)(times, most));
        time.latest = time.deadline + options.connect_timeout;
    }
    return time;
}

/// All of it as one call.
[[nodiscard]] inline Call call_of(const Pipeline& pipeline, Reply* replies, const CallTime& time) {
    return {.bytes = PipelineAccess::bytes(pipeline),
            .commands = pipeline.size(),
            .replies = replies,
            .repeatable = PipelineAccess::repeatable(pipeline),
            .time = time};
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_PIPELINE_CALLS_HPP
