// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/redis/error.hpp>
#include <larder/redis/reply.hpp>

using larder::redis::Outcome;
using Kind = larder::redis::Reply::Kind;

TEST_CASE("the enumerators of the client have names", "[names][redis]") {
    CHECK(to_string(Outcome::not_sent) == "not_sent");
    CHECK(to_string(Outcome::unknown) == "unknown");
    CHECK(to_string(Kind::nil) == "nil");
    CHECK(to_string(Kind::string) == "string");
    CHECK(to_string(Kind::status) == "status");
    CHECK(to_string(Kind::error) == "error");
    CHECK(to_string(Kind::integer) == "integer");
    CHECK(to_string(Kind::array) == "array");
}
