// SPDX-License-Identifier: MIT

// Recorded histories: writers, readers, refreshers and invalidations at random on few keys. The row
// is a version that grows with each commit, so a read is explained when it is no older than the row
// was at the moment the read began: then reads and writes are linearizable, in the order of commits.

#include "support/catch.hpp"
#include "support/dawdle.hpp"
#include "support/flaky_store.hpp"
#include "support/table.hpp"

#include <larder/larder.hpp>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <latch>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder_test::chance;
using larder_test::dawdle;

namespace {

constexpr std::size_t keys = 2;

// Rows are versions. Every statement dawdles, before and after it takes effect.
class Versions {
public:
    // One save in `lost_one_in` commits and then throws; 0: none.
    explicit Versions(unsigned lost_one_in = 0) : lost_one_in_{lost_one_in} {}

    std::optional<int> load(int key) {
        dawdle();
        const int version = now(key);
        dawdle();
        return version;
    }
    // The row as stored: which version it became.
    int save(int key, int) {
        dawdle();
        if (chance(16)) {
            throw larder_test::Refused{"refused"};
        }
        const int version = rows_[static_cast<std::size_t>(key)].fetch_add(1) + 1;
        dawdle();
        if (lost_one_in_ != 0 && chance(lost_one_in_)) {
            throw std::runtime_error{"committed, but the answer was lost"};
        }
        return version;
    }
    void remove(int) {}
    // What another program does: the version that the row became.
    int change(int key) {
        dawdle();
        return rows_[static_cast<std::size_t>(key)].fetch_add(1) + 1;
    }

    [[nodiscard]] int now(int key) const { return rows_[static_cast<std::size_t>(key)].load(); }

private:
    unsigned lost_one_in_;
    std::array<std::atomic<int>, keys> rows_{};
};

struct Report {
    std::atomic<long> reads{0};
    std::atomic<long> unexplained{0};
    std::atomic<long> writes{0};
};

// Two writers, three readers, a refresher and somebody who changes rows past the cache.
template <class Cache>
void torment(Cache& cache, Versions& table, Report& report, int rounds) {
    const auto read = [&](int key, auto&& how) {
        const int floor = table.now(key);
        const std::optional<int> got = how();
        ++report.reads;
        if (!got || *got < floor) {
            ++report.unexplained;
        }
    };
    const auto many = [&](auto&& work) {
        return [&, work] {
            for (int i = 0; i < rounds; ++i) {
                work(i % static_cast<int>(keys));
                dawdle();
            }
        };
    };
    const auto writer = many([&](int key) {
        try {
            cache.put(key, 0);
            ++report.writes;
        } catch (const std::runtime_error&) {}
    });
    const auto reader = many([&](int key) { read(key, [&] { return cache.get(key); }); });
    const auto batch = many([&](int) {
        const int floor = table.now(0);
        const auto got = cache.get_many({0, 1});
        ++report.reads;
        report.unexplained += *got[0] < floor ? 1 : 0;
    });
    const auto refresher = many([&](int key) { read(key, [&] { return cache.refresh(key); }); });
    const auto invalidator = many([&](int key) {
        if constexpr (requires { cache.invalidate_all(); }) {
            switch (chance(2) ? 0 : key + 1) {
                case 0: cache.invalidate_tag("row:" + std::to_string(key)); return;
                case 1: cache.invalidate_all(); return;
                default: break;
            }
        }
        cache.invalidate(key);
    });

    std::vector<std::jthread> crowd;
    crowd.emplace_back(writer);
    crowd.emplace_back(writer);
    crowd.emplace_back(reader);
    crowd.emplace_back(reader);
    crowd.emplace_back(batch);
    crowd.emplace_back(refresher);
    crowd.emplace_back(invalidator);
}

// The guide's own twenty lines: get, load, set; save, set.
template <class Store>
class TwentyLines {
public:
    TwentyLines(Store store, Versions& table) : store_{std::move(store)}, table_{table} {}

