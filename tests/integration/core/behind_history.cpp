// SPDX-License-Identifier: MIT

// Recorded histories of write-behind: puts, removes, invalidations, evictions, flushes, refreshes and
// reads at random on few keys. The truth of a key is what was recorded last, so the journal's versions
// are the order in which reads and writes must be explained.

#include "support/catch.hpp"
#include "support/history.hpp"
#include "support/versioned_table.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Source;
using larder::Tags;
using larder_test::ValueHistory;

namespace {

constexpr int keys = 2;
using Store = larder::MemoryStore<int, int>;

std::mt19937& engine() {
    static std::atomic<unsigned> seeds{1};
    thread_local std::mt19937 random{seeds.fetch_add(1)};
    return random;
}
bool chance(unsigned of) {
    return engine()() % of == 0;
}
void dawdle() {
    for (auto i = engine()() % 32; i > 0; --i) {
        std::this_thread::yield();
    }
}

// Every statement dawdles, before and after it takes effect.
struct SlowRows : larder_test::Rows {
    std::optional<int> load(int key) {
        dawdle();
        const auto row = Rows::load(key);
        dawdle();
        return row;
    }
    bool save(int key, int value, std::uint64_t version) { return slowly(key, value, version); }
    bool remove(int key, std::uint64_t version) { return slowly(key, std::nullopt, version); }

private:
    bool slowly(int key, std::optional<int> value, std::uint64_t version) {
        dawdle();
        const bool applied = apply(key, value, version);
        dawdle();
        return applied;
    }
};

// Tells each writer which version its change became, and counts what was superseded.
struct NotingJournal : larder::MemoryJournal<int, int> {
    std::shared_ptr<std::atomic<long>> superseded = std::make_shared<std::atomic<long>>(0);

    static std::uint64_t& recorded() {
        thread_local std::uint64_t version = 0;
        return version;
    }
    std::uint64_t record(const larder::Change<int, int>& change) {
        return recorded() = MemoryJournal::record(change);
    }
    std::optional<std::uint64_t> record(larder::Change<int, int>&& change, std::size_t most) {
        const auto version = MemoryJournal::record(std::move(change), most);
        recorded() = version.value_or(0);
        return version;
    }
    // In one step with the slot's, and at times not: that write goes step by step. Rule W11.
    template <class Step>
    std::optional<std::uint64_t> record(const int& key, larder::detail::KeptValue<int>& value,
                                        std::size_t most, const Step& step) {
        if (chance(2)) {
            return std::nullopt;
        }
        const auto version = MemoryJournal::record(key, value, most, [&] {
            dawdle();
            const bool taken = step();
            dawdle();
            return taken;
        });
        recorded() = version.value_or(0);
        return version;
    }
    std::vector<bool> settle(std::span<const larder::Claimed<int, int>> claims) {
        const std::vector<bool> mine = MemoryJournal::settle(claims);
        for (const bool settled : mine) {
            *superseded += settled ? 0 : 1;
        }
        return mine;
    }
};

struct Report {
    std::array<ValueHistory, keys> histories{};
    std::atomic<int> values{0};
    std::atomic<long> pending{0};
    std::atomic<long> loaded{0};

