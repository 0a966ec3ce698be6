// SPDX-License-Identifier: MIT

// The queue of invalidations that a store has missed, and its replay.

#include "support/catch.hpp"
#include "support/child.hpp"

#include <larder/clock.hpp>
#include <larder/detail/slot/invalidation_queue.hpp>
#include <larder/detail/slot/invalidation_replay.hpp>
#include <larder/detail/slot/protocol.hpp>
#include <larder/hash.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstddef>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

#if defined(__unix__)
#include <sys/wait.h>
#include <unistd.h>
#endif

using namespace std::chrono_literals;

namespace {

using larder::detail::MissedInvalidation;
using Instant = std::chrono::steady_clock::time_point;
using Queue = larder::detail::InvalidationQueue<int, larder::Hash<int>>;
using Missed = std::span<const Queue::Invalidation>;

constexpr std::size_t all = 1'000'000;
constexpr Instant start{};
constexpr MissedInvalidation forced{.force = true};

// Queues an invalidation that may be refused.
bool add(Queue& queue, int key, std::size_t most = 100) {
    return queue.add(key, most, {}, start);
}

void never() {
    FAIL("nothing was lost");
}

// A store that can be down, told of invalidations by a queue.
struct Backend {
    bool down = false;
    int calls = 0;
    std::vector<int> erased{};
    std::vector<std::uint64_t> ended{};

    auto teller() {
        return [this](Missed missed) {
            ++calls;
            if (down) {
                throw std::runtime_error{"down"};
            }
            for (const Queue::Invalidation& one : missed) {
                erased.push_back(one.key);
                for (const auto& ticket : one.tickets) {
                    ended.push_back(ticket.id);
                }
            }
        };
    }
};

}  // namespace

TEST_CASE("a queued key is known until it was erased", "[invalidation_queue]") {
    Queue queue;
    CHECK(queue.empty());
    CHECK_FALSE(queue.contains(1));
    CHECK(add(queue, 1));
    CHECK(add(queue, 2));
    CHECK(queue.contains(1));
    CHECK_FALSE(queue.contains(3));
    CHECK(queue.size() == 2);

    Backend backend;
    queue.replay(all, 1, start, backend.teller(), never);
    CHECK(queue.empty());
    CHECK_FALSE(queue.contains(1));
    std::sort(backend.erased.begin(), backend.erased.end());
    CHECK(backend.erased == std::vector{1, 2});
}

TEST_CASE("a key is queued once", "[invalidation_queue]") {
    Queue queue;
    CHECK(add(queue, 1, 1));
    CHECK(add(queue, 1, 1));  // it takes no more room
    CHECK(queue.size() == 1);
}

TEST_CASE("the queue is bounded, except for what must not be lost", "[invalidation_queue]") {
    Queue queue;
    CHECK(add(queue, 1, 2));
    CHECK(add(queue, 2, 2));
    CHECK_FALSE(add(queue, 3, 2));
    CHECK_FALSE(queue.contains(3));
    CHECK(queue.add(3, 2, forced, start));
    CHECK(queue.contains(3));
    CHECK(queue.size() == 3);
    CHECK_FALSE(add(queue, 4, 0));
}

TEST_CASE("what was told to the store by other means is forgotten", "[invalidation_queue]") {
    Queue queue;
    queue.forget(1, start);
    add(queue, 1);
    add(queue, 2);
    queue.forget(1, start);
    CHECK_FALSE(queue.contains(1));
    CHECK(queue.size() == 1);
}

TEST_CASE("the store is told of every write that it has not heard the end of",
          "[invalidation_queue]") {
    Queue queue;
    Backend backend;
    queue.add(1, all, {.ticket = {7}, .force = true}, start);
    queue.add(1, all, {.ticket = {8}, .force = true}, start);
    queue.add(1, all, {.ticket = {7}, .force = true}, start);
    queue.add(1, all, forced, start);
    CHECK(queue.size() == 1);

    // An erase takes the copy, but the writes stay open.
    queue.forget(1, start);
    CHECK(queue.contains(1));

    queue.replay(all, 1, start, backend.teller(), never);
    CHECK(queue.empty());
    CHECK(backend.erased == std::vector{1});
    CHECK(backend.ended == std::vector<std::uint64_t>{7, 8});
}

