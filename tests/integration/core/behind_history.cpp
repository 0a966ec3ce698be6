// SPDX-License-Identifier: MIT

// Recorded histories of write-behind: puts, removes, invalidations, evictions, flushes, refreshes and
// reads at random on few keys. The truth of a key is what was recorded last, so the journal's versions
// are the order in which reads and writes must be explained.

#include "support/behind/torment.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <stop_token>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Tags;
using namespace larder_test;

namespace {

using Store = larder::MemoryStore<int, int>;
using NotingJournal = larder_test::Noting<larder::MemoryJournal<int, int>>;

// A store and a journal in memory: a write is one step of both, and at times not. Rule W11.
auto in_memory(std::size_t capacity) {
    return [capacity] { return std::pair{Store{{.capacity = capacity}}, NotingJournal{}}; };
}

const larder::Options options{.ttl = 60s, .negative_ttl = 60s, .ticket = 60s};
constexpr larder::WriteBehindOptions at_once{.delay = 0ms};

using Behind = larder::WriteBehind<Store, std::reference_wrapper<SlowRows>, NotingJournal>;

// Two policies on one store and one journal, as two parts of a program have them: what one writes, the
// flusher of either carries on.
struct Pair : Behind {
    Pair(const ::Store& store, SlowRows& rows, const NotingJournal& journal)
        : Behind{store, std::ref(rows), journal, options, at_once},
          second{store, std::ref(rows), journal, options, at_once} {}
    Behind second;

    auto get_many(std::initializer_list<int> wanted) { return second.get_many(wanted); }
    auto refresh(int key) { return second.refresh(key); }
    void remove(int key) { second.remove(key); }
};

// Another process beside it, which knows the store and the rows and not the journal: it fills the store
// with rows that are old, and is promised nothing.
class Beside {
public:
    Beside(const ::Store& store, SlowRows& rows, const NotingJournal& journal)
        : mine_{store, std::ref(rows), larder::unshared(journal), options, at_once},
          other_{store, std::ref(rows), options},
          thread_{[this](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  for (int key = 0; key < keys; ++key) {
                      (void)other_.get(key);
                  }
                  dawdle();
              }
          }} {}

    auto fetch(int key) { return mine_.fetch(key); }
    auto get(int key) { return mine_.get(key); }
    auto get_many(std::initializer_list<int> wanted) { return mine_.get_many(wanted); }
    auto refresh(int key) { return mine_.refresh(key); }
    void put(int key, int value) { mine_.put(key, value); }
    void remove(int key) { mine_.remove(key); }
    void invalidate(int key) {
        mine_.invalidate(key);
        other_.invalidate(key);
    }
    auto flush(larder::Ttl within) { return mine_.flush(within); }
    auto dead_letters() const { return mine_.dead_letters(); }
    auto stats() const { return mine_.stats(); }

private:
    using Journal = larder::Unshared<NotingJournal>;

    larder::WriteBehind<::Store, std::reference_wrapper<SlowRows>, Journal> mine_;
    larder::CacheAside<::Store, std::reference_wrapper<SlowRows>> other_;
    std::jthread thread_;
};

// What people write by hand: the copy, what is pending, the row; all good, and in the wrong order.
class ByHand {
public:
    ByHand(Store store, SlowRows& rows, NotingJournal journal)
        : store_{std::move(store)},
          rows_{rows},
          journal_{std::move(journal)},
          thread_{[this](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  flush(0ms);
                  std::this_thread::yield();
              }
          }} {}

    std::optional<int> get(int key) {
        if (const auto copy = store_.find(key)) {
            return copy->value;
        }
        const auto change = journal_.pending(key);
        const auto value = change ? change->value : rows_.load(key);
        store_.put(key, value, {1h});
        return value;
    }
    std::vector<std::optional<int>> get_many(std::initializer_list<int> wanted) {
        std::vector<std::optional<int>> values;
        for (const int key : wanted) {
            values.push_back(get(key));
        }
        return values;
    }
    std::optional<int> refresh(int key) {
        store_.erase(key);
        return get(key);
    }
    void put(int key, int value) { write(key, value); }
    void remove(int key) { write(key, std::nullopt); }
    void invalidate(int key) { store_.erase(key); }
    std::size_t flush(larder::Ttl) {
        for (const auto& claimed : journal_.claim(10, 1h, 0ms)) {
            const auto& change = claimed.change;
            rows_.apply(change.key, change.value, change.version);
            (void)journal_.settle(std::span{&claimed, 1});
        }
        return journal_.size();
    }

private:
    void write(int key, std::optional<int> value) {
        journal_.record({key, value});
        store_.put(key, value, {1h});
    }

    Store store_;
    SlowRows& rows_;
    NotingJournal journal_;
    std::jthread thread_;
};

}  // namespace

TEST_CASE("every read is explained: write-behind", "[history]") {
    const auto make = [](const Store& store, SlowRows& rows, const NotingJournal& journal) {
        return larder::WriteBehind{store, std::ref(rows), journal, options, at_once};
    };
    SECTION("copies that stay") {
        every_read_is_explained(in_memory(64), false, make);
    }
    SECTION("copies that are evicted all the time") {
        every_read_is_explained(in_memory(1), true, make);
    }
}

TEST_CASE("every read is explained: write-behind with tags", "[history][tags]") {
    const auto make = [](const Store& store, SlowRows& rows, const NotingJournal& journal) {
        return larder::Tagged{larder::WriteBehind{store, std::ref(rows), journal, options, at_once},
                              [](int value) { return Tags{value % 2 == 0 ? "even" : "odd"}; }};
    };
    SECTION("copies that stay") {
        every_read_is_explained(in_memory(64), false, make);
    }
    SECTION("copies that are evicted all the time") {
        every_read_is_explained(in_memory(1), true, make);
    }
}

TEST_CASE("every read is explained: two write-behind policies on one store and one journal",
          "[history]") {
    every_read_is_explained(in_memory(64), false,
                            [](const Store& store, SlowRows& rows, const NotingJournal& journal) {
                                return Pair{store, rows, journal};
                            });
}

TEST_CASE("every read is explained: write-behind whose journal others do not see", "[history]") {
    every_read_is_explained(in_memory(64), false,
                            [](const Store& store, SlowRows& rows, const NotingJournal& journal) {
                                return Beside{store, rows, journal};
                            });
}

TEST_CASE("the checker sees what write-behind by hand gets wrong", "[history]") {
    std::size_t unexplained = 0;
    for (int run = 0; run < 50 && unexplained == 0; ++run) {
        SlowRows rows;
        Report report;
        ByHand cache{Store{}, rows, NotingJournal{}};
        torment(cache, report, 300, &NotingJournal::recorded);
        unexplained = report.unexplained().size();
    }
    CHECK(unexplained > 0);
}
