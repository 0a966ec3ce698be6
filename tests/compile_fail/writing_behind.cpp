// SPDX-License-Identifier: MIT
// expect: larder: WriteBehind has no writing: the truth is the journal, which a transaction of your own would pass by
#include <larder/larder.hpp>

#include <string>

struct Table {
    std::string load(int) { return {}; }
    void save(int, const std::string&) {}
    void remove(int) {}
};

#ifdef LARDER_FIXED
using larder::WriteThrough;
#else
#define WriteThrough WriteBehind
using larder::WriteBehind;
#endif

void change() {
    WriteThrough cache{larder::MemoryStore<int, std::string>{}, Table{}};
    cache.writing(1).commit();
}
