// SPDX-License-Identifier: MIT

// Which keys can be hashed, that equal ones hash alike, and that neighbours part.

#include "support/catch.hpp"

#include <larder/hash.hpp>

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

using larder::Hash;

namespace {

struct Place {
    int row = 0;
    int column = 0;
    bool operator==(const Place&) const = default;
};
std::string to_key(const Place& place) {
    return std::to_string(place.row) + '/' + std::to_string(place.column);
}

enum class Colour : std::uint8_t { red, green };

struct Own {
    int id = 0;
    bool operator==(const Own&) const = default;
};

}  // namespace

template <>
struct std::hash<Own> {
    std::size_t operator()(const Own& own) const noexcept {
        return static_cast<std::size_t>(own.id);
    }
};

TEST_CASE("a string hashes alike in all its forms", "[hash]") {
    const Hash<std::string> hash;
    const std::string key = "product:42";
    CHECK(hash(key) == hash(std::string_view{key}));
    CHECK(hash(key) == hash("product:42"));
    CHECK(hash(key) != hash("product:43"));
    const std::string zero{"a\0b", 3};
    CHECK(hash(zero) != hash("a"));  // not by the first zero
}

TEST_CASE("keys of every kind", "[hash]") {
    CHECK(Hash<int>{}(7) == Hash<int>{}(7));
    CHECK(Hash<Colour>{}(Colour::red) != Hash<Colour>{}(Colour::green));
    CHECK(Hash<Own>{}(Own{1}) != Hash<Own>{}(Own{2}));
    CHECK(Hash<double>{}(0.0) == Hash<double>{}(-0.0));  // they are equal

    using Pair = std::pair<int, std::string>;
    CHECK(Hash<Pair>{}({1, "a"}) == Hash<Pair>{}({1, "a"}));
    CHECK(Hash<Pair>{}({1, "a"}) != Hash<Pair>{}({2, "a"}));
    CHECK(Hash<Pair>{}({1, "a"}) != Hash<Pair>{}({1, "b"}));

    using Array = std::array<std::uint64_t, 2>;
    CHECK(Hash<Array>{}({1, 2}) == Hash<Array>{}({1, 2}));
    CHECK(Hash<Array>{}({1, 2}) != Hash<Array>{}({2, 1}));

    using Nested = std::tuple<Pair, std::array<Colour, 1>, std::tuple<>>;
    CHECK(Hash<Nested>{}({{1, "a"}, {Colour::red}, {}}) ==
          Hash<Nested>{}({{1, "a"}, {Colour::red}, {}}));
    CHECK(Hash<Nested>{}({{1, "a"}, {Colour::red}, {}}) !=
          Hash<Nested>{}({{1, "a"}, {Colour::green}, {}}));
}

TEST_CASE("the order of the parts counts", "[hash]") {
    using Pair = std::pair<int, int>;
    using Triple = std::tuple<int, int, int>;
    CHECK(Hash<Pair>{}({1, 2}) != Hash<Pair>{}({2, 1}));
    CHECK(Hash<Triple>{}({1, 2, 3}) != Hash<Triple>{}({3, 2, 1}));
    CHECK(Hash<Triple>{}({1, 2, 3}) != Hash<Triple>{}({2, 1, 3}));
    // Where parts were only xored, equal ones would cancel out.
    CHECK(Hash<Pair>{}({1, 1}) != Hash<Pair>{}({2, 2}));
}

TEST_CASE("a grid of pairs does not collide", "[hash]") {
    std::unordered_set<std::size_t> seen;
    for (int x = 0; x < 200; ++x) {
        for (int y = 0; y < 200; ++y) {
            seen.insert(Hash<std::pair<int, int>>{}({x, y}));
        }
    }
    // 64 bits: not one of 40,000 is expected; 32 bits: about 0.2.
    CHECK(seen.size() >= 40'000 - 5);
}

TEST_CASE("every bit of a key spreads over all bits of its hash", "[hash]") {
    // std::hash of an integer is the integer: without mixing one bit would turn one bit.
    constexpr int bits = static_cast<int>(sizeof(std::size_t) * 8);
    constexpr int keys = 200;
    for (unsigned bit = 0; bit < 64; ++bit) {
        int turned = 0;
        for (std::uint64_t key = 0; key < keys; ++key) {
            turned += std::popcount(Hash<std::uint64_t>{}(key) ^
                                    Hash<std::uint64_t>{}(key ^ (std::uint64_t{1} << bit)));
        }
        CAPTURE(bit, turned);
        CHECK(turned > keys * bits * 45 / 100);
        CHECK(turned < keys * bits * 55 / 100);
    }
}

TEST_CASE("keys at a distance of a power of two part in the low bits", "[hash]") {
    // Where a table takes the low bits, these would all meet in one place.
    std::unordered_set<std::size_t> places;
    for (std::uint64_t i = 0; i < 64; ++i) {
        places.insert(Hash<std::uint64_t>{}(i << 20U) % 64);
    }
    CHECK(places.size() > 30);  // 64 balls in 64 bins: about 40 are hit
}

TEST_CASE("a key without std::hash hashes by its text", "[hash]") {
    static_assert(!noexcept(Hash<Place>{}(Place{})));
    static_assert(noexcept(Hash<Own>{}(Own{}))&& noexcept(Hash<int>{}(1)));
    CHECK(Hash<Place>{}({1, 2}) == Hash<Place>{}({1, 2}));
    CHECK(Hash<Place>{}({1, 2}) != Hash<Place>{}({2, 1}));
    using Pair = std::pair<Place, int>;
    CHECK(Hash<Pair>{}({{1, 2}, 3}) != Hash<Pair>{}({{1, 3}, 3}));
}
