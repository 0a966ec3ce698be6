// SPDX-License-Identifier: MIT

// RawCodec: strings byte by byte, numbers as text.

#include "support/catch.hpp"
#include "support/codec_checks.hpp"

#include <larder/codec/raw.hpp>
#include <larder/concepts.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

using larder::RawCodec;
using larder_test::codec_error;
using larder_test::round_trip;
using namespace std::string_literals;

namespace {

class Slug {
public:
    explicit Slug(std::string_view text) : text_{text} {}
    operator std::string_view() const { return text_; }
    bool operator==(const Slug&) const = default;

private:
    std::string text_;
};

static_assert(larder::Codec<RawCodec<>, std::string>);
static_assert(larder::Codec<RawCodec<long>, long>);
static_assert(larder::Codec<RawCodec<Slug>, Slug>);
static_assert(!larder::Codec<RawCodec<>, int>);
static_assert(RawCodec<>::textual);
// Nothing that would point into the bytes of a reply, and nothing that is no text.
static_assert(!larder::detail::RawText<std::string_view> && !larder::detail::RawText<const char*>);
static_assert(!larder::detail::RawNumber<char32_t> && !larder::detail::RawNumber<void*>);

}  // namespace

TEST_CASE("raw strings are their bytes", "[codec]") {
    const RawCodec<> codec;
    for (const std::string& text :
         {""s, "plain"s, "\0\x01\xFF\xC3\x28"s, std::string(5'000'000, 'x'),
          larder_test::random_bytes(10'000, 1)}) {
        CHECK(codec.encode(text) == text);
        CHECK(codec.decode(text) == text);
    }
    CHECK(RawCodec<Slug>{}.encode(Slug{"a-b"}) == "a-b");
    round_trip(RawCodec<Slug>{}, Slug{"a-b"});
}

TEST_CASE("raw numbers are decimal text", "[codec]") {
    CHECK(RawCodec<int>{}.encode(-42) == "-42");
    CHECK(RawCodec<bool>{}.encode(true) == "true");
    CHECK(RawCodec<double>{}.encode(24.5) == "24.5");
    CHECK(RawCodec<double>{}.decode("24.0") == 24.0);  // as others write it
    round_trip(RawCodec<bool>{}, true);
    round_trip(RawCodec<bool>{}, false);
    round_trip(RawCodec<std::int64_t>{}, (std::numeric_limits<std::int64_t>::min)());
    round_trip(RawCodec<std::uint64_t>{}, (std::numeric_limits<std::uint64_t>::max)());
    round_trip(RawCodec<float>{}, 0.1F);
    round_trip(RawCodec<long double>{}, 0.1L);
    for (const double number : {0.1, -0.0, 1e300, std::numeric_limits<double>::denorm_min(),
                                -std::numeric_limits<double>::infinity()}) {
        round_trip(RawCodec<double>{}, number);
    }
    CHECK(std::isnan(RawCodec<double>{}.decode(
        RawCodec<double>{}.encode(std::numeric_limits<double>::quiet_NaN()))));
}

TEST_CASE("text that is no number says so", "[codec]") {
    const auto number = "larder: text does not decode as a number: the codec failed"s;
    for (const std::string& text : {""s, " 1"s, "1 "s, "+1"s, "1.5"s, "0x10"s, "one"s, "1\0"s, "-"s,
                                    "\"1\""s, std::string(1'000'000, ' ')}) {
        CAPTURE(text);
        CHECK(codec_error([&] { (void)RawCodec<int>{}.decode(text); }) == number);
    }
    const auto range =
        "larder: text does not decode as a number: it is out of range: the codec failed"s;
    CHECK(codec_error([] { (void)RawCodec<int>{}.decode("2147483648"); }) == range);
    CHECK(codec_error([] { (void)RawCodec<int>{}.decode(std::string(1'000'000, '9')); }) == range);
    CHECK(codec_error([] { (void)RawCodec<unsigned>{}.decode("-1"); }) == number);
    CHECK(codec_error([] { (void)RawCodec<double>{}.decode("1e999"); }) == range);
    CHECK(codec_error([] { (void)RawCodec<double>{}.decode("1.5.1"); }) == number);
    for (const char* text : {"", "TRUE", "1", "true ", "yes"}) {
        CHECK(codec_error([&] { (void)RawCodec<bool>{}.decode(text); }) ==
              "larder: text does not decode as true or false: the codec failed");
    }
}
