// SPDX-License-Identifier: MIT

/// @file
/// Where a store tells of its changes, if nobody else does.

#ifndef LARDER_REDIS_DETAIL_STORE_CHANGE_CHANNEL_HPP
#define LARDER_REDIS_DETAIL_STORE_CHANGE_CHANNEL_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

LARDER_NS_BEGIN

namespace redis::detail {

/// The channel of a namespace. A store whose near copies are told of changes there tells of its own there:
/// most never do.
///
/// Thread safety: all members may run concurrently.
class ChangeChannel {
public:
    explicit ChangeChannel(std::string name) : name_{std::move(name)} {}

    /// Its name, if changes are to be told of there; else empty.
    [[nodiscard]] std::string_view used() const noexcept {
        return users_.load(std::memory_order_relaxed) != 0 ? std::string_view{name_}
                                                           : std::string_view{};
    }

    /// How many want them to be.
    [[nodiscard]] std::atomic<std::size_t>& users() noexcept { return users_; }

private:
    const std::string name_;
    std::atomic<std::size_t> users_{0};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_STORE_CHANGE_CHANNEL_HPP
