// SPDX-License-Identifier: MIT
// expect: larder: a journal has the key_type and the value_type of the store beside it
#include <larder/larder.hpp>

#include <cstdint>
#include <optional>

struct Table {
    std::optional<int> load(int) { return std::nullopt; }
    bool save(int, int, std::uint64_t) { return true; }
    bool remove(int, std::uint64_t) { return true; }
};

int main() {
    larder::MemoryStore<int, int> store;
#ifdef LARDER_FIXED
    const larder::MemoryJournal<int, int> journal;
#else
    const larder::MemoryJournal<int, long> journal;
#endif
    const larder::WriteBehind cache{store, Table{}, journal};
}
