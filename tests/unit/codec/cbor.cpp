// SPDX-License-Identifier: MIT

// CborCodec and MsgPackCodec: what they write, what they refuse, and what they make of hostile bytes.

#include "support/catch.hpp"
#include "support/codec_checks.hpp"

#include <larder/concepts.hpp>
#include <larder/json.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

using larder::CborCodec;
using larder::MsgPackCodec;
using larder_test::codec_error;
using larder_test::mentions;
using larder_test::round_trip;
using namespace std::string_literals;

namespace shop {

struct Product {
    int id{};
    std::string name{};
    double price{};
    bool operator==(const Product&) const = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Product, id, name, price)

}  // namespace shop

namespace {

using nlohmann::json;
using shop::Product;

static_assert(larder::Codec<CborCodec<Product>, Product>);
static_assert(larder::Codec<MsgPackCodec<Product>, Product>);
static_assert(!larder::Codec<CborCodec<Product>, int>);
static_assert(!CborCodec<Product>::textual);
static_assert(!MsgPackCodec<Product>::textual);

template <template <class> class Codec>
void round_trips() {
    round_trip(Codec<Product>{}, Product{42, "teapot", 24.5});
    round_trip(Codec<Product>{}, Product{-1, "\xFF\xFE is not UTF-8", -0.0});
    round_trip(Codec<std::string>{}, ""s);
    round_trip(Codec<std::string>{}, "a\0b"s);
    for (const std::size_t size : {23U, 24U, 31U, 32U, 255U, 256U, 65'535U, 65'536U, 1'000'000U}) {
        round_trip(Codec<std::string>{}, std::string(size, 'x'));
    }
    for (const std::size_t size : {0U, 15U, 16U, 23U, 24U, 255U, 256U, 65'536U}) {
        std::vector<int> numbers(size, 7);
        std::map<std::string, int> names;
        for (std::size_t i = 0; i < size; ++i) {
            names[std::to_string(i)] = static_cast<int>(i);
        }
        round_trip(Codec<std::vector<int>>{}, numbers);
        round_trip(Codec<std::map<std::string, int>>{}, names);
    }
    for (int bit = 0; bit < 64; ++bit) {
        const std::uint64_t n = std::uint64_t{1} << static_cast<unsigned>(bit);
        round_trip(Codec<std::vector<std::uint64_t>>{},
                   std::vector<std::uint64_t>{n - 1, n, n + 1});
        round_trip(Codec<std::int64_t>{}, -static_cast<std::int64_t>(n / 2) - 1);
    }
    using Limits = std::numeric_limits<double>;
    for (const double number : {0.1, 0.5, Limits::infinity(), -Limits::infinity(),
                                Limits::denorm_min(), (Limits::max)()}) {
        round_trip(Codec<double>{}, number);
    }
    CHECK(std::isnan(Codec<double>{}.decode(Codec<double>{}.encode(Limits::quiet_NaN()))));
    round_trip(Codec<json>{}, json::parse(R"({"b":[1,{"c":null}],"a":"x","d":[true,false,-1.5]})"));
    for (const std::size_t size : {0U, 1U, 2U, 3U, 4U, 8U, 16U, 17U, 256U, 70'000U}) {
        round_trip(Codec<json>{}, json::binary(std::vector<std::uint8_t>(size, 0xC1)));
    }
}

/// Says that these bytes do not decode as `name`, and why.
template <class Codec>
std::string refusal(const Codec& codec, const std::string& bytes, std::string_view name) {
    const auto what = codec_error([&] { (void)codec.decode(bytes); });
    const std::string expected = "larder: bytes do not decode as " + std::string{name} + ": ";
    CHECK(what.substr(0, expected.size()) == expected);
    return what;
}

std::string repeated(std::string_view what, std::size_t times) {
    std::string all;
    for (std::size_t i = 0; i < times; ++i) {
        all += what;
    }
    return all;
}

}  // namespace

TEST_CASE("values come back from CBOR as they were", "[codec]") {
    round_trips<CborCodec>();
}

TEST_CASE("values come back from MessagePack as they were", "[codec]") {
    round_trips<MsgPackCodec>();
    json typed = json::binary({1, 2, 3});
    typed.get_binary().set_subtype(7);  // an extension
    round_trip(MsgPackCodec<json>{}, typed);
}

TEST_CASE("other writers' CBOR is read", "[codec]") {
    const CborCodec<json> codec;
    CHECK(codec.decode("\x9F\x01\xBF\x61\x61\x02\xFF\xFF"s) ==
          json::parse(R"([1,{"a":2}])"));                           // open-ended
    CHECK(codec.decode("\x7F\x61\x61\x62\x62\x63\xFF"s) == "abc");  // in chunks
    CHECK(codec.decode("\xF9\x3C\x00"s) == 1.0);                    // half precision
}

TEST_CASE("bytes that are not CBOR, or not of this type, say so", "[codec]") {
    const CborCodec<Product> codec;
    for (const std::string& bytes : {""s,
                                     "\x1C"s,
                                     "\xFF"s,
                                     "\x81"s,
                                     "\x81\xFF"s,
                                     "\x9F\x01"s,
                                     "\x62\x61"s,
                                     "\xBF\x61\x61\xFF"s,
                                     "\x01\x01"s,
                                     "\xC0\x01"s,
                                     "\xA1\x01\x02"s,
                                     "\x5F\x61\x61\xFF"s,
                                     "{\"id\":1}"s,
                                     "\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s,
                                     "\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s,
                                     "\xBB\x80\0\0\0\0\0\0\0"s,
                                     "\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s,
                                     "\x5B\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF"s,
                                     "\xFE"s,
                                     "\x1F"s,
                                     "\x9A\xFF\xFF\xFF\xFF"s}) {
        CAPTURE(bytes);
        refusal(CborCodec<json>{}, bytes, "CBOR");
    }
    refusal(codec, CborCodec<json>{}.encode(json::parse(R"({"id":1,"name":2,"price":3})")), "CBOR");
    refusal(codec, CborCodec<int>{}.encode(7), "CBOR");
    CHECK(larder_test::refused_damage(codec, codec.encode({42, "teapot", 24.5})) > 60);
}

TEST_CASE("bytes that are not MessagePack, or not of this type, say so", "[codec]") {
    const MsgPackCodec<Product> codec;
    for (const std::string& bytes :
         {""s, "\xC1"s, "\x91"s, "\xA2\x61"s, "\x01\x01"s, "\x81\x01\x02"s, "\x81\xA1\x61"s,
          "\xDD\xFF\xFF\xFF\xFF"s, "\xDF\xFF\xFF\xFF\xFF"s, "\xDB\xFF\xFF\xFF\xFF"s,
          "\xC6\xFF\xFF\xFF\xFF"s, "\xC9\xFF\xFF\xFF\xFF\x01"s, "\xD8\x01\x02"s, "\xCB\x01"s,
          "{\"id\":1}"s}) {
        CAPTURE(bytes);
        refusal(MsgPackCodec<json>{}, bytes, "MessagePack");
    }
    refusal(codec, MsgPackCodec<json>{}.encode(json::parse(R"({"id":1,"name":2,"price":3})")),
            "MessagePack");
    refusal(codec, MsgPackCodec<int>{}.encode(7), "MessagePack");
    CHECK(larder_test::refused_damage(codec, codec.encode({42, "teapot", 24.5})) > 60);
}

TEST_CASE("CBOR that nests deeply is refused before it overflows the stack", "[codec]") {
    const CborCodec<json> codec;
    round_trip(codec, codec.decode(repeated("\x81", 127) + '\x80'));
    const std::string endless =
        "\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF";  // ends at once, says the parser
    for (const std::string& bytes :
         {repeated("\x81", 128) + '\x80', repeated("\x81", 1'000'000), repeated("\x9F", 1'000'000),
          repeated("\x7F", 1'000'000), repeated("\x5F", 1'000'000),
          repeated("\xA1\x61\x61", 400'000), repeated("\xBF\x61\x61", 400'000),
          "\x82\x80"s + repeated("\x81", 1'000'000), "\x82\x9F\xFF" + repeated("\x81", 1'000'000),
          "\x83\x5F\x41\x7F\xFF\x7F\x61\x5F\xFF" + repeated("\x5F", 1'000'000)}) {
        CHECK(mentions(refusal(codec, bytes, "CBOR"), "it nests deeper than 128"));
    }
    refusal(codec, "\x82" + endless + repeated("\x81", 1'000'000), "CBOR");
    CHECK(codec_error(
              [&] { (void)codec.encode(json::parse(repeated("[", 129) + repeated("]", 129))); }) ==
          "larder: a value does not encode as CBOR: it nests deeper than 128: the codec failed");
}

TEST_CASE("MessagePack that nests deeply is refused before it overflows the stack", "[codec]") {
    const MsgPackCodec<json> codec;
    round_trip(codec, codec.decode(repeated("\x91", 127) + '\x90'));
    for (const std::string& bytes :
         {repeated("\x91", 128) + '\x90', repeated("\x91", 1'000'000),
          repeated("\x81\xA1\x61", 400'000), repeated("\xDC\x00\x01"s, 400'000),
          repeated("\xDD\x00\x00\x00\x01"s, 200'000), repeated("\xDE\x00\x01\xA0"s, 200'000),
          repeated("\xDF\x00\x00\x00\x01\xA0"s, 200'000),
          // All kinds of items in front.
          "\xDC\x00\x25\x7F\x80\x90\xA1\x91\xC0\xC2\xC3\xC4\x01\x91\xC5\x00\x01\x91"
          "\xC6\x00\x00\x00\x01\x91\xC7\x01\x91\x91\xC8\x00\x01\x91\x91\xC9\x00\x00\x00\x01\x91\x91"
          "\xCA\x91\x91\x91\x91\xCB\x91\x91\x91\x91\x91\x91\x91\x91\xCC\x91\xCD\x91\x91"
          "\xCE\x91\x91\x91\x91\xCF\x91\x91\x91\x91\x91\x91\x91\x91\xD0\x91\xD1\x91\x91"
          "\xD2\x91\x91\x91\x91\xD3\x91\x91\x91\x91\x91\x91\x91\x91\xD4\x91\x91\xD5\x91\x91\x91"
          "\xD6\x91\x91\x91\x91\x91\xD7\x91\x91\x91\x91\x91\x91\x91\x91\x91"
          "\xD8\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91\x91"
          "\xD9\x01\x91\xDA\x00\x01\x91\xDB\x00\x00\x00\x01\x91\xDC\x00\x00\xDD\x00\x00\x00\x00"
          "\xDE\x00\x00\xDF\x00\x00\x00\x00\xE0"s +
              repeated("\x91", 1'000'000)}) {
        CHECK(mentions(refusal(codec, bytes, "MessagePack"), "it nests deeper than 128"));
    }
}
