// SPDX-License-Identifier: MIT

// SHA-1 against the examples of its standard, and at every length around a block.

#include "support/catch.hpp"

#include <larder/redis/detail/client/sha1.hpp>
#include <larder/redis/script.hpp>

#include <cstddef>
#include <string>

using larder::redis::detail::sha1_hex;

TEST_CASE("the standard's examples", "[redis]") {
    CHECK(sha1_hex("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
    CHECK(sha1_hex("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    CHECK(sha1_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    CHECK(sha1_hex(std::string(1'000'000, 'a')) == "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST_CASE("every length around a block", "[redis]") {
    // The sum of the sums of 0 to 200 letters, as sha1sum gives them.
    std::string sums;
    for (std::size_t size = 0; size <= 200; ++size) {
        sums += sha1_hex(std::string(size, 'x'));
    }
    CHECK(sha1_hex(sums) == "1f67da40a499e887e43c141418cc90ce5c8f9002");
}

TEST_CASE("a script knows its name", "[redis]") {
    const larder::redis::Script script{"return 1"};
    CHECK(script.body() == "return 1");
    CHECK(script.sha() == "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
}
