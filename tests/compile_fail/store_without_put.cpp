// SPDX-License-Identifier: MIT
// expect: larder: a Store needs put(key, std::optional<value_type>, larder::Lifetime)
#include <larder/larder.hpp>

#include <string>

struct Plain {
    using key_type = int;
    using value_type = std::string;
    std::optional<larder::Entry<std::string>> find(int) { return {}; }
#ifdef LARDER_FIXED
    void put(int, std::optional<std::string>, larder::Lifetime) {}
#endif
    bool erase(int) { return false; }
};

auto cache() {
    return larder::CacheAside{Plain{}, [](int) { return std::optional<std::string>{}; }};
}
