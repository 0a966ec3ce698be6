// SPDX-License-Identifier: MIT
// expect: larder: a key in Redis is an integer, an enumeration, a string, a tuple of these
#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <string>

struct Place {
    int row, column;
    bool operator==(const Place&) const = default;
};
#ifdef LARDER_FIXED  // alone: nothing else asks for a hash
inline std::string to_key(const Place& place) {
    return std::to_string(place.row) + '/' + std::to_string(place.column);
}
#endif

auto read(larder::redis::Client& redis) {
    larder::CacheAside pages{larder::RedisStore<Place, std::string>{redis, "page"},
                             [](const Place&) { return std::string{}; }};
    pages.invalidate_many({Place{1, 2}});
    (void)pages.writing(Place{1, 2});
    return pages.get(Place{1, 2});
}
