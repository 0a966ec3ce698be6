// SPDX-License-Identifier: MIT

// The queue of invalidations that a store has missed.

#include "support/catch.hpp"

#include <larder/clock.hpp>
#include <larder/detail/drop_queue.hpp>
#include <larder/hash.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <span>
#include <stdexcept>
#include <thread>
#include <vector>

using namespace std::chrono_literals;

namespace {

using Queue = larder::detail::DropQueue<int, larder::Hash<int>>;

// A store that can be down, told of drops by a queue.
struct Backend {
    bool down = false;
    int calls = 0;
    std::vector<int> erased{};

    auto eraser() {
        return [this](int key, const auto& done) {
            ++calls;
            if (down) {
                throw std::runtime_error{"down"};
            }
            erased.push_back(key);
            done();
        };
    }
};

}  // namespace

TEST_CASE("a queued key is known until it was erased", "[drop_queue]") {
    Queue queue;
    CHECK(queue.empty());
    CHECK_FALSE(queue.contains(1));
    CHECK(queue.add(1, 10, false));
    CHECK(queue.add(2, 10, false));
    CHECK(queue.contains(1));
    CHECK_FALSE(queue.contains(3));
    CHECK(queue.size() == 2);

    Backend backend;
    queue.replay(backend.eraser());
    CHECK(queue.empty());
    CHECK_FALSE(queue.contains(1));
    std::sort(backend.erased.begin(), backend.erased.end());
    CHECK(backend.erased == std::vector{1, 2});
}

TEST_CASE("a key is queued once", "[drop_queue]") {
    Queue queue;
    CHECK(queue.add(1, 1, false));
    CHECK(queue.add(1, 1, false));  // it takes no more room
    CHECK(queue.size() == 1);
}

TEST_CASE("the queue is bounded, except for what must not be lost", "[drop_queue]") {
    Queue queue;
    CHECK(queue.add(1, 2, false));
    CHECK(queue.add(2, 2, false));
    CHECK_FALSE(queue.add(3, 2, false));
    CHECK_FALSE(queue.contains(3));
    CHECK(queue.add(3, 2, true));
    CHECK(queue.contains(3));
    CHECK(queue.size() == 3);
    CHECK_FALSE(queue.add(4, 0, false));
}

TEST_CASE("what was told to the store by other means is forgotten", "[drop_queue]") {
    Queue queue;
    queue.forget(1);
    queue.add(1, 10, false);
    queue.add(2, 10, false);
    queue.forget(1);
    CHECK_FALSE(queue.contains(1));
    CHECK(queue.size() == 1);
}

TEST_CASE("a replay that fails is tried again later, and later", "[drop_queue]") {
    Queue queue;
    queue.add(1, 10, false);
    Backend backend;
    backend.down = true;
    larder::ManualClock clock;
    queue.replay(backend.eraser(), clock);
    CHECK(backend.calls == 1);
    CHECK(queue.contains(1));

    int calls = 1;
    for (const auto wait : {10ms, 20ms, 40ms, 80ms, 160ms, 320ms, 640ms, 1000ms, 1000ms}) {
        clock.advance(wait - 1ms);
        queue.replay(backend.eraser(), clock);
        CHECK(backend.calls == calls);  // not due
        clock.advance(1ms);
        queue.replay(backend.eraser(), clock);
        CHECK(backend.calls == ++calls);
    }

    backend.down = false;
    clock.advance(1s);
    queue.replay(backend.eraser(), clock);
    CHECK(queue.empty());

    // After a success the next is due at once, and a failure waits 10 ms again.
    queue.add(2, 10, false);
    backend.down = true;
    calls = backend.calls;
    queue.replay(backend.eraser(), clock);
    CHECK(backend.calls == calls + 1);
    backend.down = false;
    clock.advance(10ms);
    queue.replay(backend.eraser(), clock);
    CHECK(queue.empty());
}

