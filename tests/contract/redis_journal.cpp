// SPDX-License-Identifier: MIT

// The contract of journals over RedisJournal, on a server of its own.

#include "journal_contract.hpp"
#include "support/catch.hpp"
#include "support/journal_time.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <string>

using namespace std::chrono_literals;
using larder_test::JournalRig;
using larder_test::RedisServer;

namespace {

template <class K, class V>
void keeps_the_contract(larder::RedisJournalOptions options = {}) {
    static const RedisServer server;
    static_cast<void>(server.run("FLUSHALL"));
    using Journal = larder::RedisJournal<K, V>;
    static_assert(Journal::durable && Journal::shared);
    // Real time passes, too.
    JournalRig<Journal> rig{Journal{larder::redis::Client{server.unix_url()}, "n", options},
                            [](auto by) { larder_test::pass_journal_time(server, by); }, 3s,
                            options.partitions == 0};
    larder_test::journal_contract(rig);
}

}  // namespace

TEST_CASE("RedisJournal keeps the contract of journals", "[contract][redis]") {
    keeps_the_contract<int, int>();
}

TEST_CASE("RedisJournal of strings keeps the contract of journals", "[contract][redis]") {
    keeps_the_contract<std::string, std::string>();
}

TEST_CASE("RedisJournal of four partitions keeps the contract of journals", "[contract][redis]") {
    keeps_the_contract<int, int>({.partitions = 4});
}

TEST_CASE("RedisJournal on a cluster keeps the contract of journals",
          "[contract][redis][cluster]") {
    static larder_test::RedisCluster cluster;
    const auto each = [](const auto& f) {
        for (std::size_t i = 0; i < cluster.size(); ++i) {
            f(cluster.node(i));
        }
    };
    each([](const RedisServer& node) { node.run("FLUSHALL"); });
    using Journal = larder::RedisJournal<int, int>;
    static const larder::redis::Client client{cluster.url()};
    JournalRig<Journal> rig{
        Journal{client, "n"},
        [each](auto by) {
            each([by](const RedisServer& node) { larder_test::pass_journal_time(node, by); });
        },
        3s, false};
    larder_test::journal_contract(rig);
}
