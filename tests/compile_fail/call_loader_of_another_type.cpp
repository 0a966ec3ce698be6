// SPDX-License-Identifier: MIT
// expect: larder: a loader for one call must give exactly std::optional<value_type>, larder::Loaded<value_type>, value_type or std::nullopt_t for a key
#include <larder/larder.hpp>

#include <string>

#ifdef LARDER_FIXED
using Given = std::string;
#else
using Given = const char*;
#endif

auto read() {
    larder::CacheAside cache{larder::MemoryStore<int, std::string>{},
                             [](int) { return std::string{}; }};
    return cache.get(1, [](int) { return Given{"one"}; });
}
