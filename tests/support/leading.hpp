// SPDX-License-Identifier: MIT

/// @file
/// A lease in the hands of a test: it ends with the lead that it came with.

#ifndef LARDER_TESTS_SUPPORT_LEADING_HPP
#define LARDER_TESTS_SUPPORT_LEADING_HPP

#include "support/catch.hpp"

#include <larder/detail/slot/protocol.hpp>

#include <utility>

namespace larder_test {

/// What a store has answered to one who leads; serves as the lease.
template <class V>
class Leading {
public:
    using Opening = larder::detail::Opening<V>;

    explicit Leading(Opening opening) : opening_{std::move(opening)} {
        REQUIRE(opening_.slot == larder::detail::Slot::lead);
        REQUIRE(opening_.lease);
        REQUIRE(opening_.lead);
    }

    operator const larder::detail::Lease&() const noexcept { return opening_.lease; }
    const Opening* operator->() const noexcept { return &opening_; }

private:
    Opening opening_;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_LEADING_HPP
