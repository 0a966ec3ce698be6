// SPDX-License-Identifier: MIT

// What a coordinator does about a plain store that fails, that does many keys at once, or that is
// slow. The slot protocol itself: tests/contract.

#include "support/catch.hpp"
#include "support/flaky_store.hpp"
#include "support/leading.hpp"
#include "support/plain_store.hpp"

#include <larder/larder.hpp>

#include <barrier>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <exception>
#include <functional>
#include <future>
#include <latch>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Coordinated;
using larder::Errc;
using larder::Lifetime;
using larder::StoreError;
using larder::detail::Finish;
using larder::detail::InHand;
using larder::detail::Lease;
using larder::detail::Slot;
using larder::detail::Ticket;
using larder_test::BatchingStore;
using larder_test::FlakyStore;
using larder_test::Leading;
using larder_test::PlainStore;

namespace {

constexpr Lifetime minute{60s};

template <class Store>
Leading<int> lead(Store& store, int key) {
    return Leading<int>{store.open(key)};
}
template <class Store>
bool has(Store& store, int key, int value) {
    const auto entry = store.find(key);
    return entry && entry->value == value;
}
template <class Store>
bool peeks(Store& store, int key) {
    return store.peek(key, [](const int*, auto, larder::Ttl, bool) {});
}

// A replay that failed is due again after a little real time.
template <class Condition>
bool soon(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

using Batches = BatchingStore<int, int>;

static_assert(
    std::same_as<decltype(Coordinated{std::declval<FlakyStore&>()}), Coordinated<FlakyStore>>);
static_assert(std::same_as<decltype(Coordinated{std::ref(std::declval<FlakyStore&>())}),
                           Coordinated<std::reference_wrapper<FlakyStore>>>);
static_assert(std::same_as<decltype(Coordinated{std::declval<Coordinated<FlakyStore>&>()}),
                           Coordinated<FlakyStore>>);
static_assert(larder::CoherentStore<Coordinated<FlakyStore>>);
static_assert(!larder::TaggingStore<Coordinated<FlakyStore>>);
static_assert(std::same_as<Coordinated<FlakyStore>::clock_type, larder::ManualClock>);

}  // namespace

// Rule S14.
TEST_CASE("a write erases the plain store's copy before it begins", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    REQUIRE(has(plain, 1, 10));
    (void)store.begin_write(1, 30s);
    CHECK_FALSE(plain.find(1));  // whatever becomes of this process
}

TEST_CASE("a write that cannot begin leaves no ticket, and fences what loads", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    const auto lease = lead(store, 1);
    plain.faults().writes_fail = true;
    CHECK_THROWS_AS(store.begin_write(1, 30s), StoreError);
    plain.faults().writes_fail = false;
    CHECK_FALSE(store.fill(1, lease, 10, {minute}).kept);
    store.release(1, lead(store, 1));  // nobody writes

    SECTION("beside another writer: that one overlapped") {
        const Ticket ticket = store.begin_write(1, 30s);
        plain.faults().writes_fail = true;
        CHECK_THROWS_AS(store.begin_write(1, 30s), StoreError);
        plain.faults().writes_fail = false;
        CHECK(store.finish_write(1, ticket, Finish::value, 11, {minute}));
        CHECK_FALSE(store.find(1));
        CHECK(store.open(1).slot == Slot::lead);
    }
}

TEST_CASE("whatever the plain store throws is a StoreError that tells of it", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    plain.faults().foreign_exceptions = true;
    plain.down(true);
    try {
        (void)store.find(42);
        FAIL("nothing was thrown");
    } catch (const StoreError& error) {
        CHECK(error.code() == Errc::store_failed);
        CHECK(std::string{error.what()}.find("42") != std::string::npos);
        CHECK(std::string{error.what()}.find("socket closed") != std::string::npos);
        CHECK_THROWS_AS(std::rethrow_if_nested(error), std::runtime_error);
    }
    CHECK_THROWS_AS(store.erase(42), StoreError);
    CHECK_THROWS_AS(store.begin_write(42, 30s), StoreError);
    CHECK_THROWS_AS(store.open_refresh(42, false), StoreError);
    CHECK_THROWS_AS(store.put(43, 1, minute), StoreError);
    // Where the caller has no use for the reason, it is counted.
    CHECK_FALSE(peeks(store, 42));
    CHECK(store.stats().store_errors == 1);
}

namespace {

// Throws what is no std::exception at all.
struct Rude {
    using key_type = std::pair<int, std::string>;
    using value_type = int;
    std::optional<larder::Entry<int>> find(const key_type&) const { throw 42; }
    void put(const key_type&, std::optional<int>, Lifetime) {}
    bool erase(const key_type&) { return false; }
};
static_assert(std::same_as<Coordinated<Rude>::clock_type, larder::SteadyClock>);

}  // namespace

TEST_CASE("what is no exception becomes one, and names its key", "[coordinated]") {
    Coordinated store{Rude{}};
    try {
        (void)store.find({7, "seven"});
        FAIL("nothing was thrown");
    } catch (const StoreError& error) {
        CHECK(std::string{error.what()}.find("7:seven") != std::string::npos);
    }
}

TEST_CASE("a value that could not be stored leaves no claim, and no copy to trust",
          "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    const auto store_it = GENERATE(0, 1, 2);
    std::optional<Leading<int>> lease;
    Ticket ticket;
    if (store_it == 0) {
        store.put(1, 10, {1s, 60s});
        larder::ManualClock{plain.clock()}.advance(2s);
        lease.emplace(store.open(1));  // beside a stale copy
    } else if (store_it == 1) {
        ticket = store.begin_write(1, 30s);
    } else {
        store.put(1, 10, minute);
    }
    plain.faults().writes_fail = true;
    plain.faults().foreign_exceptions = GENERATE(false, true);
    const auto go = [&] {
        switch (store_it) {
            case 0: store.fill(1, *lease, 11, {minute}); break;
            case 1: store.finish_write(1, ticket, Finish::value, 11, {minute}); break;
            default: store.put(1, 11, minute); break;
        }
    };
    CHECK_THROWS_AS(go(), StoreError);
    // Neither the put nor the erase after it got through.
    CHECK(store.queued_invalidations() == 1);
    CHECK(store.stats().queued_invalidations == 1);
    CHECK_FALSE(store.find(1));
    CHECK(store.open(1).slot == Slot::bypass);

    plain.faults().writes_fail = false;
    CHECK(soon([&] { return store.open(1).slot == Slot::lead; }));
    CHECK(store.queued_invalidations() == 0);
    CHECK_FALSE(plain.find(1));
    CHECK(store.in_hand() == InHand{});
}

TEST_CASE("a put that fails takes the copy with it where an erase gets through", "[coordinated]") {
    struct PutFails {
        using key_type = int;
        using value_type = int;
        PlainStore<int, int> entries{};
        bool full = false;
        std::optional<larder::Entry<int>> find(int key) const { return entries.find(key); }
        void put(int key, std::optional<int> value, Lifetime life) {
            entries.put(key, value, life);
            if (full) {
                throw std::runtime_error{"was it stored?"};
            }
        }
        bool erase(int key) { return entries.erase(key); }
    };
    PutFails plain;
    Coordinated store{std::ref(plain)};
    const auto lease = lead(store, 1);
    plain.full = true;
    CHECK_THROWS_AS(store.fill(1, lease, 10, {minute}), StoreError);
    CHECK_FALSE(plain.find(1));
    CHECK(store.queued_invalidations() == 0);
    CHECK(store.open(1).slot == Slot::lead);
}

TEST_CASE("a key whose invalidation is queued is not served, and its load is fenced",
          "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    store.put(2, 20, minute);
    const Lease lease = store.open_refresh(1, false).lease;
    REQUIRE(lease);
    plain.faults().writes_fail = true;  // it still serves reads
    CHECK(store.queue_invalidation(1, 10, {}));
    CHECK(store.queued_invalidations() == 1);

    CHECK_FALSE(store.find(1));
    CHECK_FALSE(peeks(store, 1));
    CHECK(store.open(1).slot == Slot::bypass);
    CHECK(store.open_refresh(1, true).slot == Slot::bypass);
    CHECK_FALSE(store.underway(1));
    const std::vector keys{1, 2};
    const auto found = store.find_many(keys);
    CHECK_FALSE(found[0]);
    CHECK(found[1]);
    const auto openings = store.open_many(keys);
    CHECK(openings[0].slot == Slot::bypass);
    CHECK(openings[1].slot == Slot::hit);
    CHECK(has(store, 2, 20));

    plain.faults().writes_fail = false;
    CHECK_FALSE(store.fill(1, lease, 11, {minute}).kept);
    CHECK(soon([&] { return store.open(1).slot == Slot::lead; }));
    CHECK(store.queued_invalidations() == 0);
    CHECK(has(store, 2, 20));
}

TEST_CASE("a queued invalidation is shared by all copies of the handle", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    Coordinated other{store};
    store.put(1, 10, minute);
    plain.faults().writes_fail = true;
    store.queue_invalidation(1, 10, {});
    CHECK_FALSE(other.find(1));
    const Ticket ticket = [&] {
        plain.faults().writes_fail = false;
        return store.begin_write(2, 30s);
    }();
    CHECK(other.open(2).slot == Slot::bypass);
    CHECK(other.finish_write(2, ticket, Finish::value, 20, {minute}));
    CHECK(has(store, 2, 20));
}

TEST_CASE("the queue of drops is bounded", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    plain.faults().writes_fail = true;
    const auto lease = lead(store, 3);
    CHECK(store.queue_invalidation(1, 2, {}));
    CHECK(store.queue_invalidation(2, 2, {}));
    CHECK(store.queue_invalidation(2, 2, {}));
    CHECK_FALSE(store.queue_invalidation(3, 2, {}));
    plain.faults().writes_fail = false;
    CHECK(store.fill(3, lease, 30, {minute}).kept);  // nothing was promised of it
    plain.faults().writes_fail = true;
    CHECK(store.queue_invalidation(3, 2, {.force = true}));
    CHECK(store.queued_invalidations() == 3);
}

TEST_CASE("an erase or a put that gets through ends a queued invalidation", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    store.queue_invalidation(1, 10, {});
    SECTION("erase") {
        CHECK(store.erase(1));
    }
    SECTION("put") {
        store.put(1, 11, minute);
        CHECK(has(store, 1, 11));
    }
    CHECK(store.queued_invalidations() == 0);
}

// Rule S17.
TEST_CASE("a batch does not serve a copy whose drop is replayed while it is read",
          "[coordinated]") {
    Batches plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    plain.script().fails = true;
    store.queue_invalidation(1, 10, {});
    CHECK_FALSE(store.find(1));  // the replay fails: not due again for a moment
    plain.script().fails = false;
    // The answer holds the old copy; before it is looked at, another thread tells the store.
    plain.script().after_find_many = [&] { store.erase(1); };
    const std::vector keys{1};
    const auto found = store.find_many(keys);
    CHECK(store.queued_invalidations() == 0);
    CHECK_FALSE(found[0]);
}

TEST_CASE("many keys cost one call where the plain store takes them so", "[coordinated]") {
    Batches plain;
    Coordinated store{plain};
    auto& script = plain.script();
    const std::vector keys{1, 2, 3, 4};
    const auto calls = [&](int singles, int batches) {
        const bool right = script.singles == singles && script.batches == batches;
        script.singles = 0;
        script.batches = 0;
        return right;
    };

    const std::vector<std::pair<int, std::optional<int>>> pairs{{1, 10}, {2, 20}};
    store.put_many(pairs, minute);
    CHECK(calls(0, 1));
    CHECK(store.find_many(keys)[1]->value == 20);
    CHECK(calls(0, 1));
    std::size_t seen = 0;
    store.peek_many(keys, [&](std::size_t, const int*, auto, larder::Ttl, bool) { ++seen; });
    CHECK(seen == 2);
    CHECK(calls(0, 1));
    const auto openings = store.open_many(keys);
    CHECK(openings[0].slot == Slot::hit);
    CHECK(openings[3].slot == Slot::lead);
    CHECK(calls(0, 1));
    const auto tickets = store.begin_write_many(keys, 30s);
    CHECK(calls(0, 1));
    CHECK_FALSE(plain.find(1));
    CHECK(calls(1, 0));
    store.put_many(pairs, minute);  // all of them are being written
    CHECK(calls(0, 0));
    for (std::size_t i = 0; i < keys.size(); ++i) {
        store.finish_write(keys[i], tickets[i], Finish::nothing, {}, {});
    }
    CHECK(calls(0, 0));
    CHECK(store.erase_many(keys) == 0);
    CHECK(calls(0, 1));
}

TEST_CASE("a batch that fails gives back what it took", "[coordinated]") {
    Batches plain;
    Coordinated store{plain};
    const std::vector keys{1, 2, 3};
    const auto lease = lead(store, 2);
    plain.script().fails = true;
    CHECK_THROWS_AS(store.begin_write_many(keys, 30s), StoreError);
    CHECK_THROWS_AS(store.find_many(keys), StoreError);
    CHECK_THROWS_AS(store.erase_many(keys), StoreError);
    for (const auto& opening : store.open_many(keys)) {
        CHECK(opening.slot == Slot::bypass);
    }
    store.peek_many(keys, [](auto&&...) { FAIL("there is nothing to see"); });
    const std::vector<std::pair<int, std::optional<int>>> pairs{{1, 10}, {2, 20}};
    CHECK_THROWS_AS(store.put_many(pairs, minute), StoreError);
    CHECK(store.queued_invalidations() == 2);

    plain.script().fails = false;
    CHECK_FALSE(store.fill(2, lease, 20, {minute}).kept);
    CHECK(soon([&] { return store.open(1).slot == Slot::lead; }));
    CHECK(store.open(2).slot == Slot::lead);
    CHECK(store.open(3).slot == Slot::lead);
}

TEST_CASE("a plain store that answers for fewer keys than asked is told so", "[coordinated]") {
    Batches plain;
    Coordinated store{plain};
    plain.script().answers_too_few = true;
    const std::vector keys{1, 2};
    try {
        (void)store.find_many(keys);
        FAIL("nothing was thrown");
    } catch (const StoreError& error) {
        CHECK(error.code() == Errc::bad_batch);
    }
    for (const auto& opening : store.open_many(keys)) {
        CHECK(opening.slot == Slot::bypass);
    }
    store.peek_many(keys, [](auto&&...) { FAIL("there is nothing to see"); });
}

TEST_CASE("batches over the same keys in other orders do not wait for each other for ever",
          "[coordinated]") {
    Batches plain;
    Coordinated store{plain};
    std::vector<int> up;
    for (int key = 0; key < 200; ++key) {
        up.push_back(key);
    }
    const std::vector<int> down(up.rbegin(), up.rend());
    std::barrier start{2};
    {
        std::vector<std::jthread> crowd;
        for (const auto& keys : {up, down}) {
            crowd.emplace_back([&store, &start, keys] {
                for (int round = 0; round < 30; ++round) {
                    start.arrive_and_wait();
                    store.erase_many(keys);
                    const auto tickets = store.begin_write_many(keys, 30s);
                    for (std::size_t i = 0; i < keys.size(); ++i) {
                        store.finish_write(keys[i], tickets[i], Finish::value, round, {minute});
                    }
                }
            });
        }
    }
    // None holds a slot any more.
    for (const auto& opening : store.open_many(up)) {
        CHECK((opening.slot == Slot::hit || opening.slot == Slot::lead));
    }
}

TEST_CASE("a hit does not wait for a slow change of its key", "[coordinated]") {
    struct Slow {
        using key_type = int;
        using value_type = int;
        PlainStore<int, int> entries{};
        std::latch* arrived = nullptr;
        std::latch* leave = nullptr;
        std::optional<larder::Entry<int>> find(int key) const { return entries.find(key); }
        void put(int key, std::optional<int> value, Lifetime life) {
            if (arrived != nullptr) {
                arrived->count_down();
                leave->wait();
            }
            entries.put(key, value, life);
        }
        bool erase(int key) { return entries.erase(key); }
    };
    Slow plain;
    Coordinated store{std::ref(plain)};
    store.put(1, 10, minute);
    std::latch arrived{1};
    std::latch leave{1};
    plain.arrived = &arrived;
    plain.leave = &leave;
    auto putting = std::async(std::launch::async, [&] { store.put(1, 11, minute); });
    arrived.wait();
    CHECK(peeks(store, 1));
    CHECK(has(store, 1, 10));
    leave.count_down();
    putting.get();
    CHECK(has(store, 1, 11));
}

TEST_CASE("a refresh of a copy that the plain store has lost is a load of nothing",
          "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    const Lease lease = store.open_refresh(1, false).lease;
    plain.erase(1);  // it evicts
    CHECK_FALSE(store.underway(1));
    CHECK_FALSE(store.fill(1, lease, 11, {minute}).kept);
    CHECK(store.open(1).slot == Slot::lead);
}

TEST_CASE("a refresh that the store fails for holds nothing, and leaves nothing to trust",
          "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    const Leading<int> lease{store.open_refresh(1, false)};
    plain.down(true);
    CHECK_THROWS_AS(store.fill(1, lease, 11, {minute}), StoreError);
    CHECK(store.in_hand() == InHand{});
    plain.faults().reads_fail = false;
    CHECK_FALSE(store.underway(1));
    CHECK_FALSE(store.find(1));  // the source has answered otherwise
    plain.down(false);
    CHECK(soon([&] { return store.queued_invalidations() == 0; }));
    CHECK_FALSE(plain.find(1));
}

TEST_CASE("an answer that is not kept takes the copy with it, or the trust in it",
          "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    const Leading<int> lease{store.open_refresh(1, false)};
    plain.faults().writes_fail = true;
    SECTION("withdrawn") {
        store.withdraw(1, lease);
    }
    SECTION("of no life") {
        CHECK_FALSE(store.fill(1, lease, 11, {}).kept);
    }
    SECTION("with tags, which this store keeps none of") {
        CHECK_THROWS_AS(store.fill(1, lease, 11, {minute, {"tag"}}), larder::Error);
    }
    CHECK(store.queued_invalidations() == 1);
    CHECK_FALSE(store.find(1));
    CHECK(has(plain, 1, 10));
    plain.faults().writes_fail = false;
    CHECK(soon([&] { return store.queued_invalidations() == 0; }));  // nobody calls
    CHECK_FALSE(plain.find(1));
    CHECK(store.in_hand() == InHand{});
}

TEST_CASE("a replay ends the writes whose end the store has not heard", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    const Ticket ticket = store.begin_write(1, 30s);
    CHECK(store.in_hand() == InHand{0, 1});
    CHECK(store.queue_invalidation(1, 10, {.ticket = ticket, .force = true}));
    CHECK(soon([&] { return store.in_hand() == InHand{}; }));
    CHECK(soon([&] { return store.open(1).slot == Slot::lead; }));
}

TEST_CASE("a write that may still take effect hides its key", "[coordinated]") {
    FlakyStore plain;
    Coordinated store{plain};
    store.put(1, 10, minute);
    CHECK(store.queue_invalidation(1, 10, {.hold = 30s, .force = true}));
    CHECK(soon([&] { return !plain.find(1); }));
    store.put(1, 11, minute);
    CHECK_FALSE(store.find(1));
    CHECK(store.open(1).slot == Slot::bypass);
    larder::ManualClock{plain.clock()}.advance(30s);
    CHECK(soon([&] { return store.queued_invalidations() == 0; }));
    CHECK_FALSE(plain.find(1));
    CHECK(store.open(1).slot == Slot::lead);
}

TEST_CASE("a handle that goes while its store is down ends its replay", "[coordinated]") {
    FlakyStore plain;
    std::optional<Coordinated<FlakyStore>> store{plain};
    plain.down(true);
    CHECK(store->queue_invalidation(1, 10, {}));
    CHECK(soon([&] { return plain.faults().erases > 0; }));
    store.reset();
    const int erases = plain.faults().erases;
    plain.down(false);
    Coordinated other{plain};
    CHECK(other.open(1).slot == Slot::lead);
    CHECK(plain.faults().erases == erases);
}

TEST_CASE("a plain store that adds a life to its clock keeps an endless one", "[coordinated]") {
    // As on the page of stores: no store of a user's need know of endless lives.
    larder_test::PlainStore<int, int> plain;
    Coordinated store{plain};
    constexpr Lifetime endless{(larder::Ttl::max)(), (larder::Ttl::max)()};
    store.put(1, 10, endless);
    CHECK(has(store, 1, 10));
    const std::vector<std::pair<int, std::optional<int>>> pairs{{2, 20}};
    store.put_many(pairs, endless);
    CHECK(has(store, 2, 20));
    CHECK(store.fill(3, lead(store, 3), 30, {endless}).kept);
    CHECK(has(store, 3, 30));
    const Ticket ticket = store.begin_write(4, (larder::Ttl::max)());
    CHECK(store.finish_write(4, ticket, Finish::value, 40, {endless}));
    CHECK(has(store, 4, 40));
    CHECK(store.find(4)->remaining == larder::detail::longest_life);

    int loads = 0;
    larder::CacheAside cache{store, [&](int key) { return ++loads, key; }, {.ttl = endless.fresh}};
    for (int i = 0; i < 5; ++i) {
        CHECK(cache.get(5) == 5);
    }
    CHECK(loads == 1);
}

namespace {

// Says that what it holds lives for ever, or has been stale for ever.
struct Boasting {
    using key_type = double;
    using value_type = int;
    larder::Ttl remaining{};
    int asked = 0;