TEST_CASE("no more writes are remembered by key than a slot holds", "[invalidation_queue]") {
    Queue queue;
    Backend backend;
    for (std::uint64_t id = 1; id <= 100; ++id) {
        queue.add(1, all, {.ticket = {id}, .force = true}, start);
    }
    queue.replay(all, 1, start, backend.teller(), never);
    CHECK(backend.ended.size() == larder::detail::SlotState::most_tickets);
}

TEST_CASE("a write that may still take effect keeps its key from being trusted",
          "[invalidation_queue]") {
    Queue queue;
    Backend backend;
    queue.add(1, all, {.hold = 30s, .force = true}, start);
    queue.add(2, all, {.hold = 10s, .force = true}, start);
    queue.add(3, all, forced, start);

    // The store is told at once, for the sake of others; and again when the write is over.
    queue.replay(all, 1, start, backend.teller(), never);
    CHECK(backend.calls == 3);
    CHECK(queue.size() == 2);
    queue.replay(all, 1, start, backend.teller(), never);
    CHECK(backend.calls == 3);
    CHECK(queue.next(start, larder::SteadyClock{}.now()) == 1s);  // at the most
    CHECK(queue.next(start + 9500ms, larder::SteadyClock{}.now()) == 500ms);
    queue.forget(1, start + 30s - 1ns);  // whatever else it is told
    queue.replay(all, 1, start + 10s - 1ns, backend.teller(), never);
    CHECK(backend.calls == 3);

    queue.replay(all, 1, start + 10s, backend.teller(), never);
    CHECK(backend.erased.back() == 2);
    CHECK(queue.contains(1));
    queue.replay(all, 1, start + 30s - 1ns, backend.teller(), never);
    CHECK(queue.contains(1));
    queue.replay(all, 1, start + 30s, backend.teller(), never);
    CHECK(queue.empty());
    CHECK(backend.calls == 5);
    CHECK(queue.next(start, start) == std::nullopt);
}

TEST_CASE("the longest hold of a key counts, and a new invalidation is told at once",
          "[invalidation_queue]") {
    Queue queue;
    Backend backend;
    queue.add(1, all, {.hold = 30s, .force = true}, start);
    queue.add(1, all, {.hold = 10s, .force = true}, start);
    queue.replay(all, 1, start, backend.teller(), never);
    CHECK(backend.calls == 1);
    queue.add(1, all, {.ticket = {5}, .force = true}, start + 1s);
    queue.replay(all, 1, start + 1s, backend.teller(), never);
    CHECK(backend.calls == 2);
    CHECK(backend.ended == std::vector<std::uint64_t>{5});
    queue.forget(1, start + 29s);
    CHECK(queue.contains(1));
    queue.forget(1, start + 30s);
    CHECK(queue.empty());
}

TEST_CASE("holds of any length, at any time", "[invalidation_queue]") {
    for (const Instant now : {(Instant::min)(), Instant{}, (Instant::max)()}) {
        Queue queue;
        Backend backend;
        queue.add(1, all, {.hold = (larder::Ttl::max)(), .force = true}, now);
        queue.add(2, all, {.hold = (larder::Ttl::min)(), .force = true}, now);
        CHECK(queue.next(now, (Instant::min)()).has_value());
        queue.replay(all, 1, now, backend.teller(), never);
        CHECK(queue.next((Instant::min)(), now).has_value() == queue.contains(1));
        CHECK_FALSE(queue.contains(2));
    }
}

