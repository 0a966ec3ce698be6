// SPDX-License-Identifier: MIT

/// @file
/// Random delays and deaths of a process between two steps of what it does.

#ifndef LARDER_TESTS_SUPPORT_FLEET_CHAOS_HPP
#define LARDER_TESTS_SUPPORT_FLEET_CHAOS_HPP

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <random>
#include <thread>

namespace larder_test {

struct ChaosOptions {
    /// One step in so many is delayed, by up to `longest`; one of those by up to four times that.
    unsigned delay_one_in = 2;
    std::chrono::microseconds longest{2000};
    /// At one step in so many the process is killed; 0: never.
    unsigned die_one_in = 0;
};

/// The same numbers for the same seed, thread by thread.
///
/// Thread safety: all threads of one process.
class Chaos {
public:
    Chaos(ChaosOptions options, std::uint64_t seed) : options_{options}, seed_{seed} {}

    /// The moment between two steps.
    void step() {
        if (options_.die_one_in != 0 && chance(options_.die_one_in)) {
            std::raise(SIGKILL);
        }
        if (chance(options_.delay_one_in)) {
            sleep(options_.longest * (chance(16) ? 4 : 1));
        }
    }

    void sleep(std::chrono::microseconds longest) {
        if (longest.count() > 0) {
            const auto bound = static_cast<unsigned>(longest.count()) + 1;
            std::this_thread::sleep_for(std::chrono::microseconds{below(bound)});
        }
    }

    bool chance(unsigned of) { return below(of) == 0; }
    unsigned below(unsigned bound) { return static_cast<unsigned>(engine()() % bound); }

private:
    std::mt19937_64& engine() {
        // One process has one of these.
        thread_local std::mt19937_64 engine{seed_ * 1000 + threads_.fetch_add(1)};
        return engine;
    }

    ChaosOptions options_;
    std::uint64_t seed_;
    std::atomic<std::uint64_t> threads_{0};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_CHAOS_HPP
