// SPDX-License-Identifier: MIT
// expect: larder: a cache copies its values to whoever asks: keep one that cannot be copied as a std::shared_ptr<const V>
#include <larder/larder.hpp>

#include <memory>
#include <string>

#ifdef LARDER_FIXED
using Page = std::shared_ptr<const std::string>;
#else
using Page = std::unique_ptr<const std::string>;
#endif

auto read() {
    larder::MemoryStore<int, Page> store;
    larder::CacheAside cache{store, [](int) { return Page{}; }};
    return cache.get(1);
}
