// SPDX-License-Identifier: MIT

// Near copies in front of a store that tells what has changed, late, never, or at once. The order of
// steps: tests/models/near_walk.cpp.

#include "support/catch.hpp"
#include "support/eventually.hpp"
#include "support/manual_executor.hpp"
#include "support/watched_store.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <latch>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using larder::From;
using larder::NearFlush;
using larder::Source;
using larder::detail::Finish;
using larder::detail::InHand;
using larder_test::eventually;

namespace {

using Memory = larder::MemoryStore<int, std::string, larder::ManualClock>;
using Far = larder_test::WatchedStore<Memory>;
using Tiered = larder::TieredStore<Memory, Far>;

constexpr larder::Lifetime hour{1h};

/// Rows that count how often they are asked for.
struct Rows {
    std::map<int, std::string>* rows;
    std::optional<std::string> load(int key) const {
        const auto at = rows->find(key);
        return at != rows->end() ? std::optional{at->second} : std::nullopt;
    }
    void save(int key, const std::string& row) const { (*rows)[key] = row; }
    void remove(int key) const { rows->erase(key); }
};

/// Two processes with near copies of one far store, and a database.
struct Fleet {
    larder::ManualClock clock{};
    Far far{Memory{{}, clock}};
    Tiered here = process();
    Tiered there = process();
    std::map<int, std::string> rows{{1, "one"}, {2, "two"}, {3, "three"}};

    Tiered process() {
        return Tiered{Memory{{.capacity = 100}, clock}, far, {.ttl = 30s, .silence = 2min}};
    }
    larder::CacheAside<Tiered, Rows> cache(Tiered& store, larder::Options options = {.ttl = 1h}) {
        return {store, Rows{&rows}, options};
    }
    template <class Cache>
    void warm_near(Cache& cache, int key = 1) {
        (void)cache.get(key);
        (void)cache.get(key);
        REQUIRE(cache.fetch(key).source == Source::near_hit);
    }
};

}  // namespace

TEST_CASE("a far hit makes a near copy, a load makes none", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    CHECK(cache.fetch(1).source == Source::loaded);
    CHECK(cache.stats().entries == 0);
    CHECK(cache.fetch(1).source == Source::hit);
    CHECK(cache.stats().entries == 1);
    CHECK(cache.fetch(1).source == Source::near_hit);
    CHECK(cache.get(1) == "one");
    CHECK(cache.stats().hits == 3);
    CHECK(cache.stats().near_hits == 2);
    CHECK(cache.fetch(1, {.from = From::far}).source == Source::hit);
    CHECK(cache.fetch(1, {.from = From::source}).source == Source::loaded);
}

TEST_CASE("a near copy is as old as what it is a copy of", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    (void)cache.get(1);
    fleet.clock.advance(10s);
    CHECK(cache.fetch(1).age == 10s);
    fleet.clock.advance(5s);
    const auto near = cache.fetch(1);
    CHECK(near.source == Source::near_hit);
    CHECK(near.age == 15s);
    CHECK(near.remaining == 1h - 15s);
    const auto entry = fleet.here.find(1);
    REQUIRE(entry);
    CHECK(entry->remaining == 1h - 15s);
}

