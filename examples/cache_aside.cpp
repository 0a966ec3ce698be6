// SPDX-License-Identifier: MIT

// Cache-aside: load on demand; write to the database, then drop the copy.

#include <larder/larder.hpp>

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>

using namespace std::chrono_literals;

// The database: anything with load, save and remove.
class Products {
public:
    std::optional<std::string> load(int id) {
        const std::scoped_lock lock{mutex_};
        const auto row = rows_.find(id);
        return row == rows_.end() ? std::nullopt : std::optional{row->second};
    }
    void save(int id, const std::string& name) {
        const std::scoped_lock lock{mutex_};
        rows_[id] = name;
    }
    void remove(int id) {
        const std::scoped_lock lock{mutex_};
        rows_.erase(id);
    }

private:
    std::mutex mutex_;
    std::map<int, std::string> rows_{{1, "teapot"}};
};

int main() {
    larder::MemoryStore<int, std::string> store{{.capacity = 10'000}};
    Products table;
    larder::CacheAside products{store, std::ref(table), {.ttl = 1h, .negative_ttl = 1min}};

    const auto show = [&](int id) {
        const auto got = products.fetch(id);
        std::cout << "get " << id << ": " << got.value.value_or("no such product") << " ("
                  << to_string(got.source) << ")\n";
    };
    show(1);
    show(1);
    products.put(1, "kettle");  // the database first, then the copy goes
    show(1);
    show(9);
    show(9);  // that there is none is remembered, too

    const auto stats = products.stats();
    std::cout << stats.hits << " hits, " << stats.misses << " misses, " << stats.loads
              << " loads\n";
}
