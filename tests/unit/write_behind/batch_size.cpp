// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/write_behind/batch_size.hpp>

#include <chrono>
#include <cstddef>
#include <limits>

using namespace std::chrono_literals;
using larder::Ttl;
using larder::WriteBehindOptions;
using larder::detail::BatchSize;

namespace {

constexpr WriteBehindOptions options{.batch = 100, .claim = 8s};

// A full batch that took so long.
void full(BatchSize& size, Ttl took, bool failed = false) {
    size.ended(options, size.next(options), took, failed);
}

}  // namespace

TEST_CASE("a database that is slow gets smaller batches, and larger ones again when it is not",
          "[batches]") {
    BatchSize size;
    CHECK(size.next(options) == 100);
    full(size, 1s);  // neither fast nor slow
    CHECK(size.next(options) == 100);
    full(size, 2001ms);
    CHECK(size.next(options) == 50);
    full(size, 2s);
    CHECK(size.next(options) == 50);
    for (const std::size_t next : {25U, 12U, 6U, 3U, 1U, 1U}) {
        full(size, 1h);
        CHECK(size.next(options) == next);
    }
    for (const std::size_t next : {13U, 25U, 37U, 49U, 61U, 73U, 85U, 97U, 100U, 100U}) {
        full(size, 999ms);
        CHECK(size.next(options) == next);
    }
}

TEST_CASE("a batch that failed makes the next ones smaller, and a row alone does not",
          "[batches]") {
    BatchSize size;
    full(size, 0ms, true);
    CHECK(size.next(options) == 50);
    size.ended(options, 1, 0ms, true);
    CHECK(size.next(options) == 50);
    size.ended(options, 2, 0ms, true);
    CHECK(size.next(options) == 25);
}

TEST_CASE("a batch that was not full says little", "[batches]") {
    BatchSize size;
    full(size, 1h);
    size.ended(options, 49, 0ms, false);
    CHECK(size.next(options) == 50);
    size.ended(options, 10, 1h, false);  // ten were too many
    CHECK(size.next(options) == 5);
}

TEST_CASE("batch sizes at their ends", "[batches]") {
    constexpr std::size_t most = (std::numeric_limits<std::size_t>::max)();
    const WriteBehindOptions endless{.batch = most, .claim = (Ttl::max)()};
    BatchSize size;
    CHECK(size.next(endless) == most);
    size.ended(endless, most, 1h, false);
    CHECK(size.next(endless) == most);
    size.ended(endless, most, 0ms, true);
    size.ended(endless, most / 2, 0ms, false);
    CHECK(size.next(endless) > most / 2);
    const WriteBehindOptions least{.batch = 1, .claim = 1ms};
    size.ended(least, 1, 1ms, true);
    CHECK(size.next(least) == 1);
    size.ended(least, 1, 0ms, false);
    CHECK(size.next(least) == 1);
}
