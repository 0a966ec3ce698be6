// SPDX-License-Identifier: MIT

// Hit ratios of eviction policies on traces of requests, beside Belady's optimum:
//   benchmark_hit_ratio [--store] [--plots=FOLDER] [TRACE | FOLDER]…
// A trace is a file of little-endian 64-bit keys, NAME.u64, or NAME.u64.zst where zstd is there. Without
// one, streams are made up. Sizes are parts of a trace's distinct keys. The share of the gap is how much of
// what the optimum has and LRU has not a policy has: its mean over the traces and sizes that count, those
// of at least 100 entries and with a gap of at least 0.1 % of the requests, and its least.
//   --store   drives a MemoryStore, too, not only its policy
//   --plots   leaves a plot (SVG) for each trace there, of more sizes

#include "svg.hpp"
#include "traces.hpp"

#include <larder/larder.hpp>
#include <larder/store/eviction/adaptive_clock.hpp>
#include <larder/store/eviction/lru.hpp>
#include <larder/store/eviction/policy.hpp>
#include <larder/store/eviction/queue.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <functional>
#include <limits>
#include <queue>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using larder_bench::Trace;
using Id = std::uint32_t;

// An entry for each key of a trace, its id the key's number and 1.
class Entries {
public:
    explicit Entries(std::size_t keys) : entries_(keys + 1) {}

    [[nodiscard]] Id newer(Id id) const noexcept { return entries_[id].newer; }
    [[nodiscard]] Id older(Id id) const noexcept { return entries_[id].older; }
    void set_newer(Id id, Id newer) noexcept { entries_[id].newer = newer; }
    void set_older(Id id, Id older) noexcept { entries_[id].older = older; }
    [[nodiscard]] unsigned uses(Id id) const noexcept { return entries_[id].uses; }
    void set_uses(Id id, unsigned n) noexcept { entries_[id].uses = static_cast<std::uint8_t>(n); }
    [[nodiscard]] unsigned queue(Id id) const noexcept { return entries_[id].queue; }
    void set_queue(Id id, unsigned n) noexcept {
        entries_[id].queue = static_cast<std::uint8_t>(n);
    }
    [[nodiscard]] static std::uint64_t hash(Id id) noexcept {
        const std::uint64_t spread = (id ^ std::uint64_t{id} << 32) * 0xff51afd7ed558ccdU;
        return (spread ^ spread >> 33) * 0xc4ceb9fe1a85ec53U;
    }

    [[nodiscard]] bool listed(Id id) const noexcept { return entries_[id].listed; }
    void list(Id id, bool listed) noexcept {
        entries_[id].listed = listed;
        entries_[id].uses = 0;
    }

private:
    struct Entry {
        Id newer = 0;
        Id older = 0;
        std::uint8_t uses = 0;
        std::uint8_t queue = 0;
        bool listed = false;
    };

    std::vector<Entry> entries_;
};

// First in, first out; with one use counted, the second chance of CLOCK.
template <unsigned Uses>
class Fifo {
public:
    static constexpr unsigned most_uses = Uses;
    static constexpr bool sees_hits = false;

    template <class E>
    void insert(E& entries, Id id, std::uint64_t /*hash*/) noexcept {
        queue_.push(entries, id);
    }
    template <class E>
    void remove(E& entries, Id id) noexcept {
        queue_.remove(entries, id);
    }
    template <class E>
    Id evict(E& entries) noexcept {
        for (;;) {
            const Id id = queue_.oldest();
            queue_.remove(entries, id);
            if (entries.uses(id) == 0) {
                return id;
            }
            entries.set_uses(id, 0);
            queue_.push(entries, id);
        }
    }
    void clear() noexcept { queue_ = {}; }

private:
    larder::EvictionQueue queue_{};
};

// As printed: Yang and others, "FIFO queues are all you need for cache eviction", SOSP 2023, algorithm 1. A
// small queue of a tenth, ghosts as many as the main queue's room, three uses counted, two to stay.
class S3Fifo {
public:
    static constexpr unsigned most_uses = 3;
    static constexpr bool sees_hits = false;

    S3Fifo() = default;
    S3Fifo(std::size_t size, std::size_t keys)
        : most_small_{static_cast<double>(size) * 0.1},
          most_ghosts_{static_cast<double>(size) * 0.9},
          ghosts_(keys + 1) {}

