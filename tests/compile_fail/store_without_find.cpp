// SPDX-License-Identifier: MIT
// expect: larder: a Store needs find(key) -> std::optional<larder::Entry<value_type>>
#include <larder/larder.hpp>

#include <string>

struct Plain {
    using key_type = int;
    using value_type = std::string;
#ifdef LARDER_FIXED
    std::optional<larder::Entry<std::string>> find(int) { return {}; }
#endif
    void put(int, std::optional<std::string>, larder::Lifetime) {}
    bool erase(int) { return false; }
};

auto cache() {
    return larder::CacheAside{Plain{}, [](int) { return std::optional<std::string>{}; }};
}
