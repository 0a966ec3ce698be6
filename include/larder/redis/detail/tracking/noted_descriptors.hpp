// SPDX-License-Identifier: MIT

/// @file
/// Which sockets a forked child inherits and must close.

#ifndef LARDER_REDIS_DETAIL_TRACKING_NOTED_DESCRIPTORS_HPP
#define LARDER_REDIS_DETAIL_TRACKING_NOTED_DESCRIPTORS_HPP

#include <larder/version.hpp>

#include <array>
#include <atomic>

#include <unistd.h>

LARDER_NS_BEGIN

namespace redis::detail {

/// A child that kept its parent's sockets would keep the server at telling them, after the parent has
/// gone. It finds them here, whatever the parent was about when it forked. If they are more than fit, the
/// rest lives as long as the child.
///
/// Thread safety: all members may run concurrently.
class NotedDescriptors {
public:
    NotedDescriptors() noexcept {
        for (auto& place : places_) {
            place.store(-1, std::memory_order_relaxed);
        }
    }

    /// It was opened.
    void add(int descriptor) noexcept {
        for (auto& place : places_) {
            int none = -1;
            if (place.compare_exchange_strong(none, descriptor)) {
                return;
            }
        }
    }

    /// It is about to be closed.
    void remove(int descriptor) noexcept {
        for (auto& place : places_) {
            int noted = descriptor;
            if (place.compare_exchange_strong(noted, -1)) {
                return;
            }
        }
    }

    /// In a child: closes what its parent has.
    void close_all() noexcept {
        for (auto& place : places_) {
            if (const int descriptor = place.exchange(-1); descriptor >= 0) {
                ::close(descriptor);
            }
        }
    }

private:
    std::array<std::atomic<int>, 128> places_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_TRACKING_NOTED_DESCRIPTORS_HPP
