// SPDX-License-Identifier: MIT

// Memoize: any function, remembered by its arguments. Callers that ask at once share one computation.

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <iostream>
#include <latch>
#include <thread>
#include <tuple>
#include <vector>

using namespace std::chrono_literals;

// How many ways there are to walk `right` streets east and `up` streets north.
std::uint64_t ways(int right, int up) {
    return right == 0 || up == 0 ? 1 : ways(right - 1, up) + ways(right, up - 1);
}

int main() {
    std::atomic<int> computed{0};
    larder::ManualClock clock;
    larder::MemoryStore<std::tuple<int, int>, std::uint64_t, larder::ManualClock> store{{}, clock};
    auto routes = larder::memoize(store,
                                  [&](int right, int up) {
                                      ++computed;
                                      return ways(right, up);
                                  },
                                  {.ttl = 10min});

    std::cout << routes(10, 8) << " ways, " << computed << " computed\n";
    std::cout << routes(10, 8) << " again, " << computed << " computed\n";
    std::cout << routes(8, 10) << " the other way round, " << computed << " computed\n";

    constexpr int crowd = 8;
    std::latch start{crowd};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < crowd; ++i) {
            threads.emplace_back([&] {
                start.arrive_and_wait();
                (void)routes(11, 10);
            });
        }
    }
    std::cout << crowd << " threads ask for another at once, " << computed << " computed\n";

    routes.forget(10, 8);
    (void)routes(10, 8);
    std::cout << "forgotten, " << computed << " computed\n";
    clock.advance(11min);
    (void)routes(8, 10);
    std::cout << "expired, " << computed << " computed\n";
}
