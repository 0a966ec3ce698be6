// SPDX-License-Identifier: MIT

// Numbers and booleans of documents, as other programs write them: they are a value's, or do not decode.

#include "support/catch.hpp"
#include "support/codec_checks.hpp"

#include <larder/json.hpp>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

using larder::CborCodec;
using larder::JsonCodec;
using larder::MsgPackCodec;
using larder_test::codec_error;
using larder_test::mentions;
using nlohmann::json;

namespace stock {

enum class Level { low, high };

struct Row {
    int id{};
    unsigned char level{};
    double price{};
    float weight{};
    bool sold{};
    Level kind{};
    std::vector<int> counts{};
    std::unordered_set<int> shelves{};
    json notes{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Row, id, level, price, weight, sold, kind, counts,
                                                shelves, notes)

struct Store {
    std::map<std::string, Row> rows{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Store, rows)

/// With a rule of its own.
struct Year {
    double number{};
};
inline void to_json(json& document, const Year& year) {
    document = year.number;
}
inline void from_json(const json& document, Year& year) {
    document.get_to(year.number);
    if (year.number < 1900) {
        throw std::invalid_argument{"too long ago"};
    }
}

/// An integer or a real number, whichever it was read as.
struct Either {
    json number{};
};
inline void to_json(json& document, const Either& either) {
    document = either.number;
}
inline void from_json(const json& document, Either& either) {
    either.number = document;
}

}  // namespace stock

namespace {

/// What each codec makes of a document, as JSON again; empty where it does not decode.
template <class V>
std::vector<std::string> read_as(const json& document) {
    std::vector<std::string> all;
    const auto read = [&](auto codec, const std::string& bytes) {
        std::string text;
        const std::string error = codec_error([&] { text = json(codec.decode(bytes)).dump(); });
        CHECK(error.empty() != text.empty());
        all.push_back(text);
    };
    const auto [to_cbor, to_msgpack] =
        std::pair{json::to_cbor(document), json::to_msgpack(document)};
    if (!(document.is_number_float() && !std::isfinite(document.get<double>()))) {
        read(JsonCodec<V>{}, document.dump());
    }
    read(CborCodec<V>{}, {to_cbor.begin(), to_cbor.end()});
    read(MsgPackCodec<V>{}, {to_msgpack.begin(), to_msgpack.end()});
    return all;
}

template <class V>
bool takes_value(const json& document) {
    const auto all = read_as<V>(document);
    for (const std::string& one : all) {
        CHECK(one.empty() == all.front().empty());
    }
    return !all.front().empty();
}

template <class V>
bool takes(std::string_view text) {
    return takes_value<V>(json::parse(text));
}

/// Every integer that T has, and none beside it.
template <class T>
void takes_its_range() {
    using Limits = std::numeric_limits<T>;
    CHECK(takes_value<T>(json((Limits::min)())));
    CHECK(takes_value<T>(json((Limits::max)())));
    if constexpr (sizeof(T) < 8) {
        CHECK_FALSE(takes_value<T>(json(std::int64_t{(Limits::min)()} - 1)));
        CHECK_FALSE(takes_value<T>(json(std::int64_t{(Limits::max)()} + 1)));
        CHECK_FALSE(takes_value<T>(json((std::int64_t{1} << 32U) + 1)));
    } else if constexpr (std::is_signed_v<T>) {
        CHECK_FALSE(takes_value<T>(json(std::uint64_t{1} << 63U)));
        CHECK_FALSE(takes_value<T>(json((std::numeric_limits<std::uint64_t>::max)())));
    } else {
        CHECK_FALSE(takes_value<T>(json(-1)));
        CHECK_FALSE(takes_value<T>(json((std::numeric_limits<std::int64_t>::min)())));
    }
    for (const double odd :
         {0.5, 1.9, -0.0, 1.0, 127.5, 128.5, -1.5, 1e10, 1e19, 1e300, -1e300,
          std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        CAPTURE(odd);
        CHECK_FALSE(takes_value<T>(json(odd)));
    }
    CHECK_FALSE(takes_value<T>(json(true)));
    CHECK_FALSE(takes_value<T>(json("1")));
    CHECK_FALSE(takes_value<T>(json(nullptr)));
}

}  // namespace

TEST_CASE("a number that is none of the type does not decode", "[codec]") {
    takes_its_range<signed char>();
    takes_its_range<unsigned char>();
    takes_its_range<short>();
    takes_its_range<std::uint16_t>();
    takes_its_range<int>();
    takes_its_range<unsigned>();
    takes_its_range<long>();
    takes_its_range<unsigned long>();
    takes_its_range<long long>();
    takes_its_range<unsigned long long>();
    CHECK(
        codec_error([] { (void)JsonCodec<int>{}.decode("4294967297"); }) ==
        "larder: bytes do not decode as JSON: they do not say what the value made of them says: a "
        "number out of range or with a fraction, or another type: the codec failed");
}

TEST_CASE("a real number is any number that it can hold", "[codec]") {
    for (const char* text : {"0", "-0.0", "1.5", "-1e300", "1e-300", "18446744073709551615",
                             "-9223372036854775808", "123456789012345678901234567890"}) {
        CAPTURE(text);
        CHECK(takes<double>(text));
        CHECK(JsonCodec<double>{}.decode(text) == std::stod(text));
    }
    CHECK(std::signbit(JsonCodec<double>{}.decode("-0.0")));
    CHECK(takes<float>("0.1"));
    CHECK(takes<float>("16777217"));
    CHECK(takes<float>("-3e38"));
    CHECK_FALSE(takes<float>("1e39"));
    CHECK_FALSE(takes<float>("-1e300"));
    CHECK(takes_value<float>(json(std::numeric_limits<double>::infinity())));
    CHECK(takes_value<float>(json(std::numeric_limits<double>::quiet_NaN())));
    for (const char* text : {"true", "null", "\"1\"", "[]"}) {
        CAPTURE(text);
        CHECK_FALSE(takes<double>(text));
        CHECK_FALSE(takes<float>(text));
    }
}

TEST_CASE("a bool and a text are no numbers", "[codec]") {
    CHECK(takes<bool>("true"));
    CHECK_FALSE(takes<bool>("1"));
    CHECK_FALSE(takes<bool>("0.0"));
    CHECK_FALSE(takes<std::string>("1"));
    CHECK_FALSE(takes<std::string>("true"));
    CHECK(takes<stock::Level>("1"));
    CHECK_FALSE(takes<stock::Level>("4294967297"));
    CHECK_FALSE(takes<stock::Level>("0.5"));
}

TEST_CASE("numbers in standard containers are as exact", "[codec]") {
    CHECK(takes<std::vector<std::uint8_t>>("[0,255]"));
    CHECK_FALSE(takes<std::vector<std::uint8_t>>("[0,256]"));
    CHECK_FALSE(takes<std::vector<std::uint8_t>>("[0,1.0]"));
    CHECK_FALSE(takes<std::vector<bool>>("[true,1]"));
    CHECK_FALSE(takes<std::list<int>>("[1,1e300]"));
    CHECK(takes<std::array<int, 2>>("[1,2]"));
    CHECK_FALSE(takes<std::array<int, 2>>("[1,2,3]"));
    CHECK_FALSE(takes<std::array<int, 2>>("[1]"));
    CHECK(takes<std::pair<int, bool>>("[1,true]"));
    CHECK_FALSE(takes<std::pair<int, bool>>("[true,true]"));
    CHECK_FALSE(takes<std::pair<int, bool>>("[1,true,2]"));
    CHECK_FALSE(takes<std::tuple<int, int, short>>("[1,2,40000]"));
    CHECK_FALSE(takes<std::map<std::string, int>>(R"({"a":1,"b":1.5})"));
    CHECK_FALSE(takes<std::map<int, int>>("[[1,2],[4294967297,3]]"));
    CHECK_FALSE(takes<std::vector<std::vector<std::vector<int>>>>("[[[1],[2,2147483648]]]"));
}

TEST_CASE("the order of an unordered container is nobody's", "[codec]") {
    CHECK(takes<std::set<int>>("[3,1,2]"));
    CHECK_FALSE(takes<std::set<int>>("[3,1,1]"));
    CHECK_FALSE(takes<std::set<std::int8_t>>("[3,258,2]"));
    CHECK(takes<std::unordered_map<int, bool>>("[[3,true],[1,false],[2,true]]"));
    CHECK_FALSE(takes<std::unordered_map<int, bool>>("[[3,true],[3,false]]"));
    std::unordered_set<int> numbers;
    std::unordered_set<double> reals;
    std::unordered_map<int, std::vector<std::string>> lists;
    for (int i = 0; i < 1000; ++i) {
        numbers.insert(i * 7919);
        reals.insert(i * 79.19 - 1000);
        lists[i].push_back(std::to_string(i));
        if (i % 100 == 0) {
            CHECK(takes_value<std::unordered_set<int>>(json(numbers)));
            CHECK(takes_value<std::unordered_set<double>>(json(reals)));
            CHECK((takes_value<std::unordered_map<int, std::vector<std::string>>>(json(lists))));
        }
    }
}

TEST_CASE("members of a type are as exact, at any depth", "[codec]") {
    using stock::Row;
    using stock::Store;
    const auto both = [](const std::string& row) {
        const bool taken = takes<Row>(row);
        CHECK(takes<Store>(R"({"rows":{"a":{"id":1},"b":)" + row + "}}") == taken);
        return taken;
    };
    CHECK(both("{}"));
    CHECK(both(
        R"({"id":1,"level":255,"price":250,"weight":0.1,"sold":true,"kind":1,"more":[1e300]})"));
    CHECK(both(R"({"price":1234.5,"weight":1234.1,"id":-7})"));
    CHECK(both(R"({"price":-1e300,"notes":{"a":[1e300,1,2.0,true,null,"x",-1234.5]}})"));
    CHECK(both(R"({"counts":[3,1,2],"shelves":[3,1,2,100,99]})"));
    CHECK_FALSE(both(R"({"id":10000000001,"level":1})"));
    CHECK_FALSE(both(R"({"id":1e300})"));
    CHECK_FALSE(both(R"({"id":1.0})"));
    CHECK_FALSE(both(R"({"id":true})"));
    CHECK_FALSE(both(R"({"id":1e300,"price":1e300})"));
    CHECK_FALSE(both(R"({"level":257})"));
    CHECK_FALSE(both(R"({"level":-1.5})"));
    CHECK_FALSE(both(R"({"weight":1e300})"));
    CHECK_FALSE(both(R"({"sold":1})"));
    CHECK_FALSE(both(R"({"kind":8589934592})"));
    CHECK_FALSE(both(R"({"counts":[1,2,2147483648]})"));
    CHECK_FALSE(both(R"({"shelves":[1,2,2147483648]})"));
    CHECK_FALSE(both(R"({"counts":{"a":1}})"));
}

TEST_CASE("what is read is what was written, whatever the value", "[codec]") {
    const json document =
        json::parse(R"({"id":-1,"level":1,"price":-0.0,"weight":1e38,"sold":false,"kind":0,
                        "counts":[1,-2],"shelves":[7],"notes":[1e300,-128.5,{"a":127.999}]})");
    const stock::Row row = JsonCodec<stock::Row>{}.decode(document.dump());
    CHECK(std::signbit(row.price));
    CHECK(row.notes == document["notes"]);
    CHECK(row.weight == 1e38F);
    CHECK(larder_test::refused_damage(CborCodec<stock::Row>{},
                                      CborCodec<stock::Row>{}.encode(row)) > 100);
}

TEST_CASE("a type's own rules are asked of the true numbers", "[codec]") {
    CHECK(takes<stock::Year>("1999.5"));
    CHECK(takes<std::vector<stock::Year>>("[1999.5,1e300,2001]"));
    CHECK_FALSE(takes<stock::Year>("1899.5"));
    CHECK_FALSE(takes<std::vector<stock::Year>>("[1999.5,0.5]"));
    CHECK((takes<std::pair<stock::Year, int>>("[1999.5,1]")));
    CHECK_FALSE((takes<std::pair<stock::Year, int>>("[1999.5,4294967297]")));
    CHECK(takes<stock::Either>("1234.5"));
    CHECK(takes<stock::Either>("1234"));
    CHECK(JsonCodec<stock::Either>{}.decode("-1e300").number == json(-1e300));
}

TEST_CASE("a wrong document takes time by its size", "[codec]") {
    // Were each level of arrays tried in both orders, this would never end.
    struct Nested {
        static json of(int depth) {
            return depth == 0 ? json(4294967297) : json{of(depth - 1), json::array()};
        }
    };
    using Sixteen =
        std::vector<std::vector<std::vector<std::vector<std::vector<std::vector<int>>>>>>;
    (void)takes_value<Sixteen>(Nested::of(6));
    std::string text = "[";
    for (int i = 0; i < 20'000; ++i) {
        text += std::to_string(i) + ',';
    }
    CHECK_FALSE(
        codec_error([&] { (void)JsonCodec<std::vector<int>>{}.decode(text + "1.5]"); }).empty());
}
