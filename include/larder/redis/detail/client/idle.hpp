// SPDX-License-Identifier: MIT

/// @file
/// Connections that nobody uses at the moment.

#ifndef LARDER_REDIS_DETAIL_CLIENT_IDLE_HPP
#define LARDER_REDIS_DETAIL_CLIENT_IDLE_HPP

#include <larder/redis/detail/client/connection.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

LARDER_NS_BEGIN

namespace redis::detail {

/// A few connections, kept for whoever needs one.
///
/// Thread safety: all members may run concurrently.
class Idle {
public:
    Idle() = default;
    Idle(const Idle&) = delete;
    Idle& operator=(const Idle&) = delete;
    ~Idle() { close(); }

    /// One that can be used, or null; those that cannot are closed.
    [[nodiscard]] std::unique_ptr<Connection> take(std::uint64_t era, time_point now) noexcept {
        std::unique_ptr<Connection> found;
        do {
            found = take();
        } while (found && !found->usable(era, now));
        return found;
    }

    /// Keeps it if there is room.
    void keep(std::unique_ptr<Connection> connection) noexcept {
        for (auto& place : places_) {
            Connection* none = nullptr;
            if (connection &&
                place.compare_exchange_strong(none, connection.get(), std::memory_order_acq_rel)) {
                (void)connection.release();
                return;
            }
        }
    }

    void close() noexcept {
        while (take()) {}
    }

private:
    [[nodiscard]] std::unique_ptr<Connection> take() noexcept {
        for (auto& place : places_) {
            if (Connection* const found = place.exchange(nullptr, std::memory_order_acq_rel)) {
                return std::unique_ptr<Connection>{found};
            }
        }
        return nullptr;
    }

    std::array<std::atomic<Connection*>, 8> places_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_IDLE_HPP