// Rule N6.
TEST_CASE("a near copy lives for its ttl, and not longer than the far one", "[tiered]") {
    Fleet fleet;
    fleet.far.channel(0).delay();
    SECTION("its ttl") {
        auto cache = fleet.cache(fleet.here);
        fleet.warm_near(cache);
        fleet.clock.advance(29'999ms);
        CHECK(cache.fetch(1).source == Source::near_hit);
        fleet.clock.advance(1ms);
        CHECK(cache.fetch(1).source == Source::hit);
    }
    SECTION("the far one's") {
        auto cache = fleet.cache(fleet.here, {.ttl = 7s});
        (void)cache.get(1);
        fleet.clock.advance(4s);
        (void)cache.get(1);
        fleet.clock.advance(2'999ms);
        CHECK(cache.fetch(1).source == Source::near_hit);
        fleet.clock.advance(1ms);
        CHECK(cache.fetch(1).source == Source::loaded);
    }
    SECTION("from when far was asked") {
        auto cache = fleet.cache(fleet.here, {.ttl = 7s});
        (void)cache.get(1);
        fleet.far.on_ask([&](bool answered) {
            if (answered) {
                fleet.clock.advance(6s);  // the process was stopped
            }
        });
        (void)cache.get(1);
        fleet.far.on_ask({});
        fleet.clock.advance(999ms);
        CHECK(cache.fetch(1).source == Source::near_hit);
        fleet.clock.advance(1ms);
        CHECK(cache.fetch(1).source == Source::loaded);
    }
}

// Rule N6.
TEST_CASE("a near copy does not outlive the far one, wherever its thread is held up", "[tiered]") {
    larder::ManualClock clock;
    Far far{Memory{{}, clock}};
    bool held_up = true;
    const auto weigh = [&](int, const std::string&) {
        clock.advance(held_up ? 6s : 0s);
        return std::size_t{1};
    };
    Tiered store{
        Memory{{.max_weight = 100, .weigh = weigh}, clock}, far, {.ttl = 30s, .silence = 2min}};
    far.put(1, "one", {7s});
    CHECK(store.find(1)->value == "one");
    held_up = false;
    clock.advance(999ms);
    CHECK(store.look(1, [](auto&&...) {}, {}));
    CHECK(store.find(1)->remaining == 1ms);
    clock.advance(1ms);
    CHECK_FALSE(far.find(1));
    CHECK_FALSE(store.look(1, [](auto&&...) {}, {}));
}

TEST_CASE("a refresh is due by what is left of the far copy", "[tiered]") {
    Fleet fleet;
    larder::RefreshAhead cache{fleet.here, Rows{&fleet.rows}, {.ttl = 1h}};
    fleet.warm_near(cache);
    fleet.clock.advance(29s);
    CHECK(cache.fetch(1).source == Source::near_hit);
    CHECK(cache.stats().refreshes == 0);
}

TEST_CASE("hits of a near copy that another process reloads do not ask for that again",
          "[tiered]") {
    Fleet fleet;
    larder_test::ManualExecutor executor;
    larder::RefreshAhead cache{
        fleet.here, Rows{&fleet.rows}, {.ttl = 10s, .executor = executor.handle()}};
    fleet.warm_near(cache);
    fleet.far.channel(0).delay();
    fleet.clock.advance(9900ms);
    SECTION("while it does") {
        const auto elsewhere = fleet.there.open_refresh(1, false);
        REQUIRE(elsewhere.slot == larder::detail::Slot::lead);
        CHECK(cache.fetch(1).source == Source::near_hit);
        CHECK(executor.pending() == 1);
        executor.run_all();
        CHECK(cache.fetch(1).source == Source::near_hit);
        CHECK(executor.pending() == 0);
        fleet.there.release(1, elsewhere.lease);
    }
    SECTION("when it has, and that was not told") {
        const auto elsewhere = fleet.there.open_refresh(1, false);
        fleet.there.fill(1, elsewhere.lease, "new", {{10s}});
        CHECK(cache.get(1) == "one");
        executor.run_all();
        CHECK(cache.get(1) == "new");
        CHECK(executor.pending() == 0);
    }
    CHECK(cache.stats().loads == 1);
    CHECK(fleet.here.in_hand() == InHand{});
}

// Rule N2.
TEST_CASE("whoever writes or invalidates reads no near copy of before", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    larder::WriteThrough through{fleet.here, Rows{&fleet.rows}, {.ttl = 1h}};
    larder::WriteBehind behind{fleet.here, Rows{&fleet.rows}, {.ttl = 1h}};
    fleet.warm_near(cache);
    fleet.far.channel(0).delay();  // nothing is told
    const int how = GENERATE(0, 1, 2, 3, 4, 5, 6);
    fleet.rows[1] = "new";
    switch (how) {
        case 0: cache.put(1, "new"); break;
        case 1: through.put(1, "new"); break;
        case 2: behind.put(1, "new"); break;
        case 3: cache.invalidate(1); break;
        case 4: (void)cache.refresh(1); break;
        case 5: cache.put_many({{1, "new"}}); break;
        default: cache.writing(1).commit(); break;
    }
    CHECK(cache.get(1) == "new");
    CHECK(cache.get(1) == "new");
    CHECK(fleet.here.in_hand() == InHand{});
}

TEST_CASE("a write that fails leaves no near copy", "[tiered]") {
    Fleet fleet;
    struct Fails : Rows {
        void save(int key, const std::string& row) const {
            Rows::save(key, row);
            throw std::runtime_error{"nobody knows"};
        }
    };
    larder::CacheAside cache{fleet.here, Fails{{&fleet.rows}}, {.ttl = 1h}};
    fleet.warm_near(cache);
    fleet.far.channel(0).delay();
    CHECK_THROWS(cache.put(1, "new"));
    CHECK(cache.get(1) == "new");
}

TEST_CASE("a change elsewhere drops the near copy when it is told", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    auto other = fleet.cache(fleet.there);
    fleet.warm_near(cache);
    fleet.far.channel(0).delay();
    other.put(1, "new");
    CHECK(cache.get(1) == "one");
    CHECK(cache.get(1, {.from = From::far}) == "new");
    CHECK(cache.get(1) == "new");  // reads do not go back
    fleet.rows[1] = "newer";
    other.invalidate(1);
    fleet.far.channel(0).delay(false);
    fleet.far.channel(0).deliver();
    CHECK(cache.get(1) == "newer");
    CHECK(cache.stats().near_invalidations > 0);
}

// Rule N1.
TEST_CASE("an invalidation that meets a near fill wins", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    (void)cache.get(1);
    fleet.far.on_ask([&](bool answered) {
        if (answered) {
            fleet.far.on_ask({});
            fleet.rows[1] = "new";
            const bool told = GENERATE(true, false);
            told ? fleet.far.erase(1) : fleet.here.erase(1);
        }
    });
    CHECK(cache.get(1) == "one");
    CHECK(cache.get(1) == "new");
}

// Rule N3.
TEST_CASE("a read that passes near by leaves nothing older there", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    (void)cache.get(1);
    fleet.far.channel(0).delay();
    const int how = GENERATE(0, 1, 2);
    std::optional<larder::detail::Ticket> ticket;
    fleet.far.on_ask([&](bool answered) {
        if (answered) {
            fleet.far.on_ask({});
            fleet.rows[1] = "new";
            if (how == 0) {  // past a write that is under way
                ticket = fleet.there.begin_write(1, 30s);
                CHECK(cache.get(1, {.from = From::far}) == "new");
                return;
            }
            fleet.there.put(1, "new", hour);
            if (how == 1) {
                CHECK(cache.get(1, {.from = From::far}) == "new");
            } else {
                std::vector<Tiered::Query> queries(2);
                queries[0].ask.skip = queries[1].ask.skip = true;
                const auto see = [](std::size_t i, const std::string* row, auto&&...) {
                    CHECK((i == 1 || *row == "new"));
                };
                fleet.here.peek_many(std::vector{1, 2}, see, std::span{queries});
            }
        }
    });
    CHECK(cache.get(1) == "one");
    CHECK(cache.get(1) == "new");
    if (ticket) {
        fleet.there.finish_write(1, *ticket, Finish::nothing, {}, {});
    }
    CHECK(fleet.here.in_hand() == InHand{});
}

TEST_CASE("a load past a write leaves nothing older near, even what was made meanwhile",
          "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    fleet.far.channel(0).delay();
    const auto ticket = fleet.there.begin_write(1, 30s);
    const auto loads = [&](int) {
        fleet.there.finish_write(1, ticket, Finish::value, "two", {hour});
        (void)fleet.here.find(1);
        CHECK(fleet.here.look(1, [](auto&&...) {}, {}));
        fleet.rows[1] = "three";
        fleet.there.put(1, "three", hour);
        return std::optional<std::string>{"three"};
    };
    CHECK(cache.get(1, loads) == "three");
    CHECK(cache.get(1) == "three");
}

// Rule N5.
TEST_CASE("reads that come at once ask far once", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    (void)cache.get(1);
    (void)cache.get(2);
    const std::size_t before = fleet.far.asked();
    std::latch begun{1};
    std::latch go{1};
    std::atomic<int> asks{0};
    fleet.far.on_ask([&](bool answered) {
        if (!answered && asks++ == 0) {
            begun.count_down();
            go.wait();
        }
    });
    std::atomic<int> right{0};
    std::latch there{4};
    std::vector<std::jthread> readers;
    readers.emplace_back([&] { right += cache.get(1) == "one" ? 1 : 0; });
    begun.wait();
    for (int i = 0; i < 4; ++i) {
        readers.emplace_back([&, i] {
            there.count_down();
            const auto row = i % 2 == 0 ? cache.get(1) : cache.get_many({1, 2}).front();
            right += row == "one" ? 1 : 0;
        });
    }
    there.wait();  // each waits now, or comes when near has it
    go.count_down();
    readers.clear();
    fleet.far.on_ask({});
    CHECK(right == 5);
    CHECK(fleet.far.asked() == before + 2);  // for each key once
    CHECK(cache.fetch(1).source == Source::near_hit);
    CHECK(fleet.here.in_hand() == InHand{});
}

// Rule N5.
TEST_CASE("a read that comes when another has made a copy is served that", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    fleet.warm_near(cache, 1);
    fleet.warm_near(cache, 2);
    const std::size_t before = fleet.far.asked();
    const auto nothing = [](auto&&...) {};
    SECTION("one") {
        Tiered::Query query;  // near was looked at, and was empty
        CHECK(fleet.here.peek_past(1, nothing, query));
        CHECK(query.served);
        fleet.far.channel(0).notice();
        CHECK(fleet.here.peek_past(1, nothing, query));
        CHECK_FALSE(query.served);
        CHECK(fleet.far.asked() == before + 1);
    }
    SECTION("unless that has no tags where they are needed") {
        Tiered::Query query;
        query.ask.tagged = true;
        CHECK(fleet.here.peek_past(1, nothing, query));
        CHECK_FALSE(query.served);
        CHECK(fleet.far.asked() == before + 1);
    }
    CHECK(cache.fetch(2).source != Source::loaded);
    CHECK(fleet.here.in_hand() == InHand{});
}

TEST_CASE("what a bare store is asked for leaves near copies, one or many", "[tiered]") {
    Fleet fleet;
    fleet.far.put(1, "one", hour);
    fleet.far.put(2, "two", hour);
    fleet.far.put(3, std::nullopt, {7s});
    const std::vector keys{1, 2, 1, 3, 4};
    const auto found = fleet.here.find_many(keys);
    CHECK(found[0]->value == "one");
    CHECK(found[1]->value == "two");
    CHECK(found[2]->value == "one");
    REQUIRE(found[3]);
    CHECK(found[3]->value == std::nullopt);
    CHECK(found[3]->remaining == 7s);
    CHECK_FALSE(found[4]);
    CHECK(fleet.here.stats().entries == 3);
    const std::size_t before = fleet.far.asked();
    CHECK(fleet.here.find(1)->value == "one");
    CHECK(fleet.here.find_many(keys)[3]->remaining == 7s);
    CHECK(fleet.far.asked() == before + 1);  // for the fourth
    CHECK(fleet.here.in_hand() == InHand{});
}

TEST_CASE("who waits for others keeps nobody waiting for what far lacks", "[tiered]") {
    Fleet fleet;
    std::latch go{1};
    std::atomic<int> asks{0};
    fleet.far.on_ask([&](bool answered) {
        if (!answered && asks++ == 0) {
            go.wait();
        }
    });
    std::jthread first{[&] { (void)fleet.here.find(2); }};
    CHECK(eventually([&] { return fleet.far.asked() == 1; }));
    std::jthread second{[&] { fleet.here.peek_many(std::vector{1, 2}, [](auto&&...) {}); }};
    CHECK(eventually([&] { return fleet.far.asked() == 2; }));
    std::atomic<bool> done{false};
    std::jthread third{[&] {
        (void)fleet.here.find(1);
        done = true;
    }};
    CHECK(eventually([&] { return done.load(); }));
    go.count_down();
}

// Rule N4.
TEST_CASE("nobody waits for what another was told before the channel was lost", "[tiered]") {
    Fleet fleet;
    fleet.far.put(1, "one", hour);
    std::latch go{1};
    std::atomic<int> asks{0};
    fleet.far.on_ask([&](bool answered) {
        if (answered && asks++ == 0) {
            go.wait();
        }
    });
    std::jthread first{[&] { (void)fleet.here.find(1); }};
    CHECK(eventually([&] { return asks == 1; }));
    fleet.far.channel(0).cut();
    fleet.far.channel(0).notice();
    fleet.there.put(1, "new", hour);
    std::atomic<bool> right{false};
    std::jthread second{[&] { right = fleet.here.find(1)->value == "new"; }};
    CHECK(eventually([&] { return right.load(); }));
    go.count_down();
}

TEST_CASE("far is asked for what near lacks", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    (void)cache.get_many({1, 2, 3});
    fleet.warm_near(cache, 1);
    fleet.warm_near(cache, 2);
    const std::size_t before = fleet.far.asked();
    CHECK(cache.get_many({1, 2, 3})[2] == "three");
    CHECK(fleet.far.asked() == before + 1);
    (void)cache.get_many({1, 2, 3});
    CHECK(fleet.far.asked() == before + 1);
    CHECK(fleet.here.find_many(std::vector{1, 2, 3})[2]->value == "three");
    CHECK(fleet.far.asked() == before + 1);
    CHECK(cache.stats().near_hits == 2 + 2 + 2 + 3);
    CHECK(fleet.here.in_hand() == InHand{});
}

TEST_CASE("a known absence has near copies, too", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here, {.ttl = 1h, .negative_ttl = 1h});
    fleet.warm_near(cache, 9);
    CHECK(cache.get(9) == std::nullopt);
}

TEST_CASE("a stale copy has none", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here, {.ttl = 5s, .grace = 1h});
    fleet.warm_near(cache);
    fleet.clock.advance(5s);
    const auto fails = [](int) -> std::optional<std::string> { throw std::runtime_error{"down"}; };
    CHECK(cache.fetch(1, fails).source == Source::stale);
    CHECK(cache.fetch(1, fails).source == Source::stale);
}

