// SPDX-License-Identifier: MIT

// Ids that must not meet: not in one thread, not between threads, not between a process and its child.

#include "support/catch.hpp"

#include <larder/detail/support/random.hpp>

#include <array>
#include <cstdint>
#include <set>
#include <thread>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using larder::detail::random_bits;

TEST_CASE("numbers do not repeat, in one thread and between threads", "[random]") {
    std::vector<std::vector<std::uint64_t>> drawn(4);
    {
        std::vector<std::jthread> all;
        for (auto& mine : drawn) {
            all.emplace_back([&mine] {
                for (int i = 0; i < 10'000; ++i) {
                    mine.push_back(random_bits());
                }
            });
        }
    }
    std::set<std::uint64_t> seen;
    for (const auto& mine : drawn) {
        seen.insert(mine.begin(), mine.end());
    }
    CHECK(seen.size() == 40'000);
}

TEST_CASE("a child does not draw its parent's numbers", "[random]") {
    (void)random_bits();
    std::set<std::uint64_t> seen;
    for (int child = 0; child < 3; ++child) {
        std::array<int, 2> ends{};
        REQUIRE(::pipe(ends.data()) == 0);
        const pid_t pid = ::fork();
        if (pid == 0) {
            const std::uint64_t drawn = random_bits();
            ::_exit(::write(ends[1], &drawn, sizeof drawn) == sizeof drawn ? 0 : 1);
        }
        std::uint64_t drawn = 0;
        CHECK(::read(ends[0], &drawn, sizeof drawn) == sizeof drawn);
        CHECK(::waitpid(pid, nullptr, 0) == pid);
        ::close(ends[0]);
        ::close(ends[1]);
        seen.insert(drawn);
    }
    seen.insert(random_bits());
    CHECK(seen.size() == 4);
}
