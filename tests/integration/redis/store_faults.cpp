// SPDX-License-Identifier: MIT

// Every step of a RedisStore fails once: the request is lost or late, the reply is lost, at each
// exchange in turn. Then the call has ended in time, the next one works, nothing is left in hand, and
// nothing that is old is served.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/faulty_redis.hpp"
#include "support/redis_faults.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/redis.hpp>
#include <larder/redis/detail/store/partition_check.hpp>
#include <larder/redis/detail/store/slot_names.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <future>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::Lifetime;
using larder::StoreError;
using larder::Ttl;
using larder::detail::Finish;
using larder::detail::Lease;
using larder::detail::MissedInvalidation;
using larder::detail::Slot;
using larder::detail::Ticket;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder_test::ExchangeFault;
using larder_test::FaultyRedis;
using larder_test::RedisFaults;
using larder_test::RedisFront;
using larder_test::RedisServer;
using larder_test::until;

namespace {

using Store = larder::RedisStore<std::string, std::string, larder::RawCodec<std::string>>;
using Value = std::optional<std::string>;

constexpr Lifetime hour{1h};

// Little patience with a server that does not answer.
ClientOptions hasty(std::string path, Ttl command_timeout = 60ms) {
    ClientOptions options;
    options.path = std::move(path);
    options.command_timeout = command_timeout;
    options.breaker = 5ms;
    options.max_breaker = 10ms;
    return options;
}

Value held(const Store& store, const std::string& key) {
    const auto entry = store.find(key);
    return entry ? entry->value : std::nullopt;
}

// Two processes.
struct Bench {
    Store& here;   // behind what fails
    Store& there;  // not
};

using Step = std::function<void(Bench&)>;

struct Verb {
    std::string_view name;
    Step prepare;
    Step run;
    Step check;
};

const std::vector<std::string> three{"1", "2", "3"};

// What the slot of a key is called.
std::string slot_name(const Bench& b, std::string_view key) {
    const auto& client = b.there.client();
    return larder::redis::detail::SlotNames{"n", 0, larder::redis::detail::partitions_of(client, 0)}
        .slot(key);
}

void nothing(Bench&) {}
void old_copies(Bench& b) {
    const std::vector<std::pair<std::string, Value>> all{{"1", "old"}, {"2", "old"}, {"3", "old"}};
    b.there.put_many(all, hour);
}
void junk(Bench& b) {
    b.there.client().command("SET", slot_name(b, "1"), "\x01junk");
}

void junk_and_stale(Bench& b) {
    junk(b);
    b.there.put("2", "old", {Ttl{1}, 1h});
    until([&] { return b.there.find("2")->remaining <= Ttl::zero(); });
}

// Whoever leads has loaded, and fills.
void fill(Store& store, Store::Opening opening, const Value& value, Lifetime life = hour) {
    if (opening.slot == Slot::lead) {
        (void)store.fill("1", opening.lease, value, {life, {}});
    }
}
// As a policy writes: what the store was not told of is queued.
void write(Store& store, const std::vector<std::string>& keys, Finish how) {
    std::vector<Ticket> tickets;
    try {
        tickets = store.begin_write_many(std::span{keys}, 30s);
    } catch (const StoreError&) {
        for (const std::string& key : keys) {
            store.queue_invalidation(key, 100, {.force = true});
        }
        return;
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
        try {
            (void)store.finish_write(keys[i], tickets[i], how, "new", {hour, {}});
        } catch (const StoreError&) {
            store.queue_invalidation(keys[i], 100, {.ticket = tickets[i], .force = true});
        }
    }
}

// No copy is older than what was acknowledged.
void nothing_old(Bench& b) {
    for (Store* const store : {&b.here, &b.there}) {
        for (const std::string& key : three) {
            CHECK(held(*store, key) != "old");
        }
    }
}
void first_not_old(Bench& b) {
    CHECK(held(b.here, "1") != "old");
    CHECK(held(b.there, "1") != "old");
}
// This process waits for no lease of its own, and others not for long.
void free_for_all(Bench& b) {
    for (const std::string& key : three) {
        const auto mine = b.here.open(key);
        CHECK(mine.slot == Slot::lead);
        if (mine.lease) {
            b.here.release(key, mine.lease);
        }
        until([&] {
            const auto theirs = b.there.open(key);
            if (theirs.slot == Slot::lead) {
                b.there.release(key, theirs.lease);
            }
            return theirs.slot == Slot::lead;
        });
    }
}
// No write hides a key: its ticket would stand for half a minute.
void not_hidden(Bench& b) {
    for (const std::string& key : three) {
        CHECK_FALSE(b.there.open(key).writing);
    }
}

// As a policy writes many: what the store was not told of is queued.
void write_at_once(Store& store, const std::vector<std::string>& keys) {
    using Request = larder::detail::FinishRequest<std::string, std::string>;
    std::vector<Ticket> tickets;
    try {
        tickets = store.begin_write_many(std::span{keys}, 30s);
    } catch (const StoreError&) {
        for (const std::string& key : keys) {
            store.queue_invalidation(key, 100, {.force = true});
        }
        return;
    }
    std::vector<Request> requests;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        requests.push_back({&keys[i], tickets[i], Finish::value, "new", {hour, {}}});
    }
    std::vector<larder::detail::WriteEnd> ends;
    try {
        ends = store.finish_write_many(requests);
    } catch (const StoreError&) {
        ends.resize(keys.size(), {false, std::current_exception()});
    }
    for (std::size_t i = 0; i < keys.size(); ++i) {
        if (ends[i].failure) {
            store.queue_invalidation(keys[i], 100, {.ticket = tickets[i], .force = true});
        }
    }
}

