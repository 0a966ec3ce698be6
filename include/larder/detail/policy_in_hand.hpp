// SPDX-License-Identifier: MIT

/// @file
/// What a policy has in hand, for tests.

#ifndef LARDER_DETAIL_POLICY_IN_HAND_HPP
#define LARDER_DETAIL_POLICY_IN_HAND_HPP

#include <larder/detail/slot/protocol.hpp>
#include <larder/version.hpp>

#include <cstddef>

LARDER_NS_BEGIN

namespace detail {

/// What is out of a policy and its store: nothing, once nothing runs.
struct PolicyInHand {
    InHand store{};
    std::size_t loads = 0;  ///< keys with a load outside of a slot: queued, without lease, watched
    std::size_t refreshes = 0;  ///< places taken
    std::size_t tasks = 0;      ///< that have begun

    friend bool operator==(const PolicyInHand&, const PolicyInHand&) = default;
};

/// A policy's friend.
struct Inspect {
    template <class P>
    [[nodiscard]] static PolicyInHand in_hand(const P& policy) {
        return policy.core().in_hand();
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_POLICY_IN_HAND_HPP
