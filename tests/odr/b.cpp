// SPDX-License-Identifier: MIT

// Some system headers define min and max as macros, after which ours must still compile.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <limits>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#define min(a, b) LARDER_LEAKED_MIN
#define max(a, b) LARDER_LEAKED_MAX
#include <larder/larder.hpp>

int other() {
    larder::MemoryStore<int, int> store;
    larder::CacheAside cache{store, [](int key) { return key; }};
    return *cache.get(1);
}
