// SPDX-License-Identifier: MIT

// Stores and journals on a real cluster: while a slot moves, and when a primary is lost.

#include "support/catch.hpp"
#include "support/redis_cluster.hpp"
#include "support/versioned_table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/redis/detail/store/slot_names.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using larder::RedisStore;
using larder::StoreError;
using larder::WriteBehind;
using larder::detail::Finish;
using larder::detail::Lease;
using larder::detail::Slot;
using larder_test::RedisCluster;

namespace {

using Store = RedisStore<int, int>;

larder::redis::Client client_of(const RedisCluster& cluster, larder::Ttl timeout) {
    larder::redis::ClientOptions options = larder::redis::parse_url(cluster.url());
    options.command_timeout = timeout;
    return larder::redis::Client{options};
}

// The hash slot of a key of the namespace "n".
std::size_t slot_of(int key) {
    static const larder::redis::detail::SlotNames names{"n", 0, 64};
    return larder::redis::detail::hash_slot(names.slot(std::to_string(key)));
}

// Keys of one partition.
std::vector<int> neighbours(std::size_t count) {
    std::vector<int> some;
    for (int key = 1; some.size() < count; ++key) {
        if (slot_of(key) == slot_of(1)) {
            some.push_back(key);
        }
    }
    return some;
}

const larder::Lifetime minute{60s};
const larder::Tags red{"red"};

bool has(const Store& store, int key, int value) {
    const auto entry = store.find(key);
    return entry && entry->value == value;
}

}  // namespace

// Rule R3.
TEST_CASE("while a slot moves, one key goes on, and what needs two leaves nothing old",
          "[redis][cluster]") {
    static RedisCluster cluster{3};
    for (std::size_t i = 0; i < cluster.size(); ++i) {
        cluster.node(i).run("FLUSHALL");
    }
    Store store{client_of(cluster, 150ms), "n"};
    const auto k = neighbours(8);
    store.put(k[0], 10, minute);
    REQUIRE(store.fill(k[1], store.open(k[1]).lease, 20, {minute, red}).kept);
    const Lease early = store.open(k[2]).lease;
    const std::size_t slot = slot_of(1);
    const std::size_t to = (cluster.owner_of(slot) + 1) % 3;
    cluster.begin_move(slot, to);
    static_cast<void>(cluster.move_keys(slot, to, 1));

    SECTION("plain copies") {
        CHECK(has(store, k[0], 10));
        store.put(k[3], 30, minute);
        CHECK(has(store, k[3], 30));
        CHECK(store.erase(k[3]));
        CHECK(store.fill(k[3], store.open(k[3]).lease, 31, {minute}).kept);
        const auto ticket = store.begin_write(k[3], 30s);
        CHECK(store.open(k[3]).writing);
        CHECK(store.finish_write(k[3], ticket, Finish::value, 32, {minute}));
        CHECK(has(store, k[3], 32));
        CHECK(store.find_many(std::vector<int>{k[0], k[3]}).size() == 2);
    }
    SECTION("a fill with tags is dropped, and nobody is told that its tags stand") {
        const auto opening = store.open(k[3]);
        REQUIRE(opening.slot == Slot::lead);
        const auto filled = store.fill(k[3], opening.lease, 30, {minute, red});
        CHECK_FALSE(filled.kept);
        CHECK_FALSE(filled.tags_stand);
        CHECK_FALSE(store.find(k[3]));
        CHECK(store.open(k[3]).slot == Slot::lead);
        const larder::detail::CopyTerms terms{minute, red};
        const std::optional<int> value = 40;
        const std::vector<larder::detail::FillRequest<int, int>> rows{
            {&k[2], early, &value, &terms}};
        const auto all = store.fill_many(rows);
        CHECK_FALSE(all[0].kept);
        CHECK_FALSE(all[0].failure);
    }
    SECTION("a write with tags leaves nothing, and is known to have ended") {
        const auto ticket = store.begin_write(k[0], 30s);
        CHECK(store.finish_write(k[0], ticket, Finish::value, 11, {minute, {"blue"}}));
        CHECK_FALSE(store.find(k[0]));
        CHECK(store.open(k[0]).slot == Slot::lead);
    }
    SECTION(
        "a refresh in the background does not begin; one that is forced takes the copy with it") {
        CHECK(store.open_refresh(k[0], false).slot == Slot::hit);
        CHECK(has(store, k[0], 10));
        const auto forced = store.open_refresh(k[0], true);
        REQUIRE(forced.slot == Slot::lead);
        CHECK_FALSE(store.find(k[0]));
        CHECK(store.fill(k[0], forced.lease, 11, {minute}).kept);
        CHECK(has(store, k[0], 11));
    }
    SECTION("the invalidation of a tag is told") {
        store.invalidate_tags(red);
        CHECK_FALSE(store.find(k[1]));
        // What was loaded before is not kept, even where its tag is forgotten.
        cluster.end_move(slot, to);
        CHECK_FALSE(store.fill(k[2], early, 40, {minute, red}).kept);
    }
    SECTION("a change is acknowledged if it is recorded, and is not half done") {
        larder_test::Rows rows;
        WriteBehind cache{store, std::ref(rows), {.ttl = 1h}, {.delay = 1h, .drain = 10s}};
        CHECK_THROWS_AS(cache.put(k[0], 11), StoreError);
        CHECK(store.journal().size() == 0);
        cluster.end_move(slot, to);
        cache.put(k[0], 12);
        CHECK(cache.get(k[0]) == 12);
        CHECK(cache.flush(10s) == 0);
        CHECK(rows.load(k[0]) == 12);
    }
    SECTION("what was asked for across the end of the move is where the slot is") {
        const Lease late = store.open(k[3]).lease;
        cluster.end_move(slot, to);
        CHECK(store.fill(k[3], late, 30, {minute, red}).kept);
        CHECK(has(store, k[3], 30));
        CHECK(has(store, k[0], 10));
        store.clear();
        CHECK_FALSE(store.find(k[3]));
        CHECK_FALSE(store.find(k[0]));
    }
    if (cluster.owner_of(slot) != to) {
        cluster.end_move(slot, to);
    }
}
