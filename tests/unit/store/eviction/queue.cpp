// SPDX-License-Identifier: MIT

// The queue that eviction policies thread through a store's entries, and exact LRU.

#include "support/catch.hpp"
#include "support/plain_entries.hpp"

#include <larder/store/eviction/lru.hpp>
#include <larder/store/eviction/policy.hpp>
#include <larder/store/eviction/queue.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <vector>

using larder_test::BoundedKeys;
using larder_test::PlainEntries;
using Id = larder::EvictionQueue::Id;

static_assert(larder::EvictionEntries<PlainEntries>);
static_assert(larder::EvictionPolicy<larder::Lru>);

namespace {

// From the oldest to the newest, by both directions.
std::vector<Id> in_order(const larder::EvictionQueue& queue, const PlainEntries& entries) {
    std::vector<Id> ids;
    for (Id id = queue.oldest(); id != 0; id = entries.newer(id)) {
        ids.push_back(id);
    }
    std::vector<Id> back;
    for (Id id = queue.newest(); id != 0; id = entries.older(id)) {
        back.insert(back.begin(), id);
    }
    CHECK(back == ids);
    CHECK(queue.size() == ids.size());
    return ids;
}

}  // namespace

TEST_CASE("an entry is taken out of every place of a queue") {
    for (const Id taken : {Id{1}, Id{2}, Id{3}}) {
        PlainEntries entries{3};
        larder::EvictionQueue queue;
        std::vector<Id> left;
        for (const Id id : {Id{1}, Id{2}, Id{3}}) {
            queue.push(entries, id);
            if (id != taken) {
                left.push_back(id);
            }
        }
        queue.remove(entries, taken);
        CHECK(in_order(queue, entries) == left);
        queue.push(entries, taken);
        left.push_back(taken);
        CHECK(in_order(queue, entries) == left);
    }
    PlainEntries entries{1};
    larder::EvictionQueue queue;
    queue.push(entries, 1);
    CHECK(queue.oldest() == 1);
    CHECK(queue.newest() == 1);
    queue.remove(entries, 1);
    CHECK(in_order(queue, entries).empty());
}

TEST_CASE("a queue is in the order in which its entries came, after any steps") {
    constexpr Id most = 40;
    std::mt19937 random{1};
    PlainEntries entries{most};
    larder::EvictionQueue queue;
    std::deque<Id> model;
    for (int step = 0; step < 5'000; ++step) {
        const Id id = 1 + static_cast<Id>(random() % most);
        if (const auto at = std::find(model.begin(), model.end(), id); at != model.end()) {
            queue.remove(entries, id);
            model.erase(at);
        } else {
            queue.push(entries, id);
            model.push_back(id);
        }
        if (in_order(queue, entries) != std::vector<Id>(model.begin(), model.end())) {
            FAIL("after step " << step);
        }
    }
}

TEST_CASE("LRU evicts what was used the longest ago, after any steps") {
    constexpr std::size_t most = 30;
    std::mt19937 random{2};
    BoundedKeys<larder::Lru> keys{most};
    std::deque<std::uint64_t> model;  // the longest ago first
    for (int step = 0; step < 20'000; ++step) {
        const std::uint64_t key = random() % 60;
        const auto at = std::find(model.begin(), model.end(), key);
        const bool listed = at != model.end();
        if (listed) {
            model.erase(at);
        }
        if (listed && step % 7 == 0) {
            keys.remove(key);
        } else {
            if (!listed && model.size() == most) {
                REQUIRE(keys.evict() == model.front());
                model.pop_front();
            }
            REQUIRE(keys.get(key) == listed);
            model.push_back(key);
        }
    }
    keys.policy.clear();
    CHECK(keys.policy.evict(keys.entries) == 0);
}
