// SPDX-License-Identifier: MIT

// Counts what is under way.

#include "support/catch.hpp"

#include <larder/redis/detail/client/scoped_count.hpp>

#include <atomic>
#include <cstddef>

using larder::redis::detail::ScopedCount;

TEST_CASE("what is counted is counted off", "[redis]") {
    std::atomic<std::size_t> of{0};
    {
        const ScopedCount one{of};
        const ScopedCount two{of};
        CHECK(one.count() == 1);
        CHECK(two.count() == 2);
    }
    CHECK(of == 0);
}
