// SPDX-License-Identifier: MIT
// expect: larder: a Store needs erase(key) -> bool
#include <larder/larder.hpp>

#include <string>

struct Plain {
    using key_type = int;
    using value_type = std::string;
    std::optional<larder::Entry<std::string>> find(int) { return {}; }
    void put(int, std::optional<std::string>, larder::Lifetime) {}
#ifdef LARDER_FIXED
    bool erase(int) { return false; }
#endif
};

auto cache() {
    return larder::CacheAside{Plain{}, [](int) { return std::optional<std::string>{}; }};
}
