// SPDX-License-Identifier: MIT

/// @file
/// Streams of requests to measure hit ratios with: read from files, or made up.

#ifndef LARDER_TESTS_BENCHMARKS_TRACES_HPP
#define LARDER_TESTS_BENCHMARKS_TRACES_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#ifdef LARDER_BENCHMARK_ZSTD
#include <zstd.h>
#endif

namespace larder_bench {

/// Requests for keys, which are numbered from 0 in the order in which they first come.
struct Trace {
    std::string name{};
    std::vector<std::uint32_t> keys{};
    std::size_t distinct = 0;

    Trace(std::string called, const std::vector<std::uint64_t>& requests)
        : name{std::move(called)} {
        std::unordered_map<std::uint64_t, std::uint32_t> numbers;
        keys.reserve(requests.size());
        for (const std::uint64_t request : requests) {
            const auto next = static_cast<std::uint32_t>(numbers.size());
            keys.push_back(numbers.try_emplace(request, next).first->second);
        }
        distinct = numbers.size();
    }
};

#ifdef LARDER_BENCHMARK_ZSTD
/// @throws std::runtime_error  if it is not of zstd
inline std::string decompressed(const std::string& packed) {
    std::string bytes;
    std::string part(ZSTD_DStreamOutSize(), '\0');
    ZSTD_DStream* const stream = ZSTD_createDStream();
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    std::size_t left = 1;
    while (in.pos < in.size && ZSTD_isError(left) == 0) {
        ZSTD_outBuffer out{part.data(), part.size(), 0};
        left = ZSTD_decompressStream(stream, &out, &in);
        bytes.append(part, 0, out.pos);
    }
    ZSTD_freeDStream(stream);
    if (left != 0) {
        throw std::runtime_error{"not a whole file of zstd"};
    }
    return bytes;
}
#endif

/// Whether a file is a trace that can be read: little-endian 64-bit keys and nothing else, `.u64`, or the
/// same compressed, `.u64.zst`.
inline bool is_trace(const std::filesystem::path& path) {
    const std::string name = path.filename().string();
#ifdef LARDER_BENCHMARK_ZSTD
    if (name.ends_with(".u64.zst")) {
        return true;
    }
#endif
    return name.ends_with(".u64");
}

/// @throws std::runtime_error  if it cannot be read
inline Trace read_trace(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{file}, {}};
    if (!file) {
        throw std::runtime_error{"cannot read " + path.string()};
    }
    std::string name = path.filename().string();
    name.resize(name.find(".u64"));
#ifdef LARDER_BENCHMARK_ZSTD
    if (path.extension() == ".zst") {
        bytes = decompressed(bytes);
    }
#endif
    std::vector<std::uint64_t> requests(bytes.size() / 8);
    for (std::size_t i = 0; i < requests.size() * 8; ++i) {
        requests[i / 8] |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << i % 8 * 8;
    }
    return {std::move(name), requests};
}

/// Streams with one trait each, the same in every run.
class MadeUp {
public:
    [[nodiscard]] static std::vector<Trace> all() {
        MadeUp made;
        std::vector<Trace> traces;
        traces.push_back(made.zipf("zipf", 0.9, 0));
        traces.push_back(made.zipf("zipf_once", 0.9, 5));
        traces.push_back(made.scanned());
        traces.push_back(made.loops("loop", 1));
        traces.push_back(made.loops("loops", 20));
        traces.push_back(made.recent());
        traces.push_back(made.drifting());
        traces.push_back(made.latest());
        traces.push_back(made.bursts());
        return traces;
    }

private:
    static constexpr std::size_t count = 500'000;
    static constexpr std::uint64_t others = 1U << 30;  // keys of another kind

    std::uint64_t below(std::uint64_t most) { return random_() % most; }

    // Numbers by Zipf's law, the most frequent first.
    struct Zipf {
        Zipf(std::size_t numbers, double exponent) {
            for (std::size_t i = 1; i <= numbers; ++i) {
                sums.push_back((sums.empty() ? 0 : sums.back()) +
                               std::pow(static_cast<double>(i), -exponent));
            }
        }
        std::uint64_t operator()(std::mt19937_64& random) const {
            const double draw = std::uniform_real_distribution<double>{0, sums.back()}(random);
            const auto at = std::lower_bound(sums.begin(), sums.end() - 1, draw);
            return static_cast<std::uint64_t>(at - sums.begin());
        }
        std::vector<double> sums{};
    };

