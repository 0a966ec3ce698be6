// SPDX-License-Identifier: MIT

// Reads with a time-out, which the executor carries out: none holds a thread of it for what others have
// under way.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/manual_executor.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <latch>
#include <optional>
#include <stdexcept>
#include <thread>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::Executor;
using larder::From;
using larder::Read;
using larder::Source;
using larder_test::caught;
using larder_test::ManualExecutor;

namespace {

template <class Done>
void until(Done&& done) {
    const auto end = std::chrono::steady_clock::now() + 1min;
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) {
            throw std::runtime_error{"it did not happen in a minute"};
        }
        std::this_thread::yield();
    }
}

template <class F>
auto soon(F&& f) {
    return std::async(std::launch::async, std::forward<F>(f));
}

// Its loads of key 1 hang until they are let go; at the latest when it is destroyed.
class Rows {
public:
    Rows() = default;
    Rows(const Rows&) = delete;
    Rows& operator=(const Rows&) = delete;
    ~Rows() { let_go(); }

    int operator()(int key) {
        ++loads_;
        if (key == 1) {
            held_.wait();
        }
        return 10 * key;
    }
    void let_go() {
        if (!let_go_.exchange(true)) {
            held_.count_down();
        }
    }
    [[nodiscard]] int loads() const { return loads_; }

private:
    std::latch held_{1};
    std::atomic<bool> let_go_{false};
    std::atomic<int> loads_{0};
};

struct World {
    larder::MemoryStore<int, int> store{};
    ManualExecutor executor{};
    Rows rows{};
    CacheAside<larder::MemoryStore<int, int>, std::reference_wrapper<Rows>> cache{
        store, std::ref(rows), {.executor = executor.handle()}};

    // Once its task is in the executor.
    auto reads(const Read& how) {
        auto read = soon([this, how] { return cache.fetch(1, how); });
        until([this] { return executor.pending() == 1; });
        return read;
    }
    // False if a task waits for what has not been let go.
    bool executor_comes_to_an_end() {
        ended_ = soon([this] { executor.run_all(); });
        if (ended_.wait_for(30s) == std::future_status::ready) {
            return true;
        }
        rows.let_go();
        return false;
    }

private:
    std::future<void> ended_{};
};

const Read patient{.timeout = 50s};

}  // namespace

// Rule S12.
TEST_CASE("a task that finds a load leaves it to its waiters to wait for that", "[executor]") {
    World w;
    auto first = w.reads(patient);
    auto second = soon([&] { return w.cache.fetch(1, patient); });
    until([&] { return w.cache.stats().joined == 1; });
    auto loads = soon([&] { return w.cache.get(1); });
    until([&] { return w.rows.loads() == 1; });
    REQUIRE(w.executor_comes_to_an_end());
    until([&] { return w.cache.stats().joined == 2; });
    w.rows.let_go();
    CHECK(loads.get() == 10);
    for (auto* const read : {&first, &second}) {
        const auto fetched = read->get();
        CHECK(fetched.value == 10);
        CHECK(fetched.source == Source::joined);
    }
    CHECK(w.rows.loads() == 1);
    CHECK(w.cache.stats().joined == 2);
    CHECK(larder::detail::Inspect::in_hand(w.cache) == larder::detail::PolicyInHand{});
}

// Rules S10 and S12.
TEST_CASE("a task that finds a load without a lease leaves that to its waiters, too",
          "[executor]") {
    const From from = GENERATE(From::any, From::source);
    const Read how{.timeout = 50s, .from = from};
    World w;
    const auto write = w.cache.writing(1);
    auto first = w.reads(how);
    auto carries = soon([&] { w.executor.run_all(); });
    until([&] { return w.rows.loads() == 1; });
    auto second = w.reads(how);
    REQUIRE(w.executor_comes_to_an_end());
    auto third = w.reads(how);
    REQUIRE(w.executor_comes_to_an_end());
    CHECK(w.rows.loads() == 1);
    const bool gives_up = GENERATE(false, true);
    if (gives_up) {
        CHECK(caught([&] {
                  auto fourth =
                      soon([&] { return w.cache.fetch(1, {.timeout = 100ms, .from = from}); });
                  until([&] {
                      w.executor.run_all();
                      return fourth.wait_for(0s) == std::future_status::ready;
                  });
                  (void)fourth.get();
              }) == Errc::timed_out);
    }
    w.executor.run_inline(true);
    w.rows.let_go();
    for (auto* const read : {&first, &second, &third}) {
        const auto fetched = read->get();
        CHECK(fetched.value == 10);
        CHECK(fetched.source == Source::bypassed);
    }
    CHECK(w.rows.loads() >= 2);  // what had begun before they came was not for them
    CHECK(w.rows.loads() <= 3);
    CHECK(w.cache.stats().bypassed == (gives_up ? 4 : 3));
    carries.get();
    CHECK(larder::detail::Inspect::in_hand(w.cache).loads == 0);
}

// Rule S12.
TEST_CASE("reads of one key that hangs leave the executor's threads to others", "[executor]") {
    const bool writing = GENERATE(false, true);  // without a lease
    const From from = GENERATE(From::any, From::source);
    if (from == From::source && !writing) {
        return;  // each is a load of its own
    }
    CAPTURE(writing, from);
    Rows rows;
    larder::MemoryStore<int, int> store;
    CacheAside cache{store, std::ref(rows), {.executor = Executor::threads(2)}};
    std::optional<decltype(cache.writing(1))> write;
    if (writing) {
        write.emplace(cache.writing(1));
    }
    for (int i = 0; i < 50; ++i) {
        CHECK(caught([&] { (void)cache.fetch(1, {.timeout = 2ms, .from = from}); }) ==
              Errc::timed_out);
    }
    const auto other = cache.get(2, {.timeout = 30s});
    rows.let_go();
    CHECK(other == 20);
    CHECK(rows.loads() <= 2);
}
