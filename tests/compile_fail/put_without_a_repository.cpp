// SPDX-License-Identifier: MIT
// expect: larder: put, put_many and remove need a repository: a loader that has save(key, value) and remove(key)
#include <larder/larder.hpp>

#include <string>

struct Table {
    std::string load(int) { return {}; }
#ifdef LARDER_FIXED
    void save(int, const std::string&) {}
    void remove(int) {}
#endif
};

void change() {
    larder::CacheAside cache{larder::MemoryStore<int, std::string>{}, Table{}};
    cache.put(1, "one");
}
