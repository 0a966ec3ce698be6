// SPDX-License-Identifier: MIT
// expect: larder: an argument after the loader is not of its type, or an option is misspelt (a time has a unit: {.ttl = 60s}): write larder::Options{...} to see which
#include <larder/larder.hpp>

#include <string>

using namespace std::chrono_literals;

struct Table {
    std::string load(int) { return {}; }
    void save(int, const std::string&) {}
    void remove(int) {}
};

#ifdef LARDER_FIXED
#define MAX_PENDING max_pending
#else
#define MAX_PENDING max_pendings
#endif

auto cache() {
    return larder::WriteBehind{
        larder::MemoryStore<int, std::string>{}, Table{}, {.ttl = 60s}, {.MAX_PENDING = 10}};
}
