// SPDX-License-Identifier: MIT

// Counters without a lock: nothing is lost, by however many threads, nor while threads end.

#include "support/catch.hpp"

#include <larder/detail/support/thread_counters.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

using larder::detail::ThreadCounters;
using larder::detail::ThreadNumber;

namespace {

// Runs `f(i)` in as many threads, which all exist at the same time.
template <class F>
void together(std::size_t threads, F f) {
    std::latch start{static_cast<std::ptrdiff_t>(threads)};
    std::vector<std::jthread> all;
    for (std::size_t i = 0; i < threads; ++i) {
        all.emplace_back([&, i] {
            start.arrive_and_wait();
            f(i);
        });
    }
}

}  // namespace

TEST_CASE("counters count, each for itself", "[counters]") {
    ThreadCounters<3> counters;
    CHECK(counters.sum(0) == 0);
    counters.add(0);
    counters.add(0);
    counters.add(2, 40);
    CHECK(counters.sum(0) == 2);
    CHECK(counters.sum(1) == 0);
    CHECK(counters.sum(2) == 40);

    ThreadCounters<3> other;
    other.add(0, 7);
    CHECK(counters.sum(0) == 2);
    CHECK(other.sum(0) == 7);
}

TEST_CASE("no thread loses another's count", "[counters]") {
    // Fewer threads than rows, and more: the rest share one.
    for (const std::size_t threads : {std::size_t{8}, ThreadNumber::own + 17}) {
        constexpr std::uint64_t times = 2000;
        ThreadCounters<2> counters;
        together(threads, [&](std::size_t) {
            for (std::uint64_t i = 0; i < times; ++i) {
                counters.add(0);
                counters.add(1, 2);
            }
        });
        CAPTURE(threads);
        CHECK(counters.sum(0) == threads * times);
        CHECK(counters.sum(1) == threads * times * 2);
    }
}

TEST_CASE("what threads counted stays when they end", "[counters]") {
    // Many more in all than there are rows: numbers are used again, and add to what is there.
    ThreadCounters<1> counters;
    for (std::size_t i = 0; i < ThreadNumber::own * 4; ++i) {
        std::jthread{[&] { counters.add(0); }}.join();
    }
    CHECK(counters.sum(0) == ThreadNumber::own * 4);
}

TEST_CASE("threads that live at the same time have different numbers", "[counters]") {
    constexpr std::size_t threads = 16;
    std::vector<std::size_t> numbers(threads);
    std::latch all_have{threads};
    together(threads, [&](std::size_t i) {
        numbers[i] = ThreadNumber::here();
        all_have.arrive_and_wait();
    });
    std::vector<int> used(ThreadNumber::own + 1, 0);
    for (const std::size_t number : numbers) {
        REQUIRE(number < ThreadNumber::own);
        CHECK(++used[number] == 1);
    }
    CHECK(ThreadNumber::here() == ThreadNumber::here());
}

TEST_CASE("when all rows are taken, the rest share one", "[counters]") {
    constexpr std::size_t threads = ThreadNumber::own + 5;
    std::atomic<std::size_t> sharing{0};
    std::latch all_have{threads};
    together(threads, [&](std::size_t) {
        sharing += ThreadNumber::here() == ThreadNumber::own ? 1U : 0U;
        all_have.arrive_and_wait();
    });
    // This thread and Catch2's may hold numbers of their own.
    CHECK(sharing >= 5);
    CHECK(sharing < 10);
    std::jthread{[] { CHECK(ThreadNumber::here() < ThreadNumber::own); }}.join();  // free again
}

TEST_CASE("a thread's last objects still count, and not in another's row", "[counters]") {
    static ThreadCounters<1>* counters = nullptr;
    static std::size_t number_at_the_end = 0;
    struct Late {
        ~Late() {
            number_at_the_end = ThreadNumber::here();
            counters->add(0);
        }
    };
    ThreadCounters<1> counted;
    counters = &counted;
    std::jthread{[] {
        thread_local const Late late;  // made first, so that it goes after the number
        static_cast<void>(&late);
        counters->add(0);
    }}.join();
    CHECK(counted.sum(0) == 2);
    CHECK(number_at_the_end == ThreadNumber::own);  // its number may be another thread's by now
}

TEST_CASE("a sum taken meanwhile never goes back", "[counters]") {
    ThreadCounters<1> counters;
    std::atomic<bool> done{false};
    std::uint64_t before = 0;
    int backwards = 0;
    int sums = 0;
    {
        std::latch start{3};
        std::vector<std::jthread> adders;
        for (int i = 0; i < 2; ++i) {
            adders.emplace_back([&] {
                start.arrive_and_wait();
                for (int n = 0; n < 20'000; ++n) {
                    counters.add(0);
                }
            });
        }
        const std::jthread reader{[&] {
            start.arrive_and_wait();
            do {
                const std::uint64_t now = counters.sum(0);
                backwards += now < before ? 1 : 0;
                before = now;
                ++sums;
            } while (!done);
        }};
        adders.clear();
        done = true;
    }
    CHECK(backwards == 0);
    CHECK(sums > 0);
    CHECK(counters.sum(0) == 40'000);
}

TEST_CASE("a counter of few threads is small", "[counters]") {
    CHECK(sizeof(ThreadCounters<12>) <= 1024);
}