std::vector<Verb> verbs() {
    return {
        {"find", old_copies, [](Bench& b) { (void)b.here.find("1"); }, nothing},
        {"find_many", old_copies, [](Bench& b) { (void)b.here.find_many(three); }, nothing},
        {"peek", old_copies, [](Bench& b) { b.here.peek("1", [](auto...) {}); }, nothing},
        {"peek_many", old_copies,
         [](Bench& b) { b.here.peek_many(three, [](std::size_t, auto...) {}); }, nothing},
        {"put", old_copies, [](Bench& b) { b.here.put("1", "new", hour); }, nothing},
        {"erase", old_copies, [](Bench& b) { (void)b.here.erase("1"); }, nothing},
        {"erase_many", old_copies, [](Bench& b) { (void)b.here.erase_many(three); }, nothing},
        {"clear", old_copies, [](Bench& b) { b.here.clear(); }, nothing},
        {"open", nothing, [](Bench& b) { (void)b.here.open("1"); }, free_for_all},
        {"open_many", nothing, [](Bench& b) { (void)b.here.open_many(three); }, free_for_all},
        {"open_many of what was seen", junk_and_stale,
         [](Bench& b) {
             std::vector<Store::Query> queries(three.size(), {.remaining = true});
             b.here.peek_many(
                 three, [](std::size_t, auto...) {}, std::span{queries});
             (void)b.here.open_many(three, std::span{queries});
         },
         free_for_all},
        {"open of junk", junk, [](Bench& b) { (void)b.here.open("1"); }, free_for_all},
        {"release", nothing,
         [](Bench& b) {
             const auto opening = b.here.open("1");
             b.here.release("1", opening.lease);
         },
         free_for_all},
        {"withdraw", nothing,
         [](Bench& b) {
             const auto opening = b.here.open("1");
             b.here.withdraw("1", opening.lease);
         },
         free_for_all},
        {"underway", nothing,
         [](Bench& b) {
             const auto opening = b.here.open("1");
             (void)b.here.underway("1");
             (void)b.here.remote_lease("1", opening.lease);
         },
         free_for_all},
        {"a load", nothing, [](Bench& b) { fill(b.here, b.here.open("1"), "new"); }, nothing},
        {"a load of what is not kept", nothing,
         [](Bench& b) { fill(b.here, b.here.open("1"), "new", {}); }, free_for_all},
        {"a refresh in the background", old_copies,
         [](Bench& b) { fill(b.here, b.here.open_refresh("1", false), "new"); },
         [](Bench& b) {
             until([&] { return b.here.open_refresh("1", false).slot == Slot::lead; });
             until([&] { return b.there.open_refresh("1", false).slot == Slot::lead; });
         }},
        {"a refresh by name", old_copies,
         [](Bench& b) {
             const auto opening = b.here.open_refresh("1", true);
             b.here.release("1", opening.lease);
         },
         [](Bench& b) {
             until([&] { return b.here.open_refresh("1", true).slot == Slot::lead; });
         }},
        {"a write", old_copies, [](Bench& b) { write(b.here, {"1"}, Finish::value); },
         [](Bench& b) {
             first_not_old(b);
             not_hidden(b);
         }},
        {"a write that leaves nothing", old_copies,
         [](Bench& b) { write(b.here, {"1"}, Finish::nothing); },
         [](Bench& b) {
             first_not_old(b);
             not_hidden(b);
         }},
        {"a batch of writes", old_copies, [](Bench& b) { write(b.here, three, Finish::value); },
         [](Bench& b) {
             nothing_old(b);
             not_hidden(b);
         }},
        {"a batch of writes that ends at once", old_copies,
         [](Bench& b) { write_at_once(b.here, three); },
         [](Bench& b) {
             nothing_old(b);
             not_hidden(b);
         }},
        {"writes that are refused if the store is not told", nothing,
         [](Bench& b) {
             const auto tickets = b.here.begin_write_many(std::span{three}, 30s);
             write(b.here, three, Finish::nothing);
             for (std::size_t i = 0; i < three.size(); ++i) {
                 try {
                     (void)b.here.finish_write(three[i], tickets[i], Finish::nothing, {}, {});
                 } catch (const StoreError&) {
                     b.here.queue_invalidation(three[i], 100,
                                               {.ticket = tickets[i], .force = true});
                 }
             }
         },
         not_hidden},
        {"invalidate_tags", nothing,
         [](Bench& b) { b.here.invalidate_tags(std::vector<std::string>{"t"}); }, nothing},
    };
}

