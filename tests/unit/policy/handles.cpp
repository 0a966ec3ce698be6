// SPDX-License-Identifier: MIT

// The ways in which stores and loaders are handed to a policy.

#include "support/catch.hpp"
#include "support/flaky_store.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <array>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Source;

namespace {

// Neither copied nor moved: it goes by reference.
class Fixed {
public:
    using key_type = std::string;
    using value_type = std::string;

    Fixed() = default;
    Fixed(const Fixed&) = delete;
    Fixed& operator=(const Fixed&) = delete;

    std::optional<larder::Entry<std::string>> find(const std::string& key) {
        const std::scoped_lock lock{mutex_};
        const auto at = rows_.find(key);
        if (at == rows_.end()) {
            return std::nullopt;
        }
        return larder::Entry<std::string>{at->second, 1h};
    }
    void put(const std::string& key, const std::optional<std::string>& value, larder::Lifetime) {
        const std::scoped_lock lock{mutex_};
        rows_[key] = value;
    }
    bool erase(const std::string& key) {
        const std::scoped_lock lock{mutex_};
        return rows_.erase(key) > 0;
    }

private:
    std::mutex mutex_;
    std::map<std::string, std::optional<std::string>> rows_;
};

}  // namespace

TEST_CASE("a store by reference", "[handles]") {
    SECTION("plain") {
        Fixed store;
        CacheAside cache{std::ref(store), [](const std::string& key) { return key + "!"; }};
        CHECK(cache.get("a") == "a!");
        CHECK(cache.fetch(std::string_view{"a"}).source == Source::hit);
        CHECK(store.find("a")->value == "a!");
    }
    SECTION("coherent") {
        larder::MemoryStore<int, int> store;
        CacheAside cache{std::ref(store), [](int key) { return key; }};
        CHECK(cache.get(1) == 1);
        CHECK(store.find(1)->value == 1);
    }
    SECTION("coordinated, by two policies") {
        Fixed plain;
        larder::Coordinated store{std::ref(plain)};
        int loads = 0;
        const auto load = [&](const std::string& key) { return key + std::to_string(++loads); };
        CacheAside one{store, load};
        larder::RefreshAhead other{store, load};
        CHECK(one.get("a") == "a1");
        CHECK(other.get("a") == "a1");
    }
}

TEST_CASE("keys of several parts", "[handles]") {
    using Key = std::tuple<int, std::string>;
    larder::MemoryStore<Key, int> store;
    CacheAside cache{store, [](const Key& key) { return std::get<0>(key); }};
    CHECK(cache.get({7, "a"}) == 7);
    CHECK(cache.fetch(Key{7, "a"}).source == Source::hit);
    CHECK(cache.fetch({7, "b"}).source == Source::loaded);
}

TEST_CASE("keys that convert", "[handles]") {
    larder::MemoryStore<long, int> store;
    CacheAside cache{store, [](long key) { return static_cast<int>(key); }};
    CHECK(cache.get(5) == 5);
    CHECK(cache.fetch(short{5}).source == Source::hit);
    CHECK(cache.get_many(std::array{5L, 6L})[1] == 6);
}

TEST_CASE("a policy as a member, made elsewhere", "[handles]") {
    class Service {
    public:
        explicit Service(larder::MemoryStore<int, int> store)
            : cache_{std::move(store), std::ref(table_), {.ttl = 1h}} {}
        std::optional<int> price(int id) { return cache_.get(id); }
        void reprice(int id, int price) { cache_.put(id, price); }

    private:
        larder_test::Table<> table_{};
        larder::WriteThrough<larder::MemoryStore<int, int>,
                             std::reference_wrapper<larder_test::Table<>>>
            cache_;
    };
    Service service{larder::MemoryStore<int, int>{{.capacity = 10}}};
    service.reprice(1, 5);
    CHECK(service.price(1) == 5);
}

TEST_CASE("an executor from a lambda, by assignment", "[handles]") {
    larder::MemoryStore<int, int> store;
    int tasks = 0;
    CacheAside cache{
        store, [](int key) { return key; }, {.executor = [&](const larder::Task& task) {
            ++tasks;
            task();
        }}};
    CHECK(cache.get(1, {.timeout = 1s}) == 1);
    CHECK(tasks == 1);
}
