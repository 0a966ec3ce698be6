// SPDX-License-Identifier: MIT
// expect: larder: a Store needs a member type value_type
#include <larder/larder.hpp>

#include <string>

struct Plain {
    using key_type = int;
#ifdef LARDER_FIXED
    using value_type = std::string;
#endif
    std::optional<larder::Entry<std::string>> find(int) { return {}; }
    void put(int, std::optional<std::string>, larder::Lifetime) {}
    bool erase(int) { return false; }
};

auto cache() {
    return larder::CacheAside{Plain{}, [](int) { return std::optional<std::string>{}; }};
}
