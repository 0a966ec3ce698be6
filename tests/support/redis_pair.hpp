// SPDX-License-Identifier: MIT

/// @file
/// One namespace as two processes have it.

#ifndef LARDER_TESTS_SUPPORT_REDIS_PAIR_HPP
#define LARDER_TESTS_SUPPORT_REDIS_PAIR_HPP

#include "support/redis_server.hpp"
#include "support/table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

namespace larder_test {

/// Two stores over one server that know nothing of each other: each has connections, leases and a
/// queue of missed invalidations of its own, as each of two processes has. And the table that both load
/// from, in which key k has the row 10 * k to begin with.
struct RedisPair {
    using Store = larder::RedisStore<int, int>;
    using Rows = std::reference_wrapper<Table<>>;

    explicit RedisPair(const RedisServer& server, larder::RedisStoreOptions options = {})
        : RedisPair{[&] {
                        larder::redis::ClientOptions client;
                        client.path = server.socket_path();
                        return client;
                    }(),
                    options} {}
    explicit RedisPair(const larder::redis::ClientOptions& client,
                       larder::RedisStoreOptions options = {})
        : here{larder::redis::Client{client}, "n", options},
          there{larder::redis::Client{client}, "n", options} {
        for (int key = 1; key < 10; ++key) {
            table.set(key, 10 * key);
        }
    }

    Store here;
    Store there;
    Table<> table{};
    Rows rows{table};
};

/// The same over an emptied server that knows all scripts, and has a tag clock: what a first call costs
/// more is not what the calls after it cost.
struct SeasonedPair : RedisPair {
    explicit SeasonedPair(const RedisServer& server) : RedisPair{(server.run("FLUSHALL"), server)} {
        const auto& all = larder::redis::detail::SlotScripts::instance();
        for (const larder::redis::Script* script :
             {&all.replace, &all.open_beside, &all.force, &all.release, &all.release_beside,
              &all.lease_left, &all.ensure_clock}) {
            server.run("SCRIPT", "LOAD", script->body());
        }
        const auto& journal = larder::redis::detail::JournalScripts::instance();
        for (const auto* change :
             {&all.fill, &all.fill_tagged, &all.fill_beside, &all.fill_beside_tagged,
              &all.finish_write, &all.finish_write_tagged, &all.begin_write, &all.erase, &all.put,
              &all.adopt, &all.invalidate_tags, &journal.record_and_put,
              &journal.record_and_put_tagged}) {
            server.run("SCRIPT", "LOAD", change->on("").body());
        }
        for (const larder::redis::Script* script :
             {&journal.record, &journal.claim, &journal.renew, &journal.settle, &journal.defer,
              &journal.bury, &journal.revive, &journal.discard}) {
            server.run("SCRIPT", "LOAD", script->body());
        }
        server.run("SET", "~clock:n", "0123456789abcdef1");
    }
};

/// Waits for what another thread is about to do.
///
/// @throws std::runtime_error  it has not done it in a minute
template <class Done>
void until(Done&& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{1};
    while (!done()) {
        if (std::chrono::steady_clock::now() > end) {
            throw std::runtime_error{"it did not happen in a minute"};
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_REDIS_PAIR_HPP
