// SPDX-License-Identifier: MIT

/// @file
/// Times of single calls: a cheap clock, and where how many of them lie.

#ifndef LARDER_TESTS_BENCHMARKS_LATENCY_HPP
#define LARDER_TESTS_BENCHMARKS_LATENCY_HPP

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <thread>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif
#include <sys/resource.h>

namespace larder_bench {

/// The time-stamp counter, where there is one: it costs a third of what the steady clock does.
class Ticks {
public:
    /// Now. What comes before has ended: else the processor would measure something else.
    [[nodiscard]] static std::uint64_t now() noexcept {
#if defined(__x86_64__)
        unsigned processor = 0;
        const std::uint64_t ticks = __rdtscp(&processor);
        _mm_lfence();
        return ticks;
#else
        return static_cast<std::uint64_t>(
            std::chrono::steady_clock::now().time_since_epoch().count());
#endif
    }

    /// How many ticks a nanosecond has, found out once.
    [[nodiscard]] static double a_nanosecond() {
        static const double rate = [] {
            const auto begin = std::chrono::steady_clock::now();
            const std::uint64_t first = now();
            std::this_thread::sleep_for(std::chrono::milliseconds{50});
            const std::uint64_t last = now();
            const std::chrono::duration<double, std::nano> took =
                std::chrono::steady_clock::now() - begin;
            return static_cast<double>(last - first) / took.count();
        }();
        return rate;
    }
    /// What looking twice costs by itself, in ticks: the median, to be subtracted.
    [[nodiscard]] static std::uint64_t own_cost() {
        static const std::uint64_t cost = [] {
            std::array<std::uint64_t, 10'001> times{};
            for (std::uint64_t& time : times) {
                const std::uint64_t first = now();
                time = now() - first;
            }
            std::nth_element(times.begin(), times.begin() + 5'000, times.end());
            return times[5'000];
        }();
        return cost;
    }
};

/// How often this thread was made to stop for another one.
inline long involuntary_switches() {
    ::rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nivcsw;
}

/// Counts of times, exact to a 32nd.
class Histogram {
public:
    void add(std::uint64_t ticks) noexcept {
        ++counts_[place(ticks)];
        ++all_;
        longest_ = (std::max)(longest_, ticks);
    }
    Histogram& operator+=(const Histogram& other) noexcept {
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            counts_[i] += other.counts_[i];
        }
        all_ += other.all_;
        longest_ = (std::max)(longest_, other.longest_);
        return *this;
    }

    /// The time that this share of them does not exceed, in nanoseconds, the clock's own cost taken off.
    [[nodiscard]] double at(double share) const {
        const auto wanted = static_cast<std::uint64_t>(share * static_cast<double>(all_));
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            seen += counts_[i];
            if (seen > wanted) {
                return nanoseconds(middle(i));
            }
        }
        return nanoseconds(static_cast<double>(longest_));
    }
    [[nodiscard]] double longest() const { return nanoseconds(static_cast<double>(longest_)); }
    [[nodiscard]] std::uint64_t count() const noexcept { return all_; }

private:
    static constexpr unsigned bits = 5;

    static std::size_t place(std::uint64_t ticks) noexcept {
        const auto width = static_cast<unsigned>(std::bit_width(ticks));
        if (width <= bits + 1) {
            return static_cast<std::size_t>(ticks);
        }
        const unsigned shift = width - bits - 1;
        return (static_cast<std::size_t>(shift) << bits) + static_cast<std::size_t>(ticks >> shift);
    }
    static double middle(std::size_t place) {
        const std::size_t shift = place >> bits;
        if (shift <= 1) {
            return static_cast<double>(place);
        }
        const auto low = static_cast<double>(place - ((shift - 1) << bits));
        return (low + 0.5) * static_cast<double>(std::uint64_t{1} << (shift - 1));
    }
    static double nanoseconds(double ticks) {
        const double rest = ticks - static_cast<double>(Ticks::own_cost());
        return (std::max)(rest, 0.0) / Ticks::a_nanosecond();
    }

    std::array<std::uint64_t, 60UL << bits> counts_{};
    std::uint64_t all_ = 0;
    std::uint64_t longest_ = 0;
};

}  // namespace larder_bench

#endif  // LARDER_TESTS_BENCHMARKS_LATENCY_HPP
