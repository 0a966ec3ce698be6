// SPDX-License-Identifier: MIT

/// @file
/// Connections that nobody uses at the moment.

#ifndef LARDER_REDIS_DETAIL_CLIENT_IDLE_CONNECTIONS_HPP
#define LARDER_REDIS_DETAIL_CLIENT_IDLE_CONNECTIONS_HPP

#include <larder/redis/detail/client/connection.hpp>
#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

LARDER_NS_BEGIN

namespace redis::detail {

/// A few connections, kept for whoever needs one.
///
/// Thread safety: all members may run concurrently.
class IdleConnections {
public:
    /// So many are kept.
    static constexpr std::size_t most = 8;

    IdleConnections() = default;
    IdleConnections(const IdleConnections&) = delete;
    IdleConnections& operator=(const IdleConnections&) = delete;
    ~IdleConnections() { close_all(); }

    /// One that can be used, or null; those that cannot are closed.
    [[nodiscard]] std::unique_ptr<Connection> reuse(std::uint64_t era, time_point now) noexcept {
        std::unique_ptr<Connection> found;
        do {
            found = remove_one();
        } while (found && !found->usable(era, now));
        return found;
    }

    /// Keeps it if there is room.
    void keep(std::unique_ptr<Connection> connection) noexcept {
        if (!connection) {
            return;
        }
        for (auto& place : places_) {
            Connection* none = nullptr;
            if (place.compare_exchange_strong(none, connection.get(), std::memory_order_acq_rel)) {
                (void)connection.release();
                return;
            }
        }
    }

    /// Closes all that are there.
    void close_all() noexcept {
        while (remove_one()) {}
    }

private:
    [[nodiscard]] std::unique_ptr<Connection> remove_one() noexcept {
        for (auto& place : places_) {
            if (Connection* const found = place.exchange(nullptr, std::memory_order_acq_rel)) {
                return std::unique_ptr<Connection>{found};
            }
        }
        return nullptr;
    }

    std::array<std::atomic<Connection*>, most> places_{};
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_IDLE_CONNECTIONS_HPP
