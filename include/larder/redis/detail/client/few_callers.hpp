// SPDX-License-Identifier: MIT

/// @file
/// From how many callers on a connection is shared.

#ifndef LARDER_REDIS_DETAIL_CLIENT_FEW_CALLERS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_FEW_CALLERS_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>

LARDER_NS_BEGIN

namespace redis::detail {

/// How many callers gain nothing from sharing a connection, since they run at the same time. With the
/// server and them on the same processors those are few, if a wait is a yield; and more, if each
/// caller must be woken. The numbers are measured (`tests/benchmarks/redis_client.cpp`).
class FewCallers {
public:
    /// @param processors  0: not known
    FewCallers(std::size_t connections, std::size_t processors) noexcept
        : asleep_{(std::min)(connections, most)},
          awake_{processors == 0 ? asleep_ : (std::min)(asleep_, 3 * processors)} {}

    /// @param yields  whether waits are yields
    [[nodiscard]] std::size_t count(bool yields) const noexcept {
        return yields ? awake_ : asleep_;
    }

private:
    static constexpr std::size_t most = 8;

    std::size_t asleep_;
    std::size_t awake_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_FEW_CALLERS_HPP