    // One of `once` requests is for a key that never comes again; 0: none is.
    Trace zipf(std::string name, double exponent, std::uint64_t once) {
        const Zipf zipf{60'000, exponent};
        std::vector<std::uint64_t> keys;
        while (keys.size() < count) {
            keys.push_back(once != 0 && below(once) == 0 ? others + keys.size() : zipf(random_));
        }
        return {std::move(name), keys};
    }
    Trace scanned() {
        const Zipf zipf{40'000, 0.9};
        std::vector<std::uint64_t> keys;
        for (std::uint64_t scan = 0; keys.size() < count;) {
            for (int i = 0; i < 20'000; ++i) {
                keys.push_back(zipf(random_));
            }
            for (int i = 0; i < 10'000; ++i) {
                keys.push_back(others + scan++ % 60'000);
            }
        }
        return {"zipf_scan", keys};
    }
    // A loop over all keys, or over one part after the other.
    static Trace loops(std::string name, std::size_t parts) {
        const std::size_t length = 50'000 / parts;
        std::vector<std::uint64_t> keys;
        while (keys.size() < count) {
            const std::size_t part = keys.size() / (length * 10) % parts;
            keys.push_back(part * length + keys.size() % length);
        }
        return {std::move(name), keys};
    }
    // The further back, the rarer: a key's distance from its last use is log-normal.
    Trace recent() {
        std::lognormal_distribution<double> distance{5, 1.8};
        std::vector<std::uint64_t> oldest_first;
        std::vector<std::uint64_t> keys;
        for (std::uint64_t next = 0; keys.size() < count;) {
            const auto back = static_cast<std::size_t>(distance(random_)) + 1;
            if (back > oldest_first.size() || below(50) == 0) {
                keys.push_back(next++);
            } else {
                const auto at = oldest_first.end() - static_cast<std::ptrdiff_t>(back);
                keys.push_back(*at);
                oldest_first.erase(at);
            }
            oldest_first.push_back(keys.back());
        }
        return {"recent", keys};
    }
    // New keys take the places of popular ones.
    Trace drifting() {
        const Zipf zipf{30'000, 1.0};
        std::vector<std::uint64_t> at_rank(30'000);
        for (std::size_t i = 0; i < at_rank.size(); ++i) {
            at_rank[i] = i;
        }
        std::vector<std::uint64_t> keys;
        while (keys.size() < count) {
            if (keys.size() % 10 == 0) {
                at_rank[zipf(random_)] = others + keys.size();
            }
            keys.push_back(at_rank[zipf(random_)]);
        }
        return {"drifting", keys};
    }
    // The newest key is the most popular, as in YCSB's workload D.
    Trace latest() {
        const Zipf zipf{100'000, 0.99};
        std::vector<std::uint64_t> keys;
        for (std::uint64_t newest = 100'000; keys.size() < count;) {
            newest += below(20) == 0 ? 1U : 0U;
            keys.push_back(newest - zipf(random_));
        }
        return {"latest", keys};
    }
    // A key is used a few times within a short while.
    Trace bursts() {
        const Zipf zipf{60'000, 0.7};
        std::vector<std::pair<std::uint64_t, std::uint64_t>> at;
        for (std::uint64_t now = 0; at.size() < count; now += 3) {
            const std::uint64_t key = zipf(random_);
            std::uint64_t use = now;
            for (std::uint64_t left = 1 + below(5); left > 0; --left) {
                at.emplace_back(use, key);
                use += 1 + below(100);
            }
        }
        std::stable_sort(at.begin(), at.end());
        std::vector<std::uint64_t> keys;
        for (const auto& [use, key] : at) {
            keys.push_back(key);
        }
        return {"bursts", keys};
    }

    std::mt19937_64 random_{5};  // NOLINT: the same streams in every run
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_TRACES_HPP
