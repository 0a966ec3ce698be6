// SPDX-License-Identifier: MIT
// expect: larder: a key of your own needs a hash: specialise std::hash for it, or give it std::string to_key(const K&) in its own namespace
#include <larder/larder.hpp>

#include <string>

struct Place {
    int row, column;
    bool operator==(const Place&) const = default;
};
#ifdef LARDER_FIXED
inline std::string to_key(const Place& place) {
    return std::to_string(place.row) + '/' + std::to_string(place.column);
}
#endif

auto read() {
    larder::MemoryStore<Place, std::string> store;
    larder::CacheAside cache{store, [](const Place&) { return std::string{}; }};
    return cache.get(Place{1, 2});
}
