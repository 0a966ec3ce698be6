// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/hash_index.hpp>

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

using larder::detail::EntryId;
using larder::detail::HashIndex;

namespace {

// An index beside what it should hold.
struct Pair {
    HashIndex index{};
    std::map<EntryId, std::uint64_t> hashes{};

    void insert(EntryId id, std::uint64_t hash) {
        index.reserve_one();
        hashes[id] = hash;
        index.insert(hash, id, [this](EntryId of) { return hashes.at(of); });
    }
    bool erase(EntryId id) {
        const std::uint64_t hash = hashes.at(id);
        hashes.erase(id);
        return index.erase(hash, id);
    }
    [[nodiscard]] bool finds(EntryId id) const {
        auto alike = index.alike(hashes.at(id));
        while (const EntryId found = alike.next()) {
            if (found == id) {
                return true;
            }
        }
        return false;
    }
    // Each once, and nothing else.
    [[nodiscard]] std::string fault() const {
        std::map<std::uint64_t, std::set<EntryId>> by_hash;
        for (const auto& [id, hash] : hashes) {
            by_hash[hash].insert(id);
        }
        for (const auto& [hash, ids] : by_hash) {
            std::multiset<EntryId> seen;
            auto alike = index.alike(hash);
            while (const EntryId found = alike.next()) {
                if (hashes.count(found) == 0) {
                    return "finds " + std::to_string(found) + ", which is not there";
                }
                seen.insert(found);
            }
            for (const EntryId id : ids) {
                if (seen.count(id) != 1) {
                    return "finds " + std::to_string(id) + " " + std::to_string(seen.count(id)) +
                           " times";
                }
            }
        }
        return {};
    }
};

}  // namespace

TEST_CASE("an index finds what is in it, however hashes fall", "[memory][hash_index]") {
    // How many bits of a hash differ: of few, all entries are in chains of few buckets.
    const std::uint64_t mask = GENERATE(std::uint64_t{0}, std::uint64_t{3}, std::uint64_t{0xff},
                                        std::uint64_t{0xffff00000000U}, ~std::uint64_t{0});
    std::mt19937_64 random{7};
    Pair pair;
    EntryId next = 1;
    std::vector<EntryId> there;
    for (int step = 0; step < 6000; ++step) {
        // Grows at first, then shrinks to nothing and grows again.
        const bool grows = step < 2000 || (step >= 4000 && random() % 4 != 0);
        if (there.empty() || (grows ? random() % 8 != 0 : random() % 8 == 0)) {
            pair.insert(next, random() & mask);
            there.push_back(next++);
        } else {
            std::swap(there[random() % there.size()], there.back());
            REQUIRE(pair.erase(there.back()));
            there.pop_back();
        }
        if (step % 500 == 0) {
            REQUIRE(pair.fault() == "");
        }
    }
    CHECK(pair.fault() == "");
    for (const EntryId id : there) {
        CHECK(pair.finds(id));
        CHECK(pair.erase(id));
    }
}

TEST_CASE("an entry whose hash has changed can be unlisted all the same", "[memory][hash_index]") {
    Pair pair;
    for (EntryId id = 1; id <= 300; ++id) {
        pair.insert(id, id * 0x9e3779b97f4a7c15U);
    }
    CHECK_FALSE(pair.index.erase(1, 17));  // not its hash
    CHECK(pair.index.erase_anywhere(17));
    CHECK_FALSE(pair.index.erase_anywhere(17));
    pair.hashes.erase(17);
    CHECK(pair.fault() == "");
}

TEST_CASE("a hash that changes its mind harms nothing but itself", "[memory][hash_index]") {
    std::mt19937_64 random{3};
    HashIndex index;
    std::set<EntryId> there;
    for (EntryId id = 1; id <= 5000; ++id) {
        index.reserve_one();
        index.insert(random(), id, [&](EntryId) { return random(); });
        there.insert(id);
        if (id % 3 == 0) {
            const EntryId goes = *there.begin();
            CHECK((index.erase(random(), goes) || index.erase_anywhere(goes)));
            there.erase(goes);
        }
    }
    for (const EntryId id : there) {
        CHECK(index.erase_anywhere(id));
    }
}

TEST_CASE("a reader without the lock gives up on a long chain", "[memory][hash_index]") {
    Pair pair;
    auto none = pair.index.alike_unlocked(1);
    CHECK(none.next() == 0);
    CHECK(none.complete());
    for (EntryId id = 1; id <= 1000; ++id) {
        pair.insert(id, 42);
    }
    auto alike = pair.index.alike_unlocked(42);
    std::size_t seen = 0;
    while (alike.next() != 0) {
        ++seen;
    }
    CHECK(seen < 1000);
    CHECK_FALSE(alike.complete());
}
