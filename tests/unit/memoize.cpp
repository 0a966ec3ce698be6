// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/larder.hpp>
#include <larder/memoize.hpp>
#include <larder/sequence.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

TEST_CASE("a function of one argument is computed once", "[memoize]") {
    larder::ManualClock clock;
    larder::MemoryStore<int, std::string, larder::ManualClock> store{{}, clock};
    int calls = 0;
    auto spell = larder::memoize(store,
                                 [&](int n) {
                                     ++calls;
                                     return std::to_string(n);
                                 },
                                 {.ttl = 10s});
    static_assert(std::is_same_v<decltype(spell(1)), std::string>);
    CHECK(spell(7) == "7");
    CHECK(spell(7) == "7");
    CHECK(spell(8) == "8");
    CHECK(calls == 2);
    clock.advance(10s);
    CHECK(spell(7) == "7");
    CHECK(calls == 3);
    CHECK(spell.forget(7));
    CHECK(spell(7) == "7");
    CHECK(calls == 4);
    CHECK(spell.cache().stats().hits == 1);
}

TEST_CASE("a function that gives a value is computed where the store knows of none", "[memoize]") {
    larder::MemoryStore<int, std::string> store;
    store.put(1, std::nullopt, {1min});
    int calls = 0;
    const auto spelled = [&](int n) {
        ++calls;
        return std::to_string(n);
    };
    auto spell = larder::memoize(store, spelled);
    CHECK(spell(1) == "1");
    CHECK(spell(1) == "1");
    CHECK(calls == 1);

    store.put(2, std::nullopt, {1min});
    auto find =
        larder::memoize(store, [&](int n) -> std::optional<std::string> { return spelled(n); });
    CHECK(find(2) == std::nullopt);  // it may say so itself
    CHECK(calls == 1);
}

TEST_CASE("a function of several arguments is keyed by all of them", "[memoize]") {
    larder::MemoryStore<std::tuple<int, std::string>, int> store;
    int calls = 0;
    auto add = larder::memoize(store, [&](int a, const std::string& b) {
        ++calls;
        return a + static_cast<int>(b.size());
    });
    CHECK(add(1, "two") == 4);
    CHECK(add(1, "two") == 4);
    CHECK(add(2, "two") == 5);
    CHECK(add(1, "four") == 5);
    CHECK(calls == 3);
}

TEST_CASE("a function that may have no answer, and one that throws", "[memoize]") {
    larder::MemoryStore<int, int> store;
    int calls = 0;
    auto half = larder::memoize(store,
                                [&](int n) -> std::optional<int> {
                                    ++calls;
                                    if (n < 0) {
                                        throw std::domain_error{"negative"};
                                    }
                                    return n % 2 == 0 ? std::optional{n / 2} : std::nullopt;
                                },
                                {.negative_ttl = 1min});
    static_assert(std::is_same_v<decltype(half(1)), std::optional<int>>);
    CHECK(half(8) == 4);
    CHECK_FALSE(half(7));
    CHECK_FALSE(half(7));
    CHECK(calls == 2);
    CHECK_THROWS_AS(half(-1), std::domain_error);
    CHECK_THROWS_AS(half(-1), std::domain_error);
    CHECK(calls == 4);
}

TEST_CASE("a sequence starts above its floor, and gives each id once", "[sequence]") {
    int asked = 0;
    bool broken = true;
    larder::Sequence ids{[&]() -> std::int64_t {
        ++asked;
        if (broken) {
            throw std::runtime_error{"database down"};
        }
        return 41;
    }};
    CHECK_THROWS_AS(ids.next(), std::runtime_error);
    broken = false;
    CHECK(ids.next() == 42);
    CHECK(ids.reserve(10) == 43);
    CHECK(ids.next() == 53);
    CHECK(asked == 2);

    std::vector<std::vector<std::int64_t>> drawn(4);
    {
        std::vector<std::jthread> threads;
        for (auto& mine : drawn) {
            threads.emplace_back([&] {
                for (int i = 0; i < 1000; ++i) {
                    mine.push_back(ids.next());
                }
            });
        }
    }
    std::set<std::int64_t> all;
    for (const auto& mine : drawn) {
        all.insert(mine.begin(), mine.end());
    }
    CHECK(all.size() == 4000);
}

namespace {

// A counter that is kept elsewhere, under a name, as a server's would be.
struct Shelf {
    std::map<std::string, std::int64_t> counters{};
};
class ShelfCounter {
public:
    ShelfCounter(Shelf& shelf, std::string name) : shelf_{shelf}, name_{std::move(name)} {}

    template <class Floor>
    std::int64_t add(std::int64_t count, Floor& floor) {
        auto at = shelf_.counters.find(name_);
        if (at == shelf_.counters.end()) {
            at = shelf_.counters.emplace(name_, floor()).first;
        }
        return at->second += count;
    }

private:
    Shelf& shelf_;
    std::string name_;
};

}  // namespace

TEST_CASE("a sequence whose counter is kept elsewhere", "[sequence]") {
    Shelf shelf;
    const auto floor = [] { return std::int64_t{41}; };
    larder::Sequence<decltype(floor), ShelfCounter> ids{shelf, "product", floor};
    larder::Sequence<decltype(floor), ShelfCounter> same{shelf, "product", floor};
    CHECK(ids.next() == 42);
    CHECK(same.reserve(3) == 43);
    CHECK(ids.next() == 46);
    shelf.counters.clear();
    CHECK(ids.next() == 42);  // it was gone: the floor is asked again
}

TEST_CASE("a sequence refuses what it cannot give, and goes on", "[sequence]") {
    larder::Sequence ids{[] { return 7; }};
    for (const std::int64_t count : {std::int64_t{0}, std::int64_t{-3}}) {
        try {
            (void)ids.reserve(count);
            FAIL("nothing was thrown");
        } catch (const std::invalid_argument& error) {
            CHECK(std::string{error.what()} ==
                  "larder: Sequence::reserve needs a positive count, but was given " +
                      std::to_string(count));
        }
    }
    CHECK(ids.next() == 8);
    CHECK_THROWS_AS((void)ids.reserve(INT64_MAX - 7), std::overflow_error);
    CHECK(ids.reserve(INT64_MAX - 8) == 9);
    CHECK_THROWS_AS((void)ids.next(), std::overflow_error);
    CHECK_THROWS_AS((void)ids.next(), std::overflow_error);
}
