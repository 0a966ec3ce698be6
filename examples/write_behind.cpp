// SPDX-License-Identifier: MIT

// Write-behind: a write returns when it is recorded; the database follows, in batches.
//
// write_behind [--redis URL]: with the copies, and the journal beside them, in Redis, if it was built with
// -DWITH_REDIS: then what waits outlives the process.

#include <larder/larder.hpp>
#if defined(WITH_REDIS)
#include <larder/json.hpp>
#include <larder/redis.hpp>
#endif

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;

// The database. A change applies unless its row has a later version; removed rows keep theirs.
class Orders {
public:
    using Change = larder::Change<std::int64_t, std::string>;

    std::optional<std::string> load(std::int64_t id) {
        const std::scoped_lock lock{mutex_};
        return rows_[id].value;
    }
    bool save(std::int64_t id, const std::string& order, std::uint64_t version) {
        const Change change{id, order, version};
        return save_many({&change, 1}).front();
    }
    bool remove(std::int64_t id, std::uint64_t version) {
        const Change change{id, std::nullopt, version};
        return save_many({&change, 1}).front();
    }
    std::vector<bool> save_many(std::span<const Change> changes) {
        for (const Change& change : changes) {
            if (change.value == "") {
                throw std::invalid_argument{"an order is not empty"};
            }
        }
        const std::scoped_lock lock{mutex_};
        ++statements;
        std::vector<bool> applied;
        for (const Change& change : changes) {
            applied.push_back(rows_[change.key].version <= change.version);
            if (applied.back()) {
                rows_[change.key] = change;
            }
        }
        return applied;
    }

    std::atomic<int> statements{0};

private:
    std::mutex mutex_;
    std::map<std::int64_t, Change> rows_{{41, {41, "a teapot", 0}}};
};

template <class Store>
void show(const Store& store) {
    Orders table;
    larder::WriteBehind orders{
        store, std::ref(table), {.ttl = 1h}, {.delay = 1h, .attempts = 1}};  // until it is told to
    larder::Sequence ids{[] { return 41; }};  // the greatest id in the table

    for (const char* item : {"a kettle", "a cup", "a spoon"}) {
        const auto id = ids.next();
        orders.put(id, item);
        orders.put(id, item + std::string{", blue"});
    }
    std::cout << orders.stats().pending << " pending; 42 is " << *orders.get(42) << '\n';
    orders.invalidate(42);
    std::cout << "without its copy, too: " << *orders.get(42) << '\n';
    std::cout << orders.flush(10s) << " left, " << table.statements << " statement for them\n";

    orders.put(43, "");  // the database will refuse it,
    orders.put(44, "two spoons");
    orders.remove(41);
    std::cout << orders.flush(10s) << " left\n";  // and it alone
    for (const auto& letter : orders.dead_letters()) {
        std::cout << "buried: " << letter.change.key << ", " << letter.why << '\n';
        orders.discard(letter.change.key);
    }
    std::cout << "43 is " << *orders.get(43) << ", 44 is " << *orders.get(44) << ", 41 is "
              << orders.get(41).value_or("gone") << '\n';
}

int main(int argc, char** argv) try {
    const std::vector<std::string> arguments{argv + 1, argv + argc};
    if (arguments.empty()) {
        show(larder::MemoryStore<std::int64_t, std::string>{});
        return EXIT_SUCCESS;
    }
#if defined(WITH_REDIS)
    if (arguments.size() == 2 && arguments[0] == "--redis") {
        larder::redis::Client redis{arguments[1]};
        larder::RedisStore<std::int64_t, std::string> store{redis, "larder-example:order"};
        show(store);
        store.clear();
        return EXIT_SUCCESS;
    }
#endif
    std::cerr << "usage: write_behind [--redis URL]\n";
    return 2;
} catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return EXIT_FAILURE;
}
