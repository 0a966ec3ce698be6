// SPDX-License-Identifier: MIT

/// @file
/// What one node of a cluster is sent of a pipeline.

#ifndef LARDER_REDIS_DETAIL_CLIENT_NODE_PART_HPP
#define LARDER_REDIS_DETAIL_CLIENT_NODE_PART_HPP

#include <larder/redis/detail/client/call.hpp>
#include <larder/redis/detail/client/cluster_node.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/process_connections.hpp>
#include <larder/redis/detail/client/routed_unit.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// Some units of a pipeline, and the call that carries them out on their node.
struct NodePart {
    explicit NodePart(std::shared_ptr<ClusterNode> of) : node{std::move(of)} {}

    /// Makes the call of the units.
    ///
    /// @param all  units of the pipeline
    /// @param to   the replies of the pipeline
    void write(const Pipeline& pipeline, std::size_t all, Reply* to) {
        static constexpr std::array<std::string_view, 1> asking{"ASKING"};
        const std::string_view text = PipelineAccess::bytes(pipeline);
        whole = units.size() == all;
        std::size_t commands = 0;
        std::vector<std::string_view> bodies;
        for (const RoutedUnit* unit : units) {
            whole = whole && !unit->asking && !unit->with_body;
            commands += unit->count + (unit->asking ? 1 : 0);
        }
        if (!whole) {
            for (const RoutedUnit* unit : units) {
                if (unit->asking) {
                    append_command(bytes, asking);
                }
                if (unit->with_body) {
                    PipelineAccess::append_script(pipeline, unit->first, bytes, bodies);
                } else {
                    bytes += text.substr(unit->begin, unit->end - unit->begin);
                }
            }
            replies.resize(commands);
        }
        call.bytes = whole ? text : std::string_view{bytes};
        call.commands = commands;
        call.replies = whole ? to : replies.data();
        call.repeatable = std::all_of(units.begin(), units.end(),
                                      [](const RoutedUnit* unit) { return unit->repeatable; });
    }

    std::shared_ptr<ClusterNode> node;
    std::vector<RoutedUnit*> units{};
    std::string bytes{};
    std::vector<Reply> replies{};
    bool whole{false};   ///< the pipeline as it is
    bool failed{false};  ///< some of it has no reply, and will have none
    Call call{};
    std::optional<ProcessConnections::Halves> halves{};
    std::optional<bool>
        asks_another{};  ///< it is away: whether others may be asked who replaced it
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_NODE_PART_HPP
