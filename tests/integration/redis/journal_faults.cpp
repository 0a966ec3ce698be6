// SPDX-License-Identifier: MIT

// Every step of a RedisJournal fails once: the request is lost or late, or its reply is lost, at each
// exchange in turn. What returned has been done, what threw has been done or not, and whatever is in the
// hand of nobody is due again.

#include "support/catch.hpp"
#include "support/journal_time.hpp"
#include "support/redis_faults.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace std::chrono_literals;
using larder::StoreError;
using larder::redis::Client;
using larder::redis::ClientOptions;
using larder_test::ExchangeFault;
using larder_test::RedisFaults;
using larder_test::RedisServer;

namespace {

using Journal = larder::RedisJournal<int, int, larder::RawCodec<int>>;
using Claims = std::vector<larder::Claimed<int, int>>;

// Little patience with a server that does not answer.
ClientOptions hasty(const std::string& path) {
    ClientOptions options;
    options.path = path;
    options.command_timeout = 60ms;
    options.breaker = 1ms;
    options.max_breaker = 1ms;
    return options;
}

const RedisServer& server() {
    static const RedisServer one;
    return one;
}
RedisFaults& faults() {
    static RedisFaults one{server()};
    return one;
}

// A journal with one of everything: a dead letter (1), a change that is claimed (2), one that was
// superseded since (3), one that waits for its next try (4), and fresh ones (5, 6). A name for each: what is
// late finds no other's.
struct World {
    explicit World(const std::string& name)
        : here{Client{hasty(faults().path())}, name}, there{Client{server().unix_url()}, name} {
        record(1, 10);
        REQUIRE(there.bury(claim_one(), "unwanted"));
        record(2, 20);
        record(3, 30);
        held = there.claim(2, 1min, 0ms);
        record(3, 31);
        record(4, std::nullopt);
        there.defer(claim_one(), 30s);
        record(5, 50);
        record(6, 60);
        (void)here.size();  // the connection is there
    }

    Journal here;   // behind what fails
    Journal there;  // not
    Claims held{};

    void record(int key, std::optional<int> value) { there.record({key, value, 0}); }
    larder::Claimed<int, int> claim_one() { return there.claim(1, 1min, 0ms).at(0); }

    static std::string show(const larder::Change<int, int>& change) {
        return std::to_string(change.key) + '=' +
               (change.value ? std::to_string(*change.value) : "removed") + ' ';
    }

    // All that is kept of it. What is in hand is due again: nothing can be asked of the claims after that.
    std::string seen() {
        std::string text;
        for (int key = 0; key < 10; ++key) {
            if (const auto pending = there.pending(key)) {
                text += show(*pending);
            }
        }
        text += "dead ";
        for (const auto& letter : there.dead_letters()) {
            text += show(letter.change) + letter.why + ' ' + std::to_string(letter.attempts) + ' ';
        }
        larder_test::pass_journal_time(server(), 1h);
        text += "due ";
        std::vector<std::string> due(10);
        for (const auto& claimed : there.claim(100, 1min, 1ms)) {
            due.at(static_cast<std::size_t>(claimed.change.key)) =
                show(claimed.change) + 'x' + std::to_string(claimed.attempts) + ' ';
        }
        for (const std::string& one : due) {
            text += one;
        }
        return text + "size " + std::to_string(there.size());
    }
};

struct Verb {
    std::string_view name;
    std::function<void(World&)> run;
};

// What is asked for may throw: not within a CHECK.
void expect(bool held) {
    CHECK(held);
}

const std::vector<Verb>& verbs() {
    static const std::vector<Verb> all{
        {"record",
         [](World& w) {
             expect(w.here.record({7, 70, 0}) > 0);
         }},
        {"record over a change",
         [](World& w) {
             expect(w.here.record({5, 51, 0}) > 0);
         }},
        {"record over a claim",
         [](World& w) {
             expect(w.here.record({2, 21, 0}) > 0);
         }},
        {"record over a next try",
         [](World& w) {
             expect(w.here.record({4, 41, 0}) > 0);
         }},
        {"record over a letter",
         [](World& w) {
             expect(w.here.record({1, std::nullopt, 0}) > 0);
         }},
        {"record without room",
         [](World& w) {
             expect(!w.here.record({7, 70, 0}, 3));
         }},
        {"pending", [](World& w) { expect(w.here.pending(3)->value == 31); }},
        {"pending_many",
         [](World& w) {
             const std::vector<int> keys{5, 7, 6};
             const auto pending = w.here.pending_many(keys);
             CHECK(pending.at(0)->value == 50);
             CHECK_FALSE(pending.at(1));
             CHECK(pending.at(2)->value == 60);
         }},
        {"claim", [](World& w) { expect(w.here.claim(10, 1min, 0ms).size() == 2); }},
        {"claim of what is due again",
         [](World& w) {
             larder_test::pass_journal_time(server(), 45s);
             expect(w.here.claim(10, 1min, 0ms).size() == 3);
         }},
        {"renew", [](World& w) { w.here.renew(w.held, 1h); }},
        {"give back", [](World& w) { w.here.renew(w.held, 0ms); }},
        {"settle",
         [](World& w) {
             // A repeated step finds that it was done.
             const auto settled = w.here.settle(w.held);
             CHECK(settled.size() == 2);
             CHECK_FALSE(settled.at(1));
         }},
        {"defer", [](World& w) { w.here.defer(w.held.at(0), 10s); }},
        {"defer what was superseded", [](World& w) { w.here.defer(w.held.at(1), 10s); }},
        {"bury", [](World& w) { expect(w.here.bury(w.held.at(0), "no")); }},
        {"bury what was superseded", [](World& w) { expect(!w.here.bury(w.held.at(1), "no")); }},
        {"dead_letters", [](World& w) { expect(w.here.dead_letters().size() == 1); }},
        {"revive", [](World& w) { expect(w.here.revive(1)); }},
        {"discard", [](World& w) { expect(w.here.discard(1)); }},
        {"size", [](World& w) { expect(w.here.size() == 5); }},
        {"oldest", [](World& w) { expect(w.here.oldest().has_value()); }},
    };
    return all;
}

// The breaker closes.
void wait_until_asked(const Journal& journal) {
    larder_test::until([&] {
        try {
            (void)journal.size();
            return true;
        } catch (const StoreError&) {
            return false;
        }
    });
}

std::string name_of(std::string_view verb) {
    static int count = 0;
    std::string name{verb};
    for (char& c : name) {
        c = c == ' ' ? '-' : c;
    }
    return name + std::to_string(++count);
}

}  // namespace

