// SPDX-License-Identifier: MIT

/// @file
/// The parts of a pipeline that stay together in a cluster.

#ifndef LARDER_REDIS_DETAIL_CLIENT_ROUTED_UNIT_HPP
#define LARDER_REDIS_DETAIL_CLIENT_ROUTED_UNIT_HPP

#include <larder/redis/detail/client/cluster_node.hpp>
#include <larder/redis/detail/client/command_bytes.hpp>
#include <larder/redis/detail/client/command_keys.hpp>
#include <larder/redis/detail/client/command_table.hpp>
#include <larder/redis/detail/client/redirection.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// A command of a pipeline, or all from MULTI to EXEC: what one node carries out.
struct RoutedUnit {
    std::size_t begin{0};  ///< of its bytes
    std::size_t end{0};
    std::size_t first{0};  ///< of its commands
    std::size_t count{0};
    std::optional<std::uint16_t> slot{};  ///< of its keys; empty: it has none
    std::string_view key{};               ///< the first of them
    bool repeatable{false};

    std::shared_ptr<ClusterNode>
        to{};                  ///< who is asked next, or was last; null: whoever has the slot
    bool asking{false};        ///< with ASKING before it
    bool with_body{false};     ///< a script that the node does not know by its name
    bool late{false};          ///< it is pending for that alone
    bool pending{true};        ///< it is to be sent
    bool sent{false};          ///< it was, this time
    bool told{false};          ///< its replies are there, of a time before
    std::size_t elsewhere{0};  ///< times that it went to another node since one was away
    std::shared_ptr<ClusterNode> away{};  ///< that one
    RedirectionSteps steps{};

    /// What its replies say: that of a command, and of a transaction that was given up the first that
    /// says why.
    ///
    /// @param replies  of the pipeline
    [[nodiscard]] Redirection redirection(std::span<const Reply> replies) const {
        const auto mine = replies.subspan(first, count);
        if (!mine.back().is_error()) {
            return {};
        }
        for (const Reply& reply : mine) {
            if (reply.is_error()) {
                if (auto found = Redirection::of(reply.text(), to->at);
                    found.kind != Redirection::Kind::none) {
                    return found;
                }
            }
        }
        return {};
    }
};

/// Takes a pipeline apart.
///
/// @throws std::invalid_argument  a command, or a transaction, names keys of several slots
[[nodiscard]] inline std::vector<RoutedUnit> routed_units(const Pipeline& pipeline) {
    const std::string_view bytes = PipelineAccess::bytes(pipeline);
    const bool repeatable = PipelineAccess::repeatable(pipeline);
    std::vector<RoutedUnit> units;
    units.reserve(pipeline.size());
    bool in_multi = false;
    std::size_t at = 0;
    for (std::size_t i = 0; i < pipeline.size(); ++i) {
        const CommandRoute route = route_command(bytes, at);
        if (!in_multi) {
            units.push_back({.begin = at,
                             .first = i,
                             .repeatable = repeatable || route.kind == CommandKind::read ||
                                           route.kind == CommandKind::millis_last});
        }
        RoutedUnit& unit = units.back();
        if (route.crosses || (unit.slot && route.slot && *unit.slot != *route.slot)) {
            throw std::invalid_argument{
                "larder: redis: CROSSSLOT: " + describe(parse_command(bytes, unit.begin)) +
                (in_multi ? " and what follows up to EXEC name" : " names") +
                " keys of several hash slots; give them one {tag}"};
        }
        if (!unit.slot) {
            unit.slot = route.slot;
            unit.key = route.key;
        }
        in_multi =
            route.kind == CommandKind::multi || (in_multi && route.kind != CommandKind::exec);
        unit.end = at = route.end;
        ++unit.count;
    }
    return units;
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_ROUTED_UNIT_HPP
