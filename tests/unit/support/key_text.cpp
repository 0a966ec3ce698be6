// SPDX-License-Identifier: MIT

// Keys in messages: readable, and never the reason for an error of its own.

#include "support/catch.hpp"

#include <larder/detail/support/key_text.hpp>

#include <array>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

using larder::detail::key_text;

namespace shop {

enum class Currency : std::uint8_t { eur = 1, usd = 2 };

struct Sku {
    int id = 0;
};
std::string to_key(const Sku& sku) {
    return "sku-" + std::to_string(sku.id);
}

// Its own text goes before its conversion.
struct Name {
    operator std::string_view() const { return "converted"; }
};
std::string to_key(const Name&) {
    return "named";
}

struct Silent {};

// A to_key that gives something else is not meant.
struct Odd {};
int to_key(const Odd&) {
    return 1;
}

}  // namespace shop

TEST_CASE("numbers, strings and enumerations", "[key_text]") {
    CHECK(key_text(42) == "42");
    CHECK(key_text(-7L) == "-7");
    CHECK(key_text((std::numeric_limits<std::uint64_t>::max)()) == "18446744073709551615");
    CHECK(key_text(std::string{"name"}) == "name");
    CHECK(key_text(std::string_view{"view"}) == "view");
    CHECK(key_text("literal") == "literal");
    CHECK(key_text(shop::Currency::usd) == "2");
    CHECK(key_text(std::string{}).empty());
}

TEST_CASE("the parts of a key, with a colon between them", "[key_text]") {
    CHECK(key_text(std::pair{1, std::string{"a"}}) == "1:a");
    CHECK(key_text(std::tuple{1, std::string{"a"}, shop::Currency::eur}) == "1:a:1");
    CHECK(key_text(std::array{1, 2, 3}) == "1:2:3");
    CHECK(key_text(std::tuple{std::pair{1, 2}, shop::Sku{3}}) == "1:2:sku-3");
    CHECK(key_text(std::tuple<>{}).empty());
}

TEST_CASE("an empty part keeps its place", "[key_text]") {
    CHECK(key_text(std::pair{std::string{}, std::string{"b"}}) == ":b");
    CHECK(key_text(std::pair{std::string{"a"}, std::string{}}) == "a:");
    CHECK(key_text(std::tuple{std::string{}, std::string{}, 1}) == "::1");
}

TEST_CASE("a type says itself what it is, or is not told", "[key_text]") {
    CHECK(key_text(shop::Sku{7}) == "sku-7");
    CHECK(key_text(shop::Name{}) == "named");
    CHECK(key_text(shop::Silent{}) == "?");
    CHECK(key_text(shop::Odd{}) == "?");
    CHECK(key_text(std::pair{1, shop::Silent{}}) == "1:?");
}
