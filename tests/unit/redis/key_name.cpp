// SPDX-License-Identifier: MIT

// How keys are named in Redis, and which names a namespace may have.

#include "support/catch.hpp"

#include <larder/redis/key_name.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>

TEST_CASE("keys that differ have names that differ", "[redis]") {
    using larder::redis::key_name;
    enum class Colour : std::uint8_t { red = 3 };
    CHECK(key_name(42) == "42");
    CHECK(key_name(-1) == "-1");
    CHECK(key_name(Colour::red) == "3");
    CHECK(key_name(std::string{"a:b %"}) == "a:b %");
    using Pair = std::tuple<std::string, std::string>;
    CHECK(key_name(Pair{"a", "b"}) == "a:b");
    CHECK(key_name(Pair{"a:b", "c"}) != key_name(Pair{"a", "b:c"}));
    CHECK(key_name(Pair{"a%3A", "c"}) != key_name(Pair{"a:", "c"}));
    CHECK(key_name(Pair{"", "x"}) != key_name(Pair{"x", ""}));
    CHECK(key_name(std::tuple{1, std::string{"x"}}) == "1:x");
    static_assert(!larder::redis::Nameable<double>);
    static_assert(!larder::redis::Nameable<std::pair<int, double>>);
    static_assert(!larder::redis::Nameable<std::tuple<std::array<float, 2>, int>>);
}

TEST_CASE("a namespace that could meet another's keys is refused", "[redis]") {
    using larder::redis::require_namespace;
    for (const char* bad : {"", "~tag", "a{b", "a}b", ":a", "a:", "a\nb", "\x7f"}) {
        CHECK_THROWS_AS(require_namespace(bad), std::invalid_argument);
    }
    require_namespace("shop:product");
    require_namespace("*?[x]");
}