// Whether no breaker is open.
bool answers(const Store& store) {
    try {
        (void)store.find_many(three);
        return true;
    } catch (const StoreError&) {
        return false;
    }
}

// Every verb, every fault, at each exchange. How many have failed.
std::size_t fail_every_exchange(FaultyRedis& redis) {
    std::size_t failures = 0;
    const auto try_one = [&](const Verb& verb, ExchangeFault fault, std::size_t n,
                             bool from_then_on) {
        INFO(verb.name << ": exchange " << n << (from_then_on ? " and all after it: " : ": ")
                       << to_string(fault));
        redis.flush();
        Store here{Client{redis.hasty()}, "n", {.lease = redis.clustered() ? 30ms : 300ms}};
        Store there{Client{redis.plain()}, "n"};
        Bench b{here, there};
        until([&] { return answers(here); });  // it is connected
        verb.prepare(b);
        const auto began = std::chrono::steady_clock::now();
        redis.faults().arm(fault, n, from_then_on);
        bool threw = false;
        try {
            verb.run(b);
        } catch (const StoreError&) {
            threw = true;
        }
        const std::size_t hits = redis.faults().disarm();
        // A node that does not carry out a command has only sent it on.
        CHECK_FALSE((threw && !from_then_on && fault >= ExchangeFault::moved));
        CHECK(std::chrono::steady_clock::now() - began < 10s);
        CHECK(here.in_hand().leases == 0);
        until([&] { return answers(here) && here.queued_invalidations() == 0; });
        verb.check(b);
        failures += hits;
        return hits > 0;
    };
    for (const Verb& verb : verbs()) {
        for (const ExchangeFault fault : redis.every_fault()) {
            for (std::size_t n = 1; try_one(verb, fault, n, false); ++n) {}
            if (!redis.clustered()) {
                try_one(verb, fault, 1, true);
            }
        }
    }
    return failures;
}

}  // namespace

// Rule S9.
TEST_CASE("each exchange of each verb of a store fails once", "[redis][faults]") {
    FaultyRedis redis;
    CHECK(fail_every_exchange(redis) > 200);
}

// Rules S9 and R11.
TEST_CASE("each exchange of each verb of a store fails once, with each node of a cluster",
          "[redis][cluster][faults]") {
    FaultyRedis redis{FaultyRedis::Kind::cluster};
    CHECK(fail_every_exchange(redis) > 200);
}

