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
using larder::detail::TextualKey;

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
    CHECK(key_text(std::tuple{1, shop::Sku{3}}) == "1:sku-3");
    CHECK(key_text(std::tuple<>{}).empty());
}

TEST_CASE("a colon of a part does not pass for one between parts", "[key_text]") {
    using Pair = std::pair<std::string, std::string>;
    CHECK(key_text(Pair{"a:b", "c"}) == "a%3Ab:c");
    CHECK(key_text(Pair{"a", "b:c"}) == "a:b%3Ac");
    CHECK(key_text(Pair{"a%3A", "c"}) == "a%253A:c");
    CHECK(key_text(std::string{"a:b %"}) == "a:b %");
    CHECK(key_text(std::tuple{std::pair{1, 2}, 3}) == "1%3A2:3");
    CHECK(key_text(std::tuple{1, std::pair{2, 3}}) == "1:2%3A3");
    CHECK(key_text(std::pair{Pair{"a:b", "c"}, 1}) == "a%253Ab%3Ac:1");
}

TEST_CASE("a truth value and a character are the numbers that they are", "[key_text]") {
    CHECK(key_text(true) == "1");
    CHECK(key_text('a') == "97");
    CHECK(key_text(std::uint8_t{200}) == "200");
    CHECK(key_text(u8'a') == "97");
    CHECK(key_text(U'a') == "97");
}

TEST_CASE("a floating point number has the shortest text of its own", "[key_text]") {
    CHECK(key_text(0.5) == "0.5");
    CHECK(key_text(-0.0) == "0");
    CHECK(key_text(1e-9) != key_text(2e-9));
    CHECK(key_text(0.1F) == "0.1");
    CHECK(key_text((std::numeric_limits<double>::max)()) == "1.7976931348623157e+308");
    CHECK(!key_text((std::numeric_limits<long double>::denorm_min)()).empty());
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

// Whose keys differ in their texts when they differ.
static_assert(TextualKey<int> && TextualKey<double> && TextualKey<std::string> &&
              TextualKey<std::string_view> && TextualKey<shop::Currency> && TextualKey<shop::Sku> &&
              TextualKey<std::pair<const int, shop::Name>> && TextualKey<std::array<char, 3>> &&
              TextualKey<std::tuple<>>);
static_assert(!TextualKey<shop::Silent> && !TextualKey<shop::Odd> && !TextualKey<int*> &&
              !TextualKey<std::tuple<int, shop::Silent>> &&
              !TextualKey<std::pair<std::array<shop::Odd, 1>, int>>);
