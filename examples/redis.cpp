// SPDX-License-Identifier: MIT

// Copies in Redis: two services share them, and so they share loads, writes and invalidations.
//
// redis [URL]: a server, redis://127.0.0.1:6379 by default.

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>

using namespace std::chrono_literals;

struct Product {
    int id{};
    std::string name{};
    double price{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Product, id, name, price)

// The database of both services.
class Products {
public:
    std::optional<Product> load(int id) {
        std::cout << "   (the database is asked for " << id << ")\n";
        const std::scoped_lock lock{mutex_};
        const auto row = rows_.find(id);
        return row == rows_.end() ? std::nullopt : std::optional{row->second};
    }
    void save(int id, const Product& product) {
        const std::scoped_lock lock{mutex_};
        rows_[id] = product;
    }
    void remove(int id) {
        const std::scoped_lock lock{mutex_};
        rows_.erase(id);
    }

private:
    std::mutex mutex_;
    std::map<int, Product> rows_{{42, {42, "kettle", 19.9}}};
};

int main(int argc, char** argv) try {
    const std::string url = argc > 1 ? argv[1] : "redis://127.0.0.1:6379";
    Products table;

    // In life these two are processes on two machines.
    larder::redis::Client here{url};
    larder::redis::Client there{url};
    larder::RedisStore<int, Product> ours{here, "larder-example:product"};
    larder::RedisStore<int, Product> theirs{there, "larder-example:product"};
    ours.clear();
    larder::CacheAside shop{ours, std::ref(table), {.ttl = 1h}};
    larder::WriteThrough office{theirs, std::ref(table), {.ttl = 1h}};

    const auto show = [](const char* who, auto& cache) {
        const auto got = cache.fetch(42);
        std::cout << who << ": " << got.value->name << " at " << got.value->price << " ("
                  << to_string(got.source) << ")\n";
    };
    show("the shop", shop);
    show("the office", office);  // a hit: it is the same copy

    std::cout << "redis-cli get larder-example:product:42\n   "
              << here.command("GET", "larder-example:product:42").text() << '\n';

    office.put(42, {42, "kettle", 17.5});  // the database, then the copy
    show("the shop", shop);

    // What another program writes as JSON is a hit, too.
    here.command("SET", "larder-example:product:7", R"({"id":7,"name":"cup","price":4.5})", "PX",
                 60'000);
    std::cout << "a cup costs " << shop.get(7)->price << '\n';

    ours.clear();
    return EXIT_SUCCESS;
} catch (const larder::StoreError& error) {
    std::cerr << error.what() << "\nIs there a Redis server? Try: redis URL\n";
    return EXIT_FAILURE;
}
