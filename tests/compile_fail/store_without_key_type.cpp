// SPDX-License-Identifier: MIT
// expect: larder: a Store needs a member type key_type
#include <larder/larder.hpp>

#include <string>

struct Plain {
#ifdef LARDER_FIXED
    using key_type = int;
#endif
    using value_type = std::string;
    std::optional<larder::Entry<std::string>> find(int) { return {}; }
    void put(int, std::optional<std::string>, larder::Lifetime) {}
    bool erase(int) { return false; }
};

auto cache() {
    return larder::CacheAside{Plain{}, [](int) { return std::optional<std::string>{}; }};
}
