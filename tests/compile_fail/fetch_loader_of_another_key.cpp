// SPDX-License-Identifier: MIT
// expect: larder: a loader for one call must give exactly std::optional<value_type>, larder::Loaded<value_type>, value_type or std::nullopt_t for a key
#include <larder/larder.hpp>

#include <string>

#ifdef LARDER_FIXED
using Key = int;
#else
using Key = std::string;
#endif

auto read() {
    larder::CacheAside cache{larder::MemoryStore<int, std::string>{},
                             [](int) { return std::string{}; }};
    return cache.fetch(1, [](const Key&) { return std::string{}; }, {.timeout = larder::Ttl{5}});
}
