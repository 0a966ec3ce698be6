// SPDX-License-Identifier: MIT
#include <larder/larder.hpp>

int main() {
    larder::MemoryStore<int, int> store;
    larder::CacheAside cache{store, [](int key) { return key + 1; }};
    return cache.get(1) == 2 ? 0 : 1;
}
