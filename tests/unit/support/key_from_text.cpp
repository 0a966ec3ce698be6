// SPDX-License-Identifier: MIT

// Keys come back from their texts, and from nothing else.

#include "support/catch.hpp"

#include <larder/detail/support/key_from_text.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <memory_resource>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

using larder::detail::InvertibleKey;
using larder::detail::key_from_text;
using larder::detail::key_text;

namespace shop {

enum class Currency : std::uint8_t { eur = 1, usd = 2 };
enum class Debt : std::int64_t { none = 0 };

// Names itself, and reads its name, in more spellings than it writes.
struct Sku {
    int id = 0;
    friend bool operator==(const Sku&, const Sku&) = default;
};
std::string to_key(const Sku& sku) {
    return "sku-" + std::to_string(sku.id);
}
bool from_key(std::string_view text, Sku& sku) {
    if (!text.starts_with("sku-")) {
        return false;
    }
    sku.id = std::stoi(std::string{text.substr(4)});
    return true;
}

// No way back.
struct Oneway {};
std::string to_key(const Oneway&) {
    return "oneway";
}
enum class Colour { red };
std::string to_key(Colour) {
    return "red";
}

// A way back without a way there.
struct Mute {};
bool from_key(std::string_view, Mute&);

// A from_key that gives something else is not meant.
struct Odd {};
std::string to_key(const Odd&);
int from_key(std::string_view, Odd&);

// Nor one that cannot be called so.
struct Apart {};
std::string to_key(const Apart&);
bool from_key(const std::string&, Apart&);

struct Silent {};

struct View {
    operator std::string_view() const { return "view"; }
};

}  // namespace shop

static_assert(InvertibleKey<int> && InvertibleKey<bool> && InvertibleKey<char> &&
              InvertibleKey<wchar_t> && InvertibleKey<char32_t> && InvertibleKey<std::uint64_t> &&
              InvertibleKey<double> && InvertibleKey<shop::Currency> && InvertibleKey<shop::Sku> &&
              InvertibleKey<std::string> && InvertibleKey<std::pmr::string>);
static_assert(InvertibleKey<std::pair<int, std::string>> && InvertibleKey<std::tuple<>> &&
              InvertibleKey<std::array<std::tuple<shop::Sku, int>, 2>>);
static_assert(!InvertibleKey<shop::Oneway> && !InvertibleKey<shop::Colour> &&
              !InvertibleKey<shop::Mute> && !InvertibleKey<shop::Odd> &&
              !InvertibleKey<shop::Apart> && !InvertibleKey<shop::Silent> &&
              !InvertibleKey<shop::View> && !InvertibleKey<std::string_view> &&
              !InvertibleKey<const char*> && !InvertibleKey<long double> &&
              !InvertibleKey<const int> && !InvertibleKey<int*>);
static_assert(!InvertibleKey<std::pair<const int, int>> &&
              !InvertibleKey<std::tuple<int, shop::Oneway>> &&
              !InvertibleKey<std::array<std::string_view, 2>>);

namespace {

template <class K>
bool comes_back(const K& key) {
    K other{};
    return key_from_text(key_text(key), other) && other == key;
}

template <class K>
bool refused(std::string_view text) {
    K key{};
    return !key_from_text(text, key);
}

}  // namespace

TEMPLATE_TEST_CASE("every number of a small type comes back", "[key_text]", bool, char, signed char,
                   unsigned char, char8_t, char16_t, std::int16_t, std::uint16_t) {
    using Limits = std::numeric_limits<TestType>;
    bool all = true;
    for (long number = Limits::min(); number <= static_cast<long>(Limits::max()); ++number) {
        all = all && comes_back(static_cast<TestType>(number));
    }
    CHECK(all);
    CHECK(refused<TestType>(std::to_string(static_cast<long>(Limits::max()) + 1)));
    CHECK(refused<TestType>(std::to_string(static_cast<long>(Limits::min()) - 1)));
}

TEMPLATE_TEST_CASE("the ends of an integer come back, and what is beyond does not", "[key_text]",
                   int, unsigned, long, unsigned long, long long, unsigned long long, wchar_t,
                   char32_t) {
    using Limits = std::numeric_limits<TestType>;
    for (const TestType number : {Limits::min(), Limits::max(), TestType{0}, TestType{1}}) {
        CHECK(comes_back(number));
        CHECK(refused<TestType>(key_text(number) + std::string(20, '0')));
    }
}

TEST_CASE("an integer is spelled in one way", "[key_text]") {
    for (const char* text : {"", "+1", "-0", "00", "007", " 1", "1 ", "1x", "x1", "0x1", "1.0",
                             "1e3", "-", "--1", "1:", ":1", "18446744073709551616"}) {
        CAPTURE(text);
        CHECK(refused<int>(text));
        CHECK(refused<std::uint64_t>(text));
    }
    CHECK(refused<int>(std::string_view{"1\0", 2}));
    CHECK(refused<int>("2147483648"));
    CHECK(refused<unsigned>("-1"));
    CHECK(refused<std::int64_t>("-9223372036854775809"));
    CHECK(refused<std::uint64_t>("-1"));
    CHECK(refused<bool>("2"));
    CHECK(refused<bool>("true"));
    CHECK(refused<char>("a"));
}

TEST_CASE("an enumeration comes back by its number", "[key_text]") {
    CHECK(comes_back(shop::Currency::usd));
    CHECK(comes_back(static_cast<shop::Currency>(200)));
    CHECK(comes_back(shop::Debt{std::numeric_limits<std::int64_t>::min()}));
    CHECK(refused<shop::Currency>("256"));
    CHECK(refused<shop::Currency>("-1"));
    CHECK(refused<shop::Currency>("usd"));
    CHECK(refused<shop::Currency>("01"));
}