    std::optional<larder::Entry<int>> find(double) const {
        return larder::Entry<int>{1, remaining};
    }
    void put(double, std::optional<int>, Lifetime) { ++asked; }
    bool erase(double) { return true; }
};

}  // namespace

TEST_CASE("a plain store may answer with any time left", "[coordinated]") {
    for (const auto remaining : {(larder::Ttl::max)(), (larder::Ttl::min)()}) {
        Boasting plain{remaining};
        Coordinated store{std::ref(plain)};
        std::optional<larder::detail::Remaining> seen;
        CHECK(store.peek(1.0, [&](const int*, larder::detail::Remaining left, larder::Ttl, bool) {
            seen = left;
        }));
        REQUIRE(seen);
        CHECK((*seen > seen->zero()) == (remaining > remaining.zero()));
        const auto opening = store.open(1.0);
        REQUIRE(opening.copy);
        CHECK(opening.copy->entry.remaining == larder::detail::cut(remaining));
    }
}

TEST_CASE("a key that does not equal itself is not stored, and not claimed", "[coordinated]") {
    Boasting plain;
    Coordinated store{std::ref(plain)};
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (int round = 0; round < 20; ++round) {
        store.put(nan, 1, minute);
        const auto opening = store.open(nan);
        CHECK_FALSE(store.fill(nan, opening.lease, 1, {minute}).kept);
        const Ticket ticket = store.begin_write(nan, 30s);
        CHECK(store.finish_write(nan, ticket, Finish::value, 1, {minute}));
        CHECK(store.queue_invalidation(nan, 0, {.force = true}));
        CHECK(store.in_hand() == InHand{});
        CHECK(store.queued_invalidations() == 0);
    }
    CHECK(plain.asked == 0);
}