TEST_CASE("every exchange of a journal fails once", "[redis][faults]") {
    for (const Verb& verb : verbs()) {
        World before{name_of(verb.name)};
        const std::string undone = before.seen();
        World after{name_of(verb.name)};
        verb.run(after);
        const std::string done = after.seen();
        for (const ExchangeFault fault : larder_test::every_exchange_fault) {
            for (std::size_t n = 1;; ++n) {
                INFO(verb.name << ", " << to_string(fault) << " at exchange " << n);
                World w{name_of(verb.name)};
                faults().arm(fault, n);
                bool threw = false;
                try {
                    verb.run(w);
                } catch (const StoreError&) {
                    threw = true;
                }
                const bool failed = faults().disarm() > 0;
                std::string seen = w.seen();
                for (int late = 0; threw && seen != done && seen != undone && late < 100; ++late) {
                    seen = w.seen();  // a late claim has come in between
                }
                CHECK((seen == done || (threw && seen == undone)));
                wait_until_asked(w.here);
                if (!failed) {
                    CHECK_FALSE(threw);
                    break;
                }
                REQUIRE(n < 10);
            }
        }
    }
}

// Another's change may have come between.
TEST_CASE("a record whose reply was lost is not sent again", "[redis][faults]") {
    World w{"once"};
    for (const ExchangeFault fault : {ExchangeFault::reply_cut, ExchangeFault::request_late}) {
        wait_until_asked(w.here);
        w.here.record({5, 51, 0});  // it has asked the server what it needs
        faults().arm(fault, 1);
        CHECK_THROWS_AS(w.here.record({5, 52, 0}), StoreError);
        (void)faults().disarm();
        larder_test::until([&] { return w.there.pending(5)->value == 52; });
        w.record(5, 53);
        wait_until_asked(w.here);
        CHECK(w.here.pending(5)->value == 53);
    }
}

TEST_CASE("a journal whose server forgets its scripts", "[redis][faults]") {
    for (const Verb& verb : verbs()) {
        INFO(verb.name);
        World after{name_of(verb.name)};
        verb.run(after);
        World w{name_of(verb.name)};
        (void)server().run("SCRIPT", "FLUSH");
        verb.run(w);
        CHECK(w.seen() == after.seen());
    }
}

TEST_CASE("a journal whose server is away says so, and has lost nothing when it is back",
          "[redis][faults]") {
    RedisServer mine{{"--appendonly", "yes", "--appendfsync", "always"}};
    Journal journal{Client{hasty(mine.socket_path())}, "n"};
    const std::uint64_t version = journal.record({1, 10, 0});
    journal.record({2, std::nullopt, 0});
    const Claims held = journal.claim(1, 1h, 0ms);
    mine.kill();
    CHECK_THROWS_AS(journal.record({1, 11, 0}), StoreError);
    CHECK_THROWS_AS(journal.pending(1), StoreError);
    CHECK_THROWS_AS(journal.claim(1, 1min, 0ms), StoreError);
    CHECK_THROWS_AS(journal.settle(held), StoreError);
    CHECK_THROWS_AS(journal.size(), StoreError);
    CHECK_THROWS_AS(journal.oldest(), StoreError);
    CHECK_THROWS_AS(journal.dead_letters(), StoreError);
    mine.start();
    wait_until_asked(journal);
    CHECK(journal.size() == 2);
    CHECK(journal.pending(1)->value == 10);
    CHECK(journal.pending(1)->version == version);
    CHECK(journal.settle(held) == std::vector<bool>{true});
    CHECK(journal.claim(10, 1min, 0ms).size() == 1);
    CHECK(journal.record({1, 12, 0}) > version);
}

TEST_CASE("versions grow when the counter is lost, and when the server's clock goes back",
          "[redis][journal]") {
    Journal journal{Client{server().unix_url()}, "versions"};
    const std::uint64_t first = journal.record({1, 10, 0});
    (void)server().run("HDEL", "~journal:versions:claims", "counter");
    const std::uint64_t second = journal.record({1, 11, 0});
    CHECK(second > first);
    // As if it had been an hour later.
    const std::uint64_t ahead = second + 3'600'000'000;
    (void)server().run("HSET", "~journal:versions:claims", "counter", std::to_string(ahead));
    CHECK(journal.record({2, 20, 0}) == ahead + 1);
    CHECK(journal.record({2, 21, 0}) == ahead + 2);
    // What seems to be of the future does not wait for it.
    larder_test::pass_journal_time(server(), 1s);
    CHECK(journal.claim(10, 1min, 1ms).size() == 2);
}
