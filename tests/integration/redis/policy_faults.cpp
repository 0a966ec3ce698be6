// SPDX-License-Identifier: MIT

// Policies over a Redis of which each exchange fails once: lost, late, or without an answer. Each call
// has ended in time, the next ones work, nothing is left in hand, nothing that is old is served, and
// no key stays hidden.

#include "support/catch.hpp"
#include "support/faulty_redis.hpp"
#include "support/redis_faults.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::CacheAside;
using larder::RefreshAhead;
using larder::Source;
using larder::StoreError;
using larder::Tagged;
using larder::WriteThrough;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder_test::ExchangeFault;
using larder_test::FaultyRedis;
using larder_test::RedisFaults;
using larder_test::RedisServer;
using larder_test::until;

namespace {

using Store = larder::RedisStore<int, int>;
using Table = larder_test::Table<>;

// A ticket that nobody ends would hide its key for longer than any test waits.
const larder::Options patient{.ttl = 1h, .negative_ttl = 1h, .grace = 1h, .ticket = 50min};

ClientOptions hasty(const std::string& path) {
    ClientOptions options;
    options.path = path;
    options.command_timeout = 60ms;
    options.breaker = 5ms;
    options.max_breaker = 10ms;
    return options;
}

template <class Cache>
struct Verb {
    std::string_view name;
    std::function<void(Cache&, Table&)> run;
    bool hides = false;  // until the ticket ends, as it should
    bool stale = false;  // on copies past their life
};

// Says it again to a store that could not be told: what was not said is not promised.
template <class Say>
void insist(Say&& say) {
    until([&] {
        try {
            say();
            return true;
        } catch (const StoreError&) {
            return false;
        }
    });
}

template <class Cache>
std::vector<Verb<Cache>> reads() {
    return {
        {"get", [](Cache& c, Table&) { CHECK(c.get(1) == 10); }},
        {"get of what is not there", [](Cache& c, Table&) { CHECK(c.get(5) == 50); }},
        {"get of no row", [](Cache& c, Table&) { CHECK_FALSE(c.get(404)); }},
        {"get with a time-out", [](Cache& c, Table&) { CHECK(c.get(5, {.timeout = 1min}) == 50); }},
        {"get from the source",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             CHECK(c.get(1, {.from = larder::From::source}) == 11);
         }},
        {"get_many",
         [](Cache& c, Table&) {
             CHECK(c.get_many({1, 5, 6, 404}) ==
                   std::vector<std::optional<int>>{10, 50, 60, std::nullopt});
         }},
        {"get of a stale copy",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             CHECK(c.get(1) == 11);
         },
         false, true},
        {"get of a stale copy whose row has gone",
         [](Cache& c, Table& t) {
             t.set(1, std::nullopt);
             CHECK_FALSE(c.get(1));
         },
         false, true},
        {"get_many of stale copies",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             t.set(2, std::nullopt);
             CHECK(c.get_many({1, 2, 5}) == std::vector<std::optional<int>>{11, std::nullopt, 50});
         },
         false, true},
        {"refresh",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             CHECK(c.refresh(1) == 11);
         }},
        {"refresh of a row that has gone",
         [](Cache& c, Table& t) {
             t.set(1, std::nullopt);
             CHECK_FALSE(c.refresh(1));
         }},
        {"warm",
         [](Cache& c, Table&) {
             (void)c.warm(std::vector{1, 5, 6});
         }},
        {"invalidate",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             insist([&] { c.invalidate(1); });
         }},
        {"invalidate_many",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             t.set(2, 21);
             insist([&] { c.invalidate_many({1, 2}); });
         }},
    };
}

template <class Cache>
std::vector<Verb<Cache>> writes() {
    return {
        {"put", [](Cache& c, Table&) { c.put(1, 11); }},
        {"put_many",
         [](Cache& c, Table&) {
             c.put_many({{1, 11}, {2, 21}, {7, 71}});
         }},
        {"remove", [](Cache& c, Table&) { c.remove(1); }},
        {"a put that is refused",
         [](Cache& c, Table& t) {
             t.hooks.before_commit = [](auto...) { throw larder_test::Refused{"no"}; };
             CHECK_THROWS_AS(c.put(1, 11), larder_test::Refused);
             t.hooks = {};
         }},
        {"a put of which nobody knows",
         [](Cache& c, Table& t) {
             t.hooks.before_commit = [](auto...) { throw std::runtime_error{"perhaps"}; };
             CHECK_THROWS_AS(c.put(1, 11), std::runtime_error);
             t.hooks = {};
             CHECK(c.get(1) == 10);
             t.set(1, 11);  // it took effect after all
         },
         true},
        {"a transaction that commits",
         [](Cache& c, Table& t) {
             auto write = c.writing(1, 2);
             t.set(1, 11);
             t.set(2, 21);
             write.commit();
         }},
        {"a transaction that is rolled back",
         [](Cache& c, Table&) {
             auto write = c.writing(1, 2);
             write.rollback();
         }},
    };
}

