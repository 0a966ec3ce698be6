// SPDX-License-Identifier: MIT

// JsonCodec: what it writes, what it refuses, and what it makes of hostile text.

#include "support/catch.hpp"
#include "support/codec_checks.hpp"

#include <larder/concepts.hpp>
#include <larder/json.hpp>

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

using larder::JsonCodec;
using larder_test::codec_error;
using larder_test::mentions;
using larder_test::round_trip;

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

using shop::Product;

static_assert(larder::Codec<JsonCodec<Product>, Product>);
static_assert(!larder::Codec<JsonCodec<Product>, std::string>);
static_assert(JsonCodec<Product>::textual);

std::string nested(std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
}

}  // namespace

TEST_CASE("JSON is what others read and write", "[codec]") {
    const JsonCodec<Product> codec;
    CHECK(codec.encode({42, "teapot", 24.5}) == R"({"id":42,"name":"teapot","price":24.5})");
    CHECK(codec.decode(R"( { "price": 24.5, "more": [null], "name": "te\u0061pot", "id": 42 } )") ==
          Product{42, "teapot", 24.5});
}

TEST_CASE("values come back from JSON as they were", "[codec]") {
    round_trip(JsonCodec<Product>{}, Product{});
    round_trip(JsonCodec<Product>{}, Product{-1, "quotes \" \\ \n \x01 and ü 🫖", -0.0});
    round_trip(JsonCodec<std::string>{}, std::string{});
    round_trip(JsonCodec<std::string>{}, std::string{"a\0b", 3});
    round_trip(JsonCodec<std::string>{}, std::string(1'000'000, 'x'));
    round_trip(JsonCodec<std::vector<int>>{}, std::vector<int>{});
    round_trip(JsonCodec<std::map<std::string, std::vector<Product>>>{},
               std::map<std::string, std::vector<Product>>{{"", {}}, {"a", {{1, "b", 0.1}}}});
    round_trip(JsonCodec<std::int64_t>{}, (std::numeric_limits<std::int64_t>::min)());
    round_trip(JsonCodec<std::uint64_t>{}, (std::numeric_limits<std::uint64_t>::max)());
    round_trip(JsonCodec<double>{}, (std::numeric_limits<double>::denorm_min)());
    round_trip(JsonCodec<double>{}, (std::numeric_limits<double>::max)());
    round_trip(JsonCodec<float>{}, 0.1F);
    round_trip(JsonCodec<bool>{}, true);
}

TEST_CASE("a document is its own value", "[codec]") {
    round_trip(JsonCodec<nlohmann::json>{},
               nlohmann::json::parse(R"({"b":[1,{"c":null}],"a":"x"})"));
    round_trip(JsonCodec<nlohmann::json>{}, nlohmann::json{});
    const std::string ordered = R"({"b":1,"a":2})";
    const JsonCodec<nlohmann::ordered_json> codec;
    CHECK(codec.encode(codec.decode(ordered)) == ordered);
}

TEST_CASE("what JSON cannot hold is not written", "[codec]") {
    using Numbers = std::vector<double>;
    for (const double odd :
         {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        const auto what = codec_error([&] { (void)JsonCodec<Numbers>{}.encode({1.0, odd}); });
        CHECK(what ==
              "larder: a value does not encode as JSON: a number is not finite: the codec failed");
    }
    CHECK(mentions(codec_error([] {
                       (void)JsonCodec<Product>{}.encode({1, "\xFF", 1.0});
                   }),
                   "does not encode as JSON: [json.exception.type_error.316]"));
    CHECK(mentions(codec_error([] {
                       (void)JsonCodec<nlohmann::json>{}.encode(nlohmann::json::binary({1, 2}));
                   }),
                   "bytes are no text"));
}

TEST_CASE("text that is not JSON, or not of this type, says so", "[codec]") {
    const JsonCodec<Product> codec;
    for (const char* text : {"", " ", "{", "nil", "{\"id\":1,}", "[1] 2", "\x01", "\xFF\xFE",
                             "\"\xC3\x28\"", "1e999", "{\"id\":1,\"name\":\"x\",\"price\":1}}"}) {
        CAPTURE(text);
        CHECK(mentions(codec_error([&] { (void)codec.decode(text); }),
                       "bytes do not decode as JSON: "));
    }
    for (const char* text : {"null", "[]", "7", "{}", R"({"id":1,"name":2,"price":3})",
                             R"({"id":1,"name":"x","price":null})"}) {
        CAPTURE(text);
        CHECK(mentions(codec_error([&] { (void)codec.decode(text); }),
                       "bytes do not decode as JSON: "));
    }
    CHECK(larder_test::refused_damage(codec, codec.encode({42, "teapot", 24.5})) > 100);
}

TEST_CASE("JSON that nests deeply is refused before it overflows the stack", "[codec]") {
    const JsonCodec<nlohmann::json> codec;
    CHECK(codec.encode(codec.decode(nested(128))) == nested(128));
    for (const std::string& text : {nested(129), nested(500'000), std::string(1'000'000, '['), [] {
                                        std::string objects;
                                        for (int i = 0; i < 200'000; ++i) {
                                            objects += "{\"[\":";
                                        }
                                        return objects;
                                    }()}) {
        const auto what = codec_error([&] { (void)codec.decode(text); });
        CHECK(what ==
              "larder: bytes do not decode as JSON: it nests deeper than 128: the codec failed");
    }
    CHECK(codec_error([&] { (void)codec.encode(nlohmann::json::parse(nested(129))); }) ==
          "larder: a value does not encode as JSON: it nests deeper than 128: the codec failed");
    // Brackets that are text, or closed again, are no depth.
    round_trip(codec, nlohmann::json(std::string(1000, '[') + "\\\"" + std::string(1000, '{')));
    round_trip(codec, nlohmann::json::parse("[" + [] {
                   std::string many = "[]";
                   for (int i = 0; i < 1000; ++i) {
                       many += ",[[],{}]";
                   }
                   return many;
               }() + "]"));
}

TEST_CASE("a pointer is what it points to", "[codec]") {
    const JsonCodec<std::shared_ptr<const Product>> codec;
    const auto product = std::make_shared<const Product>(Product{42, "teapot", 24.5});
    CHECK(codec.encode(product) == JsonCodec<Product>{}.encode(*product));
    CHECK(*codec.decode(codec.encode(product)) == *product);
    CHECK(codec.encode(nullptr) == "null");
    CHECK(codec.decode("null") == nullptr);
    CHECK(!codec_error([&] { (void)codec.decode("{}"); }).empty());
    CHECK(!codec_error([&] {
               (void)codec.decode(R"({"id":4294967338,"name":"","price":0})");
           }).empty());
    CHECK(!codec_error([] {
               (void)JsonCodec<std::shared_ptr<nlohmann::json>>{}.encode(
                   std::make_shared<nlohmann::json>());
           }).empty());
}
