// SPDX-License-Identifier: MIT

// What a program is told that asks for encryption and has none: this one does not include it.

#include "support/catch.hpp"
#include "support/caught.hpp"

#include <larder/redis.hpp>

#include <stdexcept>
#include <string>

TEST_CASE("without <larder/tls.hpp> nothing is encrypted, and that is said", "[redis]") {
    using larder::redis::Client;
    CHECK_THROWS_AS(Client{"rediss://cache"}, std::invalid_argument);
    const std::string text =
        larder_test::caught_text([] { const Client client{"rediss://u:hush@cache"}; });
    CHECK(text.find("<larder/tls.hpp>") != std::string::npos);
    CHECK(text.find("hush") == std::string::npos);
}