// Rule N4.
TEST_CASE("near is served while it is known to be good", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    auto& channel = fleet.far.channel(0);
    const auto source = [&] { return cache.fetch(1).source; };
    SECTION("for so long after the last word") {
        fleet.clock.advance(1min);
        fleet.warm_near(cache);
        fleet.clock.advance(20s);
        CHECK(source() == Source::near_hit);
        channel.beat();
        fleet.clock.advance(9s);
        CHECK(source() == Source::near_hit);
    }
    SECTION("and not when that has passed, until there is word again") {
        fleet.clock.advance(110s);
        fleet.warm_near(cache);
        fleet.clock.advance(10s);
        CHECK_FALSE(fleet.here.look(1, [](auto&&...) {}, {}));
        channel.beat();
        CHECK(fleet.here.look(1, [](auto&&...) {}, {}));
    }
    SECTION("a lost channel is not trusted, and then near begins anew") {
        fleet.warm_near(cache);
        channel.cut();
        CHECK(source() == Source::near_hit);  // as long as nobody knows
        fleet.rows[1] = "new";
        fleet.there.erase(1);
        channel.notice();
        CHECK(cache.get(1) == "new");
        (void)cache.get(1);
        (void)cache.get(1);
        CHECK(source() == Source::hit);
        channel.subscribe(NearFlush::cut);
        CHECK(cache.stats().entries == 0);
        CHECK(source() == Source::hit);
        CHECK(source() == Source::near_hit);
        CHECK(cache.stats().near_cuts == 1);
        CHECK(cache.stats().near_mode == larder::NearMode::tracking);
    }
    CHECK(fleet.here.in_hand() == InHand{});
}

