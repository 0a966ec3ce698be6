// SPDX-License-Identifier: MIT

// A MemoryStore grows while memory is short: every allocation of every put fails once, and then the
// put is called again. Nothing that was there is lost, and nothing is there twice.

#include "support/catch.hpp"
#include "support/failing.hpp"
#include "support/failing_new.hpp"

#include <larder/store/memory.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>

using namespace std::chrono_literals;
using larder_test::Failing;
using larder_test::Fault;

namespace {

template <class T>
T numbered(int number) {
    if constexpr (std::is_same_v<T, std::string>) {
        return "a text that is too long for its place " + std::to_string(number);
    } else {
        return static_cast<T>(number);
    }
}

// Puts a key again and again, the first, the second, … allocation failing, until none does.
template <class Store>
int put_at_last(Store& store, int number) {
    using K = typename Store::key_type;
    using V = typename Store::value_type;
    const K key = numbered<K>(number);
    for (int nth = 1;; ++nth) {
        std::optional<V> value{numbered<V>(number)};
        const Failing failing{Fault::allocation, nth, Failing::Times::once};
        try {
            store.put(key, std::move(value), {1h});
            return nth - 1;
        } catch (const std::bad_alloc&) {}
    }
}

template <class Store>
bool holds(const Store& store, int number) {
    const auto entry = store.find(numbered<typename Store::key_type>(number));
    return entry && entry->value && *entry->value == numbered<typename Store::value_type>(number);
}

template <class Store>
void grow(std::size_t capacity) {
    constexpr int count = 6000;
    Store store{{.capacity = capacity, .shards = 2}};
    int failures = 0;
    bool lost = false;
    for (int number = 0; number < count; ++number) {
        const int failed = put_at_last(store, number);
        failures += failed;
        lost = lost || !holds(store, number) || store.size() > capacity;
        for (int back = 1; failed > 0 && capacity >= count && back <= number; back *= 2) {
            lost = lost || !holds(store, number - back);
        }
    }
    CHECK_FALSE(lost);
    CHECK(failures > 0);
    std::size_t found = 0;
    for (int number = 0; number < count; ++number) {
        found += holds(store, number) ? 1U : 0U;
    }
    CHECK(found == (capacity < count ? capacity : std::size_t{count}));
    CHECK(store.size() == found);
    for (int number = 0; number < count; ++number) {
        store.erase(numbered<typename Store::key_type>(number));
    }
    CHECK(store.size() == 0);
}

}  // namespace

TEST_CASE("a store grows while every allocation fails once", "[memory][steps]") {
    SECTION("numbers") {
        grow<larder::MemoryStore<std::uint64_t, std::uint64_t>>(10'000);
    }
    SECTION("texts") {
        grow<larder::MemoryStore<std::string, std::string>>(10'000);
    }
    SECTION("numbers, of which most are evicted") {
        grow<larder::MemoryStore<std::uint64_t, std::uint64_t>>(700);
    }
    SECTION("texts, of which most are evicted") {
        grow<larder::MemoryStore<std::string, std::string>>(700);
    }
}
