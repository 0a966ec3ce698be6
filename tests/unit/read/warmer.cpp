// SPDX-License-Identifier: MIT

// warm: bulk fill before anybody asks. What it loads, what it leaves alone, how it ends.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/flaky_store.hpp"
#include "support/manual_executor.hpp"
#include "support/plain_store.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <iterator>
#include <latch>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <optional>
#include <span>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::Errc;
using larder::ManualClock;
using larder::Source;
using larder::WarmOptions;
using larder::WarmProgress;
using larder_test::caught;
using larder_test::ManualExecutor;

namespace {

using Store = larder::MemoryStore<int, int, ManualClock>;
using Values = std::vector<std::optional<int>>;
using Keys = std::vector<int>;

// A table with batches. Row k is 10 k, except where `rows` says otherwise.
struct Batches {
    std::map<int, std::optional<int>> rows{};
    std::vector<Keys> asked{};
    std::function<void(std::span<const int>)> on_load{};
    std::atomic<int> inside{0};
    std::atomic<int> most_inside{0};
    std::mutex mutex{};

    std::optional<int> load(int key) { return load_many(std::span<const int>{&key, 1}).front(); }
    Values load_many(std::span<const int> keys) {
        struct Inside {
            std::atomic<int>& count;
            ~Inside() { --count; }
        };
        const int now = ++inside;
        const Inside guard{inside};
        {
            const std::scoped_lock lock{mutex};
            most_inside = (std::max)(most_inside.load(), now);
            asked.emplace_back(keys.begin(), keys.end());
        }
        if (on_load) {
            on_load(keys);
        }
        const std::scoped_lock lock{mutex};
        Values found;
        for (const int key : keys) {
            const auto at = rows.find(key);
            found.push_back(at == rows.end() ? std::optional<int>{10 * key} : at->second);
        }
        return found;
    }
    void save(int key, int value) {
        const std::scoped_lock lock{mutex};
        rows[key] = value;
    }
    void remove(int key) {
        const std::scoped_lock lock{mutex};
        rows[key] = std::nullopt;
    }
};

struct World {
    ManualClock clock{};
    Store store{{}, clock};
    Batches table{};
};

Keys up_to(int count) {
    Keys keys(static_cast<std::size_t>(count));
    std::iota(keys.begin(), keys.end(), 1);
    return keys;
}

// Counts from 1 to `last`; can be walked once.
class Counter {
public:
    class Iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = int;
        using difference_type = std::ptrdiff_t;
        using pointer = const int*;
        using reference = int;

        explicit Iterator(Counter& counter) : counter_{&counter} {}
        int operator*() const {
            if (counter_->at_ == counter_->breaks_at_) {
                throw std::runtime_error{"the cursor broke"};
            }
            return counter_->at_;
        }
        Iterator& operator++() {
            ++counter_->at_;
            return *this;
        }
        friend bool operator==(const Iterator& it, std::default_sentinel_t) {
            return it.counter_->at() > it.counter_->last();
        }

    private:
        Counter* counter_;
    };

    explicit Counter(int last, int breaks_at = 0) : last_{last}, breaks_at_{breaks_at} {}
    Iterator begin() { return Iterator{*this}; }
    static std::default_sentinel_t end() { return {}; }
    [[nodiscard]] int at() const { return at_; }
    [[nodiscard]] int last() const { return last_; }

private:
    int last_;
    int breaks_at_;
    int at_ = 1;
};

// Runs tasks in the thread that submits them.
const larder::Executor inline_executor{[](const larder::Task& task) { task(); }};

}  // namespace

