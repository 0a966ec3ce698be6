// SPDX-License-Identifier: MIT
// expect: larder: a durable journal needs a repository with save(key, value, version) -> bool
#include <larder/larder.hpp>

#include <string>

struct Durable : larder::MemoryJournal<int, std::string> {
    Durable() = default;
    static constexpr bool durable = true;
};
struct Table {
    std::string load(int) { return {}; }
    void save(int, const std::string&) {}
    void remove(int) {}
};

auto cache() {
    larder::MemoryStore<int, std::string> store;
#ifdef LARDER_FIXED
    return larder::WriteBehind{store, larder::unfenced(Table{}), Durable{}};
#else
    return larder::WriteBehind{store, Table{}, Durable{}};
#endif
}
