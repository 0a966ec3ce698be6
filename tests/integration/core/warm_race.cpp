// SPDX-License-Identifier: MIT

// Warming among writers, readers and invalidations: what it fills is never older than what was
// acknowledged, and it leaves no lease behind.

#include "support/catch.hpp"
#include "support/plain_store.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

constexpr int keys = 4;

// Rows are versions that grow; a batch in `fails_one_in` throws.
class Versions {
public:
    explicit Versions(unsigned fails_one_in = 0) : fails_one_in_{fails_one_in} {}

    std::optional<int> load(int key) { return now(key); }
    std::vector<std::optional<int>> load_many(std::span<const int> asked) {
        if (fails_one_in_ > 0 && batches_.fetch_add(1) % fails_one_in_ == 0) {
            throw std::runtime_error{"down"};
        }
        std::vector<std::optional<int>> rows;
        for (const int key : asked) {
            std::this_thread::yield();
            rows.emplace_back(now(key));
        }
        std::this_thread::yield();
        return rows;
    }
    bool save(int key, int value, std::uint64_t) {
        save(key, value);
        return true;
    }
    void save(int key, int value) {
        std::this_thread::yield();
        rows_[static_cast<std::size_t>(key)] = value;
        std::this_thread::yield();
    }
    bool remove(int, std::uint64_t) { return true; }
    void remove(int) {}

    [[nodiscard]] int now(int key) const { return rows_[static_cast<std::size_t>(key)]; }

private:
    unsigned fails_one_in_;
    std::atomic<unsigned> batches_{1};
    std::array<std::atomic<int>, keys> rows_{};
};

// A writer and a reader for each key, two who warm all of them, and one who invalidates; until
// enough was warmed.
template <class Cache>
void torment(Cache& cache, Versions& table) {
    std::array<std::atomic<int>, keys> acknowledged{};
    std::atomic<int> wrong{0};
    std::atomic<std::size_t> filled{0};
    const std::vector<int> all{0, 1, 2, 3};
    std::stop_source done;
    {
        std::vector<std::jthread> crowd;
        for (int warmer = 0; warmer < 2; ++warmer) {
            crowd.emplace_back([&, warmer] {
                const auto lent = [&](std::span<const int> asked) {
                    return table.load_many(asked);
                };
                while (!done.stop_requested()) {
                    const larder::WarmOptions how{.batch = 2, .parallel = 2};
                    filled +=
                        (warmer == 0 ? cache.warm(all, how) : cache.warm(all, lent, how)).filled;
                }
            });
        }
        crowd.emplace_back([&] {
            for (int i = 0; !done.stop_requested(); ++i) {
                cache.invalidate(i % keys);
                std::this_thread::yield();
            }
        });
        std::vector<std::jthread> bounded;
        for (int key = 0; key < keys; ++key) {
            bounded.emplace_back([&, key] {
                for (int value = 1; value <= 300 || filled < 10; ++value) {
                    cache.put(key, value);
                    acknowledged[static_cast<std::size_t>(key)] = value;
                    if (value % 4 == 0) {
                        cache.invalidate(key);
                        for (int i = 0; i < 16; ++i) {
                            std::this_thread::yield();  // room for others to load
                        }
                    }
                }
            });
            bounded.emplace_back([&, key] {
                for (int i = 0; i < 300 || filled < 10; ++i) {
                    const int floor = acknowledged[static_cast<std::size_t>(key)];
                    try {
                        wrong += cache.get(key).value_or(0) < floor ? 1 : 0;
                    } catch (const std::runtime_error&) {}  // a joined batch failed
                    std::this_thread::yield();
                }
            });
        }
        for (std::jthread& thread : bounded) {
            thread.join();
        }
        done.request_stop();
    }
    CHECK(wrong == 0);
    if constexpr (requires { cache.flush(10s); }) {
        REQUIRE(cache.flush(10s) == 0);  // a change that was superseded drops its copy
    }
    // Nobody is at it any more: a key with a lease left behind would be skipped, and be no hit.
    std::size_t tries = 0;
    while (cache.warm(all).failed > 0 && ++tries < 100) {}
    for (const int key : all) {
        const auto got = cache.fetch(key);
        CHECK(got.source == larder::Source::hit);
        CHECK(got.value == acknowledged[static_cast<std::size_t>(key)]);
    }
}

}  // namespace

TEST_CASE("warming among writers: cache-aside", "[warm]") {
    Versions table{GENERATE(0U, 3U)};
    larder::MemoryStore<int, int> store;
    larder::CacheAside cache{store, std::ref(table)};
    torment(cache, table);
}

TEST_CASE("warming among writers: write-through on a store of the user's own", "[warm]") {
    Versions table{GENERATE(0U, 3U)};
    larder_test::BatchingStore<int, int> store;
    larder::WriteThrough cache{store, std::ref(table)};
    torment(cache, table);
}

TEST_CASE("warming among writers: tagged", "[warm]") {
    Versions table;
    larder::MemoryStore<int, int> store;
    larder::Tagged cache{larder::WriteThrough{store, std::ref(table)},
                         [](int value) { return larder::Tags{std::to_string(value % 2)}; }};
    torment(cache, table);
}

TEST_CASE("warming among writers: write-behind", "[warm]") {
    Versions table;
    larder::MemoryStore<int, int> store;
    larder::WriteBehind cache{store, std::ref(table), {}, {.delay = 1ms}};
    torment(cache, table);
}
