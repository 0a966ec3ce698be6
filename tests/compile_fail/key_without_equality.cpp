// SPDX-License-Identifier: MIT
// expect: larder: a key needs operator==
#include <larder/larder.hpp>

#include <string>

struct Place {
    int row, column;
#ifdef LARDER_FIXED
    bool operator==(const Place&) const = default;
#endif
};
inline std::string to_key(const Place& place) {
    return std::to_string(place.row) + '/' + std::to_string(place.column);
}

auto read() {
    larder::MemoryStore<Place, std::string> store;
    larder::CacheAside cache{store, [](const Place&) { return std::string{}; }};
    return cache.get(Place{1, 2});
}
