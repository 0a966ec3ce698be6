// SPDX-License-Identifier: MIT

/// @file
/// What a client has in hand, for tests.

#ifndef LARDER_REDIS_DETAIL_CLIENT_IN_HAND_HPP
#define LARDER_REDIS_DETAIL_CLIENT_IN_HAND_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstddef>

LARDER_NS_BEGIN

namespace redis::detail {

/// What is to be given back: all of it zero once no call runs, whatever has failed.
struct InHand {
    std::size_t probes{0};  ///< turns to find out whether the server is back
    std::size_t calls{0};   ///< calls that have not ended
    std::size_t bulk{0};    ///< places among the bulk connections
    std::size_t leads{0};   ///< shared connections that somebody leads

    bool operator==(const InHand&) const = default;
};

/// Counts one while it lives.
class Counted {
public:
    explicit Counted(std::atomic<std::size_t>& of) noexcept
        : of_{of}, count_{of.fetch_add(1, std::memory_order_relaxed) + 1} {}
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    ~Counted() { of_.fetch_sub(1, std::memory_order_relaxed); }

    /// With this one, when it came.
    [[nodiscard]] std::size_t count() const noexcept { return count_; }

private:
    std::atomic<std::size_t>& of_;
    std::size_t count_;
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_IN_HAND_HPP