TEST_CASE("a replay that fails is tried again later, and later", "[invalidation_queue]") {
    Queue queue;
    add(queue, 1);
    Backend backend;
    backend.down = true;
    larder::ManualClock clock;
    const auto replay = [&] { queue.replay(all, 1, start, backend.teller(), never, clock); };
    replay();
    CHECK(backend.calls == 1);
    CHECK(queue.contains(1));

    int calls = 1;
    for (const auto wait : {10ms, 20ms, 40ms, 80ms, 160ms, 320ms, 640ms, 1000ms, 1000ms}) {
        CHECK(queue.next(start, clock.now()) == wait);
        clock.advance(wait - 1ms);
        replay();
        CHECK(backend.calls == calls);  // not due
        clock.advance(1ms);
        replay();
        CHECK(backend.calls == ++calls);
    }

    backend.down = false;
    clock.advance(1s);
    replay();
    CHECK(queue.empty());

    // After a success the next is due at once, and a failure waits 10 ms again.
    add(queue, 2);
    CHECK(queue.next(start, clock.now()) == 0ms);
    backend.down = true;
    calls = backend.calls;
    replay();
    CHECK(backend.calls == calls + 1);
    backend.down = false;
    clock.advance(10ms);
    replay();
    CHECK(queue.empty());
}

TEST_CASE("a store that takes long to fail is not asked again at once", "[invalidation_queue]") {
    Queue queue;
    add(queue, 1);
    larder::ManualClock clock;
    int calls = 0;
    const auto time_out = [&](Missed) {
        ++calls;
        clock.advance(5s);
        throw std::runtime_error{"timed out"};
    };
    queue.replay(all, 1, start, time_out, never, clock);
    queue.replay(all, 1, start, time_out, never, clock);
    CHECK(calls == 1);
    clock.advance(10ms);
    queue.replay(all, 1, start, time_out, never, clock);
    CHECK(calls == 2);
}

TEST_CASE("a store that fails in the middle of a replay has not lost the rest",
          "[invalidation_queue]") {
    Queue queue;
    for (int key = 0; key < 5; ++key) {
        add(queue, key);
    }
    int told = 0;
    const auto tell = [&](Missed) {
        if (told == 2) {
            throw 42;  // whatever a user's client throws
        }
        ++told;
    };
    queue.replay(all, 1, start, tell, never);
    CHECK(queue.size() == 3);
}

TEST_CASE("an invalidation that is missed while an older one is carried out stays queued",
          "[invalidation_queue]") {
    Queue queue;
    add(queue, 1);
    add(queue, 2);
    const auto tell = [&](Missed missed) {
        CHECK(queue.contains(missed.front().key));
        // The store has erased it. Others may fill it again; a write of theirs is then missed.
        if (missed.front().key == 1) {
            add(queue, 1);
        }
    };
    queue.replay(all, 1, start, tell, never);
    CHECK(queue.contains(1));
    CHECK_FALSE(queue.contains(2));
    const auto moment = queue.moment();
    queue.add(1, 10, forced, start);
    queue.forget(1, start, moment);
    CHECK(queue.contains(1));
    queue.forget(1, start, queue.moment());
    CHECK(queue.empty());
}

TEST_CASE("a store that erases many at once is told some at a time", "[invalidation_queue]") {
    Queue queue;
    for (int key = 0; key < 25; ++key) {
        add(queue, key);
    }
    std::vector<std::size_t> sizes;
    bool down = false;
    larder::ManualClock clock;
    const auto tell = [&](Missed missed) {
        sizes.push_back(missed.size());
        if (down) {
            throw std::runtime_error{"down"};
        }
    };
    const auto replay = [&](std::size_t most) {
        queue.replay(most, 10, start, tell, never, clock);
    };
    replay(15);
    CHECK(queue.size() == 10);
    down = true;
    replay(15);
    CHECK(queue.size() == 10);
    down = false;
    replay(15);  // not due
    clock.advance(10ms);
    replay(15);
    CHECK(queue.empty());
    CHECK(sizes == std::vector<std::size_t>{10, 5, 10, 10});
}

TEST_CASE("one replay at a time", "[invalidation_queue]") {
    Queue queue;
    add(queue, 1);
    int outer = 0;
    int inner = 0;
    const auto tell = [&](Missed) {
        ++outer;
        CHECK(queue.next(start, start) == 10ms);
        queue.replay(
            all, 1, start, [&](Missed) { ++inner; }, never);
    };
    queue.replay(all, 1, start, tell, never);
    CHECK(outer == 1);
    CHECK(inner == 0);
}

TEST_CASE("an empty queue asks nobody", "[invalidation_queue]") {
    Queue queue;
    queue.replay(
        all, 1, start, [](Missed) { FAIL("nothing was queued"); }, never);
}

