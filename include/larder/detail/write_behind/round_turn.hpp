// SPDX-License-Identifier: MIT

/// @file
/// Whose turn it is.

#ifndef LARDER_DETAIL_WRITE_BEHIND_ROUND_TURN_HPP
#define LARDER_DETAIL_WRITE_BEHIND_ROUND_TURN_HPP

#include <larder/version.hpp>

#include <atomic>

LARDER_NS_BEGIN

namespace detail {

/// The turn to make a round, if nobody has it: until its destruction. No mutex: an executor that runs its tasks
/// at once may bring whoever has it here again.
class RoundTurn {
public:
    explicit RoundTurn(std::atomic<bool>& taken) noexcept
        : taken_{taken}, mine_{!taken_.exchange(true)} {}
    ~RoundTurn() {
        if (mine_) {
            taken_ = false;
        }
    }
    RoundTurn(const RoundTurn&) = delete;
    RoundTurn& operator=(const RoundTurn&) = delete;

    [[nodiscard]] bool mine() const noexcept { return mine_; }

private:
    std::atomic<bool>& taken_;
    const bool mine_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_ROUND_TURN_HPP
