// SPDX-License-Identifier: MIT
// expect: larder: a policy keeps a loader or a repository itself, or a std::reference_wrapper<T>
#include <larder/larder.hpp>

#include <functional>
#include <string>

struct Table {
    std::string load(int) { return {}; }
    void save(int, const std::string&) {}
    void remove(int) {}
};

struct Users {
    explicit Users(Table& table)
        : names{larder::MemoryStore<int, std::string>{}, std::ref(table)} {}
#ifdef LARDER_FIXED
    larder::CacheAside<larder::MemoryStore<int, std::string>, std::reference_wrapper<Table>> names;
#else
    larder::CacheAside<larder::MemoryStore<int, std::string>, Table&> names;
#endif
};
