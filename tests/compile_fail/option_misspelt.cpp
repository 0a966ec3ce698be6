// SPDX-License-Identifier: MIT
// expect: larder: an argument after the loader is not of its type, or an option is misspelt (a time has a unit: {.ttl = 60s}): write larder::Options{...} to see which
#include <larder/larder.hpp>

#include <string>

using namespace std::chrono_literals;

#ifdef LARDER_FIXED
#define NEGATIVE_TTL negative_ttl
#else
#define NEGATIVE_TTL negativ_ttl
#endif

auto cache() {
    return larder::RefreshAhead{larder::MemoryStore<int, std::string>{},
                                [](int) { return std::string{}; },
                                {.ttl = 60s, .NEGATIVE_TTL = 5s}};
}
