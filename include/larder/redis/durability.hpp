// SPDX-License-Identifier: MIT

/// @file
/// What a journal in Redis waits for before a change counts as recorded.

#ifndef LARDER_REDIS_DURABILITY_HPP
#define LARDER_REDIS_DURABILITY_HPP

#include <larder/options.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>

LARDER_NS_BEGIN

namespace redis {

/// What a journal in Redis waits for before a change counts as recorded:
/// `{.durability = larder::redis::Durability::fsync}`.
///
/// | Durability      | A recorded change outlives                                                     |
/// |-----------------|--------------------------------------------------------------------------------|
/// | `memory`        | every process of yours; the server as its own persistence says: `appendonly yes` with `appendfsync everysec` loses a second at the most |
/// | `replicas(n)`   | the server, if one of its first n replicas takes its place                     |
/// | `fsync`         | the server and its machine: it is on the server's disk                         |
class Durability {
public:
    static const Durability memory;
    static const Durability fsync;

    /// So many replicas have it.
    ///
    /// @throws std::invalid_argument  `n` is 0
    [[nodiscard]] static constexpr Durability replicas(std::size_t n) {
        if (n == 0) {
            larder::detail::refuse_option("Durability::replicas", "positive", "0");
        }
        return Durability{n, false};
    }

    /// How many replicas have it.
    [[nodiscard]] constexpr std::size_t replicas() const noexcept { return replicas_; }

    /// Whether it is on the server's disk.
    [[nodiscard]] constexpr bool on_disk() const noexcept { return on_disk_; }

private:
    constexpr Durability(std::size_t replicas, bool on_disk) noexcept
        : replicas_{replicas}, on_disk_{on_disk} {}

    std::size_t replicas_;
    bool on_disk_;
};

inline constexpr Durability Durability::memory{0, false};
inline constexpr Durability Durability::fsync{0, true};

}  // namespace redis

LARDER_NS_END

#endif  // LARDER_REDIS_DURABILITY_HPP
