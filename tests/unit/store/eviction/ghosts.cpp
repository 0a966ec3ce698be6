// SPDX-License-Identifier: MIT

// What an eviction policy remembers of what has left.

#include "support/catch.hpp"
#include "support/failing_new.hpp"
#include "support/plain_entries.hpp"

#include <larder/store/eviction/ghosts.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <utility>

// failing_new.hpp has all but those for over-aligned types, which a ghost's line is.
void* operator new(std::size_t size, std::align_val_t align, const std::nothrow_t&) noexcept {
    return larder_test::Failing::fails(larder_test::Fault::allocation)
               ? nullptr
               : std::aligned_alloc(static_cast<std::size_t>(align), size);
}
void operator delete(void* room, std::align_val_t) noexcept {
    larder_test::give_back(room);
}
void operator delete(void* room, std::size_t, std::align_val_t) noexcept {
    larder_test::give_back(room);
}

using larder::GhostTable;
using larder_test::Failing;
using larder_test::Fault;
using larder_test::spread;
using Kind = GhostTable::Kind;

namespace {

constexpr std::size_t listed = 10'000;

void add(GhostTable& ghosts, std::uint64_t from, std::uint64_t to, Kind kind) {
    for (std::uint64_t key = from; key < to; ++key) {
        ghosts.add(spread(key), kind, listed);
    }
}
// How many of the keys: the newest are asked first, for an answer makes room for older ones.
std::size_t remembered(GhostTable& ghosts, std::uint64_t from, std::uint64_t to) {
    std::size_t count = 0;
    for (std::uint64_t key = to; key-- > from;) {
        count += ghosts.recall(spread(key)) != Kind::none;
    }
    return count;
}

}  // namespace

TEST_CASE("a ghost is recalled once, as what it was") {
    GhostTable ghosts;
    CHECK(ghosts.recall(spread(1)) == Kind::none);
    ghosts.add(spread(1), Kind::small_young, listed);
    ghosts.add(spread(2), Kind::main, listed);
    CHECK(ghosts.recall(spread(3)) == Kind::none);
    CHECK(ghosts.recall(spread(1)) == Kind::small_young);
    CHECK(ghosts.recall(spread(1)) == Kind::none);
    CHECK(ghosts.recall(spread(2)) == Kind::main);
    CHECK(ghosts.recall(spread(2)) == Kind::none);
}

TEST_CASE("a bucket has its last 28 ghosts of the small queue and its last 4 of the main queue") {
    GhostTable ghosts;  // of one bucket
    for (std::uint64_t key = 0; key < 30; ++key) {
        ghosts.add(spread(key), Kind::small_young, 1);
    }
    CHECK(ghosts.recall(spread(1)) == Kind::none);
    CHECK(ghosts.recall(spread(2)) == Kind::small_old);
    CHECK(ghosts.recall(spread(25)) == Kind::small_old);
    CHECK(ghosts.recall(spread(26)) == Kind::small_young);
    CHECK(ghosts.recall(spread(25)) == Kind::none);
    CHECK(ghosts.recall(spread(24)) == Kind::small_young);  // one less is younger than it
    for (std::uint64_t key = 100; key < 106; ++key) {
        ghosts.add(spread(key), Kind::main, 1);
    }
    CHECK(ghosts.recall(spread(29)) == Kind::small_young);  // not driven out by the other queue's
    CHECK(ghosts.recall(spread(101)) == Kind::none);
    CHECK(ghosts.recall(spread(102)) == Kind::main);
    CHECK(ghosts.recall(spread(105)) == Kind::main);
}

TEST_CASE("as many ghosts are remembered as there are entries, the last ones") {
    GhostTable ghosts;
    add(ghosts, 0, 4 * listed, Kind::small_young);
    CHECK(remembered(ghosts, 3 * listed + listed / 2, 4 * listed) > listed / 2 * 98 / 100);
    CHECK(remembered(ghosts, 0, 2 * listed) < listed / 50);
}