    ValueHistory& of(int key) { return histories[static_cast<std::size_t>(key)]; }
    [[nodiscard]] std::vector<std::string> unexplained() const {
        std::vector<std::string> all;
        for (const auto& history : histories) {
            for (auto& text : history.unexplained()) {
                all.push_back(std::move(text));
            }
        }
        return all;
    }
};

template <class Cache>
void torment(Cache& cache, Report& report, int rounds) {
    const auto many = [&](auto&& work) {
        return [&, work] {
            for (int i = 0; i < rounds; ++i) {
                work(i % keys);
                dawdle();
            }
        };
    };
    const auto writer = many([&](int key) {
        if (chance(4)) {
            report.of(key).write(std::nullopt, [&] {
                cache.remove(key);
                return NotingJournal::recorded();
            });
        } else {
            const int value = ++report.values;
            report.of(key).write(value, [&] {
                cache.put(key, value);
                return NotingJournal::recorded();
            });
        }
    });
    const auto reader = many([&](int key) {
        report.of(key).read([&] {
            if constexpr (requires { cache.fetch(key).source; }) {
                const auto fetched = cache.fetch(key);
                report.pending += fetched.source == Source::pending ? 1 : 0;
                report.loaded += fetched.source == Source::loaded ? 1 : 0;
                return fetched.value;
            } else {
                return cache.get(key);
            }
        });
    });
    const auto batch = many([&](int) {
        report.of(0).read([&] {
            std::optional<int> first;
            report.of(1).read([&] {
                const auto got = cache.get_many({0, 1});
                first = got[0];
                return got[1];
            });
            return first;
        });
    });
    const auto refresher =
        many([&](int key) { report.of(key).read([&] { return cache.refresh(key); }); });
    const auto invalidator = many([&](int key) {
        if constexpr (requires { cache.invalidate_all(); }) {
            switch (engine()() % 4) {
                case 0: cache.invalidate_all(); return;
                case 1: cache.invalidate_tag("even"); return;
                case 2: cache.invalidate_tags({"odd", "none"}); return;
                default: break;
            }
        }
        cache.invalidate(key);
    });
    const auto flusher = many([&](int) { cache.flush(0ms); });

    std::vector<std::jthread> crowd;
    crowd.emplace_back(writer);
    crowd.emplace_back(writer);
    crowd.emplace_back(reader);
    crowd.emplace_back(reader);
    crowd.emplace_back(batch);
    crowd.emplace_back(refresher);
    crowd.emplace_back(invalidator);
    crowd.emplace_back(flusher);
}

// As often as it takes to have been where it matters; `make` gives a cache over a store, the rows and a
// journal of its own.
template <class Make>
void every_read_is_explained(std::size_t capacity, Make make) {
    larder::Stats all;
    long pending = 0;
    long loaded = 0;
    long superseded = 0;
    const bool tiny = capacity < keys;
    const auto everywhere = [&] {
        return all.hits > 0 && all.fenced_fills > 0 && all.joined > 0 && all.bypassed > 0 &&
               pending > 0 && loaded > 0 && superseded > 0 && (!tiny || all.evictions > 0);
    };
    const auto enough = std::chrono::steady_clock::now() + 100s;
    for (int run = 0; run < 4 || (!everywhere() && std::chrono::steady_clock::now() < enough);
         ++run) {
        SlowRows rows;
        Report report;
        const NotingJournal journal;
        const Store store{{.capacity = capacity}};
        auto cache = make(store, rows, journal);
        torment(cache, report, 300);
        CHECK(report.unexplained() == std::vector<std::string>{});
        CHECK(cache.flush(60s) == 0);
        CHECK(cache.dead_letters().empty());
        for (int key = 0; key < keys; ++key) {
            // What was written last is in the database, and is read.
            report.of(key).read([&] { return rows.load(key); });
            report.of(key).read([&] { return cache.get(key); });
        }
        CHECK(report.unexplained() == std::vector<std::string>{});
        const auto stats = cache.stats();
        CHECK(stats.lost_tickets == 0);
        all.hits += stats.hits;
        all.fenced_fills += stats.fenced_fills;
        all.joined += stats.joined;
        all.bypassed += stats.bypassed;
        all.evictions += stats.evictions;
        pending += report.pending;
        loaded += report.loaded;
        superseded += *journal.superseded;
    }
    CHECK(everywhere());
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
        every_read_is_explained(64, make);
    }
    SECTION("copies that are evicted all the time") {
        every_read_is_explained(1, make);
    }
}

TEST_CASE("every read is explained: write-behind with tags", "[history][tags]") {
    const auto make = [](const Store& store, SlowRows& rows, const NotingJournal& journal) {
        return larder::Tagged{larder::WriteBehind{store, std::ref(rows), journal, options, at_once},
                              [](int value) { return Tags{value % 2 == 0 ? "even" : "odd"}; }};
    };
    SECTION("copies that stay") {
        every_read_is_explained(64, make);
    }
    SECTION("copies that are evicted all the time") {
        every_read_is_explained(1, make);
    }
}

TEST_CASE("every read is explained: two write-behind policies on one store and one journal",
          "[history]") {
    every_read_is_explained(64,
                            [](const Store& store, SlowRows& rows, const NotingJournal& journal) {
                                return Pair{store, rows, journal};
                            });
}

TEST_CASE("every read is explained: write-behind whose journal others do not see", "[history]") {
    every_read_is_explained(64,
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
        torment(cache, report, 300);
        unexplained = report.unexplained().size();
    }
    CHECK(unexplained > 0);
}
