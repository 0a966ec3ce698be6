// SPDX-License-Identifier: MIT
// expect: larder: a loader must give exactly std::optional<value_type>, larder::Loaded<value_type>, value_type or std::nullopt_t
#include <larder/larder.hpp>

#include <string>

#ifdef LARDER_FIXED
using Given = std::string;
#else
using Given = const char*;
#endif

auto cache() {
    return larder::WriteThrough{larder::MemoryStore<int, std::string>{},
                                [](int) { return Given{""}; }};
}
