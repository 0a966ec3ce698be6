// SPDX-License-Identifier: MIT

// MemoryStore beside its peers: throughput, interleaved, medians, ratios within a round.
//   benchmark_memory [PART…] [threads=1,2] [rounds=5] [ms=200] [folder=.]
// Parts; without one, all:
//   hits     100,000 entries, u64 to u64       hits_1m  1,000,000 of them
//   text     100,000 entries, 16 to 100 bytes  mix      5 % puts; 1,000,000 entries, u64
//   load     get-or-load with evictions: 100,000 of 200,000 keys, u64
//   insert   new keys only, each evicts one: 100,000 entries, u64
// Keys are drawn by Zipf's law (0.99) before; each contender reads them in the same order, and its entries
// were put in the same shuffled order. A value is read as a user would: by larder's find, by
// visit (no copy), by CacheAside's get; of oneTBB's map through a const_accessor, copied. Lifetimes are
// checked by larder alone. Plots go to `folder`. run.sh starts it, and Caffeine with it.

#include "compare.hpp"
#include "peers/all.hpp"
#include "streams.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using namespace larder_bench;
using U64 = std::uint64_t;

template <class K, class V>
struct Bench {
    Settings settings;
    std::size_t entries;
    std::size_t numbers;  // that are asked for
    std::vector<std::uint32_t> drawn =
        zipf(numbers, std::size_t{1} << (entries > 500'000 ? 22U : 20U));
    Keys<K> keys{drawn};
    std::vector<std::uint32_t> order = shuffled(entries);
    std::unique_ptr<Caffeine> caffeine{};
    std::vector<Contender> contenders{};

    Bench(const Settings& how, std::size_t count, std::size_t asked)
        : settings{how}, entries{count}, numbers{asked} {}

    template <class P>
    void fill(P& peer) const {
        for (const std::uint32_t number : order) {
            peer.put(key_of<K>(number), value_of<V>(number));
        }
    }

    // `work(at)` is one operation: it gives what it has read. Each sample begins elsewhere.
    template <class Work>
    void add(std::string name, Work work, std::size_t most_threads = static_cast<std::size_t>(-1)) {
        contenders.push_back({std::move(name),
                              [this, work](std::size_t threads, std::size_t round) {
                                  return throughput(threads, settings.time, round * 104'729,
                                                    [&work](std::size_t, std::size_t from) {
                                                        std::uint64_t sum = 0;
                                                        for (std::size_t i = 0; i < batch; ++i) {
                                                            sum += work(from + i);
                                                        }
                                                        return sum;
                                                    });
                              },
                              most_threads});
    }

    // Caffeine's own process does the same over the same stream.
    void add_caffeine(const std::string& what, std::size_t capacity, std::size_t filled) {
        if (!Caffeine::there()) {
            return;
        }
        const std::string file = settings.folder + "/stream.bin";
        write_numbers(file, drawn);
        caffeine = std::make_unique<Caffeine>();
        (*caffeine)("open " + std::string{std::is_same_v<K, U64> ? "u64 " : "text "} +
                    std::to_string(capacity) + " " + std::to_string(filled) + " " + file);
        contenders.push_back({Caffeine::name, [this, what](std::size_t threads, std::size_t round) {
                                  return (*caffeine)(what + " " + std::to_string(threads) + " " +
                                                     std::to_string(settings.time.count()) + " " +
                                                     std::to_string(round * 104'729));
                              }});
    }
};

// A hit that is none would make it look fast.
[[noreturn]] void missed(const char* name) {
    std::fprintf(stderr, "%s has missed a key that is there\n", name);
    std::abort();
}

template <class K, class V, class P>
auto reads(const Bench<K, V>& bench, const std::shared_ptr<P>& peer) {
    return [&bench, peer](std::size_t at) {
        std::uint64_t sum = 0;
        if (!peer->read(bench.keys[at], [&sum](const V& value) { sum = digest(value); })) {
            missed(P::name);
        }
        return sum;
    };
}
template <class K, class V, class P>
auto visits(const Bench<K, V>& bench, const std::shared_ptr<P>& peer) {
    return [&bench, peer](std::size_t at) {
        std::uint64_t sum = 0;
        if (!peer->visit(bench.keys[at], [&sum](const V& value) { sum = digest(value); })) {
            missed(P::name);
        }
        return sum;
    };
}
template <class K, class V, class P>
auto mixed(const Bench<K, V>& bench, const std::shared_ptr<P>& peer) {
    return [&bench, peer, read = reads(bench, peer)](std::size_t at) {
        if (one_of_twenty(at)) {
            peer->put(bench.keys[at], value_of<V>(bench.drawn[at & (bench.drawn.size() - 1)]));
            return U64{0};
        }
        return read(at);
    };
}

template <class P, class K, class V>
std::shared_ptr<P> filled(const Bench<K, V>& bench, std::size_t capacity) {
    auto peer = std::make_shared<P>(capacity);
    bench.fill(*peer);
    return peer;
}

// What the clock alone costs, for comparison.
std::uint64_t look_at_the_clock(std::size_t) {
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

template <class K, class V>
void hits(const Settings& settings, std::size_t entries, const std::string& title,
          const std::string& file) {
    Bench<K, V> bench{settings, entries, entries};
    const auto larder = filled<LarderStore<K, V>>(bench, 2 * entries);
    bench.add("larder find", reads(bench, larder));
    bench.add("larder visit", visits(bench, larder));
    bench.add("larder CacheAside get", [&bench, larder](std::size_t at) {
        const auto value = larder->get(bench.keys[at]);
        return value ? digest(*value) : U64{0};
    });
    if (larder->size() != entries) {
        missed("larder");
    }
#ifdef LARDER_BENCHMARK_TBB
    const auto tbb = filled<TbbMap<K, V>>(bench, entries);
    bench.add(TbbMap<K, V>::name, reads(bench, tbb));
    if constexpr (!std::is_same_v<V, U64>) {
        bench.add("… without a copy", visits(bench, tbb));
    }
    const auto tbb_lru =
        std::make_shared<TbbLru<K, V>>(2 * entries, [](const K&) { return value_of<V>(7); });
    for (const std::uint32_t number : bench.order) {
        (void)tbb_lru->get(key_of<K>(number));
    }
    bench.add(TbbLru<K, V>::name, reads(bench, tbb_lru));
#endif
#if __has_include(<boost/unordered/concurrent_flat_map.hpp>)
    const auto flat = filled<FlatMap<K, V>>(bench, entries);
    bench.add(FlatMap<K, V>::name, reads(bench, flat));
    bench.add("… by visit", visits(bench, flat));
#endif
    bench.add(ListLru<K, V>::name, reads(bench, filled<ListLru<K, V>>(bench, 2 * entries)));
    bench.add(BareTable<K, V>::name, reads(bench, filled<BareTable<K, V>>(bench, entries)), 1);
    bench.add_caffeine("read", 2 * entries, entries);
    bench.add("steady_clock::now alone", look_at_the_clock);
    bench.contenders.back().note = [] {
        return "where it does not scale, the machine was not free";
    };
    compare(title, file, bench.contenders, settings);
}

void mix(const Settings& settings) {
    constexpr std::size_t entries = 1'000'000;
    Bench<U64, U64> bench{settings, entries, entries};
    bench.add("larder find, put", mixed(bench, filled<LarderStore<U64, U64>>(bench, 2 * entries)));
#ifdef LARDER_BENCHMARK_TBB
    bench.add(TbbMap<U64, U64>::name, mixed(bench, filled<TbbMap<U64, U64>>(bench, entries)));
#endif
#if __has_include(<boost/unordered/concurrent_flat_map.hpp>)
    bench.add(FlatMap<U64, U64>::name, mixed(bench, filled<FlatMap<U64, U64>>(bench, entries)));
#endif
    bench.add(ListLru<U64, U64>::name, mixed(bench, filled<ListLru<U64, U64>>(bench, 2 * entries)));
    bench.add_caffeine("mix", 2 * entries, entries);
    compare("95 % gets, 5 % puts, u64 to u64, 1,000,000 entries", "mix", bench.contenders,
            settings);
}

// How many loads there were among how many calls.
struct Loads {
    std::atomic<std::size_t> loads{0};
    std::atomic<std::size_t> calls{0};

    [[nodiscard]] std::string hits() const {
        char text[64];
        std::snprintf(text, sizeof text, "%.1f %% hits",
                      100 - 100 * static_cast<double>(loads) / static_cast<double>(calls));
        return text;
    }
};

template <class P>
void add_load(Bench<U64, U64>& bench, const char* name) {
    const auto counts = std::make_shared<Loads>();
    const auto peer = std::make_shared<P>(bench.entries, [counts](const U64& key) {
        counts->loads.fetch_add(1, std::memory_order_relaxed);
        return key * 0xf1de83e19937733dU;  // the number again: key_of's factor has this inverse
    });
    bench.contenders.push_back(
        {name, [&bench, counts, peer](std::size_t threads, std::size_t round) {
             return throughput(
                 threads, bench.settings.time, round * 104'729, [&](std::size_t, std::size_t from) {
                     std::uint64_t sum = 0;
                     for (std::size_t i = 0; i < batch; ++i) {
                         const std::optional<U64> value = peer->get(bench.keys[from + i]);
                         if (value != U64{bench.drawn[(from + i) & (bench.drawn.size() - 1)]}) {
                             missed(P::name);
                         }
                         sum += *value;
                     }
                     counts->calls.fetch_add(batch, std::memory_order_relaxed);
                     return sum;
                 });
         }});
    bench.contenders.back().note = [counts] { return counts->hits(); };
}

void load(const Settings& settings) {
    constexpr std::size_t entries = 100'000;
    Bench<U64, U64> bench{settings, entries, 2 * entries};
    add_load<LarderStore<U64, U64>>(bench, "larder CacheAside get");
#ifdef LARDER_BENCHMARK_TBB
    add_load<TbbLru<U64, U64>>(bench, TbbLru<U64, U64>::name);
#endif
    add_load<ListLru<U64, U64>>(bench, ListLru<U64, U64>::name);
    bench.add_caffeine("load", entries, 0);
    if (bench.caffeine) {
        bench.contenders.back().note = [&bench] {
            char text[64];
            std::snprintf(text, sizeof text, "%.1f %% hits", 100 * (*bench.caffeine)("hits"));
            return std::string{text};
        };
    }
    compare("get-or-load, u64 to u64, 100,000 entries of 200,000 keys", "load", bench.contenders,
            settings);
}

template <class P>
void add_insert(Bench<U64, U64>& bench, const char* name) {
    const auto peer = filled<P>(bench, bench.entries);
    const auto next = std::make_shared<std::atomic<U64>>(U64{1} << 32U);
    bench.contenders.push_back(
        {name, [&bench, peer, next](std::size_t threads, std::size_t) {
             return throughput(threads, bench.settings.time, 0, [&](std::size_t, std::size_t) {
                 const U64 from = next->fetch_add(batch, std::memory_order_relaxed);
                 for (U64 number = from; number < from + batch; ++number) {
                     peer->put(key_of<U64>(number), number);
                 }
                 return from;
             });
         }});
    bench.contenders.back().note = [peer] { return std::to_string(peer->size()) + " entries"; };
}

void insert(const Settings& settings) {
    constexpr std::size_t entries = 100'000;
    Bench<U64, U64> bench{settings, entries, entries};
    add_insert<LarderStore<U64, U64>>(bench, "larder put");
    add_insert<ListLru<U64, U64>>(bench, ListLru<U64, U64>::name);
    bench.add_caffeine("insert", entries, entries);
    compare("puts of new keys that evict, u64 to u64, 100,000 entries", "insert", bench.contenders,
            settings);
}

}  // namespace

int main(int argc, char** argv) {
    Settings settings;
    std::vector<std::string_view> parts;
    for (int i = 1; i < argc; ++i) {
        const std::string_view given{argv[i]};
        const auto value = [&](std::string_view name) {
            return given.substr(0, name.size()) == name
                       ? std::optional{std::string{given.substr(name.size())}}
                       : std::nullopt;
        };
        if (const auto threads = value("threads=")) {
            settings.threads.clear();
            for (const char* at = threads->c_str(); *at != '\0'; at += *at == ',') {
                char* end = nullptr;
                settings.threads.push_back(std::strtoul(at, &end, 10));
                at = end;
            }
        } else if (const auto rounds = value("rounds=")) {
            settings.rounds = std::strtoul(rounds->c_str(), nullptr, 10);
        } else if (const auto time = value("ms=")) {
            settings.time = std::chrono::milliseconds{std::strtoul(time->c_str(), nullptr, 10)};
        } else if (const auto folder = value("folder=")) {
            settings.folder = *folder;
        } else {
            parts.push_back(given);
        }
    }
    const auto part = [&](std::string_view name, const std::function<void()>& run) {
        if (parts.empty() || std::find(parts.begin(), parts.end(), name) != parts.end()) {
            run();
        }
    };
    part("hits", [&] {
        hits<U64, U64>(settings, 100'000, "Hits, u64 to u64, 100,000 entries", "hits_100k");
    });
    part("hits_1m", [&] {
        hits<U64, U64>(settings, 1'000'000, "Hits, u64 to u64, 1,000,000 entries", "hits_1m");
    });
    part("text", [&] {
        hits<std::string, std::string>(settings, 100'000, "Hits, 16 to 100 bytes, 100,000 entries",
                                       "hits_text");
    });
    part("mix", [&] { mix(settings); });
    part("load", [&] { load(settings); });
    part("insert", [&] { insert(settings); });
}
