// SPDX-License-Identifier: MIT

/// @file
/// What one node of a cluster is sent of a pipeline.

#ifndef LARDER_REDIS_DETAIL_CLIENT_CLUSTER_PART_HPP
#define LARDER_REDIS_DETAIL_CLIENT_CLUSTER_PART_HPP

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
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The units that go to one node together, as one call. It does not move: others work on the call.
struct ClusterPart {
    explicit ClusterPart(std::shared_ptr<ClusterNode> of) : node{std::move(of)} {}
    ClusterPart(const ClusterPart&) = delete;
    ClusterPart& operator=(const ClusterPart&) = delete;

    /// Makes the call.
    ///
    /// @param into  the replies of the pipeline
    /// @param all   the units are all that it has
    void write(const Pipeline& pipeline, std::span<Reply> into, bool all) {
        constexpr std::array<std::string_view, 1> asking{"ASKING"};
        const std::string_view unchanged = PipelineAccess::bytes(pipeline);
        whole = all;
        for (const RoutedUnit* unit : units) {
            whole = whole && !unit->asking && !unit->with_body;
            call.commands += unit->count + (unit->asking ? 1 : 0);
        }
        if (!whole) {
            std::vector<std::string_view> bodies;
            for (const RoutedUnit* unit : units) {
                if (unit->asking) {
                    append_command(bytes, asking);
                }
                if (unit->with_body) {
                    PipelineAccess::append_script(pipeline, unit->first, bytes, bodies);
                } else {
                    bytes += unchanged.substr(unit->begin, unit->end - unit->begin);
                }
            }
            replies.resize(call.commands);
        }
        call.bytes = whole ? unchanged : std::string_view{bytes};
        call.replies = whole ? into.data() : replies.data();
        call.repeatable = std::all_of(units.begin(), units.end(),
                                      [](const RoutedUnit* unit) { return unit->repeatable; });
    }

    /// Moves the replies of a unit to their places.
    ///
    /// @param at  of the first of them, in the call
    void deliver(const RoutedUnit& unit, std::size_t at, std::span<Reply> into) {
        for (std::size_t i = 0; !whole && i < unit.count; ++i) {
            into[unit.first + i] = std::move(replies[at + i]);
        }
    }

    const std::shared_ptr<ClusterNode> node;
    std::vector<RoutedUnit*> units{};
    std::string bytes{};
    std::vector<Reply> replies{};
    bool whole{false};   ///< it is the pipeline as it is
    bool failed{false};  ///< some of it has no reply, and will have none
    Call call{};
    std::optional<ProcessConnections::Halves> halves{};
    std::optional<bool>
        asks_another{};  ///< it is away: whether others may be asked who replaced it
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_CLUSTER_PART_HPP