TEST_CASE("a key that does not equal itself is not queued", "[invalidation_queue]") {
    larder::detail::InvalidationQueue<double, larder::Hash<double>> queue;
    for (int i = 0; i < 10; ++i) {
        CHECK(queue.add(std::nan(""), all, forced, start));
    }
    CHECK(queue.empty());
}

TEST_CASE("an invalidation that was lost lets no key be trusted until the store was cleared",
          "[invalidation_queue]") {
    Queue queue;
    add(queue, 1);
    queue.lose();
    CHECK(queue.contains(2));
    CHECK(queue.size() == 2);

    // What is known is told, even to a store that cannot be cleared.
    Backend backend;
    larder::ManualClock clock;
    const auto cannot = [] { throw std::runtime_error{"cannot"}; };
    queue.replay(all, 1, start, backend.teller(), cannot, clock);
    CHECK(backend.erased == std::vector{1});
    CHECK(queue.contains(2));
    CHECK(queue.size() == 1);
    CHECK(queue.next(start, clock.now()) == 10ms);

    // One that is lost while it is cleared asks for another.
    int clears = 0;
    const auto clear = [&] {
        if (++clears == 1) {
            queue.lose();
        }
    };
    clock.advance(10ms);
    queue.replay(all, 1, start, backend.teller(), clear, clock);
    CHECK(queue.contains(2));
    queue.replay(all, 1, start, backend.teller(), clear, clock);
    CHECK(queue.empty());
    CHECK_FALSE(queue.contains(2));
    CHECK(clears == 2);
}

namespace {

// A key whose copies fail.
struct Costly {
    int id = 0;
    static inline bool fails = false;

    explicit Costly(int of) : id{of} {}
    Costly(const Costly& other) : id{other.id} {
        if (fails) {
            throw std::bad_alloc{};
        }
    }
    Costly& operator=(const Costly&) = default;
    ~Costly() = default;
    friend bool operator==(const Costly&, const Costly&) = default;
};
struct CostlyHash {
    std::size_t operator()(const Costly& key) const noexcept {
        return static_cast<std::size_t>(key.id);
    }
};

using Replay = larder::detail::InvalidationReplay<int, larder::Hash<int>, larder::ManualClock>;
using CostlyReplay = larder::detail::InvalidationReplay<Costly, CostlyHash, larder::ManualClock>;

// A store that another thread tells of invalidations, and may wait for.
class Told {
public:
    void down(bool is) {
        const std::scoped_lock lock{mutex_};
        down_ = is;
    }
    void tell(std::size_t some) {
        const std::scoped_lock lock{mutex_};
        ++tries_;
        changed_.notify_all();
        if (down_) {
            throw std::runtime_error{"down"};
        }
        told_ += some;
    }
    bool wait_for_tries(std::size_t tries) { return wait_for(tries_, tries); }
    bool wait_for_told(std::size_t told) { return wait_for(told_, told); }

private:
    bool wait_for(const std::size_t& what, std::size_t count) {
        std::unique_lock lock{mutex_};
        return changed_.wait_for(lock, 20s, [&] { return what >= count; });
    }

    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::size_t tries_ = 0;
    std::size_t told_ = 0;
    bool down_ = false;
};

template <class Condition>
bool soon(const Condition& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        std::this_thread::yield();
    }
    return true;
}

}  // namespace

// Rule S16.
TEST_CASE("a store that is back is told without anybody calling", "[invalidation_queue]") {
    Told told;
    const larder::ManualClock clock;
    Replay queue{
        clock, {.tell = [&](auto some) { told.tell(some.size()); }, .at_once = 10, .clear = never}};
    told.down(true);
    for (int key = 0; key < 1000; ++key) {
        REQUIRE(queue.add(key, all, {}));
    }
    REQUIRE(told.wait_for_tries(3));
    CHECK(queue.size() == 1000);
    told.down(false);
    CHECK(told.wait_for_told(1000));
    CHECK(soon([&] { return queue.empty(); }));

    // It sleeps, and wakes for the next.
    REQUIRE(queue.add(1, all, {}));
    CHECK(told.wait_for_told(1001));
}

