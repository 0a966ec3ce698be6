// SPDX-License-Identifier: MIT

// Each allocation of each verb of a RedisStore fails once, and all from one on:
// nothing is terminated, no lease and no ticket is left behind, and the next
// call works.

#include "support/catch.hpp"
#include "support/failing.hpp"
#include "support/failing_new.hpp"
#include "support/redis_pair.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/redis.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using larder::detail::CopyTerms;
using larder::detail::FillRequest;
using larder::detail::Finish;
using larder::detail::Slot;
using larder::redis::Client;
using larder_test::Failing;
using larder_test::RedisServer;
using larder_test::until;

namespace {

using Store = larder::RedisStore<std::string, std::string, larder::RawCodec<std::string>>;
using Strings = std::vector<std::string>;

const CopyTerms hour{{1h, 0h}, {}};
const CopyTerms tagged{{1h, 0h}, {"a tag that is too long to be kept in place"}};

// Keys and values that are too long to be kept in place.
const Strings three{"1 that is too long to be kept in place",
                    "2 that is too long to be kept in place",
                    "3 that is too long to be kept in place"};
const std::string& one = three.front();
const std::optional<std::string> row{"a row that is too long to be kept in place"};

struct Verb {
    std::string_view name;
    bool copies = false;  // there are some
    std::function<void(Store&)> run;
    bool drops = false;  // the first copy, whatever fails
};

// As a policy ends a write.
void end(Store& store, const std::string& key, const larder::detail::Ticket& ticket) {
    try {
        (void)store.finish_write(key, ticket, Finish::value, row, tagged);
    } catch (...) {
        store.queue_invalidation(key, 0, {.ticket = ticket, .force = true});
    }
}

std::vector<Verb> verbs() {
    return {
        {"find", true, [](Store& s) { (void)s.find(one); }},
        {"find_many", true, [](Store& s) { (void)s.find_many(three); }},
        {"peek", true, [](Store& s) { s.peek(one, [](auto...) {}); }},
        {"peek_many", true, [](Store& s) { s.peek_many(three, [](std::size_t, auto...) {}); }},
        {"put", true, [](Store& s) { s.put(one, row, {1h}); }},
        {"erase", true, [](Store& s) { (void)s.erase(one); }},
        {"erase_many", true, [](Store& s) { (void)s.erase_many(three); }},
        {"clear", true, [](Store& s) { s.clear(); }},
        {"invalidate_tags", true, [](Store& s) { s.invalidate_tags(tagged.tags); }},
        {"open", false, [](Store& s) { (void)s.open(one); }},
        {"open of a copy", true, [](Store& s) { (void)s.open(one); }},
        {"open_many", false, [](Store& s) { (void)s.open_many(three); }},
        {"open_many of copies", true, [](Store& s) { (void)s.open_many(three); }},
        {"a load", false,
         [](Store& s) {
             const auto opening = s.open(one);
             (void)s.underway(one);
             (void)s.remote_lease(one, opening.lease);
             (void)s.fill(one, opening.lease, row, tagged);
         }},
        {"loads", false,
         [](Store& s) {
             const auto openings = s.open_many(three);
             std::vector<FillRequest<std::string, std::string>> rows;
             for (std::size_t i = 0; i < three.size(); ++i) {
                 rows.push_back({&three[i], openings[i].lease, &row, &hour});
             }
             (void)s.fill_many(rows);
         }},
        {"a load that fails", false,
         [](Store& s) {
             const auto opening = s.open(one);
             s.release(one, opening.lease);
         }},
        {"a refresh", true,
         [](Store& s) {
             const auto opening = s.open_refresh(one, false);
             (void)s.fill(one, opening.lease, row, hour);
         }},
        {"a refresh by name", true,
         [](Store& s) {
             const auto opening = s.open_refresh(one, true);
             s.withdraw(one, opening.lease);
         }},
        {"a write", true, [](Store& s) { end(s, one, s.begin_write(one, 30min)); }},
        {"writes", true,
         [](Store& s) {
             const auto tickets = s.begin_write_many(std::span{three}, 30min);
             for (std::size_t i = 0; i < three.size(); ++i) {
                 end(s, three[i], tickets[i]);
             }
         }},
        {"a drop that is missed", true,
         [](Store& s) {
             s.queue_invalidation(one, 0, {.ticket = {7, {}}, .force = true});
         },
         true},
    };
}

}  // namespace

TEST_CASE("each allocation of each verb of a Redis store fails", "[redis][faults]") {
    const RedisServer server;
    std::size_t failures = 0;
    const auto try_one = [&](const Verb& verb, int n, Failing::Times times) {
        INFO(verb.name << ": allocation " << n
                       << (times == Failing::Times::once ? "" : " and all after it"));
        server.run("FLUSHALL");
        Store store{Client{server.unix_url()}, "n"};
        (void)store.find("none");
        for (const std::string& key : verb.copies ? three : Strings{}) {
            store.put(key, row, {1h});
        }
        bool hit = false;
        bool threw = false;
        {
            const Failing failing{larder_test::Fault::allocation, n, times};
            try {
                verb.run(store);
            } catch (...) {
                threw = true;  // or it returns
            }
            hit = failing.hit();
        }
        if (verb.drops) {
            CHECK_FALSE(threw);
            CHECK_FALSE(store.find(one));
        }
        CHECK(store.in_hand() == larder::detail::InHand{});
        // Where no timer could be started, whoever calls does its work.
        until([&] { return !store.find("none") && store.queued_invalidations() == 0; });
        for (const std::string& key : three) {
            const auto opening = store.open(key);
            // Without any memory nobody remembers a ticket: it ends by itself.
            const bool hidden = opening.writing && times == Failing::Times::from_then_on;
            CHECK((opening.slot == Slot::lead || opening.slot == Slot::hit || hidden));
        }
        CHECK(store.in_hand() == larder::detail::InHand{});
        failures += hit ? 1 : 0;
        return hit;
    };
    for (const Verb& verb : verbs()) {
        for (const auto times : {Failing::Times::once, Failing::Times::from_then_on}) {
            for (int n = 1; try_one(verb, n, times); ++n) {}
        }
    }
    CHECK(failures > 300);
}