TEST_CASE("warm loads in batches, in the order of the keys", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    const auto report = cache.warm({5, 4, 3, 2, 1}, {.batch = 2, .parallel = 1});
    CHECK(report.filled == 5);
    CHECK(report.absent + report.failed + report.skipped == 0);
    CHECK(report.failed_keys.empty());
    CHECK_FALSE(report.failure);
    CHECK_FALSE(report.stopped);
    CHECK(report.elapsed > 0ns);
    CHECK(w.table.asked == std::vector<Keys>{{5, 4}, {3, 2}, {1}});
    const auto got = cache.fetch(3);
    CHECK(got.value == 30);
    CHECK(got.source == Source::hit);
    CHECK(got.remaining == 1h);
    CHECK(cache.stats().loads == 5);
    CHECK(cache.stats().misses == 0);
}

TEST_CASE("an executor that runs tasks at once keeps the order", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.executor = inline_executor}};
    CHECK(cache.warm(up_to(6), {.batch = 2, .parallel = 3}).filled == 6);
    CHECK(w.table.asked == std::vector<Keys>{{1, 2}, {3, 4}, {5, 6}});
}

TEST_CASE("warm leaves fresh copies alone, and loads a key once", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.negative_ttl = 1min}};
    w.table.rows = {{9, std::nullopt}};
    REQUIRE(cache.get_many({2, 9}) == Values{20, std::nullopt});
    w.table.asked.clear();

    const auto report = cache.warm({1, 2, 1, 9, 3, 1}, {.batch = 3, .parallel = 1});
    CHECK(report.filled == 2);
    CHECK(report.skipped == 4);
    CHECK(w.table.asked == std::vector<Keys>{{1}, {3}});

    w.clock.advance(2min);  // the known absence has ended
    CHECK(cache.warm({1, 2, 3, 9}).absent == 1);
    CHECK(cache.warm(Keys{}).skipped == 0);
}

TEST_CASE("what warm finds absent is remembered as long as negative_ttl says", "[warm]") {
    World w;
    w.table.rows = {{2, std::nullopt}};
    CacheAside forgets{w.store, std::ref(w.table)};
    CHECK(forgets.warm({1, 2}).absent == 1);
    CHECK(forgets.fetch(2).source == Source::loaded);

    CacheAside remembers{w.store, std::ref(w.table), {.negative_ttl = 1min}};
    const auto report = remembers.warm({1, 2});
    CHECK(report.absent == 1);
    CHECK(report.skipped == 1);
    CHECK(remembers.fetch(2).source == Source::hit);
}

TEST_CASE("warm does not wait for what another loads", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::latch loading{1};
    std::latch let_go{1};
    auto other = std::async(std::launch::async, [&] {
        return cache.get(1, [&](int) {
            loading.count_down();
            let_go.wait();
            return std::optional<int>{11};
        });
    });
    loading.wait();
    const auto report = cache.warm({1, 2});  // would hang
    let_go.count_down();
    CHECK(report.filled == 1);
    CHECK(report.skipped == 1);
    CHECK(w.table.asked == std::vector<Keys>{{2}});
    CHECK(other.get() == 11);
    CHECK(cache.get(1) == 11);
}

TEST_CASE("readers join what warm loads", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::latch loading{1};
    w.table.on_load = [&](std::span<const int>) {
        loading.count_down();
        while (cache.stats().joined == 0) {
            std::this_thread::yield();
        }
    };
    auto warming = std::async(std::launch::async, [&] { return cache.warm({1, 2}); });
    loading.wait();
    CHECK(cache.fetch(2).source == Source::joined);
    CHECK(warming.get().filled == 2);
    CHECK(w.table.asked.size() == 1);
}

