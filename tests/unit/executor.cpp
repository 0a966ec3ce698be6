// SPDX-License-Identifier: MIT

// The library's own pool, and executors made from what users have.

#include "support/catch.hpp"

#include <larder/executor.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using larder::Executor;
using larder::Task;
using Pool = larder::detail::Pool<>;

namespace {

constexpr auto nothing = [] {};

// Says when it goes: what a task holds.
struct OnEnd {
    explicit OnEnd(std::function<void()> f) : f_{std::move(f)} {}
    OnEnd(const OnEnd&) = delete;
    OnEnd& operator=(const OnEnd&) = delete;
    ~OnEnd() { f_(); }

private:
    std::function<void()> f_;
};

}  // namespace

TEST_CASE("an executor from what gives nothing", "[executor]") {
    int ran = 0;
    std::vector<Task> held;
    const Executor executor{[&](Task task) { held.push_back(std::move(task)); }};
    CHECK(executor.submit([&] { ++ran; }));
    CHECK(ran == 0);
    REQUIRE(held.size() == 1);
    held.front()();
    CHECK(ran == 1);
}

TEST_CASE("an executor that refuses", "[executor]") {
    int ran = 0;
    SECTION("by its answer") {
        bool accepts = false;
        const Executor executor{[&](const Task& task) {
            if (accepts) {
                task();
            }
            return accepts;
        }};
        CHECK_FALSE(executor.submit([&] { ++ran; }));
        CHECK(ran == 0);
        accepts = true;
        CHECK(executor.submit([&] { ++ran; }));
        CHECK(ran == 1);
    }
    SECTION("by throwing") {
        const Executor executor{[](const Task&) { throw std::runtime_error{"queue full"}; }};
        CHECK_FALSE(executor.submit([&] { ++ran; }));
        CHECK(ran == 0);
    }
    SECTION("by throwing something else") {
        const Executor executor{[](const Task&) -> bool { throw 1; }};
        CHECK_FALSE(executor.submit(nothing));
    }
    SECTION("by being empty") {
        const Executor executor{std::function<void(Task)>{}};
        CHECK_FALSE(executor.submit(nothing));
    }
}

TEST_CASE("what else an executor's callable returns is no refusal", "[executor]") {
    int ran = 0;
    const Executor zero{[&](const Task& task) {
        task();
        return 0;  // a success in C
    }};
    CHECK(zero.submit([&] { ++ran; }));
    const Executor future{
        [&](Task task) { return std::async(std::launch::async, std::move(task)); }};
    CHECK(future.submit([&] { ++ran; }));  // the future's end waits for it
    CHECK(ran == 2);
}

TEST_CASE("what an executor is made of", "[executor]") {
    struct Post {
        int* posts;
        void operator()(const Task& task) const {
            ++*posts;
            task();
        }
    };
    int posts = 0;
    Post post{&posts};
    CHECK(Executor{post}.submit(nothing));
    CHECK(Executor{std::ref(post)}.submit(nothing));
    CHECK(Executor{std::function<bool(Task)>{[&](const Task& task) {
              ++posts;
              task();
              return true;
          }}}.submit(nothing));
    CHECK(posts == 3);

    struct Unique {
        std::unique_ptr<int> state;
        void operator()(const Task&) const {}
    };
    CHECK(std::is_convertible_v<Post, Executor>);
    CHECK_FALSE(std::is_constructible_v<Executor, int>);
    CHECK_FALSE(std::is_constructible_v<Executor, void (*)(int)>);
    CHECK_FALSE(std::is_constructible_v<Executor, Unique>);  // an executor is copied
}

TEST_CASE("copies of an executor are one", "[executor]") {
    int calls = 0;
    const Executor executor{[calls = &calls](const Task&) { ++*calls; }};
    const Executor copy = executor;
    CHECK(copy.submit(nothing));
    CHECK(executor.bound().submit(nothing));
    CHECK(calls == 2);
}

TEST_CASE("the default executor runs a task once, in another thread", "[executor]") {
    const Executor executor;
    std::promise<std::thread::id> where;
    std::atomic<int> ran{0};
    REQUIRE(executor.submit([&] {
        ++ran;
        where.set_value(std::this_thread::get_id());
    }));
    CHECK(where.get_future().get() != std::this_thread::get_id());
    CHECK(ran == 1);
}

TEST_CASE("a task may be mutable", "[executor]") {
    const Executor executor;
    std::promise<int> count;
    REQUIRE(executor.submit([&, n = 0]() mutable { count.set_value(++n); }));
    CHECK(count.get_future().get() == 1);
}

TEST_CASE("a default executor gives each policy threads of its own", "[executor]") {
    std::latch let_go{1};  // ahead of the threads that wait for them
    std::latch hang{static_cast<std::ptrdiff_t>(Executor::default_threads)};
    std::promise<void> ran;
    const Executor executor;
    const Executor one = executor.bound();
    const Executor other = executor.bound();
    for (std::size_t i = 0; i < Executor::default_threads; ++i) {
        REQUIRE(one.submit([&] {
            hang.count_down();
            let_go.wait();
        }));
    }
    hang.wait();
    REQUIRE(other.submit([&] { ran.set_value(); }));
    CHECK(ran.get_future().wait_for(std::chrono::seconds{30}) == std::future_status::ready);
    let_go.count_down();
}

