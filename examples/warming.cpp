// SPDX-License-Identifier: MIT

// Warming: the cache is filled in bulk before users ask, a few queries at once and not too many.

#include <larder/larder.hpp>

#include <cstddef>
#include <exception>
#include <iostream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

using Rows = std::vector<std::optional<std::string>>;

// The database: one query gives many rows. There is no country 13, and shard 4 is away.
struct Countries {
    std::optional<std::string> load(int id) const { return load_many({&id, 1}).front(); }
    Rows load_many(std::span<const int> ids) const {
        Rows rows;
        for (const int id : ids) {
            if (id / 10 == 4) {
                throw std::runtime_error{"shard 4 does not answer"};
            }
            rows.push_back(id == 13 ? std::nullopt
                                    : std::optional{"country " + std::to_string(id)});
        }
        return rows;
    }
};

int main() {
    larder::MemoryStore<int, std::string> store{{.capacity = 1'000}};
    larder::CacheAside cache{store, Countries{}};

    (void)cache.get(1);  // this one is there already
    std::vector<int> ids;
    for (int id = 0; id < 100; ++id) {
        ids.push_back(id);
    }
    std::size_t quarter = 1;
    const auto report =
        cache.warm(ids, {.batch = 10,
                         .parallel = 4,
                         .per_second = 10'000,
                         .progress = [&](const larder::WarmProgress& progress) {
                             for (; progress.done >= quarter * *progress.total / 4; ++quarter) {
                                 std::cout << quarter * 25 << " % done\n";
                             }
                         }});
    std::cout << report.filled << " filled, " << report.absent << " absent, " << report.failed
              << " failed, " << report.skipped << " skipped\n";
    try {
        std::rethrow_exception(report.failure);
    } catch (const std::exception& error) {
        std::cout << report.failed_keys.front() << " to " << report.failed_keys.back() << ": "
                  << error.what() << '\n';
    }

    // The failed ones again, with a loader for this call.
    const auto again =
        cache.warm(report.failed_keys,
                   [&](std::span<const int> keys) {
                       std::vector<std::string> rows;
                       for (const int id : keys) {
                           rows.push_back("country " + std::to_string(id) + ", from the archive");
                       }
                       return rows;
                   },
                   {.parallel = 1});
    std::cout << again.filled << " more; 42 is " << *cache.get(42) << '\n';
    std::cout << cache.stats().misses << " reader has waited\n";
}
