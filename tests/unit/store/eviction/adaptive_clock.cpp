// SPDX-License-Identifier: MIT

// The eviction policy of MemoryStore: what it keeps, and that it does what it says.

#include "support/catch.hpp"
#include "support/plain_entries.hpp"

#include <larder/store/eviction/adaptive_clock.hpp>
#include <larder/store/eviction/ghosts.hpp>
#include <larder/store/eviction/lru.hpp>
#include <larder/store/eviction/policy.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <utility>
#include <vector>

using larder::AdaptiveClock;
using larder::GhostTable;
using larder_test::BoundedKeys;
using larder_test::spread;
using Keys = std::vector<std::uint64_t>;

static_assert(larder::EvictionPolicy<AdaptiveClock>);

namespace {

constexpr unsigned in_small = 0;
constexpr unsigned in_main = 1;

Keys range(std::uint64_t from, std::uint64_t to, int times = 1) {
    Keys keys;
    for (int n = 0; n < times; ++n) {
        for (std::uint64_t key = from; key < to; ++key) {
            keys.push_back(key);
        }
    }
    return keys;
}

// Most are asked again soon, the further back the rarer: what LRU is best at.
Keys recent(std::size_t count, double spread_of_distance) {
    std::mt19937 random{3};
    std::lognormal_distribution<double> distance{5, spread_of_distance};
    std::deque<std::uint64_t> newest_first;
    Keys keys;
    for (std::uint64_t next = 0; keys.size() < count;) {
        const auto back = static_cast<std::size_t>(distance(random));
        if (back >= newest_first.size() || random() % 50 == 0) {
            keys.push_back(next++);
        } else {
            keys.push_back(newest_first[back]);
            newest_first.erase(newest_first.begin() + static_cast<std::ptrdiff_t>(back));
        }
        newest_first.push_front(keys.back());
        if (newest_first.size() > 5'000) {
            newest_first.pop_back();
        }
    }
    return keys;
}

unsigned queue_of(BoundedKeys<AdaptiveClock>& keys, std::uint64_t key) {
    return keys.entries.queue(keys.ids.at(key));
}

// The rule in plain words, over plain queues.
class Model {
public:
    struct Entry {
        std::uint64_t key;
        unsigned uses = 0;
    };

    void insert(std::uint64_t key) {
        if (!full_) {
            main.push_back({key});
            return;
        }
        const std::uint64_t step = 2 * whole / std::max(size(), std::size_t{1});
        switch (ghosts_.recall(spread(key))) {
            case GhostTable::Kind::none: small.push_back({key}); break;
            case GhostTable::Kind::main:
                share_ = std::max(share_, whole / 50 + step) - step;
                small.push_back({key});
                break;
            case GhostTable::Kind::small_young:
                share_ = std::min(share_ + step, whole - whole / 50);
                [[fallthrough]];
            case GhostTable::Kind::small_old:
                main.push_back({key});
                live();
                break;
        }
    }

    std::uint64_t evict() {
        full_ = true;
        for (int left = 64;;) {
            --left;
            const std::size_t room = std::max(std::size_t{1}, size() * share_ / whole);
            const bool from_small = main.empty() || small.size() > room;
            Entry entry = take_oldest(from_small ? small : main);
            if (entry.uses > 0 && left > 0) {
                if (from_small) {
                    live();
                    (entry.uses == 6 ? main : small).push_back({entry.key});
                } else {
                    main.push_back({entry.key, std::min(entry.uses, 2U) - 1});
                }
                continue;
            }
            if (from_small) {
                ++evicted_;
                idle_ = std::min(idle_ + 1, 32 * size());
                if (idle_ > 2 * size() && evicted_ % (16 + 4 * idle_ / size()) == 0 &&
                    !main.empty()) {
                    const Entry old = take_oldest(main);
                    if (old.uses == 0) {
                        ghosts_.add(spread(old.key), GhostTable::Kind::main, size());
                        main.push_back({entry.key});
                        return old.key;
                    }
                    main.push_back({old.key, std::min(old.uses, 2U) - 1});
                }
            }
            ghosts_.add(spread(entry.key),
                        from_small ? GhostTable::Kind::small_old : GhostTable::Kind::main, size());
            return entry.key;
        }
    }

