// SPDX-License-Identifier: MIT
// expect: larder: JsonCodec, CborCodec and MsgPackCodec need nlohmann_json's
#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <string>

struct Page {
    int id{};
    std::string text{};
};
#ifdef LARDER_FIXED
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Page, id, text)
#endif

auto read(larder::redis::Client& redis) {
    larder::CacheAside pages{larder::RedisStore<int, Page>{redis, "page"},
                             [](int) { return Page{}; }};
    return pages.get(1);
}