    template <class E>
    void insert(E& entries, Id id, std::uint64_t /*hash*/) noexcept {
        const std::size_t ghost = std::exchange(ghosts_[id], 0);
        const bool known = ghost != 0 && static_cast<double>(left_ - ghost) < most_ghosts_;
        entries.set_queue(id, known ? 1 : 0);
        queues_[known ? 1 : 0].push(entries, id);
    }
    template <class E>
    void remove(E& entries, Id id) noexcept {
        queues_[entries.queue(id)].remove(entries, id);
    }
    template <class E>
    Id evict(E& entries) noexcept {
        for (;;) {
            const bool small =
                queues_[1].size() == 0 || static_cast<double>(queues_[0].size()) > most_small_;
            larder::EvictionQueue& queue = queues_[small ? 0 : 1];
            const Id id = queue.oldest();
            const unsigned uses = entries.uses(id);
            queue.remove(entries, id);
            if (small && uses <= 1) {
                ghosts_[id] = ++left_;
                return id;
            }
            if (!small && uses == 0) {
                return id;
            }
            entries.set_uses(id, small ? 0 : uses - 1);
            entries.set_queue(id, 1);
            queues_[1].push(entries, id);
        }
    }
    void clear() noexcept {}

private:
    double most_small_ = 0;
    double most_ghosts_ = 0;
    std::size_t left_ = 0;
    larder::EvictionQueue queues_[2]{};  // NOLINT: small, main
    std::vector<std::size_t> ghosts_{};  // by id: the how-manieth to leave the small queue
};

template <larder::EvictionPolicy P>
std::size_t hits_of(const Trace& trace, std::size_t size) {
    Entries entries{trace.distinct};
    P policy = [&] {
        if constexpr (std::constructible_from<P, std::size_t, std::size_t>) {
            return P(size, trace.distinct);
        } else {
            return P{};
        }
    }();
    std::size_t hits = 0;
    std::size_t listed = 0;
    for (const std::uint32_t key : trace.keys) {
        const Id id = key + 1;
        if (entries.listed(id)) {
            ++hits;
            if constexpr (P::sees_hits) {
                policy.hit(entries, id);
            } else {
                entries.set_uses(id, (std::min)(entries.uses(id) + 1, P::most_uses));
            }
            continue;
        }
        if (listed == size) {
            entries.list(policy.evict(entries), false);
        } else {
            ++listed;
        }
        entries.list(id, true);
        policy.insert(entries, id, Entries::hash(id));
    }
    return hits;
}

std::size_t hits_of_store(const Trace& trace, std::size_t size) {
    larder::MemoryStore<std::uint64_t, std::uint64_t> store{{.capacity = size}};
    std::size_t hits = 0;
    for (const std::uint32_t key : trace.keys) {
        if (store.find(key)) {
            ++hits;
        } else {
            store.put(key, key, {.fresh = std::chrono::hours{24}});
        }
    }
    return hits;
}

// Belady, "A study of replacement algorithms for a virtual-storage computer", 1966: the key goes whose next
// request is the furthest away.
std::size_t hits_of_optimum(const Trace& trace, std::size_t size) {
    constexpr auto never = std::numeric_limits<std::size_t>::max();
    std::vector<std::size_t> next(trace.keys.size());
    std::vector<std::size_t> coming(trace.distinct, never);
    for (std::size_t i = trace.keys.size(); i-- > 0;) {
        next[i] = std::exchange(coming[trace.keys[i]], i);
    }
    constexpr std::size_t absent = 0;  // no request is the next at the first
    std::vector<std::size_t> listed(trace.distinct, absent);
    std::priority_queue<std::pair<std::size_t, std::uint32_t>> furthest;
    std::size_t hits = 0;
    std::size_t count = 0;
    for (std::size_t i = 0; i < trace.keys.size(); ++i) {
        const std::uint32_t key = trace.keys[i];
        if (listed[key] != absent) {
            ++hits;
        } else if (count < size) {
            ++count;
        } else {
            // What was requested since it was queued is queued anew.
            while (listed[furthest.top().second] != furthest.top().first) {
                furthest.pop();
            }
            listed[furthest.top().second] = absent;
            furthest.pop();
        }
        listed[key] = next[i];
        furthest.emplace(next[i], key);
    }
    return hits;
}

struct Contender {
    std::string name;
    std::function<std::size_t(const Trace&, std::size_t)> hits;
};

// How much of the gap between LRU and the optimum a policy closes.
struct Shares {
    double sum = 0;
    std::size_t count = 0;
    double least = std::numeric_limits<double>::infinity();
    std::string least_at{};

    void add(double share, const std::string& at) {
        sum += share;
        ++count;
        if (share < least) {
            least = share;
            least_at = at;
        }
    }
};

class Benchmark {
public:
    Benchmark(bool with_store, std::string plots) : plots_{std::move(plots)} {
        contenders_ = {{"AdaptiveClock", hits_of<larder::AdaptiveClock>},
                       {"S3-FIFO", hits_of<S3Fifo>},
                       {"CLOCK", hits_of<Fifo<1>>},
                       {"FIFO", hits_of<Fifo<0>>},
                       {"LRU", hits_of<larder::Lru>},
                       {"optimum", hits_of_optimum}};
        if (with_store) {
            contenders_.insert(contenders_.begin(), {"MemoryStore", hits_of_store});
        }
        counted_.resize(contenders_.size());
        all_.resize(contenders_.size());
    }