TEST_CASE("a store that takes long to fail is not asked again at once", "[drop_queue]") {
    Queue queue;
    queue.add(1, 10, false);
    larder::ManualClock clock;
    int calls = 0;
    const auto time_out = [&](int, const auto&) {
        ++calls;
        clock.advance(5s);
        throw std::runtime_error{"timed out"};
    };
    queue.replay(time_out, clock);
    queue.replay(time_out, clock);
    CHECK(calls == 1);
    clock.advance(10ms);
    queue.replay(time_out, clock);
    CHECK(calls == 2);
}

TEST_CASE("a store that fails in the middle of a replay has not lost the rest", "[drop_queue]") {
    Queue queue;
    for (int key = 0; key < 5; ++key) {
        queue.add(key, 10, false);
    }
    int told = 0;
    queue.replay([&](int, const auto& done) {
        if (told == 2) {
            throw 42;  // whatever a user's client throws
        }
        ++told;
        done();
    });
    CHECK(queue.size() == 3);
}

TEST_CASE("a key leaves the queue only when it was erased", "[drop_queue]") {
    Queue queue;
    queue.add(1, 10, false);
    queue.replay([&](int key, const auto& done) {
        CHECK(queue.contains(key));
        done();
        CHECK_FALSE(queue.contains(key));
    });
}

TEST_CASE("a drop that is missed while an older one is carried out stays queued", "[drop_queue]") {
    Queue queue;
    queue.add(1, 10, false);
    queue.add(2, 10, false);
    queue.replay([&](int key, const auto& done) {
        // The store has erased it. Others may fill it again; a write of theirs is then missed.
        if (key == 1) {
            queue.add(1, 10, false);
        }
        done();
    });
    CHECK(queue.contains(1));
    CHECK_FALSE(queue.contains(2));
    const auto moment = queue.now();
    queue.add(1, 10, true);
    queue.forget(1, moment);
    CHECK(queue.contains(1));
    queue.forget(1, queue.now());
    CHECK(queue.empty());
}

TEST_CASE("a store that erases many at once is told some at a time", "[drop_queue]") {
    Queue queue;
    for (int key = 0; key < 25; ++key) {
        queue.add(key, 100, false);
    }
    std::vector<std::size_t> sizes;
    bool down = false;
    larder::ManualClock clock;
    const auto erase = [&](std::span<const int> keys) {
        sizes.push_back(keys.size());
        queue.add(keys.front(), 100, false);  // missed meanwhile
        if (down) {
            throw std::runtime_error{"down"};
        }
    };
    queue.replay_some(10, erase, clock);
    CHECK(queue.size() == 16);
    down = true;
    queue.replay_some(10, erase, clock);
    CHECK(queue.size() == 16);
    queue.replay_some(10, erase, clock);  // not due
    clock.advance(10ms);
    queue.replay_some(
        10, [&](std::span<const int> keys) { sizes.push_back(keys.size()); }, clock);
    queue.replay_some(
        10, [&](std::span<const int> keys) { sizes.push_back(keys.size()); }, clock);
    CHECK(queue.empty());
    CHECK(sizes == std::vector<std::size_t>{10, 10, 10, 6});
}

TEST_CASE("one replay at a time", "[drop_queue]") {
    Queue queue;
    queue.add(1, 10, false);
    int outer = 0;
    int inner = 0;
    queue.replay([&](int, const auto& done) {
        ++outer;
        queue.replay([&](int, const auto&) { ++inner; });
        done();
    });
    CHECK(outer == 1);
    CHECK(inner == 0);
}

TEST_CASE("an empty queue asks nobody", "[drop_queue]") {
    Queue queue;
    queue.replay([](int, const auto&) { FAIL("nothing was queued"); });
}

TEST_CASE("threads that queue, look and replay", "[drop_queue]") {
    Queue queue;
    std::atomic<int> erased{0};
    const auto erase = [&](int, const auto& done) {
        ++erased;
        done();
    };
    {
        std::vector<std::jthread> crowd;
        for (int who = 0; who < 4; ++who) {
            crowd.emplace_back([&, who] {
                for (int i = 0; i < 500; ++i) {
                    queue.add(who * 1000 + i, 10'000, false);
                    (void)queue.contains(i);
                    queue.replay(erase);
                }
            });
        }
    }
    queue.replay(erase);
    CHECK(queue.empty());
    CHECK(erased == 2000);
}