TEST_CASE("a string is its text", "[key_text]") {
    using namespace std::string_literals;
    for (const std::string& text : {""s, "a"s, "a:b"s, "%"s, "%3A"s, "\0\xff"s, " "s}) {
        CHECK(comes_back(text));
        std::pmr::string other;
        CHECK((key_from_text(text, other) && std::string_view{other} == text));
    }
}

TEMPLATE_TEST_CASE("a floating point number comes back to the last bit", "[key_text]", float,
                   double) {
    using Limits = std::numeric_limits<TestType>;
    for (const TestType number : {TestType(0), -TestType(0), TestType(0.1L), TestType(1) / 3,
                                  Limits::max(), Limits::lowest(), Limits::min(),
                                  Limits::denorm_min(), Limits::infinity(), -Limits::infinity()}) {
        CHECK(comes_back(number));
    }
    for (const char* text : {"", "-0", "0.0", "1.0", "01", "+1", ".5", "1e0", "0x1p3", "infinity",
                             "0.10", "1e999999", "1 ", "1:"}) {
        CAPTURE(text);
        CHECK(refused<TestType>(text));
    }
}

TEST_CASE("a key of a user's own comes back by its from_key, and from what to_key gives",
          "[key_text]") {
    CHECK(comes_back(shop::Sku{7}));
    CHECK(comes_back(std::pair{shop::Sku{-7}, std::string{"sku-:"}}));
    CHECK(refused<shop::Sku>("7"));
    CHECK(refused<shop::Sku>("sku-07"));  // its from_key takes it
    CHECK(refused<shop::Sku>("sku-7 "));
    shop::Sku sku;
    CHECK_THROWS_AS(key_from_text("sku-", sku), std::invalid_argument);
}

TEST_CASE("parts come back", "[key_text]") {
    using Strings = std::pair<std::string, std::string>;
    for (const auto& [first, second] : {Strings{"a", "b"},
                                        {"", ""},
                                        {"", "b"},
                                        {"a", ""},
                                        {"a:b", "c"},
                                        {"a", "b:c"},
                                        {"%", "%3A"},
                                        {":", "::"},
                                        {"%253A", "%25"}}) {
        CHECK(comes_back(Strings{first, second}));
        CHECK(comes_back(std::tuple{Strings{first, second}, 1, std::array{first, second}}));
    }
    CHECK(comes_back(std::tuple<>{}));
    CHECK(comes_back(std::tuple<std::string>{}));
    CHECK(comes_back(std::tuple{std::tuple{std::tuple{std::string{"a:%"}}}}));
    CHECK(comes_back(std::array<int, 0>{}));
    CHECK(comes_back(std::tuple{std::tuple<>{}, std::tuple<>{}}));
}

TEST_CASE("parts that no key has are refused", "[key_text]") {
    using Strings = std::pair<std::string, std::string>;
    for (const char* text :
         {"", "a", "a:b:c", "a:b:", ":a:b", "a:%", "a:%3", "a:%3a", "%41:b", "%%3A:b", "a:b%2"}) {
        CAPTURE(text);
        CHECK(refused<Strings>(text));
    }
    using Numbers = std::tuple<int, int>;
    for (const char* text :
         {"1", "1:", ":1", "1:2:3", "1:02", "1: 2", "1:2:", "1%3A2", "1%3A2:3"}) {
        CAPTURE(text);
        CHECK(refused<Numbers>(text));
    }
    CHECK(refused<std::tuple<>>(":"));
    CHECK(refused<std::tuple<>>("a"));
    CHECK(refused<std::tuple<std::string>>("a:"));
}

namespace {

// Mostly the characters that mean something.
std::string some_text(std::mt19937& random) {
    static constexpr std::string_view letters{":%3A25a-0\0\xff", 12};
    std::string text(random() % 6, ' ');
    for (char& c : text) {
        c = letters[random() % letters.size()];
    }
    return text;
}

using Key = std::tuple<std::string, std::pair<std::string, std::int64_t>,
                       std::array<std::string, 2>, double, shop::Sku>;

Key some_key(std::mt19937& random) {
    const auto bits = (std::uint64_t{random()} << 32) | random();
    const auto number = std::bit_cast<double>(bits);
    return {some_text(random),
            {some_text(random), static_cast<std::int64_t>(bits)},
            {some_text(random), some_text(random)},
            number == number ? number : 0.0,
            shop::Sku{static_cast<int>(random())}};
}

}  // namespace

TEST_CASE("whatever a key holds, it comes back", "[key_text]") {
    std::mt19937 random{20'26};  // NOLINT: the same run each time
    for (int i = 0; i < 20'000; ++i) {
        const Key key = some_key(random);
        Key other;
        if (!key_from_text(key_text(key), other) || other != key) {
            FAIL(key_text(key));
        }
    }
}

TEST_CASE("whatever a text is, it is refused or a key's own", "[key_text]") {
    std::mt19937 random{7};  // NOLINT: the same run each time
    int read = 0;
    for (int i = 0; i < 200'000; ++i) {
        const std::string text = some_text(random);
        std::tuple<std::string, std::pair<std::string, bool>> parts;
        int number{};
        if (key_from_text(text, number)) {
            ++read;
            CHECK(key_text(number) == text);
        }
        std::tuple<std::string, std::tuple<std::string>> nested;
        if (key_from_text(text, nested)) {
            ++read;
            CHECK(key_text(nested) == text);
        }
        if (key_from_text(text, parts)) {
            CHECK(key_text(parts) == text);
        }
    }
    CHECK(read > 1'000);
}