TEST_CASE("copies of one handle share its threads", "[executor]") {
    const Executor one = Executor::threads(1);
    const Executor other = one.bound();
    std::promise<std::thread::id> first;
    std::promise<std::thread::id> second;
    REQUIRE(one.submit([&] { first.set_value(std::this_thread::get_id()); }));
    REQUIRE(other.submit([&] { second.set_value(std::this_thread::get_id()); }));
    CHECK(first.get_future().get() == second.get_future().get());
    CHECK_THROWS_AS(Executor::threads(0), std::invalid_argument);
}

TEST_CASE("the pool has a thread for each task, up to its most", "[executor]") {
    constexpr std::size_t most = Executor::default_threads;
    std::latch all_run{most};
    std::latch let_go{1};
    std::latch one_more{1};
    std::atomic<std::size_t> ran{0};
    std::atomic<bool> too_early{false};
    Pool pool{most};
    for (std::size_t i = 0; i < most; ++i) {
        pool.submit([&] {
            all_run.count_down();
            let_go.wait();
            ++ran;
        });
    }
    all_run.wait();  // hangs if any waits for another
    pool.submit([&] {
        too_early = ran == 0;
        one_more.count_down();
    });
    let_go.count_down();
    one_more.wait();
    CHECK_FALSE(too_early);  // it had to wait for a thread
}

TEST_CASE("a task that waits for a later one does not block the pool", "[executor]") {
    std::promise<void> later;
    std::promise<void> done;
    Pool pool{Executor::default_threads};
    pool.submit([&] {
        pool.submit([&] { later.set_value(); });
        later.get_future().get();
        done.set_value();
    });
    done.get_future().get();
    SUCCEED("no task waited for a thread that waits for it");
}

TEST_CASE("no task is lost or run twice", "[executor]") {
    constexpr std::size_t threads = 4;
    constexpr std::size_t each = 500;
    std::vector<std::atomic<int>> runs(threads * each);
    std::latch all{threads * each};
    Pool pool{Executor::default_threads};
    {
        std::vector<std::jthread> submitters;
        for (std::size_t t = 0; t < threads; ++t) {
            submitters.emplace_back([&, t] {
                for (std::size_t i = 0; i < each; ++i) {
                    pool.submit([&, place = t * each + i] {
                        ++runs[place];
                        all.count_down();
                    });
                }
            });
        }
    }
    all.wait();
    std::size_t wrong = 0;
    for (const auto& times : runs) {
        wrong += times == 1 ? 0U : 1U;
    }
    CHECK(wrong == 0);
}

TEST_CASE("a pool that goes waits for what has begun and drops the rest", "[executor]") {
    constexpr std::size_t most = Executor::default_threads;
    std::latch begun{most};
    std::latch let_go{1};
    std::atomic<std::size_t> ended{0};
    std::atomic<bool> extra_ran{false};
    std::latch extra_dropped{1};
    auto pool = std::make_unique<Pool>(Executor::default_threads);
    for (std::size_t i = 0; i < most; ++i) {
        pool->submit([&] {
            begun.count_down();
            // As a load does that waits for one whose task was never begun.
            extra_dropped.wait();
            let_go.wait();
            ++ended;
        });
    }
    begun.wait();
    pool->submit([&, held = std::make_shared<OnEnd>([&] { extra_dropped.count_down(); })] {
        extra_ran = true;
    });
    std::jthread releaser{[&] {
        extra_dropped.wait();  // the pool is going
        let_go.count_down();
    }};
    pool.reset();
    CHECK(ended == most);
    CHECK_FALSE(extra_ran);
}

TEST_CASE("the last handle of a pool may go in one of its own tasks", "[executor]") {
    auto pool = std::make_shared<Pool>(Executor::default_threads);
    const std::weak_ptr<Pool> known = pool;
    std::latch handed_over{1};
    std::promise<bool> gone;
    auto* const raw = pool.get();
    raw->submit([&handed_over, &gone, &known, mine = std::move(pool)]() mutable {
        handed_over.wait();
        mine.reset();
        gone.set_value(known.expired());
    });
    handed_over.count_down();
    CHECK(gone.get_future().get());
}

TEST_CASE("an executor's handle that goes in a task of its pool", "[executor]") {
    std::optional<Executor> executor = Executor{}.bound();
    std::latch released{1};
    std::promise<void> done;
    const Executor copy = *executor;
    REQUIRE(copy.submit([&, held = std::make_shared<std::optional<Executor>>(std::move(executor))] {
        released.wait();
        held->reset();
        done.set_value();
    }));
    released.count_down();
    done.get_future().get();
    std::promise<void> still_works;
    REQUIRE(copy.submit([&] { still_works.set_value(); }));
    still_works.get_future().get();
    SUCCEED("the pool lives as long as the last handle");
}