// Rule N4.
TEST_CASE("after a new subscription near is emptied before it is served", "[tiered]") {
    larder::ManualClock clock;
    Far far{Memory{{}, clock}};
    int too_early = 0;
    int gone = 0;
    const auto look = [&](int, const std::string&, larder::RemovalCause) {
        too_early += far.channel(0).reliable(clock.now()) ? 1 : 0;
        ++gone;
    };
    const Tiered store{Memory{{.on_removal = look}, clock}, far, {.silence = 1h}};
    far.put(1, "one", hour);
    (void)store.find(1);
    far.channel(0).notice();
    far.channel(0).subscribe(NearFlush::cut);
    CHECK(gone == 1);
    CHECK(too_early == 0);
    CHECK(far.channel(0).reliable(clock.now()));
}

TEST_CASE("one invalidation of a tag reaches near copies everywhere", "[tiered]") {
    Fleet fleet;
    const auto tags_of = [](const std::string&) { return larder::Tags{"shelf"}; };
    larder::Tagged here{fleet.cache(fleet.here), tags_of};
    larder::Tagged there{fleet.cache(fleet.there), tags_of};
    fleet.warm_near(here);
    fleet.warm_near(there);
    fleet.rows[1] = "new";
    fleet.far.channel(0).delay();
    fleet.far.channel(1).delay();
    here.invalidate_tag("shelf");
    CHECK(here.get(1) == "new");  // at once
    CHECK(there.get(1) == "one");
    fleet.far.channel(1).deliver();
    CHECK(there.get(1) == "new");
}

