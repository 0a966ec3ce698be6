// SPDX-License-Identifier: MIT

// How long a single get takes, MemoryStore beside its peers, u64 to u64:
//   benchmark_memory_latency get [THREADS [ROUNDS]]     under 5 % puts: p50, p99, p99.9, longest
//   benchmark_memory_latency growth [ENTRIES [ROUNDS]]  the longest get while another thread fills it
// Each get is timed by the time-stamp counter (steady_clock where there is none); what two looks at it
// cost is taken off. Rounds are interleaved, and medians shown. A get during which its thread was made
// to stop for another (an involuntary switch) does not count as long in `growth`.

#include "compare.hpp"
#include "latency.hpp"
#include "peers/all.hpp"
#include "streams.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <latch>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

using namespace larder_bench;
using U64 = std::uint64_t;

// What a contender shows in a round.
struct Row {
    std::string name;
    std::function<std::vector<double>()> run;
};

// Rounds in turn after one that does not count; prints the median of each column, and how many times the
// first row's it is.
void table(const std::string& title, const std::vector<std::string>& columns,
           const std::vector<Row>& rows, std::size_t rounds, bool warm) {
    std::map<std::pair<std::size_t, std::size_t>, std::vector<double>> all;
    for (std::size_t round = warm ? 0 : 1; round <= rounds; ++round) {
        for (std::size_t i = 0; i < rows.size(); ++i) {
            const std::vector<double> values = rows[i].run();
            for (std::size_t column = 0; round > 0 && column < values.size(); ++column) {
                all[{i, column}].push_back(values[column]);
            }
        }
    }
    std::printf("\n%s (times the first's)\n%-30s", title.c_str(), "");
    for (const std::string& column : columns) {
        std::printf("  %20s", column.c_str());
    }
    for (std::size_t i = 0; i < rows.size(); ++i) {
        std::printf("\n%-30s", rows[i].name.c_str());
        for (std::size_t column = 0; column < columns.size(); ++column) {
            const auto& own = all[{i, column}];
            std::vector<double> ratios;
            for (std::size_t round = 0; round < own.size(); ++round) {
                ratios.push_back(own[round] / all[{0, column}][round]);
            }
            std::printf("  %11.0f (%6.2f)", median(own), median(ratios));
        }
    }
    std::printf("\n");
    std::fflush(stdout);
}

struct Look {
    template <class P>
    bool operator()(const P& peer, const U64& key) const {
        std::uint64_t sum = 0;
        const bool there = const_cast<P&>(peer).read(key, [&](U64 value) { sum = value; });
        return there && sum + 1 != 0;
    }
};
struct Visit {
    template <class P>
    bool operator()(const P& peer, const U64& key) const {
        std::uint64_t sum = 0;
        return peer.visit(key, [&](U64 value) { sum = value; }) && sum + 1 != 0;
    }
};

// ---- get: 95/5 ----

template <class P, class Get>
Row get_row(std::string name, const std::shared_ptr<P>& peer, const Keys<U64>& keys, Get get,
            std::size_t threads) {
    return {std::move(name), [peer, &keys, get, threads] {
                constexpr std::size_t calls = 400'000;
                std::latch ready{static_cast<std::ptrdiff_t>(threads)};
                std::vector<Histogram> times(threads);
                {
                    std::vector<std::jthread> all;
                    for (std::size_t thread = 0; thread < threads; ++thread) {
                        all.emplace_back([&, thread] {
                            ready.arrive_and_wait();
                            const std::size_t from = thread * 7'919'777;
                            std::uint64_t missed = 0;
                            for (std::size_t at = from; at < from + calls; ++at) {
                                if (one_of_twenty(at)) {
                                    peer->put(keys[at], keys[at]);
                                    continue;
                                }
                                const U64& key = keys[at];
                                const std::uint64_t begin = Ticks::now();
                                missed += get(*peer, key) ? 0U : 1U;
                                times[thread].add(Ticks::now() - begin);
                            }
                            if (missed != 0) {
                                std::abort();  // a get that finds nothing would make it look fast
                            }
                        });
                    }
                }
                Histogram sum;
                for (const Histogram& one : times) {
                    sum += one;
                }
                return std::vector<double>{sum.at(0.5), sum.at(0.99), sum.at(0.999), sum.longest()};
            }};
}

template <class P>
std::shared_ptr<P> filled(std::size_t entries, std::size_t capacity) {
    auto peer = std::make_shared<P>(capacity);
    for (const std::uint32_t number : shuffled(entries)) {
        peer->put(key_of<U64>(number), number);
    }
    return peer;
}