TEST_CASE("warm leaves keys alone that are being written", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    SECTION("when it comes to them") {
        auto writing = cache.writing(2);
        const auto report = cache.warm({1, 2});
        CHECK(report.filled == 1);
        CHECK(report.skipped == 1);
        CHECK(report.failed == 0);
        CHECK(w.table.asked == std::vector<Keys>{{1}});
        writing.commit();
    }
    SECTION("while it loads them") {
        larder::WriteThrough other{w.store, std::ref(w.table)};
        const auto old_rows = [&](std::span<const int>) {
            cache.put(2, 21);
            return Keys{10, 20};
        };
        const auto report = other.warm({1, 2}, old_rows);
        CHECK(report.filled == 1);
        CHECK(report.skipped == 1);
        CHECK(other.get(2) == 21);
    }
    SECTION("through a store of the user's own") {
        larder_test::PlainStore<int, int> plain;
        CacheAside over_plain{plain, std::ref(w.table)};
        auto writing = over_plain.writing(2);
        const auto report = over_plain.warm({1, 2});
        CHECK(report.filled == 1);
        CHECK(report.skipped == 1);
        writing.commit();
    }
}

TEST_CASE("a batch whose load throws does not keep the others", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 10s, .grace = 1h}};
    REQUIRE(cache.get(3) == 30);
    w.clock.advance(11s);  // stale: that would do for a reader, but is no success here
    w.table.on_load = [](std::span<const int> keys) {
        if (keys.front() != 1) {
            throw std::runtime_error{"no row " + std::to_string(keys.front())};
        }
    };
    const auto report = cache.warm({1, 2, 4, 3, 6, 5}, {.batch = 2});
    CHECK(report.filled == 2);
    CHECK(report.failed == 4);
    CHECK(report.failed_keys == Keys{4, 3, 6, 5});
    CHECK(larder_test::caught_text([&] { std::rethrow_exception(report.failure); }) == "no row 4");
    CHECK(cache.stats().load_failures == 4);

    w.table.on_load = nullptr;  // no lease was left behind
    const auto again = cache.warm(report.failed_keys);
    CHECK(again.filled == 4);
    CHECK(cache.fetch(3).source == Source::hit);
}

TEST_CASE("a bulk loader that answers for another number of keys", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto report = cache.warm({1, 2, 3}, [](std::span<const int>) { return Keys{7}; });
    CHECK(report.failed_keys == Keys{1, 2, 3});
    CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::bad_batch);
    CHECK(cache.get(1) == 10);
}

TEST_CASE("loaders for one warm", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table), {.ttl = 1h}};
    int calls = 0;  // lent: each of these runs in this thread alone
    const WarmOptions here{.batch = 2, .parallel = 1};
    std::size_t filled = 0;
    SECTION("a callable for many keys") {
        filled = cache
                     .warm(
                         {1, 2, 3},
                         [&](std::span<const int> keys) {
                             ++calls;
                             std::vector<larder::Loaded<int>> rows;
                             for (const int key : keys) {
                                 rows.push_back({.value = key + 1000, .ttl = 1min});
                             }
                             return rows;
                         },
                         here)
                     .filled;
        CHECK(cache.fetch(1).remaining == 1min);
    }
    SECTION("an object that has load_many and nothing else") {
        struct Bulk {
            int& calls;
            Values load_many(std::span<const int> keys) {
                ++calls;
                Values rows;
                for (const int key : keys) {
                    rows.emplace_back(key + 1000);
                }
                return rows;
            }
        } bulk{calls};
        filled = cache.warm(up_to(3), std::ref(bulk), here).filled;
    }
    SECTION("a plain loader") {
        filled = cache
                     .warm(
                         up_to(3),
                         [&](int key) {
                             calls += key % 2;
                             return key + 1000;
                         },
                         here)
                     .filled;
    }
    CHECK(filled == 3);
    CHECK(calls == 2);
    CHECK(cache.get_many({1, 2, 3}) == Values{1001, 1002, 1003});
    CHECK(w.table.asked.empty());
}

TEST_CASE("what the loader will not have kept is skipped", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto report =
        cache.warm({1}, [](int key) { return larder::Loaded<int>{.value = key, .ttl = 0ms}; });
    CHECK(report.skipped == 1);
    CHECK_FALSE(w.store.find(1));
}

