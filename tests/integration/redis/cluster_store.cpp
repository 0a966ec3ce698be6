// SPDX-License-Identifier: MIT

// Stores and journals on a real cluster: while a slot moves, and when a primary is lost.

#include "support/catch.hpp"
#include "support/caught.hpp"
#include "support/eventually.hpp"
#include "support/redis_cluster.hpp"
#include "support/table.hpp"
#include "support/versioned_table.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/redis/detail/store/slot_names.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
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

const larder::redis::detail::SlotNames names{"n", 0, 64};

std::size_t slot_of(int key) {
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
    Store store{client_of(cluster, 600ms), "n"};
    const auto k = neighbours(8);
    store.put(k[0], 10, minute);
    REQUIRE(store.fill(k[1], store.open(k[1]).lease, 20, {minute, red}).kept);
    const Lease early = store.open(k[2]).lease;
    const std::size_t slot = slot_of(1);
    const std::size_t to = (cluster.owner_of(slot) + 1) % 3;
    cluster.begin_move(slot, to);
    // A copy, and the version of its tag; not the clock beside it.
    const std::string copy = names.slot(std::to_string(k[1]));
    REQUIRE(cluster.move_these(slot, to, {copy, names.tag(names.home(copy), "red")}) == "OK");

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
    SECTION("many copies at once, though some have arrived, and one is nowhere") {
        const std::vector<int> keys{k[0], k[1], k[3]};
        std::vector<Store::Query> queries(keys.size());
        std::vector<std::size_t> seen;
        const auto before = store.client().stats().commands;
        store.peek_many(
            keys, [&](std::size_t i, const auto&...) { seen.push_back(i); }, std::span{queries});
        CHECK(seen == std::vector<std::size_t>{0, 1});
        // Refused once, then key by key, with ASKING where that is needed; then the tag of one.
        CHECK(store.client().stats().commands - before <= 13);
        CHECK(store.stats().store_errors == 0);
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

namespace {

// A cluster that loses the primary of a slot while `step` runs again and again, until it has run a
// while with the replica in its place.
void lose_primary(RedisCluster& cluster, std::size_t slot, const std::function<void()>& step) {
    const auto run_for = [&](std::chrono::milliseconds time) {
        const auto end = std::chrono::steady_clock::now() + time;
        while (std::chrono::steady_clock::now() < end) {
            step();
        }
    };
    run_for(150ms);
    const std::size_t primary = cluster.owner_of(slot);
    cluster.node(primary).kill();
    const auto latest = std::chrono::steady_clock::now() + 30s;
    while (cluster.owner_of(slot) >= cluster.size() || cluster.owner_of(slot) == primary) {
        REQUIRE(std::chrono::steady_clock::now() < latest);
        step();
    }
    cluster.node(primary).restart();  // as the replica of the other, now
    run_for(150ms);
    cluster.wait_until_ok();
    run_for(150ms);
}

}  // namespace

TEST_CASE("a primary is killed and replaced: what was promised holds", "[redis][cluster]") {
    RedisCluster cluster{3, 1};
    const auto keys = neighbours(4);
    using Clock = std::chrono::steady_clock;

    SECTION("changes that a replica has had are written") {
        const auto client = client_of(cluster, 300ms);
        const Store store{client, "n"};
        larder_test::Rows rows;
        std::map<int, int> acknowledged;
        std::size_t refused = 0;
        {
            larder::RedisJournal<int, int> journal{
                client, "n", {.durability = larder::redis::Durability::replicas(1)}};
            WriteBehind cache{store,
                              std::ref(rows),
                              journal,
                              {.ttl = 1h},
                              {.delay = 5ms, .claim = 500ms, .drain = 20s}};
            int value = 0;
            lose_primary(cluster, slot_of(1), [&] {
                const int key = keys[static_cast<std::size_t>(++value) % keys.size()];
                try {
                    cache.put(key, value);
                    acknowledged[key] = value;
                } catch (const larder::Error&) {
                    ++refused;  // it may have been recorded, or not
                }
            });
            CHECK(cache.flush(20s) == 0);
            for (const auto& [key, last] : acknowledged) {
                CHECK(rows.load(key).value_or(0) >= last);
                CHECK(cache.get(key) == rows.load(key));
            }
        }
        CHECK(acknowledged.size() == keys.size());
        CHECK(refused > 0);
    }
    SECTION("no copy is older than its life") {
        const larder::Ttl life = 400ms;
        larder_test::Table<> table;
        larder::WriteThrough here{
            Store{client_of(cluster, 300ms), "n"}, std::ref(table), {.ttl = life, .ticket = 5s}};
        larder::CacheAside there{
            Store{client_of(cluster, 300ms), "n"}, std::ref(table), {.ttl = life}};
        std::map<int, std::map<Clock::time_point, int>> written;
        int value = 0;
        std::size_t old = 0;
        std::size_t reads = 0;
        lose_primary(cluster, slot_of(1), [&] {
            const int key = keys[static_cast<std::size_t>(++value) % keys.size()];
            here.put(key, value);  // never fails: the database decides
            written[key].emplace(Clock::now(), value);
            const auto before = Clock::now() - life - 50ms;
            const auto seen = there.get(key);
            const auto& all = written[key];
            auto at = all.upper_bound(before);
            if (at != all.begin() && seen.value_or(0) < std::prev(at)->second) {
                ++old;
            }
            ++reads;
        });
        INFO(old << " of " << reads << " reads");
        CHECK(old == 0);
        CHECK(there.stats().hits > 0);
        const auto hits = there.stats().hits;
        CHECK(larder_test::eventually([&] {  // the store is asked again
            static_cast<void>(there.get(keys[0]));
            return there.stats().hits > hits;
        }));
    }
}

// The namespace's number of partitions is kept there, too.
TEST_CASE("a primary that is lost, and not replaced, costs its own keys alone",
          "[redis][cluster]") {
    RedisCluster cluster{3};
    const auto client = client_of(cluster, 300ms);
    Store store{client, "n"};
    larder::RedisJournal<int, int> journal{client, "n"};
    const std::size_t lost = cluster.owner_of("~partitions:n");
    int gone = 1;
    while (cluster.owner_of(slot_of(gone)) != lost) {
        ++gone;
    }
    std::vector<int> kept;  // some of each of the others
    for (const std::size_t node : {(lost + 1) % 3, (lost + 2) % 3}) {
        for (int key = 1, left = 10; left > 0; ++key) {
            if (cluster.owner_of(slot_of(key)) == node) {
                kept.push_back(key);
                --left;
            }
        }
    }
    constexpr std::size_t most = 1000;
    // The copies of policies: of values with tags, and without.
    larder_test::Table<> table;
    std::vector<int> all = kept;
    all.push_back(gone);
    for (const int key : all) {
        table.set(key, key);
    }
    std::vector<larder::Event> events;
    larder::CacheAside plain{Store{client, "plain"}, std::ref(table), {.ttl = 1h, .ticket = 5s}};
    larder::Tagged tagged{
        larder::CacheAside{
            Store{client, "tagged"},
            std::ref(table),
            {.ttl = 1h, .observer = [&](const larder::Event& e) { events.push_back(e); }}},
        [](int) { return red; }};
    const std::vector<std::optional<int>> rows = plain.get_many(all);
    CHECK(tagged.get_many(all) == rows);
    larder_test::Rows later;
    WriteBehind behind{
        Store{client, "behind"}, std::ref(later), {.ttl = 1h}, {.delay = 1h, .drain = 0s}};
    behind.put(gone, 1);
    store.put(kept[0], 1, minute);
    CHECK(journal.record({gone, 1, 0}, most));
    cluster.node(lost).kill();
    for (std::size_t i = 0; i < cluster.size(); ++i) {
        if (i != lost) {
            cluster.node(i).run("SCRIPT", "FLUSH");  // none has been asked by a flusher yet
        }
    }
    // The others' keys are hits, or are filled, at once with that which is neither.
    plain.invalidate(kept[1]);
    tagged.invalidate(kept[1]);
    CHECK(plain.get_many(all) == rows);
    CHECK(tagged.get_many(all) == rows);
    for (int time = 0; time < 3; ++time) {
        const int loads = table.loads;
        const std::uint64_t hits = plain.stats().hits + tagged.stats().hits;
        CHECK(plain.get_many(all) == rows);
        CHECK(tagged.get_many(all) == rows);
        CHECK(table.loads == loads + 2);
        CHECK(plain.stats().hits + tagged.stats().hits == hits + 2 * kept.size());
    }
    CHECK(plain.stats().store_errors > 0);
    CHECK(std::any_of(events.begin(), events.end(), [&](const larder::Event& event) {
        return event.kind == larder::EventKind::store_failed;
    }));
    CHECK_THROWS_AS(Store(client, "plain").find_many(all), StoreError);
    // Who comes anew cannot know the number of partitions.
    const auto unknown =
        larder_test::caught_text([&] { static_cast<void>(Store(client, "n").find(kept[0])); });
    CHECK(unknown.find("~partitions:n") != std::string::npos);
    larder::CacheAside late{Store{client, "n"}, std::ref(table), {.ttl = 1h}};
    CHECK(late.fetch(kept[1]).source == larder::Source::bypassed);
    // A batch of changes says of each whether it is recorded, and those that are get written.
    try {
        std::vector<std::pair<int, int>> changes;
        for (const int key : all) {
            changes.emplace_back(key, 2 * key);
        }
        behind.put_many(changes);
        FAIL("one cannot be recorded");
    } catch (const larder::PartialWrite<int>& partial) {
        for (const auto& [key, written] : partial.keys()) {
            CHECK(written == (key == gone ? larder::Written::unknown : larder::Written::yes));
        }
    }
    CHECK_THROWS_AS(behind.flush(200ms), StoreError);  // nobody knows what waits there
    for (const int key : kept) {
        CHECK(larder_test::eventually([&, at = key] { return later.load(at) == 2 * at; }));
    }
    plain.put_many(std::vector<std::pair<int, int>>{{kept[0], -1}, {gone, -1}, {kept.back(), -1}});
    CHECK(plain.get_many(std::vector<int>{gone, kept[0], kept.back(), kept[1]}) ==
          std::vector<std::optional<int>>{-1, -1, -1, kept[1]});
    for (const int key : {kept[0], kept.back()}) {
        CHECK(plain.fetch(key).source == larder::Source::hit);  // it is not distrusted
    }
    for (const int key : kept) {
        store.put(key, key, minute);
        CHECK(has(store, key, key));
        CHECK(journal.record({key, key, 0}) > 0);
        CHECK(journal.record({key, 2 * key, 0}, most));
        CHECK(journal.pending(key).has_value());
    }
    // An invalidation that was missed is told as soon as its own node answers.
    CHECK(store.queue_invalidation(gone, most, {}));
    CHECK(store.queue_invalidation(kept[0], most, {}));
    CHECK(larder_test::eventually([&] { return store.queued_invalidations() == 1; }));
    CHECK_THROWS_AS(store.put(gone, 1, minute), StoreError);
    CHECK_THROWS_AS(journal.record({gone, 1, 0}), StoreError);
    CHECK_THROWS_AS(static_cast<void>(journal.size()), StoreError);
    const auto claims = journal.claim(100, 60s, 0s);
    CHECK(claims.size() == kept.size());
    CHECK(journal.settle(claims) == std::vector<bool>(kept.size(), true));
    cluster.node(lost).start();
    cluster.wait_until_ok();
    CHECK(larder_test::eventually([&] {  // once it is asked again
        try {
            return journal.size() == 0;  // it kept nothing on a disk
        } catch (const StoreError&) {
            return false;
        }
    }));
    CHECK(journal.record({gone, 1, 0}, most));
    store.put(gone, 1, minute);
    CHECK(has(store, gone, 1));
}