TEST_CASE("a seventh of them is young") {
    GhostTable ghosts;
    add(ghosts, 0, 4 * listed, Kind::small_young);
    std::size_t young = 0;
    for (std::uint64_t key = 3 * listed; key < 4 * listed;
         ++key) {  // what is asked moves no younger one
        young += ghosts.recall(spread(key)) == Kind::small_young;
    }
    CHECK(young > listed * 12 / 100);
    CHECK(young < listed * 16 / 100);
}

TEST_CASE("of the main queue's ghosts a seventh as many are remembered") {
    GhostTable ghosts;
    add(ghosts, 0, listed, Kind::main);
    std::size_t count = 0;
    for (std::uint64_t key = 0; key < listed; ++key) {
        count += ghosts.recall(spread(key)) == Kind::main;
    }
    CHECK(count > listed * 12 / 100);
    CHECK(count < listed * 16 / 100);
}

TEST_CASE("hardly a key is taken for another") {
    GhostTable ghosts;
    add(ghosts, 0, listed, Kind::small_young);
    std::size_t wrong = 0;
    for (std::uint64_t key = 0; key < 10 * listed; ++key) {
        wrong += ghosts.recall(spread(1'000'000 + key)) != Kind::none;
    }
    CHECK(wrong < 10 * listed / 1'000);
}

TEST_CASE("hashes whose upper or lower bits are all the same are told apart") {
    const int shift = GENERATE(0, 16, 40);
    GhostTable ghosts;
    for (std::uint64_t key = 0; key < listed; ++key) {
        ghosts.add(key << shift, Kind::small_young, listed);
    }
    std::size_t count = 0;
    for (std::uint64_t key = listed; key-- > 0;) {
        count += ghosts.recall(key << shift) != Kind::none;
    }
    CHECK(count > listed * 8 / 10);
}

TEST_CASE("the table grows and shrinks with the entries") {
    GhostTable ghosts;
    add(ghosts, 0, listed, Kind::small_young);
    const std::size_t more = 40 * listed;
    for (std::uint64_t key = 0; key < more; ++key) {
        ghosts.add(spread(key), Kind::small_young, more);
    }
    CHECK(remembered(ghosts, more / 2, more) > more / 3);
    add(ghosts, 0, 4 * listed, Kind::small_young);
    CHECK(remembered(ghosts, 0, listed) < listed / 50);
    GhostTable taken = std::move(ghosts);
    taken.add(spread(1), Kind::main, listed);
    CHECK(taken.recall(spread(1)) == Kind::main);
}

TEST_CASE("a question takes no memory") {
    GhostTable ghosts;
    ghosts.add(spread(1), Kind::main, listed);
    const Failing failing{Fault::allocation, 1, Failing::Times::from_then_on};
    for (std::uint64_t key = 2; key < listed; ++key) {
        static_cast<void>(ghosts.recall(spread(key)));
    }
    CHECK_FALSE(failing.hit());
}

TEST_CASE("without memory ghosts are not remembered, and are as soon as there is some") {
    const int nth = GENERATE(1, 2);
    GhostTable ghosts;
    {
        const Failing failing{Fault::allocation, nth, Failing::Times::from_then_on};
        ghosts.add(spread(1), Kind::small_young, listed);
        CHECK(failing.hit());
        CHECK(ghosts.recall(spread(1)) == Kind::none);
    }
    ghosts.add(spread(1), Kind::small_young, listed);
    CHECK(ghosts.recall(spread(1)) == Kind::small_young);
    {
        const Failing failing{Fault::allocation, nth, Failing::Times::from_then_on};
        for (std::uint64_t key = 0; key < 100; ++key) {
            ghosts.add(spread(key), Kind::main, 100 * listed);
        }
        CHECK(failing.hit());
    }
    ghosts.add(spread(2), Kind::main, 100 * listed);
    CHECK(ghosts.recall(spread(2)) == Kind::main);
}
