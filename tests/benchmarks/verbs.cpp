// SPDX-License-Identifier: MIT

// What write-behind, tags and memoize cost beside what they are built on. Compare within one run,
// interleaved:
//   benchmark_verbs --benchmark_enable_random_interleaving=true --benchmark_repetitions=9
//                   --benchmark_report_aggregates_only=true

#include <larder/larder.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

using Store = larder::MemoryStore<int, std::uint64_t>;
constexpr int many = 10'000;

// A database that costs nothing, so that what is measured is the library.
struct Nowhere {
    std::optional<std::uint64_t> load(int key) { return static_cast<std::uint64_t>(key); }
    bool save(int, std::uint64_t, std::uint64_t) { return true; }
    bool remove(int, std::uint64_t) { return true; }
    std::vector<bool> save_many(std::span<const larder::Change<int, std::uint64_t>> changes) {
        return std::vector<bool>(changes.size(), true);
    }
};

larder::Tags two_tags(std::uint64_t value) {
    return {"kind:" + std::to_string(value % 7), "maker:" + std::to_string(value % 11)};
}
std::uint64_t square(int n) {
    return static_cast<std::uint64_t>(n) * static_cast<std::uint64_t>(n);
}

struct Caches {
    Store plain{{.capacity = 2 * many}};
    Store behind_store{{.capacity = 2 * many}};
    Store untagged_store{{.capacity = 2 * many}};
    Store tagged_store{{.capacity = 2 * many}};
    Store memoized_store{{.capacity = 2 * many}};
    larder::WriteBehind<Store, Nowhere> behind{behind_store, Nowhere{}, {.ttl = 1h}};
    larder::CacheAside<Store, Nowhere> untagged{untagged_store, Nowhere{}, {.ttl = 1h}};
    larder::Tagged<larder::CacheAside<Store, Nowhere>> tagged{
        larder::CacheAside{tagged_store, Nowhere{}, {.ttl = 1h}}, two_tags};
    decltype(larder::memoize(memoized_store, square)) memoized =
        larder::memoize(memoized_store, square, {.ttl = 1h});

    Caches() {
        for (int key = 0; key < many; ++key) {
            plain.put(key, square(key), {1h});
            behind.put(key, square(key));
            (void)untagged.get(key);
            (void)tagged.get(key);
            (void)memoized(key);
        }
    }
    static Caches& instance() {
        static Caches caches;
        return caches;
    }
};

// Every key in turn, in an order that no prefetcher guesses.
template <class Do>
void run(benchmark::State& state, Do&& act) {
    Caches& caches = Caches::instance();
    std::uint32_t at = 7919U * static_cast<std::uint32_t>(state.thread_index());
    for (auto _ : state) {
        at = at * 1664525U + 1013904223U;
        act(caches, static_cast<int>((at >> 8U) % many));
    }
    state.SetItemsProcessed(state.iterations());
}

void store_put(benchmark::State& state) {
    run(state, [](Caches& c, int key) { c.plain.put(key, square(key), {1h}); });
}
void write_behind_put(benchmark::State& state) {
    run(state, [](Caches& c, int key) { c.behind.put(key, square(key)); });
}
// The same with keys of 16 bytes and values of 100.
struct Texts {
    using Store = larder::MemoryStore<std::string, std::string>;
    struct Nowhere {
        std::optional<std::string> load(const std::string& key) { return key; }
        bool save(const std::string&, const std::string&, std::uint64_t) { return true; }
        bool remove(const std::string&, std::uint64_t) { return true; }
        std::vector<bool> save_many(
            std::span<const larder::Change<std::string, std::string>> changes) {
            return std::vector<bool>(changes.size(), true);
        }
    };
    std::vector<std::string> keys{};
    std::string value = std::string(100, 'v');
    Store plain{{.capacity = 2 * many}};
    Store behind_store{{.capacity = 2 * many}};
    larder::WriteBehind<Store, Nowhere> behind{behind_store, Nowhere{}, {.ttl = 1h}};

    Texts() {
        for (int key = 0; key < many; ++key) {
            keys.push_back("product:" + std::to_string(10'000'000 + key));
            plain.put(keys.back(), value, {1h});
            behind.put(keys.back(), value);
        }
    }
    static Texts& instance() {
        static Texts texts;
        return texts;
    }
};
void store_put_text(benchmark::State& state) {
    Texts& t = Texts::instance();
    run(state, [&](Caches&, int key) {
        t.plain.put(t.keys[static_cast<std::size_t>(key)], t.value, {1h});
    });
}
void write_behind_put_text(benchmark::State& state) {
    Texts& t = Texts::instance();
    run(state,
        [&](Caches&, int key) { t.behind.put(t.keys[static_cast<std::size_t>(key)], t.value); });
}
void untagged_hit(benchmark::State& state) {
    run(state, [](Caches& c, int key) { benchmark::DoNotOptimize(c.untagged.get(key)); });
}
void tagged_hit(benchmark::State& state) {
    run(state, [](Caches& c, int key) { benchmark::DoNotOptimize(c.tagged.get(key)); });
}
void memoize_get(benchmark::State& state) {
    run(state, [](Caches& c, int key) { benchmark::DoNotOptimize(c.memoized.cache().get(key)); });
}
void memoize_call(benchmark::State& state) {
    run(state, [](Caches& c, int key) { benchmark::DoNotOptimize(c.memoized(key)); });
}

// One tag on as many entries as the argument says.
void invalidate_tag(benchmark::State& state) {
    static std::map<std::int64_t, std::unique_ptr<Store>> stores;
    auto& store = stores[state.range(0)];
    const std::vector<std::string> tags{"all"};
    if (!store) {
        store = std::make_unique<Store>(larder::MemoryStoreOptions<int, std::uint64_t>{
            .capacity = static_cast<std::size_t>(state.range(0))});
        larder::CacheAside cache{*store, [](int key) {
                                     return larder::Loaded<std::uint64_t>{.value = square(key),
                                                                          .tags = {"all"}};
                                 }};
        for (int key = 0; key < state.range(0); ++key) {
            (void)cache.get(key);
        }
    }
    for (auto _ : state) {
        store->invalidate_tags(tags);
    }
}

BENCHMARK(store_put)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(write_behind_put)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(store_put_text)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(write_behind_put_text)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(untagged_hit)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(tagged_hit)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(memoize_get)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(memoize_call)->Threads(1)->Threads(2)->UseRealTime();
BENCHMARK(invalidate_tag)->Arg(10)->Arg(1'000'000)->UseRealTime();

}  // namespace
