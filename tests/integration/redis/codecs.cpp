// SPDX-License-Identifier: MIT

// Every codec as a store's: named as its type alone, it is all that a store needs.

#include "support/catch.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/zstd.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

using namespace std::chrono_literals;
using larder::Compressed;
using larder::RedisStore;
using larder::redis::Client;

namespace shop {

struct User {
    int id{};
    std::string name{};
    friend bool operator==(const User&, const User&) = default;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, id, name)

}  // namespace shop

namespace {

using shop::User;

/// The value comes back from a store with this codec, through a policy and by itself.
template <class Codec, class V>
void keeps(Client& redis, const char* name, const V& value) {
    const RedisStore<int, V, Codec> store{redis, name};
    {
        larder::CacheAside cache{store, [&](int) { return value; }, {.ttl = 1h}};
        CHECK(cache.get(1) == value);
        const auto again = cache.fetch(1);
        CHECK(again.source == larder::Source::hit);
        CHECK(again.value == value);
    }
    RedisStore<int, V, Codec> other = store;
    const auto entry = other.find(1);
    REQUIRE(entry);
    CHECK(entry->value == value);
}

}  // namespace

TEST_CASE("every codec serves a store by its type alone", "[redis][codec]") {
    const larder_test::RedisServer server;
    Client redis{server.unix_url()};
    const User user{42, std::string(5'000, 'x')};
    keeps<larder::JsonCodec<User>>(redis, "json", user);
    keeps<larder::CborCodec<User>>(redis, "cbor", user);
    keeps<larder::MsgPackCodec<User>>(redis, "msgpack", user);
    keeps<larder::RawCodec<>>(redis, "raw", user.name);
    keeps<larder::RawCodec<int>>(redis, "number", user.id);
    keeps<Compressed<larder::JsonCodec<User>>>(redis, "zjson", user);
    keeps<Compressed<larder::CborCodec<User>>>(redis, "zcbor", user);
    keeps<Compressed<larder::MsgPackCodec<User>>>(redis, "zmsgpack", user);
    keeps<Compressed<larder::RawCodec<>>>(redis, "zraw", user.name);
}

TEST_CASE("a shared value is kept as what it points to", "[redis][codec]") {
    const larder_test::RedisServer server;
    Client redis{server.unix_url()};
    using Shared = std::shared_ptr<const User>;
    RedisStore<int, Shared> store{redis, "shared"};
    larder::CacheAside cache{store, [](int id) {
                                 return std::make_shared<const User>(User{id, "Ada"});
                             }};
    (void)cache.get(1);
    const std::optional<Shared> again = cache.get(1);
    REQUIRE(again);
    CHECK(**again == User{1, "Ada"});
    CHECK(cache.stats().hits == 1);
    CHECK(RedisStore<int, User>{redis, "shared"}.find(1)->value == User{1, "Ada"});
}