    std::optional<int> get(int key) {
        if (const auto copy = store_.find(key)) {
            return copy->value;
        }
        const auto row = table_.load(key);
        store_.put(key, row, {1h});
        return row;
    }
    std::vector<std::optional<int>> get_many(std::initializer_list<int> all) {
        std::vector<std::optional<int>> values;
        for (const int key : all) {
            values.push_back(get(key));
        }
        return values;
    }
    std::optional<int> refresh(int key) {
        store_.erase(key);
        return get(key);
    }
    void put(int key, int value) { store_.put(key, table_.save(key, value), {1h}); }
    void invalidate(int key) { store_.erase(key); }

private:
    Store store_;
    Versions& table_;
};

// `make` gives a store for each run: what an unknown outcome leaves behind ends with it.
template <template <class, class> class Policy, class Make>
larder::Stats every_read_is_explained(Make make, larder::Options options,
                                      unsigned lost_one_in = 0) {
    larder::Stats all;
    // As often as it takes to have been where it matters.
    const auto everywhere = [&] {
        return all.hits > 0 && all.fenced_fills > 0 && all.joined > 0 && all.bypassed > 0 &&
               (!options.refresh_below || all.refreshes > 0);
    };
    const auto enough = std::chrono::steady_clock::now() + 100s;
    for (int run = 0; run < 4 || (!everywhere() && std::chrono::steady_clock::now() < enough);
         ++run) {
        Versions table{lost_one_in};
        Report report;
        Policy<std::invoke_result_t<Make&>, std::reference_wrapper<Versions>> cache{
            make(), std::ref(table), options};
        torment(cache, table, report, 300);
        CHECK(report.unexplained == 0);
        CHECK(report.reads == 4 * 300);
        CHECK(report.writes > 0);
        const auto stats = cache.stats();
        CHECK(stats.lost_tickets == 0);
        all.hits += stats.hits;
        all.fenced_fills += stats.fenced_fills;
        all.joined += stats.joined;
        all.bypassed += stats.bypassed;
        all.evictions += stats.evictions;
        all.refreshes += stats.refreshes;
    }
    CHECK(everywhere());
    return all;
}

using Memory = larder::MemoryStore<int, int>;

}  // namespace

TEST_CASE("every read is explained: memory", "[history]") {
    const larder::Options options{.ttl = 60s, .ticket = 60s};
    const auto make = [] { return Memory{{.capacity = 64}}; };
    SECTION("cache-aside") {
        every_read_is_explained<larder::CacheAside>(make, options);
    }
    SECTION("write-through") {
        every_read_is_explained<larder::WriteThrough>(make, options);
    }
    SECTION("lost answers") {
        every_read_is_explained<larder::WriteThrough>(make, options, 100);
    }
}

TEST_CASE("every read is explained: copies that end all the time, and are refreshed", "[history]") {
    const larder::Options options{.ttl = 20ms, .ticket = 60s, .refresh_below = 1.0};
    every_read_is_explained<larder::RefreshAhead>([] { return Memory{{.capacity = 64}}; }, options);
}

TEST_CASE("every read is explained: a store that evicts all the time", "[history]") {
    const auto all = every_read_is_explained<larder::WriteThrough>(
        [] { return Memory{{.capacity = 1}}; }, {.ttl = 60s, .ticket = 60s});
    CHECK(all.evictions > 0);
}

TEST_CASE("every read is explained: a user's own store", "[history]") {
    const auto make = [] { return larder::Coordinated{larder_test::FlakyStore{}}; };
    const larder::Options options{.ttl = 60s, .ticket = 60s};
    SECTION("cache-aside") {
        every_read_is_explained<larder::CacheAside>(make, options);
    }
    SECTION("write-through") {
        every_read_is_explained<larder::WriteThrough>(make, options);
    }
}