TEST_CASE("any range of keys", "[warm]") {
    larder::MemoryStore<std::string, int> store;
    CacheAside cache{store, [](const std::string& key) { return static_cast<int>(key.size()); }};
    CHECK(cache.warm(std::list<const char*>{"a", "bb"}).filled == 2);
    const std::string pair[]{"bb", "ccc"};
    CHECK(cache.warm(pair).filled == 1);
    CHECK(cache.warm({"dddd"}).filled == 1);
    CHECK(cache.get("ccc") == 3);
}

TEST_CASE("a range that can be walked once is not walked further than needed", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    Counter endless{1'000'000'000};
    std::stop_source stop;
    std::vector<std::size_t> done;
    const auto report = cache.warm(endless, {.batch = 10,
                                             .parallel = 1,
                                             .progress =
                                                 [&](const WarmProgress& p) {
                                                     CHECK_FALSE(p.total);
                                                     done.push_back(p.done);
                                                     if (p.done == 30) {
                                                         stop.request_stop();
                                                     }
                                                 },
                                             .stop = stop.get_token()});
    CHECK(done == std::vector<std::size_t>{10, 20, 30});
    CHECK(report.stopped);
    CHECK(report.filled == 30);
    CHECK(report.skipped == 0);
    CHECK(endless.at() == 31);
    CHECK(cache.warm(Counter{35}).filled == 5);
}

TEST_CASE("stop ends a warming before its next batch", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::stop_source stop;
    SECTION("which has not begun") {
        stop.request_stop();
        const auto report = cache.warm({1, 2}, {.stop = stop.get_token()});
        CHECK(report.stopped);
        CHECK(report.filled + report.skipped == 0);
        CHECK(w.table.asked.empty());
        CHECK_FALSE(cache.warm(Keys{}, {.stop = stop.get_token()}).stopped);
    }
    SECTION("and lets those that have begun end") {
        w.table.on_load = [&](std::span<const int>) { stop.request_stop(); };
        const auto report =
            cache.warm({1, 2, 3}, {.batch = 1, .parallel = 1, .stop = stop.get_token()});
        CHECK(report.stopped);
        CHECK(report.filled == 1);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("though that waits for its turn") {
        // The second batch's turn is in 1000 seconds.
        const auto report =
            cache.warm(up_to(3000), {.batch = 1000,
                                     .parallel = GENERATE(1U, 3U),
                                     .per_second = 1,
                                     .progress = [&](const WarmProgress&) { stop.request_stop(); },
                                     .stop = stop.get_token()});
        CHECK(report.stopped);
        CHECK(report.filled == 1000);
    }
}

TEST_CASE("no more keys are loaded in a second than per_second says", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const std::size_t parallel = GENERATE(1U, 4U);
    const auto report =
        cache.warm(up_to(60), {.batch = 10, .parallel = parallel, .per_second = 1000});
    CHECK(report.filled == 60);
    CHECK(report.elapsed >= 50ms);  // five batches wait for ten keys each
}

TEST_CASE("keys that are fresh cost no permit", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    REQUIRE(cache.warm(up_to(1000)).filled == 1000);
    // At this rate a thousand keys would take a quarter of an hour.
    Keys keys = up_to(1000);
    keys.push_back(1001);
    const auto report = cache.warm(keys, {.batch = 10, .per_second = 1});
    CHECK(report.skipped == 1000);
    CHECK(report.filled == 1);
}

TEST_CASE("as many batches at once as parallel says", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    std::barrier meeting{3};
    w.table.on_load = [&](std::span<const int>) { meeting.arrive_and_wait(); };
    // Thirds of a hundred would hang at the meeting, were they not three at a time.
    const auto report = cache.warm(up_to(99), {.batch = 3, .parallel = 3});
    CHECK(report.filled == 99);
    CHECK(w.table.most_inside == 3);
}

TEST_CASE("progress is told by one thread at a time, and adds up", "[warm]") {
    World w;
    w.table.rows = {{5, std::nullopt}};
    w.table.on_load = [](std::span<const int> keys) {
        if (keys.front() == 11) {
            throw std::runtime_error{"down"};
        }
    };
    CacheAside cache{w.store, std::ref(w.table)};
    REQUIRE(cache.get(1) == 10);
    std::vector<WarmProgress> told;  // not guarded: ThreadSanitizer would see
    const auto report = cache.warm(
        up_to(200), {.batch = 10, .progress = [&](const WarmProgress& p) { told.push_back(p); }});
    REQUIRE(told.size() == 20);
    for (std::size_t i = 0; i < told.size(); ++i) {
        CHECK(told[i].done == 10 * (i + 1));
        CHECK(told[i].total == 200);
        CHECK(told[i].done == told[i].filled + told[i].absent + told[i].failed + told[i].skipped);
    }
    CHECK(told.back().filled == 188);
    CHECK(told.back().absent == 1);
    CHECK(told.back().failed == 10);
    CHECK(told.back().skipped == 1);
    CHECK(report.filled == 188);
}

TEST_CASE("a warming whose progress throws has ended when it throws", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto me = std::this_thread::get_id();
    std::barrier both{2};
    std::latch thrown{1};
    std::atomic<bool> other_ended{false};
    std::atomic<int> told{0};
    const auto slow = [&](std::span<const int> keys) {
        both.arrive_and_wait();
        if (std::this_thread::get_id() != me) {
            thrown.wait();
            for (int i = 0; i < 1000; ++i) {
                std::this_thread::yield();  // time for this thread's caller to go, if it would
            }
            other_ended = true;
        }
        return Keys(keys.begin(), keys.end());
    };
    const auto warming = [&] {
        (void)cache.warm(up_to(10), slow, {.batch = 1, .parallel = 2, .progress = [&](auto&) {
                                               ++told;
                                               thrown.count_down();
                                               throw std::logic_error{"enough"};
                                           }});
    };
    CHECK_THROWS_AS(warming(), std::logic_error);
    CHECK(other_ended);
    CHECK(told == 1);
    CHECK(w.store.size() == 2);
}

TEST_CASE("a range that throws ends the warming", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    Counter breaks{100, 15};
    CHECK_THROWS_AS(cache.warm(breaks, {.batch = 10, .parallel = 1}), std::runtime_error);
    CHECK(w.table.asked == std::vector<Keys>{up_to(10)});
    CHECK(w.table.inside == 0);
}

TEST_CASE("warm comes to an end whatever its executor does", "[warm]") {
    World w;
    SECTION("one that refuses") {
        CacheAside cache{
            w.store, std::ref(w.table), {.executor = [](const larder::Task&) { return false; }}};
        CHECK(cache.warm(up_to(9), {.batch = 2}).filled == 9);
    }
    SECTION("one that keeps tasks until the call, its loader and its keys are gone") {
        ManualExecutor executor;
        {
            CacheAside cache{w.store, std::ref(w.table), {.executor = executor.handle()}};
            auto keys = std::make_unique<Keys>(up_to(9));
            auto calls = std::make_unique<int>(0);
            const auto lent = [&](std::span<const int> asked) {
                *calls += 1;
                return Keys(asked.begin(), asked.end());
            };
            CHECK(cache.warm(*keys, lent, {.batch = 2}).filled == 9);
            CHECK(*calls == 5);
            keys.reset();
            calls.reset();
            CHECK(executor.pending() == 3);
            executor.run_all();
            CHECK(cache.warm(up_to(9), lent).skipped == 9);
        }
        executor.run_all();  // nor does it need the policy
    }
    SECTION("one of whose threads it is") {
        ManualExecutor executor;
        CacheAside cache{w.store, std::ref(w.table), {.executor = executor.handle()}};
        std::size_t filled = 0;
        REQUIRE(
            executor.handle().submit([&] { filled = cache.warm(up_to(9), {.batch = 2}).filled; }));
        executor.run_all();
        CHECK(filled == 9);
    }
}

TEST_CASE("no more tasks are made than there are batches", "[warm]") {
    World w;
    ManualExecutor executor;
    CacheAside cache{w.store, std::ref(w.table), {.executor = executor.handle()}};
    CHECK(cache.warm(up_to(100), {.parallel = 1000}).filled == 100);
    CHECK(executor.pending() == 0);
    CHECK(cache.warm(up_to(201), {.parallel = 1000}).filled == 101);
    CHECK(executor.pending() == 2);
    executor.run_all();
}

TEST_CASE("a load that warms, and needs what it is loading", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    // In another thread the inner load would wait for the outer one, which waits for it.
    const auto outer = [&](int) {
        const auto report = cache.warm({2, 3, 4}, [&](int) { return cache.get(1); }, {.batch = 1});
        CHECK(report.failed_keys == Keys{2, 3, 4});
        CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::recursive_load);
        return std::optional<int>{1};
    };
    CHECK(cache.get(1, outer) == 1);
}

TEST_CASE("a batch that asks for one of its own keys", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto report = cache.warm({1, 2, 3}, [&](std::span<const int> keys) {
        (void)cache.get(2);  // would wait for itself
        return Keys(keys.begin(), keys.end());
    });
    CHECK(report.failed_keys == Keys{1, 2, 3});
    CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::recursive_load);
}