// ---- leases ----

TEST_CASE("whoever has joined a load whose lease was lost on the way is sent on",
          "[redis][faults]") {
    const RedisServer server;
    RedisFaults faults{server};
    Store store{Client{hasty(faults.path(), 3s)}, "n"};
    (void)store.find("1");
    faults.arm(ExchangeFault::reply_silent, 1);
    auto first = std::async(std::launch::async,
                            [&] { return larder_test::caught([&] { (void)store.open("1"); }); });
    until([&] { return server.run("EXISTS", "n:1") == "1"; });
    const auto second = store.open("1");
    REQUIRE(second.slot == Slot::join);
    CHECK(larder::detail::wait_for(*second.flight,
                                   {.deadline = std::chrono::steady_clock::now() + 1min}) ==
          larder::detail::WaitEnd::over);
    CHECK_FALSE(second.flight->brought());
    CHECK(first.get() == larder::Errc::store_failed);
    faults.disarm();
    CHECK(store.in_hand().leases == 0);
    CHECK_FALSE(store.underway("1"));
    until([&] {
        try {
            return !store.find("none");
        } catch (const StoreError&) {
            return false;  // its breaker is open yet
        }
    });
    CHECK(store.open("1").slot == Slot::lead);
}

TEST_CASE("a lease that nobody holds any more is given back by the timer", "[redis][faults]") {
    const RedisServer server;
    RedisFaults faults{server};
    Store store{Client{hasty(faults.path())}, "n", {.lease = 90ms}};
    (void)store.find("1");
    SECTION("its reply was lost") {
        faults.arm(ExchangeFault::reply_cut, 1);
        CHECK_THROWS_AS(store.open("1"), StoreError);
    }
    SECTION("the step that was to end it was lost") {
        const auto opening = store.open("1");
        faults.arm(ExchangeFault::request_cut, 1, true);
        CHECK_THROWS_AS(store.release("1", opening.lease), StoreError);
    }
    SECTION("its leader has gone") {
        REQUIRE(store.open("1").lease);
    }
    SECTION("beside a value") {
        store.put("1", "old", hour);
        REQUIRE(store.open_refresh("1", false).lease);
        server.run("PERSIST", "~refresh:n:1");
    }
    faults.disarm();
    server.run("PERSIST", "n:1");  // it does not end by itself
    until([&] {
        return server.run("EXISTS", "~refresh:n:1") == "0" &&
               !server.run("GET", "n:1").starts_with("\x01\x01L");
    });
}

TEST_CASE("a lease that is alive is renewed, by the process that holds it", "[redis][faults]") {
    const RedisServer server;
    Store store{Client{server.unix_url()}, "n", {.lease = 90ms}};
    Store there{Client{server.unix_url()}, "n"};
    const auto opening = store.open("1");
    REQUIRE(opening.slot == Slot::lead);
    // Several times its length, as the server sees it pass.
    const auto began = std::chrono::steady_clock::now();
    until([&] {
        CHECK(there.open("1").slot == Slot::remote);
        return std::chrono::steady_clock::now() - began > 500ms;
    });
    CHECK(store.fill("1", opening.lease, "new", {hour, {}}).kept);
}

// ---- judging ----

// Rule R5.
TEST_CASE("what was taken for junk is replaced only if it is nobody's now", "[redis][faults]") {
    const RedisServer server;
    Store here{Client{server.unix_url()}, "n"};
    Store there{Client{server.unix_url()}, "n"};
    // The bytes are those that are there; the time was that of a value before them.
    const auto open_as_junk = [&] {
        Store::Query query{.remaining = true};
        query.seen = Store::Query::Seen::junk;
        query.digest = larder::redis::detail::sha1_hex(server.run("GET", "n:1"));
        return here.open("1", query);
    };
    SECTION("a write there") {
        const Ticket ticket = there.begin_write("1", 30s);
        const auto opening = open_as_junk();
        CHECK(opening.slot == Slot::bypass);
        CHECK(opening.writing);
        CHECK(there.finish_write("1", ticket, Finish::value, "new", {hour, {}}));
        CHECK(held(here, "1") == "new");
    }
    SECTION("a load there") {
        const auto theirs = there.open("1");
        CHECK(open_as_junk().slot == Slot::remote);
        CHECK(there.fill("1", theirs.lease, "new", {hour, {}}).kept);
    }
    SECTION("junk") {
        there.client().command("SET", "n:1", "\x01junk");
        CHECK(open_as_junk().slot == Slot::lead);
    }
    SECTION("a write that would never end is junk") {
        (void)there.begin_write("1", 30s);
        server.run("PERSIST", "n:1");
        CHECK(open_as_junk().slot == Slot::lead);
    }
}

