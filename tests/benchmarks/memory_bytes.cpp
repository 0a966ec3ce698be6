// SPDX-License-Identifier: MIT

// What an entry takes beyond its key and its value, in bytes: MemoryStore beside its peers, at several
// sizes; a bounded one once it is full, and once it has evicted twice as many.
//   benchmark_memory_bytes [ENTRIES…]
// A child process each, which asks the heap what is in use (mallinfo2) and the kernel what is resident.
// oneTBB's map takes its memory elsewhere: for it the kernel's figure counts. What key and value take
// alone is measured by a vector of them, and taken off.

#include "peers/all.hpp"
#include "streams.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace larder_bench;
using U64 = std::uint64_t;

struct Memory {
    double used = 0;
    double resident = 0;
};
Memory memory() {
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
    const struct mallinfo2 heap = ::mallinfo2();
    const auto used = static_cast<double>(heap.uordblks + heap.hblkhd);
#else
    const double used = 0;
#endif
    std::size_t pages = 0;
    std::size_t resident = 0;
    std::ifstream{"/proc/self/statm"} >> pages >> resident;
    return {used, static_cast<double>(resident) * static_cast<double>(::sysconf(_SC_PAGESIZE))};
}

// What `fill(count)` has taken since `before`, an entry, less what a pair takes alone.
struct Taken {
    Memory before = memory();

    [[nodiscard]] Memory since(std::size_t entries, double payload) const {
        const Memory after = memory();
        const auto count = static_cast<double>(entries);
        return {(after.used - before.used) / count - payload,
                (after.resident - before.resident) / count - payload};
    }
};

// In a process of its own, so that nothing is left over from the others.
void apart(const std::function<void()>& measure) {
    std::fflush(stdout);
    const ::pid_t child = ::fork();
    if (child == 0) {
        measure();
        std::fflush(stdout);
        ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0) {
        std::printf("failed\n");
    }
}

// What a pair takes alone.
template <class K, class V>
double payload() {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0) {
        std::abort();
    }
    apart([&] {
        constexpr std::size_t count = 100'000;
        std::vector<std::pair<K, V>> pairs;
        const Memory before = memory();
        pairs.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            pairs.emplace_back(key_of<K>(i), value_of<V>(i));
        }
        const double each = (memory().used - before.used) / static_cast<double>(count);
        (void)!::write(pipe[1], &each, sizeof each);
    });
    double each = 0;
    (void)!::read(pipe[0], &each, sizeof each);
    ::close(pipe[0]);
    ::close(pipe[1]);
    return each;
}

template <class P, class K, class V>
void row(const char* name, std::size_t entries, double alone, bool bounded) {
    apart([&] {
        const Taken taken;
        const auto peer = std::make_unique<P>(entries);
        for (std::size_t i = 0; i < entries; ++i) {
            peer->put(key_of<K>(i), value_of<V>(i));
        }
        const Memory full = taken.since(peer->size(), alone);
        std::printf("  %-28s %9zu  %8.1f %8.1f", name, peer->size(), full.used, full.resident);
        if (bounded) {
            for (std::size_t i = entries; i < 3 * entries; ++i) {
                peer->put(key_of<K>(i), value_of<V>(i));
            }
            const Memory after = taken.since(peer->size(), alone);
            std::printf("    %8.1f %8.1f", after.used, after.resident);
        }
        std::printf("\n");
    });
}

template <class K, class V>
void table(const char* title, const std::vector<std::size_t>& sizes) {
    const double alone = payload<K, V>();
    std::printf(
        "\n%s: bytes beyond the %.1f of key and value\n  %-28s %9s  %17s    %17s\n  %38s"
        "  %8s %8s    %8s %8s\n",
        title, alone, "", "entries", "full", "after evictions", "", "used", "resident", "used",
        "resident");
    for (const std::size_t entries : sizes) {
        row<LarderStore<K, V>, K, V>("larder MemoryStore", entries, alone, true);
        row<ListLru<K, V>, K, V>(ListLru<K, V>::name, entries, alone, true);
#ifdef LARDER_BENCHMARK_TBB
        row<TbbMap<K, V>, K, V>(TbbMap<K, V>::name, entries, alone, false);
#endif
#if __has_include(<boost/unordered/concurrent_flat_map.hpp>)
        row<FlatMap<K, V>, K, V>(FlatMap<K, V>::name, entries, alone, false);
#endif
    }
}

}  // namespace

int main(int argc, char** argv) {
    std::vector<std::size_t> sizes;
    for (int i = 1; i < argc; ++i) {
        sizes.push_back(std::strtoul(argv[i], nullptr, 10));
    }
    if (sizes.empty()) {
        sizes = {1'000, 10'000, 100'000, 700'000, 1'000'000};
    }
    table<U64, U64>("u64 to u64", sizes);
    table<std::string, std::string>("16 bytes to 100 bytes", sizes);
}