TEST_CASE("a near copy without tags is none to who invalidates by them", "[tiered]") {
    Fleet fleet;
    auto plain = fleet.cache(fleet.here);
    fleet.warm_near(plain);
    larder::Tagged tagged{fleet.cache(fleet.here),
                          [](const std::string&) { return larder::Tags{"shelf"}; }};
    CHECK(tagged.fetch(1).source == Source::hit);  // far knows no better here
    CHECK(tagged.fetch(1).source == Source::hit);
}

TEST_CASE("a change that cannot be read empties near", "[tiered]") {
    Fleet fleet;
    auto cache = fleet.cache(fleet.here);
    fleet.warm_near(cache);
    fleet.far.channel(0).send("no key of ours", false);
    CHECK(cache.fetch(1).source == Source::near_hit);
    fleet.here.clear();
    CHECK(cache.fetch(1).source == Source::loaded);
}

TEST_CASE("a TieredStore refuses what makes no sense", "[tiered]") {
    const Memory near;
    CHECK_THROWS_AS((Tiered{near, Far{Memory{}}, {.ttl = 0ms}}), std::invalid_argument);
    CHECK_THROWS_AS((Tiered{near, Far{Memory{}}, {.silence = -1ms}}), std::invalid_argument);
}

TEST_CASE("a near store that can keep nothing does no harm", "[tiered]") {
    larder::ManualClock clock;
    const Far far{Memory{{}, clock}};
    const bool throws = GENERATE(true, false);
    const auto weigh = [throws](int, const std::string&) {
        return throws ? throw std::runtime_error{"how heavy?"} : std::size_t{2};
    };
    Tiered store{Memory{{.max_weight = 1, .weigh = weigh}, clock}, far, {.silence = 1h}};
    store.put(1, "", hour);
    store.put(2, "two", hour);
    for (int i = 0; i < 3; ++i) {
        CHECK(store.find(1)->value == "");
        CHECK(store.find_many(std::vector{2, 1, 2})[2]->value == "two");
    }
    CHECK(store.stats().entries == 0);
    CHECK(store.in_hand() == InHand{});
}