template <class Cache>
std::vector<Verb<Cache>> tags() {
    return {
        {"get", [](Cache& c, Table&) { CHECK(c.get(1) == 10); }},
        {"get of what is not there", [](Cache& c, Table&) { CHECK(c.get(5) == 50); }},
        {"get_many",
         [](Cache& c, Table&) {
             CHECK(c.get_many({1, 5, 6}) == std::vector<std::optional<int>>{10, 50, 60});
         }},
        {"invalidate_tag, and get_many of what carries it",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             insist([&] { c.invalidate_tag("t"); });
             CHECK(c.get_many({1, 2, 5}) == std::vector<std::optional<int>>{11, 20, 50});
         }},
        {"refresh",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             CHECK(c.refresh(1) == 11);
         }},
        {"put", [](Cache& c, Table&) { c.put(1, 11); }},
        {"put_many",
         [](Cache& c, Table&) {
             c.put_many({{1, 11}, {2, 21}, {7, 71}});
         }},
        {"invalidate_tag",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             insist([&] { c.invalidate_tag("t"); });
         }},
        {"invalidate_all",
         [](Cache& c, Table& t) {
             t.set(1, 11);
             insist([&] { c.invalidate_all(); });
         }},
    };
}

// Every verb, every fault, at each exchange; `make(store, table)` gives the policy.
class EveryStep {
public:
    /// @param absences  are remembered
    explicit EveryStep(bool absences = true, std::uint32_t partitions = 0,
                       FaultyRedis::Kind kind = FaultyRedis::Kind::server)
        : redis_{kind}, absences_{absences}, partitions_{partitions} {}

    template <class Make, class Cache>
    void run(Make&& make, const std::vector<Verb<Cache>>& verbs) {
        for (const Verb<Cache>& verb : verbs) {
            for (const ExchangeFault fault : redis_.every_fault()) {
                for (std::size_t n = 1; step(make, verb, fault, n, false); ++n) {}
                if (!verb.name.starts_with("invalidate") && !redis_.clustered()) {
                    step(make, verb, fault, 1, true);
                }
            }
        }
        CHECK(failures_ > 10 * verbs.size());
    }

private:
    template <class Make, class Cache>
    bool step(Make&& make, const Verb<Cache>& verb, ExchangeFault fault, std::size_t n,
              bool from_then_on) {
        INFO(verb.name << ": exchange " << n << (from_then_on ? " and all after it: " : ": ")
                       << to_string(fault));
        redis_.flush();
        Table table;
        for (int key = 1; key < 10; ++key) {
            table.set(key, 10 * key);
        }
        Store here{Client{redis_.hasty()},
                   "n",
                   {.lease = redis_.clustered() ? 100ms : 300ms, .partitions = partitions_}};
        Store there{Client{redis_.plain()}, "n", {.partitions = partitions_}};
        Cache cache = make(here, table);
        Cache other = make(there, table);
        (void)cache.get_many({1, 2, 3});
        if (verb.stale) {
            redis_.pass_time(patient.ttl + 1s);
        }
        redis_.faults().arm(fault, n, from_then_on);
        const auto began = std::chrono::steady_clock::now();
        verb.run(cache, table);
        CHECK(std::chrono::steady_clock::now() - began < 10s);
        const std::size_t hits = redis_.faults().disarm();
        for (const int key : {1, 2, 5, 404}) {
            CHECK(cache.get(key) == table.row(key));
        }
        CHECK(cache.get_many({1, 2, 404}) ==
              std::vector<std::optional<int>>{table.row(1), table.row(2), std::nullopt});
        // Replayed by the timer, and nothing left.
        until([&] { return here.queued_invalidations() == 0 || verb.hides; });
        until([&] {
            const auto waits = larder::detail::WaitGraph::count();
            return larder::detail::Inspect::in_hand(cache) == larder::detail::PolicyInHand{} &&
                   waits.carried == 0 && waits.waits == 0;
        });
        for (const int key : {1, 2, 5, 404}) {
            CHECK(cache.get(key) == table.row(key));
            if (!verb.hides || key != 1) {
                CHECK(other.get(key) == table.row(key));
                if (table.row(key) || absences_) {
                    until([&] { return cache.fetch(key).source == Source::hit; });
                    CHECK(other.fetch(key).source == Source::hit);
                }
            }
        }
        failures_ += hits;
        return hits > 0;
    }

