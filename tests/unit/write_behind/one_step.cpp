// SPDX-License-Identifier: MIT

// A write that is one step of journal and slot: where it is taken, whom it meets, and what it leaves when it
// cannot be. Rule W11.

#include "support/catch.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::WriteBehind;
using larder::detail::Finish;
using larder_test::HookedJournal;
using larder_test::Rows;

namespace {

// Nothing is written until `flush`.
constexpr larder::WriteBehindOptions lazy{.delay = 1h, .drain = 10ms};
const larder::Options remembering{.ttl = 1h, .negative_ttl = 1h};

// A store in memory that counts the tickets it hands out.
struct Ticketing : larder::MemoryStore<int, int> {
    std::shared_ptr<std::atomic<int>> tickets = std::make_shared<std::atomic<int>>(0);

    larder::detail::Ticket begin_write(int key, larder::Ttl life) {
        ++*tickets;
        return MemoryStore::begin_write(key, life);
    }
};

template <class Journal>
int tickets_of_three_writes() {
    Ticketing store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), Journal{}, remembering, lazy};
    cache.put(1, 10);
    cache.put(1, 11);
    cache.remove(2);
    CHECK(cache.fetch(1).value == 11);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.fetch(2).value == std::nullopt);
    CHECK(cache.fetch(2).source == Source::hit);
    CHECK(cache.stats().pending == 2);
    CHECK(cache.flush(30s) == 0);
    CHECK(rows.load(1) == 11);
    return *store.tickets;
}

}  // namespace

TEST_CASE("a write beside a journal in memory is one step of the slot", "[behind]") {
    CHECK(tickets_of_three_writes<larder::MemoryJournal<int, int>>() == 0);
    // A journal that does more than that is waited for under a ticket.
    CHECK(tickets_of_three_writes<HookedJournal<>>() == 3);
}

TEST_CASE("a write in one step leaves no copy beside another in flight, nor does that",
          "[behind]") {
    larder::MemoryStore<int, int> store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), remembering, lazy};
    const bool removal = GENERATE(false, true);
    const auto ticket = store.begin_write(1, 1h);
    removal ? cache.remove(1) : cache.put(1, 11);
    CHECK_FALSE(store.find(1));
    CHECK(store.finish_write(1, ticket, Finish::value, 10, {{1h}}));
    CHECK_FALSE(store.find(1));
    CHECK(cache.fetch(1).source == Source::pending);
    CHECK(cache.get(1) == (removal ? std::nullopt : std::optional{11}));
}

TEST_CASE("a write in one step takes the lease of a load", "[behind]") {
    larder::MemoryStore<int, int> store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    const auto opening = store.open(1);
    REQUIRE(opening.slot == larder::detail::Slot::lead);
    const bool removal = GENERATE(false, true);
    removal ? cache.remove(1) : cache.put(1, 11);
    CHECK_FALSE(store.fill(1, opening.lease, 10, {{1h}}).kept);
    CHECK(cache.get(1) == (removal ? std::nullopt : std::optional{11}));
}

TEST_CASE("a removal that is not remembered takes the copy", "[behind]") {
    larder::MemoryStore<int, int> store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    cache.put(1, 10);
    CHECK(store.find(1));
    cache.remove(1);
    CHECK_FALSE(store.find(1));
    CHECK_FALSE(cache.get(1));
}

TEST_CASE("a write in one step leaves a copy with its tags", "[behind][tags]") {
    larder::MemoryStore<int, int> store;
    Rows rows;
    larder::Tagged cache{WriteBehind{store, std::ref(rows), {}, lazy},
                         [](int value) { return larder::Tags{value % 2 == 0 ? "even" : "odd"}; }};
    cache.put(1, 10);
    cache.invalidate_tag("odd");
    CHECK(cache.fetch(1).source == Source::hit);
    cache.invalidate_tag("even");
    CHECK(cache.fetch(1).source == Source::pending);
}

namespace {

// A journal in memory that counts what is recorded.
struct Counting : larder::MemoryJournal<int, int> {
    std::shared_ptr<int> recorded = std::make_shared<int>(0);

    template <class... Given>
        requires(sizeof...(Given) > 1)
    auto record(Given&&... given) {
        const auto version = MemoryJournal::record(std::forward<Given>(given)...);
        *recorded += version ? 1 : 0;
        return version;
    }
    std::uint64_t record(larder::Change<int, int> change) {
        ++*recorded;
        return MemoryJournal::record(std::move(change));
    }
};

}  // namespace