TEST_CASE("a write that was unknown is told of when it is over", "[invalidation_queue]") {
    Told told;
    larder::ManualClock clock;
    Replay queue{clock, {.tell = [&](auto some) { told.tell(some.size()); }, .clear = never}};
    REQUIRE(queue.add(1, all, {.hold = 30s, .force = true}));
    REQUIRE(told.wait_for_told(1));
    CHECK(queue.contains(1));
    queue.forget(1);
    CHECK(queue.contains(1));
    clock.advance(30s);
    CHECK(soon([&] { return queue.empty(); }));
}

TEST_CASE("a queue goes while its store is down", "[invalidation_queue]") {
    Told told;
    const larder::ManualClock clock;
    told.down(true);
    std::optional<Replay> queue;
    queue.emplace(clock, Replay::Store{.tell = [&](auto some) { told.tell(some.size()); },
                                       .at_once = 1,
                                       .clear = never});
    queue->add(1, all, {});
    REQUIRE(told.wait_for_tries(1));
    queue.reset();  // returns
}

TEST_CASE("an invalidation for which there is no memory is refused, or not lost",
          "[invalidation_queue]") {
    const larder::ManualClock clock;
    std::atomic<bool> clears{false};
    const auto clear = [&] {
        if (!clears) {
            throw std::runtime_error{"down"};
        }
    };
    CostlyReplay queue{clock, {.tell = [](auto) {}, .clear = clear}};
    const Costly key{1};
    Costly::fails = true;
    CHECK_THROWS_AS(queue.add(key, all, {}), std::bad_alloc);
    CHECK(queue.empty());
    CHECK(queue.add(key, all, forced));
    CHECK(queue.contains(key));
    CHECK(queue.contains(Costly{2}));
    Costly::fails = false;
    CHECK(queue.contains(key));
    clears = true;
    CHECK(soon([&] { return queue.empty(); }));
}

TEST_CASE("threads that queue, look and help", "[invalidation_queue]") {
    const larder::ManualClock clock;
    std::atomic<int> erased{0};
    Replay queue{clock, {.tell = [&](auto) { ++erased; }, .clear = never}};
    {
        std::vector<std::jthread> crowd;
        for (int who = 0; who < 4; ++who) {
            crowd.emplace_back([&, who] {
                for (int i = 0; i < 500; ++i) {
                    queue.add(who * 1000 + i, 10'000, {});
                    (void)queue.contains(i);
                    queue.help();
                }
            });
        }
    }
    CHECK(soon([&] { return queue.empty(); }));
    CHECK(erased == 2000);
}

#if defined(__unix__)
TEST_CASE("a replay of the parent's is none of the child's", "[invalidation_queue][fork]") {
    Queue queue;
    add(queue, 1);
    int status = -1;
    const auto tell = [&](Missed) {
        const auto child = ::fork();
        if (child == 0) {
            Backend backend;
            queue.replay(all, 1, start, backend.teller(), never);
            std::_Exit(queue.empty() && backend.erased == std::vector{1} ? 0 : 1);
        }
        CHECK(::waitpid(child, &status, 0) == child);
    };
    queue.replay(all, 1, start, tell, never);
    CHECK(status == 0);
    CHECK(queue.empty());
}

TEST_CASE("in a child the queue has a timer of its own", "[invalidation_queue][fork]") {
    if (!larder_test::can_fork) {
        return;
    }
    std::atomic<std::size_t> told{0};
    const larder::ManualClock clock;
    Replay queue{clock, {.tell = [&](auto some) { told += some.size(); }, .clear = never}};
    REQUIRE(queue.add(1, all, {}));
    REQUIRE(soon([&] { return queue.empty(); }));
    const auto child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) {
        std::_Exit(queue.add(2, all, {}) && soon([&] { return queue.empty() && told == 2; }) ? 0
                                                                                             : 1);
    }
    int status = -1;
    CHECK(::waitpid(child, &status, 0) == child);
    CHECK(status == 0);
    REQUIRE(queue.add(3, all, {}));
    CHECK(soon([&] { return told == 2; }));
}
#endif
