// SPDX-License-Identifier: MIT

// From how many callers on a connection is shared.

#include "support/catch.hpp"

#include <larder/redis/detail/client/few_callers.hpp>

using larder::redis::detail::FewCallers;

TEST_CASE("few callers are as many as run at the same time", "[redis]") {
    CHECK(FewCallers{16, 1}.count(true) == 3);
    CHECK(FewCallers{16, 2}.count(true) == 6);
    CHECK(FewCallers{16, 64}.count(true) == 8);
    CHECK(FewCallers{16, 0}.count(true) == 8);  // not known
    CHECK(FewCallers{16, 1}.count(false) == 8);
    CHECK(FewCallers{16, 64}.count(false) == 8);
    // No more than have a connection each.
    CHECK(FewCallers{2, 1}.count(true) == 2);
    CHECK(FewCallers{2, 1}.count(false) == 2);
}
