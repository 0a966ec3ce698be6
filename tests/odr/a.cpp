// SPDX-License-Identifier: MIT
#include <larder/larder.hpp>

int other();

int main() {
    larder::MemoryStore<int, int> store;
    larder::CacheAside cache{store, [](int key) { return key; }};
    return cache.get(1) == 1 && other() == 1 ? 0 : 1;
}
