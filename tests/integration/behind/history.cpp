// SPDX-License-Identifier: MIT

// Recorded histories of write-behind over durable journals: puts, removes, invalidations, evictions,
// flushes, refreshes and reads at random on few keys, and every read is explained.

#include "support/behind/torment.hpp"
#include "support/catch.hpp"
#include "support/fleet/folder.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/sqlite.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <initializer_list>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>

using namespace std::chrono_literals;
using namespace larder_test;

namespace {

const larder::Options options{.ttl = 60s, .negative_ttl = 60s, .ticket = 60s};
constexpr larder::WriteBehindOptions at_once{.delay = 0ms};

using InFile = Noting<larder::SqliteJournal<int, int>>;
using InRedis = Noting<larder::RedisJournal<int, int>>;

void in_memory_and_a_file(std::size_t capacity) {
    const Folder folder;
    int files = 0;
    using Store = larder::MemoryStore<int, int>;
    every_read_is_explained(
        [&] {
            return std::pair{Store{{.capacity = capacity}},
                             InFile{folder.path() / std::to_string(++files)}};
        },
        capacity < keys,
        [](const Store& store, SlowRows& rows, const InFile& journal) {
            return larder::WriteBehind{store, std::ref(rows), journal, options, at_once};
        });
}

using Store = larder::RedisStore<int, int>;

// Two processes, as far as the server sees: each has a connection, a store and a journal of its own. And
// somebody who drops copies on the server.
class Two {
public:
    Two(const RedisServer& server, const std::string& name, const Store& store, SlowRows& rows,
        const InRedis& journal)
        : here_{store, std::ref(rows), journal, options, at_once},
          there_{Store{client_of(server), name}, std::ref(rows), InRedis{client_of(server), name},
                 options, at_once},
          thread_{[&server, name](const std::stop_token& stop) {
              while (!stop.stop_requested()) {
                  server.run("EVAL", drop_copy, "1", name + ":" + (chance(2) ? "0" : "1"));
                  std::this_thread::yield();
              }
          }} {}

    static larder::redis::Client client_of(const RedisServer& server) {
        // A machine that is busy elsewhere is not a server that is away.
        return larder::redis::Client{
            {.path = server.socket_path(), .connect_timeout = 10s, .command_timeout = 10s}};
    }

    auto fetch(int key) { return here_.fetch(key); }
    auto get(int key) { return chance(2) ? here_.get(key) : there_.get(key); }
    auto get_many(std::initializer_list<int> wanted) { return there_.get_many(wanted); }
    auto refresh(int key) { return there_.refresh(key); }
    void put(int key, int value) { (chance(2) ? here_ : there_).put(key, value); }
    void remove(int key) { (chance(2) ? here_ : there_).remove(key); }
    void invalidate(int key) { (chance(2) ? here_ : there_).invalidate(key); }
    auto flush(larder::Ttl within) { return (chance(2) ? here_ : there_).flush(within); }
    auto dead_letters() const { return here_.dead_letters(); }
    auto stats() const { return here_.stats(); }

private:
    // A slot in hand is no copy: its first byte is 1.
    static constexpr const char* drop_copy =
        "local v = redis.call('GET', KEYS[1])"
        " if v and string.byte(v) ~= 1 then redis.call('DEL', KEYS[1]) end";

    using Behind = larder::WriteBehind<Store, std::reference_wrapper<SlowRows>, InRedis>;

    Behind here_;
    Behind there_;
    std::jthread thread_;
};

}  // namespace

TEST_CASE("every read is explained: copies in memory, changes in a file", "[history]") {
    SECTION("copies that stay") {
        in_memory_and_a_file(64);
    }
    SECTION("copies that are evicted all the time") {
        in_memory_and_a_file(1);
    }
}

TEST_CASE("every read is explained: copies and changes in Redis, of two clients", "[history]") {
    const RedisServer server;
    int names = 0;
    every_read_is_explained(
        [&] {
            const std::string name = "n" + std::to_string(++names);
            const larder::redis::Client client = Two::client_of(server);
            return std::pair{Store{client, name}, InRedis{client, name}};
        },
        false,
        [&](const Store& store, SlowRows& rows, const InRedis& journal) {
            return Two{server, "n" + std::to_string(names), store, rows, journal};
        });
}