    FaultyRedis redis_;
    bool absences_;
    std::uint32_t partitions_;
    std::size_t failures_ = 0;
};

using Rows = std::reference_wrapper<Table>;

}  // namespace

// Rule S13.
TEST_CASE("each exchange of each read of a policy fails once", "[redis][faults]") {
    using Cache = CacheAside<Store, Rows>;
    EveryStep{}.run([](Store& s, Table& t) { return Cache{s, Rows{t}, patient}; }, reads<Cache>());
}

TEST_CASE("each exchange of each read fails once where no absence is kept", "[redis][faults]") {
    using Cache = CacheAside<Store, Rows>;
    larder::Options forgetful = patient;
    forgetful.negative_ttl = 0s;
    EveryStep{false}.run(
        [&](Store& s, Table& t) {
            return Cache{s, Rows{t}, forgetful};
        },
        reads<Cache>());
}

TEST_CASE("each exchange of each write of a cache aside fails once", "[redis][faults]") {
    using Cache = CacheAside<Store, Rows>;
    EveryStep{}.run([](Store& s, Table& t) { return Cache{s, Rows{t}, patient}; }, writes<Cache>());
}

TEST_CASE("each exchange of each write of a write-through fails once", "[redis][faults]") {
    using Cache = WriteThrough<Store, Rows>;
    EveryStep{}.run([](Store& s, Table& t) { return Cache{s, Rows{t}, patient}; }, writes<Cache>());
}

TEST_CASE("each exchange of a policy that refreshes ahead fails once", "[redis][faults]") {
    using Cache = RefreshAhead<Store, Rows>;
    larder::Options eager = patient;
    eager.refresh_below = 1.0;  // each hit begins a reload
    EveryStep{}.run([&](Store& s, Table& t) { return Cache{s, Rows{t}, eager}; }, reads<Cache>());
}

TEST_CASE("each exchange of a policy with tags fails once", "[redis][faults]") {
    const auto make = [](Store& s, Table& t) {
        return Tagged{WriteThrough{s, Rows{t}, patient}, [](int) { return larder::Tags{"t"}; },
                      [](int) { return larder::Tags{"t"}; }};
    };
    using Cache = decltype(make(std::declval<Store&>(), std::declval<Table&>()));
    EveryStep{}.run(make, tags<Cache>());
}

TEST_CASE("each exchange of a policy over four partitions fails once", "[redis][faults]") {
    const auto make = [](Store& s, Table& t) {
        return Tagged{WriteThrough{s, Rows{t}, patient}, [](int) { return larder::Tags{"t"}; },
                      [](int) { return larder::Tags{"t"}; }};
    };
    using Cache = decltype(make(std::declval<Store&>(), std::declval<Table&>()));
    EveryStep{true, 4}.run(make, tags<Cache>());
}

// Rules S13 and R11.
TEST_CASE("each exchange of a policy with tags fails once, with each node of a cluster",
          "[redis][cluster][faults]") {
    const auto make = [](Store& s, Table& t) {
        return Tagged{WriteThrough{s, Rows{t}, patient}, [](int) { return larder::Tags{"t"}; },
                      [](int) { return larder::Tags{"t"}; }};
    };
    using Cache = decltype(make(std::declval<Store&>(), std::declval<Table&>()));
    EveryStep{true, 0, FaultyRedis::Kind::cluster}.run(make, tags<Cache>());
}

TEST_CASE("a write of unknown outcome hides its key though the server was away when it began",
          "[redis][faults]") {
    const RedisServer server;
    RedisFaults faults{server};
    Table table;
    table.set(1, 10);
    Store store{Client{hasty(faults.path())}, "n"};
    WriteThrough cache{store, Rows{table}, patient};
    REQUIRE(cache.get(1) == 10);
    faults.arm(ExchangeFault::request_cut, 1, true);
    table.hooks.before_commit = [](auto...) { throw std::runtime_error{"perhaps"}; };
    CHECK_THROWS_AS(cache.put(1, 11), std::runtime_error);
    table.hooks = {};
    faults.disarm();
    until([&] { return cache.get(2) == table.row(2) && server.run("EXISTS", "n:1") == "0"; });
    CHECK(cache.fetch(1).source == Source::bypassed);
    table.set(1, 11);  // it commits late
    CHECK(cache.get(1) == 11);
    CHECK(cache.get_many({1})[0] == 11);
}
