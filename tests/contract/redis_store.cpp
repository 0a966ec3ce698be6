// SPDX-License-Identifier: MIT

// The store contract over RedisStore and a real server.

#include "store_contract.hpp"
#include "support/catch.hpp"
#include "support/eventually.hpp"
#include "support/redis_cluster.hpp"
#include "support/redis_server.hpp"
#include "support/redis_time.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

using larder::RedisStore;
using larder_test::Rig;

namespace {

// A codec as a user writes it.
struct Text {
    static constexpr bool textual = true;
    std::string encode(const std::string& text) const { return text; }
    std::string decode(std::string_view bytes) const { return std::string{bytes}; }
};

// One server for all cases: each begins with an empty one.
const larder_test::RedisServer& server() {
    static const larder_test::RedisServer one;
    return one;
}

template <class S>
Rig<S> rig_of(S store) {
    server().run("FLUSHALL");
    return {std::move(store), [](larder::Ttl by) { larder_test::pass_time(server(), by); },
            std::chrono::seconds{5}};
}

larder::redis::Client client() {
    static const larder::redis::Client one{server().unix_url()};
    return one;
}

using Strings = RedisStore<std::string, std::string, Text>;
using Numbers = RedisStore<int, int>;
using Tiers = larder::TieredStore<larder::MemoryStore<std::string, std::string>, Strings>;

// Time passes for near copies, too, once they have been told what has become of those in Redis.
Rig<Tiers> tiers() {
    Rig<Strings> far = rig_of(Strings{client(), "text"});
    Tiers store{larder::MemoryStore<std::string, std::string>{}, far.store, {}};
    return {store,
            [store, advance = far.advance](larder::Ttl by) mutable {
                advance(by);
                const std::string last = "the last word";
                const auto near = [&] { return store.look(last, [](auto&&...) {}, {}); };
                store.put(last, last, {std::chrono::hours{1}});
                REQUIRE(larder_test::eventually([&] { return store.find(last) && near(); }));
                server().run("DEL", "text:" + last);
                REQUIRE(larder_test::eventually([&] { return !near(); }));
            },
            far.grain};
}

static_assert(larder::CoherentStore<Strings>);
static_assert(larder::BatchStore<Strings>);
static_assert(larder::TaggingStore<Strings>);

}  // namespace

TEST_CASE("RedisStore keeps the store contract", "[contract][redis]") {
    auto rig = rig_of(Strings{client(), "text"});
    larder_test::store_contract(rig);
}

TEST_CASE("RedisStore keeps the slot protocol", "[contract][redis]") {
    auto rig = rig_of(Strings{client(), "text"});
    larder_test::slot_contract(rig);
}

TEST_CASE("RedisStore behind near copies keeps the store contract", "[contract][redis]") {
    auto rig = tiers();
    larder_test::store_contract(rig);
}

TEST_CASE("RedisStore behind near copies keeps the slot protocol", "[contract][redis]") {
    auto rig = tiers();
    larder_test::slot_contract(rig);
}

TEST_CASE("RedisStore of JSON keeps the store contract", "[contract][redis]") {
    auto rig = rig_of(Numbers{client(), "number", {.schema = 3}});
    larder_test::store_contract(rig);
}

TEST_CASE("RedisStore of JSON keeps the slot protocol", "[contract][redis]") {
    auto rig = rig_of(Numbers{client(), "number", {.schema = 3}});
    larder_test::slot_contract(rig);
}

// Rule R10.
TEST_CASE("RedisStore of four partitions keeps the store contract", "[contract][redis]") {
    auto rig = rig_of(Strings{client(), "parted", {.partitions = 4}});
    larder_test::store_contract(rig);
}

TEST_CASE("RedisStore of four partitions keeps the slot protocol", "[contract][redis]") {
    auto rig = rig_of(Strings{client(), "parted", {.partitions = 4}});
    larder_test::slot_contract(rig);
}

namespace {

// The same on a cluster, where all that a script touches must be in one slot.
larder_test::RedisCluster& cluster() {
    static larder_test::RedisCluster one;
    return one;
}

template <class S>
Rig<S> rig_on_cluster() {
    static const larder::redis::Client client{cluster().url()};
    for (std::size_t i = 0; i < cluster().size(); ++i) {
        cluster().node(i).run("FLUSHALL");
    }
    return {S{client, "clustered"},
            [](larder::Ttl by) {
                for (std::size_t i = 0; i < cluster().size(); ++i) {
                    larder_test::pass_time(cluster().node(i), by);
                }
            },
            std::chrono::seconds{5}};
}

}  // namespace

TEST_CASE("RedisStore on a cluster keeps the store contract", "[contract][redis][cluster]") {
    auto rig = rig_on_cluster<Strings>();
    larder_test::store_contract(rig);
}

TEST_CASE("RedisStore on a cluster keeps the slot protocol", "[contract][redis][cluster]") {
    auto rig = rig_on_cluster<Strings>();
    larder_test::slot_contract(rig);
}
