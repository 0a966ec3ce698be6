// SPDX-License-Identifier: MIT
// expect: larder: absent_tags_of must give larder::Tags, from (key)
#include <larder/larder.hpp>

#include <string>

#ifdef LARDER_FIXED
using Given = larder::Tags;
#else
using Given = std::string;
#endif

auto cache() {
    return larder::Tagged{larder::CacheAside{larder::MemoryStore<int, std::string>{},
                                             [](int) { return std::string{}; }},
                          [](const std::string&) { return larder::Tags{}; },
                          [](int) { return Given{"absent"}; }};
}