TEST_CASE("a policy that goes waits for the batch that has begun, and no other begins", "[warm]") {
    World w;
    std::optional<CacheAside<Store, std::reference_wrapper<Batches>>> cache;
    cache.emplace(w.store, std::ref(w.table));
    std::thread destroyer;
    std::atomic<bool> going{false};
    std::atomic<bool> gone{false};
    std::atomic<int> begun{0};
    w.table.on_load = [&](std::span<const int>) {
        if (++begun == 1) {
            destroyer = std::thread{[&] {
                going = true;
                cache.reset();
                gone = true;
            }};
            while (!going) {
                std::this_thread::yield();
            }
            for (int i = 0; i < 1000 && !gone; ++i) {
                std::this_thread::yield();
            }
            CHECK_FALSE(gone);
        }
    };
    const auto report = cache->warm(Counter{1'000'000'000}, {.batch = 1, .parallel = 1});
    destroyer.join();
    CHECK(report.stopped);
    CHECK(report.filled == static_cast<std::size_t>(begun));
}

TEST_CASE("all strategies warm", "[warm]") {
    World w;
    const auto check = [&](auto&& cache) {
        CHECK(cache.warm(up_to(5), {.batch = 2}).filled == 5);
        CHECK(cache.fetch(5).source == Source::hit);
        w.store.clear();
    };
    check(CacheAside{w.store, std::ref(w.table)});
    check(larder::WriteThrough{w.store, std::ref(w.table)});
    check(larder::RefreshAhead{w.store, std::ref(w.table)});
    check(larder::WriteBehind{w.store, std::ref(w.table)});
    check(larder::Tagged{CacheAside{w.store, std::ref(w.table)},
                         [](int) { return larder::Tags{"all"}; }});
}

TEST_CASE("what a Tagged policy warms carries tags", "[warm]") {
    World w;
    larder::Tagged cache{CacheAside{w.store, std::ref(w.table), {.negative_ttl = 1min}},
                         [](int value) { return larder::Tags{value < 25 ? "low" : "high"}; }};
    w.table.rows = {{9, std::nullopt}};
    REQUIRE(cache.warm({1, 2, 3, 9}).filled == 3);
    cache.invalidate_tag("low");
    CHECK(cache.warm({1, 2, 3, 9}).filled == 2);
    cache.invalidate_all();
    CHECK(cache.warm({1, 2, 3, 9}).skipped == 0);

    // An invalidation that meets the load wins.
    cache.invalidate_all();
    w.table.on_load = [&](std::span<const int>) { cache.invalidate_tag("low"); };
    const auto report = cache.warm({1, 3});
    CHECK(report.filled == 1);
    CHECK(report.skipped == 1);
    w.table.on_load = nullptr;
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(cache.fetch(3).source == Source::hit);
}

TEST_CASE("a tag function that explodes fails its key alone", "[warm]") {
    World w;
    larder::Tagged cache{CacheAside{w.store, std::ref(w.table)}, [](int value) {
                             if (value == 20) {
                                 throw std::runtime_error{"no tags"};
                             }
                             return larder::Tags{"t"};
                         }};
    const auto report = cache.warm({1, 2, 3});
    CHECK(report.filled == 2);
    CHECK(report.failed_keys == Keys{2});
}

TEST_CASE("warm through write-behind loads what is pending", "[warm]") {
    World w;
    larder::WriteBehind cache{w.store, std::ref(w.table), {.ttl = 1h}, {.delay = 1h}};
    cache.put(1, 11);
    cache.remove(2);
    CHECK(cache.invalidate_many({1, 2}) > 0);  // the copies; the changes stay
    const auto rows = [](std::span<const int> keys) { return Keys(keys.begin(), keys.end()); };
    const auto report = GENERATE(true, false) ? cache.warm({1, 2, 3}, rows) : cache.warm({1, 2, 3});
    CHECK(report.filled == 2);
    CHECK(report.absent == 1);
    const auto got = cache.fetch(1);
    CHECK(got.source == Source::hit);
    CHECK(got.value == 11);
    CHECK(cache.flush(10s) == 0);
}

TEST_CASE("a store that fails is reported, and nothing is loaded for it", "[warm]") {
    Batches table;
    SECTION("one that cannot be asked") {
        larder_test::FlakyStore store;
        CacheAside cache{store, std::ref(table)};
        store.faults().foreign_exceptions = GENERATE(false, true);
        store.down(true);
        const auto report = cache.warm({1, 2, 1});
        CHECK(report.failed_keys == Keys{1, 2});
        CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::store_failed);
        CHECK(report.skipped == 1);  // each key once
        CHECK(table.asked.empty());
        store.down(false);
        CHECK(cache.warm({1, 2}).filled == 2);
    }
    SECTION("one that cannot be written to") {
        larder_test::FlakyStore store;
        CacheAside cache{store, std::ref(table)};
        store.faults().writes_fail = true;
        const auto report = cache.warm({1, 2});
        CHECK(report.failed_keys == Keys{1, 2});
        CHECK(caught([&] { std::rethrow_exception(report.failure); }) == Errc::store_failed);
    }
    SECTION("one that takes batches") {
        larder_test::BatchingStore<int, int> store;
        CacheAside cache{store, std::ref(table)};
        store.script().fails = true;
        CHECK(cache.warm({1, 2}).failed == 2);
        CHECK(table.asked.empty());
        store.script().fails = false;
        store.script().batches = 0;
        CHECK(cache.warm(up_to(10)).filled == 10);
        CHECK(store.script().batches == 2);  // one to see what is fresh, one to open the rest
    }
}

TEST_CASE("options of warm that make no sense are refused", "[warm]") {
    World w;
    CacheAside cache{w.store, std::ref(w.table)};
    const auto refusal = [&](const WarmOptions& how) {
        return larder_test::caught_text([&] { (void)cache.warm({1}, how); });
    };
    CHECK(refusal({.batch = 0}) == "larder: WarmOptions::batch must be positive, but is 0");
    CHECK(refusal({.parallel = 0}) == "larder: WarmOptions::parallel must be positive, but is 0");
    CHECK(w.table.asked.empty());
    const auto most = (std::numeric_limits<std::size_t>::max)();
    CHECK(cache.warm({1, 2}, {.batch = most, .parallel = most, .per_second = most}).filled == 2);
    const WarmOptions defaults;
    CHECK(defaults.batch == 100);
    CHECK(defaults.parallel == 4);
    CHECK(defaults.per_second == 0);
}
