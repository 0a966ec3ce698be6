// SPDX-License-Identifier: MIT

// Prints what Prometheus is given for three caches, for promtool to check.

#include <larder/larder.hpp>

#include <chrono>
#include <iostream>
#include <string>

int main() {
    larder::MemoryStore<int, std::string> store{{.capacity = 100}};
    larder::CacheAside users{store, [](int id) { return std::to_string(id); }};
    larder::CacheAside pages{store, [](int) { return std::string{}; }};
    for (int id = 0; id < 10; ++id) {
        (void)users.get(id);
        (void)pages.get(id + 5);
    }
    larder::Stats odd = users.stats();
    odd.load_times.buckets.back() = odd.load_times.count = 1;
    odd.load_times.total = std::chrono::hours{24 * 365};
    odd.oldest = std::chrono::milliseconds{1};
    odd.entries = odd.weight = odd.capacity = 100;
    std::cout << larder::to_prometheus(
        {{"users", users.stats()}, {"pages", pages.stats()}, {"an \"odd\"\n\\ näme", odd}});
}