namespace {

// Tagged policies with the constructor of the plain ones.
template <template <class, class> class Policy>
struct WithTags {
    template <class S, class L>
    struct Of : larder::Tagged<Policy<S, L>> {
        Of(S store, L loader, larder::Options options)
            : larder::Tagged<Policy<S, L>>{
                  Policy<S, L>{std::move(store), std::move(loader), std::move(options)},
                  [](int key, int) { return larder::Tags{"row:" + std::to_string(key)}; }} {}
    };
};

// Programs that change rows past the cache, and then say so by a tag. From when they have, nobody is
// served what was before.
template <class Cache>
void bystanders(Cache& cache, Versions& table, Report& report, int rounds) {
    std::array<std::atomic<int>, keys> acknowledged{};
    const auto acknowledge = [&](int key, int version) {
        auto& known = acknowledged[static_cast<std::size_t>(key)];
        for (int now = known; now < version && !known.compare_exchange_weak(now, version);) {}
    };
    const auto many = [&](auto&& work) {
        return [&, work] {
            for (int i = 0; i < rounds; ++i) {
                work(i % static_cast<int>(keys));
                dawdle();
            }
        };
    };
    const auto bystander = many([&](int key) {
        const int version = table.change(key);
        dawdle();
        cache.invalidate_tag("row:" + std::to_string(key));
        acknowledge(key, version);
        ++report.writes;
    });
    const auto writer = many([&](int key) {
        try {
            cache.put(key, 0);
        } catch (const std::runtime_error&) {}
    });
    const auto reader = many([&](int key) {
        const int floor = acknowledged[static_cast<std::size_t>(key)];
        const auto got = cache.get(key);
        ++report.reads;
        report.unexplained += !got || *got < floor ? 1 : 0;
    });
    std::vector<std::jthread> crowd;
    crowd.emplace_back(bystander);
    crowd.emplace_back(bystander);
    crowd.emplace_back(writer);
    for (int i = 0; i < 3; ++i) {
        crowd.emplace_back(reader);
    }
}

template <template <class, class> class Policy>
void tags_are_believed() {
    larder::Stats all;
    const auto everywhere = [&] {
        return all.hits > 0 && all.fenced_fills > 0 && all.joined > 0 && all.bypassed > 0;
    };
    const auto enough = std::chrono::steady_clock::now() + 100s;
    for (int run = 0; run < 4 || (!everywhere() && std::chrono::steady_clock::now() < enough);
         ++run) {
        Versions table;
        Report report;
        Policy<Memory, std::reference_wrapper<Versions>> cache{
            Memory{{.capacity = 64}}, std::ref(table), larder::Options{.ttl = 60s, .ticket = 60s}};
        bystanders(cache, table, report, 300);
        CHECK(report.unexplained == 0);
        CHECK(report.reads == 3 * 300);
        const auto stats = cache.stats();
        all.hits += stats.hits;
        all.fenced_fills += stats.fenced_fills;
        all.joined += stats.joined;
        all.bypassed += stats.bypassed;
    }
    CHECK(everywhere());
}

// Tags as they are made by hand: for each the set of keys that are filled, which it erases.
class TagSets : public TwentyLines<Memory> {
public:
    using TwentyLines::TwentyLines;

    std::optional<int> get(int key) {
        const auto got = TwentyLines::get(key);
        const std::scoped_lock lock{mutex_};
        filled_.insert(key);
        return got;
    }
    void invalidate_tag(const std::string& tag) {
        const int key = std::stoi(tag.substr(tag.find(':') + 1));
        const std::scoped_lock lock{mutex_};
        if (filled_.erase(key) > 0) {
            invalidate(key);
        }
    }

private:
    std::mutex mutex_{};
    std::set<int> filled_{};
};

}  // namespace

TEST_CASE("every read is explained: tagged policies", "[history][tags]") {
    const larder::Options options{.ttl = 60s, .ticket = 60s};
    const auto make = [] { return Memory{{.capacity = 64}}; };
    const auto tiny = [] { return Memory{{.capacity = 1}}; };
    SECTION("cache-aside") {
        every_read_is_explained<WithTags<larder::CacheAside>::Of>(make, options);
    }
    SECTION("write-through") {
        every_read_is_explained<WithTags<larder::WriteThrough>::Of>(make, options);
    }
    SECTION("write-through, with evictions all the time") {
        const auto all = every_read_is_explained<WithTags<larder::WriteThrough>::Of>(tiny, options);
        CHECK(all.evictions > 0);
    }
    SECTION("refresh-ahead") {
        every_read_is_explained<WithTags<larder::RefreshAhead>::Of>(
            make, {.ttl = 20ms, .ticket = 60s, .refresh_below = 1.0});
    }
}

TEST_CASE("rows changed past the cache are not read any more once a tag has said so",
          "[history][tags]") {
    SECTION("cache-aside") {
        tags_are_believed<WithTags<larder::CacheAside>::Of>();
    }
    SECTION("write-through") {
        tags_are_believed<WithTags<larder::WriteThrough>::Of>();
    }
}

TEST_CASE("the checker sees what sets of keys get wrong", "[history][tags]") {
    Report report;
    for (int run = 0; run < 50 && report.unexplained == 0; ++run) {
        Versions table;
        TagSets cache{Memory{}, table};
        bystanders(cache, table, report, 300);
    }
    CHECK(report.unexplained > 0);
}

TEST_CASE("the checker sees what the twenty lines get wrong", "[history]") {
    Report report;
    for (int run = 0; run < 50 && report.unexplained == 0; ++run) {
        Versions table;
        TwentyLines cache{larder::MemoryStore<int, int>{}, table};
        torment(cache, table, report, 300);
    }
    CHECK(report.unexplained > 0);
}
