// SPDX-License-Identifier: MIT
#include <larder/larder.hpp>
#ifdef WITH_json
#include <larder/json.hpp>
#endif

int main() {
    larder::MemoryStore<int, int> store;
    larder::CacheAside cache{store, [](int key) { return key + 1; }};
#ifdef WITH_json
    const larder::JsonCodec<int> codec;
    if (codec.decode(codec.encode(2)) != 2) {
        return 1;
    }
#endif
    return cache.get(1) == 2 ? 0 : 1;
}