TEST_CASE("room that has to be made elsewhere is made before anything is recorded", "[behind]") {
    // So small that the shard of a key often has nothing to evict.
    larder::MemoryStore<int, int> store{{.capacity = 2, .shards = 16}};
    Rows rows;
    Counting journal;
    WriteBehind cache{store, std::ref(rows), journal, {}, lazy};
    for (int key = 1; key <= 50; ++key) {
        journal.record({key, 0, 0});
        const int before = *journal.recorded;
        cache.put(key, key);
        CHECK(store.find(key)->value == key);
        CHECK(*journal.recorded == before + 1);
        CHECK(journal.size() == static_cast<std::size_t>(key));
    }
}

TEST_CASE("a listener of the store may write the key that it is told of", "[behind]") {
    std::function<void(int)> write;
    larder::MemoryStore<int, int> store{
        {.on_removal = [&](const int& key, const int&, larder::RemovalCause) {
            if (const auto now = std::exchange(write, nullptr)) {
                now(key);
            }
        }}};
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {}, lazy};
    cache.put(1, 10);
    write = [&](int key) { cache.put(key, 12); };
    cache.put(1, 11);
    CHECK(cache.get(1) == 12);
    CHECK(cache.journal().pending(1)->value == 12);
}

TEST_CASE("nothing is in the slot before all that may fail of a record is done", "[behind]") {
    larder::MemoryStore<int, int> store;
    Rows rows;
    int looks = 0;
    bool putting = false;
    const std::function<void()> look = [&, me = std::this_thread::get_id()] {
        if (std::this_thread::get_id() == me && putting) {  // and neither the flusher nor its end
            ++looks;
            CHECK_FALSE(store.find(1));
        }
    };
    struct Clock {
        const std::function<void()>* look;
        [[nodiscard]] std::chrono::steady_clock::time_point now() const {
            (*look)();
            return {};
        }
    };
    WriteBehind cache{store, std::ref(rows), larder::MemoryJournal<int, int, Clock>{Clock{&look}},
                      larder::Options{}, lazy};
    putting = true;
    cache.put(1, 10);
    putting = false;
    CHECK(looks == 1);
    CHECK(store.find(1)->value == 10);
}

TEST_CASE("a full journal is waited for, and nothing is left of the step", "[behind]") {
    larder::MemoryStore<int, int> store;
    Rows rows;
    WriteBehind cache{
        store,
        std::ref(rows),
        {},
        {.max_pending = 1, .when_full = larder::WhenFull::reject, .delay = 1h, .drain = 0ms}};
    rows.down = true;
    cache.put(1, 10);
    CHECK_THROWS_AS(cache.put(2, 20), larder::Error);
    CHECK(cache.journal().size() == 1);
    CHECK_FALSE(store.find(2));
    cache.put(1, 11);  // takes no place
    CHECK(cache.get(1) == 11);
}

TEST_CASE("what the journal has shown is not followed by an older copy", "[behind]") {
    // Writers in one step and step by step, and a reader who asks by turns the journal first and the slot.
    constexpr int rounds = 20'000;
    larder::MemoryStore<int, int> store;
    Rows rows;
    WriteBehind cache{store, std::ref(rows), {.ttl = 1h}, lazy};
    std::barrier start{3};
    std::atomic<bool> done{false};
    std::atomic<int> last_seen{0};
    std::atomic<long> backwards{0};
    cache.put(1, 0);  // the reader finds a value from the first
    {
        const std::jthread writer{[&] {
            start.arrive_and_wait();
            for (int value = 1; value <= rounds || last_seen == 0; ++value) {
                cache.put(1, value);
            }
            done = true;
        }};
        const std::jthread reader{[&] {
            start.arrive_and_wait();
            int seen = 0;
            while (!done) {
                const int pending = cache.peek(1).value_or(seen);
                const int copy = cache.get(1).value_or(-1);
                backwards += pending < seen || copy < pending ? 1 : 0;
                seen = (std::max)(pending, copy);
                last_seen = seen;
            }
        }};
        start.arrive_and_wait();
        while (!done) {
            cache.invalidate(1);
        }
    }
    CHECK(backwards == 0);
    CHECK(last_seen > 0);
}

TEST_CASE("of two writers in one step the one that is recorded last is the one that is read",
          "[behind]") {
    for (int round = 0; round < 3'000; ++round) {
        larder::MemoryStore<int, int> store;
        Rows rows;
        // Its own: of another round something may be left, and written in this one.
        larder::MemoryJournal<int, int> journal;
        WriteBehind cache{store, std::ref(rows), journal, {.ttl = 1h}, lazy};
        std::barrier start{2};
        {
            const std::jthread other{[&] {
                start.arrive_and_wait();
                cache.put(1, 2 * round);
            }};
            start.arrive_and_wait();
            cache.put(1, 2 * round + 1);
        }
        const auto copy = store.find(1);
        const auto pending = journal.pending(1);
        REQUIRE(pending);
        REQUIRE((!copy || copy->value == pending->value));
    }
}
