// SPDX-License-Identifier: MIT
// expect: larder: a store that processes share needs a journal that they share, or unshared(journal)
#include <larder/larder.hpp>

#include <string>

struct SharedStore : larder::MemoryStore<int, std::string> {
    SharedStore() = default;
    static constexpr bool shared = true;
};
struct Table {
    std::string load(int) { return {}; }
    void save(int, const std::string&) {}
    void remove(int) {}
};

auto cache() {
    const larder::MemoryJournal<int, std::string> journal;
#ifdef LARDER_FIXED
    return larder::WriteBehind{SharedStore{}, Table{}, larder::unshared(journal)};
#else
    return larder::WriteBehind{SharedStore{}, Table{}, journal};
#endif
}