TEST_CASE("a lease beside a value that would never end is none", "[redis][faults]") {
    const RedisServer server;
    Store here{Client{server.unix_url()}, "n"};
    Store there{Client{server.unix_url()}, "n"};
    there.put("1", "old", hour);
    const auto theirs = there.open_refresh("1", false);
    REQUIRE(theirs.slot == Slot::lead);
    CHECK(here.open_refresh("1", false).slot == Slot::hit);
    server.run("PERSIST", "~refresh:n:1");
    CHECK(here.open_refresh("1", false).slot == Slot::lead);
}

// ---- trust ----

// Rule S17.
TEST_CASE("no batch serves what was read ahead of a replay", "[redis][faults]") {
    const RedisServer server;
    Store store{Client{server.unix_url()}, "n"};
    store.put("1", "old", hour);
    server.run("CONFIG", "SET", "min-replicas-to-write", "1");
    REQUIRE(store.queue_invalidation("1", 10, {}));
    CHECK_FALSE(store.find("1"));
    const std::vector<std::string> keys{"1", "2"};
    const auto serves_old = [&] {
        bool old = false;
        const auto see = [&](const std::string* value) {
            old = old || (value != nullptr && *value == "old");
        };
        SECTION("find_many") {
            const auto entry = store.find_many(keys)[0];
            see(entry ? &*entry->value : nullptr);
        }
        SECTION("peek_many") {
            store.peek_many(keys,
                            [&](std::size_t, const std::string* value, auto...) { see(value); });
        }
        SECTION("open_many") {
            const auto openings = store.open_many(keys);
            const auto& copy = openings[0].copy;
            see(copy ? &*copy->entry.value : nullptr);
        }
        SECTION("find") {
            const auto entry = store.find("1");
            see(entry ? &*entry->value : nullptr);
        }
        SECTION("open") {
            const auto opening = store.open("1");
            see(opening.copy ? &*opening.copy->entry.value : nullptr);
        }
        return old;
    };
    server.run("CONFIG", "SET", "min-replicas-to-write", "0");
    CHECK_FALSE(serves_old());
}

// ---- some of many ----

TEST_CASE("a batch of which a part is refused gives back what it took", "[redis][faults]") {
    const RedisServer server;
    server.run("ACL", "SETUSER", "app", "on", ">secret", "~n:1", "~n:3", "+@all");
    Store store{Client{"unix://app:secret@" + server.socket_path()}, "n"};
    Store there{Client{server.unix_url()}, "n"};
    SECTION("leases") {
        CHECK_THROWS_AS(store.open_many(three), StoreError);
    }
    SECTION("writes") {
        CHECK_THROWS_AS(store.begin_write_many(std::span{three}, 30s), StoreError);
    }
    CHECK(store.in_hand().leases == 0);
    CHECK(store.queued_invalidations() == 0);
    CHECK(server.run("EXISTS", "n:1", "n:2", "n:3") == "0");
}

// ---- once ----

TEST_CASE("a put of a plain store is sent once, an erase again", "[redis][faults]") {
    const RedisServer server;
    RedisFaults faults{server};
    Store store{Client{hasty(faults.path())}, "n"};
    store.put("1", "old", hour);  // its script is known
    (void)store.erase("1");
    faults.arm(ExchangeFault::reply_cut, 1);
    CHECK_THROWS_AS(store.put("1", "new", hour), StoreError);
    CHECK(faults.exchanges() == 1);
    faults.arm(ExchangeFault::reply_cut, 1);
    CHECK_FALSE(store.erase("1"));
    CHECK(faults.exchanges() == 2);
}
