// SPDX-License-Identifier: MIT
// expect: larder: a loader needs load(key) or operator()(key)
#include <larder/larder.hpp>

#include <string>

struct Table {
#ifdef LARDER_FIXED
    std::optional<std::string> load(int) { return {}; }
#else
    std::optional<std::string> fetch(int) { return {}; }
#endif
};

auto cache() {
    return larder::RefreshAhead{larder::MemoryStore<int, std::string>{}, Table{}};
}
