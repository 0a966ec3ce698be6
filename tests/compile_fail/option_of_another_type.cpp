// SPDX-License-Identifier: MIT
// expect: larder: an argument after the loader is not of its type, or an option is misspelt (a time has a unit: {.ttl = 60s}): write larder::Options{...} to see which
#include <larder/larder.hpp>

#include <string>

using namespace std::chrono_literals;

#ifdef LARDER_FIXED
inline constexpr auto minute = 60s;
#else
inline constexpr auto minute = 60;
#endif

auto cache() {
    return larder::CacheAside{larder::MemoryStore<int, std::string>{},
                              [](int) { return std::string{}; },
                              {.ttl = minute}};
}
