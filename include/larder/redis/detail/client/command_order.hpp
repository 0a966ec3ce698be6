// SPDX-License-Identifier: MIT

/// @file
/// Keeps commands in order while some of them are redirected.

#ifndef LARDER_REDIS_DETAIL_CLIENT_COMMAND_ORDER_HPP
#define LARDER_REDIS_DETAIL_CLIENT_COMMAND_ORDER_HPP

#include <larder/redis/detail/client/routed_unit.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <string_view>
#include <unordered_set>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// The nodes have answered: some of what was sent is to be sent again, the rest was carried out. What
/// names the same key, and only reads, is sent again behind it. One behind which another of the same key
/// was carried out, and is not repeatable, comes too late: its error is its reply. What has no key keeps
/// to the commands before it, if it is repeatable (WAIT). Scripts that were not known go behind the others. Rule R11.
inline void keep_order(std::vector<RoutedUnit>& units) {
    std::unordered_set<std::string_view> passed;
    for (std::size_t i = units.size(); i-- > 0;) {
        RoutedUnit& unit = units[i];
        if (unit.slot && unit.sent && !unit.pending && !unit.repeatable) {
            passed.insert(unit.key);
        } else if (unit.slot && unit.sent && !unit.late && passed.contains(unit.key)) {
            unit.pending = false;
        }
    }
    std::unordered_set<std::string_view> again;
    bool before = false;  // any of those since what had no key
    bool ends = false;
    for (RoutedUnit& unit : units) {
        if (!unit.pending && unit.sent && unit.repeatable &&
            (unit.slot ? again.contains(unit.key) : before)) {
            unit.pending = true;
            unit.to = nullptr;
            unit.asking = false;
        }
        if (unit.slot) {
            before = unit.pending || (before && !ends);
            if (unit.pending && !unit.late) {
                again.insert(unit.key);
            }
        }
        ends = !unit.slot;
    }
}

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_COMMAND_ORDER_HPP