TEST_CASE("near copies may live for ever, and for a moment", "[tiered]") {
    larder::ManualClock clock;
    Far far{Memory{{}, clock}};
    const auto served = [](const Tiered& store) { return store.look(1, [](auto&&...) {}, {}); };
    SECTION("for ever") {
        constexpr auto endless = (larder::Ttl::max)();
        const Tiered store{Memory{{}, clock}, far, {.ttl = endless, .silence = endless}};
        far.put(1, "one", {endless, endless});
        CHECK(store.find(1)->remaining == far.find(1)->remaining);
        CHECK(served(store));
        CHECK(store.find(1)->remaining == far.find(1)->remaining);
        clock.advance(24h * 365 * 50);
        CHECK(served(store));
        clock.advance((std::chrono::steady_clock::duration::max)());
        CHECK_FALSE(served(store));
        (void)store.find(1);
        CHECK(store.in_hand() == InHand{});
    }
    SECTION("for a moment") {
        const Tiered store{Memory{{}, clock}, far, {.ttl = 1ms, .silence = 1ms}};
        far.put(1, "one", hour);
        (void)store.find(1);
        clock.advance(999us);
        CHECK(served(store));
        clock.advance(1us);
        CHECK_FALSE(served(store));
        far.channel(0).beat();
        CHECK_FALSE(served(store));
    }
}