    void head() const {
        std::printf("%-16s %6s %8s", "hit ratio, %", "size", "entries");
        for (const Contender& contender : contenders_) {
            std::printf(" %13s", contender.name.c_str());
        }
        std::printf("\n");
    }

    void run(const Trace& trace) {
        std::vector<std::vector<std::pair<double, double>>> lines(contenders_.size());
        for (const double percent : {0.1, 0.3, 1.0, 3.0, 10.0, 30.0}) {
            const bool in_table = percent == 0.1 || percent == 1 || percent == 10;
            const auto size = static_cast<std::size_t>(
                std::round(static_cast<double>(trace.distinct) * percent / 100));
            if (size == 0 || (!in_table && plots_.empty())) {
                continue;
            }
            std::vector<double> ratios;
            for (std::size_t i = 0; i < contenders_.size(); ++i) {
                ratios.push_back(static_cast<double>(contenders_[i].hits(trace, size)) /
                                 static_cast<double>(trace.keys.size()));
                lines[i].emplace_back(percent, 100 * ratios.back());
            }
            if (in_table) {
                row(trace, percent, size, ratios);
            }
        }
        if (!plots_.empty()) {
            larder_bench::Plot plot{
                "Hits on " + trace.name,
                std::to_string(trace.keys.size()) + " requests for " +
                    std::to_string(trace.distinct) + " keys",
                {"room for this part of the keys", larder_bench::Scale::logarithmic, "%"},
                {"hit ratio", larder_bench::Scale::linear, "%"}};
            for (std::size_t i = 0; i < contenders_.size(); ++i) {
                plot.add(contenders_[i].name, lines[i]);
            }
            plot.write(plots_ + "/hit_ratio_" + trace.name + ".svg");
        }
    }

    void summary() const {
        std::printf("\nShare of the gap from LRU to the optimum that is closed, %%\n");
        std::printf("%-16s %8s %8s  %-26s %8s %8s\n", "", "mean", "least", "at", "with the",
                    "least");
        std::printf("%-16s %8s %8s  %-26s %8s %8s\n", "", "", "", "", "tiny", "");
        for (std::size_t i = 0; i < contenders_.size(); ++i) {
            const Shares& counted = counted_[i];
            const Shares& all = all_[i];
            if (counted.count == 0) {
                std::printf("%-16s no size counts\n", contenders_[i].name.c_str());
                continue;
            }
            std::printf("%-16s %8.1f %8.1f  %-26s %8.1f %8.1f\n", contenders_[i].name.c_str(),
                        100 * counted.sum / static_cast<double>(counted.count), 100 * counted.least,
                        counted.least_at.c_str(), 100 * all.sum / static_cast<double>(all.count),
                        100 * all.least);
        }
        std::printf("%zu of %zu traces and sizes count\n", counted_[0].count, all_[0].count);
    }

private:
    void row(const Trace& trace, double percent, std::size_t size,
             const std::vector<double>& ratios) {
        std::printf("%-16s %5g%% %8zu", trace.name.c_str(), percent, size);
        for (const double ratio : ratios) {
            std::printf(" %13.2f", 100 * ratio);
        }
        std::printf("\n");
        std::fflush(stdout);
        const double optimum = ratios.back();
        const double lru = ratios[ratios.size() - 2];
        if (optimum - lru < 0.001) {
            return;
        }
        for (std::size_t i = 0; i < ratios.size(); ++i) {
            const double share = (ratios[i] - lru) / (optimum - lru);
            const std::string at = trace.name + " " + std::to_string(size);
            all_[i].add(share, at);
            if (size >= 100) {
                counted_[i].add(share, at);
            }
        }
    }

    std::string plots_;
    std::vector<Contender> contenders_{};  // the last two are LRU and the optimum
    std::vector<Shares> counted_{};
    std::vector<Shares> all_{};
};

std::vector<std::filesystem::path> files_of(const std::vector<std::string>& paths) {
    std::vector<std::filesystem::path> files;
    for (const std::filesystem::path path : paths) {
        if (!std::filesystem::is_directory(path)) {
            files.push_back(path);
            continue;
        }
        for (const auto& entry : std::filesystem::directory_iterator{path}) {
            if (larder_bench::is_trace(entry.path())) {
                files.push_back(entry.path());
            }
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

}  // namespace

int main(int argc, char** argv) {
    bool with_store = false;
    std::string plots;
    std::vector<std::string> paths;
    for (const std::string_view argument : std::vector<std::string_view>(argv + 1, argv + argc)) {
        if (argument == "--store") {
            with_store = true;
        } else if (argument.starts_with("--plots=")) {
            plots = argument.substr(8);
        } else {
            paths.emplace_back(argument);
        }
    }
    try {
        Benchmark benchmark{with_store, plots};
        benchmark.head();
        for (const auto& file : files_of(paths)) {
            benchmark.run(larder_bench::read_trace(file));
        }
        if (paths.empty()) {
            for (const Trace& trace : larder_bench::MadeUp::all()) {
                benchmark.run(trace);
            }
        }
        benchmark.summary();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