    Entry* find(std::uint64_t key) {
        for (auto* queue : {&small, &main}) {
            for (Entry& entry : *queue) {
                if (entry.key == key) {
                    return &entry;
                }
            }
        }
        return nullptr;
    }
    void remove(std::uint64_t key) {
        for (auto* queue : {&small, &main}) {
            std::erase_if(*queue, [&](const Entry& entry) { return entry.key == key; });
        }
    }
    [[nodiscard]] std::size_t size() const { return small.size() + main.size(); }

    std::deque<Entry> small, main;

private:
    static constexpr std::uint64_t whole = std::uint64_t{1} << 32;

    static Entry take_oldest(std::deque<Entry>& queue) {
        const Entry entry = queue.front();
        queue.pop_front();
        return entry;
    }

    void live() { idle_ -= std::min(idle_, std::size_t{256}); }

    GhostTable ghosts_;
    std::uint64_t share_ = whole / 10;
    std::size_t evicted_ = 0;
    std::size_t idle_ = 0;
    bool full_ = false;
};

}  // namespace

TEST_CASE("without uses entries go in the order in which they came") {
    BoundedKeys<AdaptiveClock> keys{10};
    keys.hits(range(0, 10));
    for (std::uint64_t key = 0; key < 10; ++key) {
        CHECK(keys.evict() == key);
    }
    CHECK(keys.policy.evict(keys.entries) == 0);
}

TEST_CASE("what comes first is in the main queue, what comes after an eviction in the small one") {
    BoundedKeys<AdaptiveClock> keys{10};
    keys.hits(range(0, 11));
    CHECK(queue_of(keys, 9) == in_main);
    CHECK(queue_of(keys, 10) == in_small);
}

TEST_CASE("a key that comes back soon is in the main queue") {
    BoundedKeys<AdaptiveClock> keys{100};
    keys.hits(range(0, 150));
    CHECK_FALSE(keys.get(125));
    CHECK(queue_of(keys, 125) == in_main);
    CHECK_FALSE(keys.get(0));  // left the main queue: it is to prove itself again
    CHECK(queue_of(keys, 0) == in_small);
}

TEST_CASE("what is used in the small queue goes round, and to the main queue after many uses") {
    const int uses = GENERATE(1, 5, 6);
    BoundedKeys<AdaptiveClock> keys{100};
    keys.hits(range(0, 200));
    keys.hits(Keys(static_cast<std::size_t>(uses + 1), 200));
    keys.hits(range(1'000, 1'015));  // once round the small queue
    REQUIRE(keys.ids.contains(200));
    CHECK(queue_of(keys, 200) == (uses == 6 ? in_main : in_small));
    keys.hits(range(2'000, 2'015));
    CHECK(keys.ids.contains(200) == (uses == 6));
}

