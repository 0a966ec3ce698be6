// SPDX-License-Identifier: MIT
// expect: larder: put, put_many and remove need a repository: a loader that has save(key, value) and remove(key)
#include <larder/larder.hpp>

#include <string>

struct Table {
    std::string load(int) { return {}; }
    void save(int, const std::string&) {}
#ifdef LARDER_FIXED
    void remove(int) {}
#endif
};

void change() {
    larder::RefreshAhead cache{larder::MemoryStore<int, std::string>{}, Table{}};
    cache.put_many({{1, "one"}, {2, "two"}});
}
