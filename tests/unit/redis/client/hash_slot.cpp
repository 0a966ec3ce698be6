// SPDX-License-Identifier: MIT

// The hash slots of keys, as redis-server 7.0 answers CLUSTER KEYSLOT.

#include "support/catch.hpp"

#include <larder/redis/detail/client/hash_slot.hpp>

using larder::redis::detail::crc16;
using larder::redis::detail::hash_slot;

static_assert(crc16("123456789") == 0x31c3);

TEST_CASE("slots are those of the server") {
    CHECK(hash_slot("") == 0);
    CHECK(hash_slot("a") == 15495);
    CHECK(hash_slot("foo") == 12182);
    CHECK(hash_slot("123456789") == 12739);
    CHECK(hash_slot("x") == 16287);
}

TEST_CASE("what stands in the first braces decides, if it is something") {
    CHECK(hash_slot("{user1000}.following") == 3443);
    CHECK(hash_slot("{user1000}.followers") == 3443);
    CHECK(hash_slot("{}x") == 10595);
    CHECK(hash_slot("foo{}{bar}") == 8363);
    CHECK(hash_slot("foo{{bar}}zap") == 4015);
    CHECK(hash_slot("foo{bar}{zap}") == 5061);
    CHECK(hash_slot("a{b") == 13340);
    CHECK(hash_slot("a}b{c}d") == 7365);
    CHECK(hash_slot("a}b{c}d") == hash_slot("c"));
}