TEST_CASE("a scan leaves what is in use") {
    BoundedKeys<AdaptiveClock> keys{1'000};
    BoundedKeys<larder::Lru> lru{1'000};
    std::uint64_t next = 10'000;
    std::size_t hits = 0;
    std::size_t lru_hits = 0;
    for (int round = 0; round < 20; ++round) {
        const Keys scan = range(next, next + 900);
        next += 900;
        keys.hits(scan);
        lru.hits(scan);
        hits += keys.hits(range(0, 300));
        lru_hits += lru.hits(range(0, 300));
    }
    CHECK(hits > 20 * 300 * 85 / 100);
    CHECK(lru_hits == 0);
}

TEST_CASE("a loop somewhat longer than the room has hits, also when it begins late") {
    const bool late = GENERATE(false, true);
    const std::uint64_t most = 1'000;
    BoundedKeys<AdaptiveClock> keys{most};
    if (late) {
        keys.hits(range(100'000, 110'000));
    }
    keys.hits(range(0, 3 * most, 40));
    const std::size_t hits = keys.hits(range(0, 3 * most, 10));
    CHECK(hits > 10 * most * 8 / 10);
}

TEST_CASE("the small queue grows for recency and gives way for frequency") {
    const Keys recency = recent(100'000, 1.5);
    BoundedKeys<AdaptiveClock> keys{800};
    BoundedKeys<larder::Lru> lru{800};
    CHECK(keys.hits(recency) * 100 > lru.hits(recency) * 98);

    // Then a few keys among many that come once.
    Keys frequency;
    std::mt19937 random{4};
    for (std::uint64_t once = 1'000'000; frequency.size() < 200'000; ++once) {
        frequency.push_back(once);
        frequency.push_back(500'000 + random() % 700);
    }
    const std::size_t hits = keys.hits(frequency);
    CHECK(hits > 90'000);
    CHECK(hits > lru.hits(frequency) * 13 / 10);
}

TEST_CASE("an eviction looks at no more than 64 entries, however many are in use") {
    constexpr std::uint64_t most = 5'000;
    BoundedKeys<AdaptiveClock> keys{most};
    keys.hits(range(0, most, 8));
    for (std::uint64_t key = most; key < 2 * most; ++key) {
        keys.entries.asked = 0;
        keys.evict();
        CHECK(keys.entries.asked <= 130);  // each twice, and one in passing
        keys.get(key);
    }
}

TEST_CASE("a policy does what its rule says, after any steps") {
    const std::size_t most = GENERATE(1U, 2U, 7U, 60U, 400U);
    std::mt19937 random{static_cast<unsigned>(most)};
    BoundedKeys<AdaptiveClock> keys{most};
    Model model;
    std::uint64_t scan = 1'000'000;
    for (int step = 0; step < 60'000; ++step) {
        // Phases: near keys, a loop, a scan.
        const int phase = step / 10'000 % 3;
        const std::uint64_t key = phase == 0   ? random() % (2 * most) * (random() % 2)
                                  : phase == 1 ? static_cast<std::uint64_t>(step) % (3 * most)
                                               : ++scan;
        Model::Entry* const entry = model.find(key);
        REQUIRE(keys.ids.contains(key) == (entry != nullptr));
        if (entry != nullptr && random() % 50 == 0) {
            model.remove(key);
            keys.remove(key);
            continue;
        }
        if (entry == nullptr && model.size() == most) {
            REQUIRE(keys.evict() == model.evict());
        }
        keys.get(key);
        if (entry != nullptr) {
            entry->uses = std::min(entry->uses + 1, 6U);
        } else {
            model.insert(key);
        }
        if (step % 100 == 0) {
            for (const auto& [queue, number] :
                 {std::pair{&model.small, in_small}, {&model.main, in_main}}) {
                for (const Model::Entry& listed : *queue) {
                    REQUIRE(queue_of(keys, listed.key) == number);
                    REQUIRE(keys.entries.uses(keys.ids.at(listed.key)) == listed.uses);
                }
            }
        }
    }
}

TEST_CASE("cleared, a policy begins anew, and moved it goes on") {
    BoundedKeys<AdaptiveClock> keys{100};
    keys.hits(range(0, 1'000));
    AdaptiveClock policy = std::move(keys.policy);
    CHECK(policy.evict(keys.entries) != 0);
    policy.clear();
    CHECK(policy.evict(keys.entries) == 0);

    larder_test::PlainEntries entries{1};
    entries.set_key(1, 999);
    policy.insert(entries, 1, spread(999));
    CHECK(entries.queue(1) == in_small);  // evict was asked since
    policy.clear();
    policy.insert(entries, 1, spread(999));
    CHECK(entries.queue(1) == in_main);
    CHECK(policy.evict(entries) == 1);
    CHECK(policy.evict(entries) == 0);
}