void get(std::size_t threads, std::size_t rounds) {
    constexpr std::size_t entries = 100'000;
    const Keys<U64> keys{zipf(entries, std::size_t{1} << 20U)};
    std::vector<Row> rows;
#ifdef LARDER_BENCHMARK_TBB
    rows.push_back(get_row(TbbMap<U64, U64>::name, filled<TbbMap<U64, U64>>(entries, entries), keys,
                           Look{}, threads));
#endif
    const auto larder = filled<LarderStore<U64, U64>>(entries, 2 * entries);
    rows.push_back(get_row("larder find", larder, keys, Look{}, threads));
    rows.push_back(get_row("larder visit", larder, keys, Visit{}, threads));
#if __has_include(<boost/unordered/concurrent_flat_map.hpp>)
    rows.push_back(get_row(FlatMap<U64, U64>::name, filled<FlatMap<U64, U64>>(entries, entries),
                           keys, Look{}, threads));
#endif
    rows.push_back(get_row(ListLru<U64, U64>::name, filled<ListLru<U64, U64>>(entries, 2 * entries),
                           keys, Look{}, threads));
    std::printf("\nthe clock's own cost, taken off: %.0f ns",
                static_cast<double>(Ticks::own_cost()) / Ticks::a_nanosecond());
    table("a get in ns, 95/5, 100,000 entries, " + std::to_string(threads) + " threads",
          {"p50", "p99", "p99.9", "longest"}, rows, rounds, true);
}

// ---- growth ----

template <class P, class Get>
Row growth_row(std::string name, std::size_t entries, Get get) {
    return {std::move(name), [entries, get] {
                constexpr std::size_t old = 100'000;  // what the reader asks for
                const auto peer = filled<P>(old, 2 * entries);
                const Keys<U64> keys{zipf(old, std::size_t{1} << 18U)};
                std::atomic<bool> over{false};
                std::latch ready{2};
                Histogram times;
                std::size_t long_ones = 0;
                std::jthread reader{[&] {
                    ready.arrive_and_wait();
                    long before = involuntary_switches();
                    for (std::size_t at = 0; !over.load(std::memory_order_relaxed); ++at) {
                        const U64& key = keys[at];
                        const std::uint64_t begin = Ticks::now();
                        const bool there = get(*peer, key);
                        const std::uint64_t took = Ticks::now() - begin;
                        const long after = involuntary_switches();
                        if (after == before) {
                            times.add(took);
                            long_ones +=
                                static_cast<double>(took) > 1e6 * Ticks::a_nanosecond() ? 1U : 0U;
                        }
                        before = after;
                        if (!there) {
                            std::abort();
                        }
                    }
                }};
                ready.arrive_and_wait();
                std::uint64_t longest_put = 0;
                const auto begin = std::chrono::steady_clock::now();
                for (std::size_t number = old; number < entries; ++number) {
                    const std::uint64_t first = Ticks::now();
                    peer->put(key_of<U64>(number), number);
                    longest_put = (std::max)(longest_put, Ticks::now() - first);
                }
                const Seconds took = std::chrono::steady_clock::now() - begin;
                over = true;
                reader.join();
                return std::vector<double>{
                    times.longest() / 1e3, static_cast<double>(long_ones), times.at(0.999) / 1e3,
                    static_cast<double>(longest_put) / Ticks::a_nanosecond() / 1e3,
                    took.count() * 1e9 / static_cast<double>(entries - old)};
            }};
}

void growth(std::size_t entries, std::size_t rounds) {
    std::vector<Row> rows;
    rows.push_back(growth_row<LarderStore<U64, U64>>("larder find", entries, Look{}));
#ifdef LARDER_BENCHMARK_TBB
    rows.push_back(growth_row<TbbMap<U64, U64>>(TbbMap<U64, U64>::name, entries, Look{}));
#endif
    rows.push_back(growth_row<ListLru<U64, U64>>(ListLru<U64, U64>::name, entries, Look{}));
    table("gets while it grows to " + std::to_string(entries) + " entries",
          {"longest get, us", "gets over 1 ms", "p99.9, us", "longest put, us", "a put, ns"}, rows,
          rounds, false);
}

}  // namespace

int main(int argc, char** argv) {
    const std::string_view what = argc > 1 ? argv[1] : "get";
    const auto number = [&](int index, std::size_t usual) {
        return argc > index ? std::strtoul(argv[index], nullptr, 10) : usual;
    };
    (void)Ticks::own_cost();
    (void)Ticks::a_nanosecond();
    if (what == "growth") {
        growth(number(2, 10'000'000), number(3, 3));
    } else {
        get(number(2, 2), number(3, 5));
    }
}
