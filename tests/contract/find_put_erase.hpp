// SPDX-License-Identifier: MIT

/// @file
/// The contract of find, put and erase: what every Store promises.

#ifndef LARDER_TESTS_CONTRACT_FIND_PUT_ERASE_HPP
#define LARDER_TESTS_CONTRACT_FIND_PUT_ERASE_HPP

#include "bench.hpp"
#include "support/catch.hpp"
#include "support/history.hpp"

#include <larder/larder.hpp>

#include <atomic>
#include <chrono>
#include <concepts>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace larder_test {

/// What every Store promises.
template <class S>
void store_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    using B = Bench<S>;
    auto& store = b.store;
    static_assert(larder::Store<typename B::Store>);

    SECTION("an empty store has nothing") {
        CHECK_FALSE(store.find(b.k));
        CHECK_FALSE(store.erase(b.k));
    }
    SECTION("what was put is found, with the time it has left") {
        b.put(1);
        const auto entry = store.find(b.k);
        REQUIRE(entry);
        CHECK(entry->value == b.value(1));
        CHECK(b.lasts(entry->remaining, 60s));
        rig.advance(20s);
        CHECK(b.lasts(store.find(b.k)->remaining, 40s));
    }
    SECTION("a value takes the place of another, whatever life either has") {
        b.put(1, {10s});
        b.put(2, {60s});
        rig.advance(11s);
        CHECK(b.has(2));
        b.put(3, {5s});
        rig.advance(6s);
        CHECK(b.absent());
    }
    SECTION("what was erased is gone, and was there once") {
        b.put(1);
        CHECK(store.erase(b.k));
        CHECK(b.absent());
        CHECK_FALSE(store.erase(b.k));
    }
    SECTION("a known absence is an entry without a value") {
        store.put(b.k, std::nullopt, minute);
        const auto entry = store.find(b.k);
        REQUIRE(entry);
        CHECK_FALSE(entry->value);
        CHECK(b.lasts(entry->remaining, 60s));
        CHECK(store.erase(b.k));
        CHECK(b.absent());
    }
    SECTION("a value and a known absence take each other's place") {
        store.put(b.k, std::nullopt, minute);
        b.put(1);
        CHECK(b.has(1));
        store.put(b.k, std::nullopt, minute);
        REQUIRE(store.find(b.k));
        CHECK_FALSE(store.find(b.k)->value);
    }
    SECTION("without a grace an entry is gone when its life ends") {
        b.put(1, minute);
        rig.advance(60s - rig.grain);
        REQUIRE(b.has(1));
        CHECK(b.lasts(store.find(b.k)->remaining, rig.grain));
        rig.advance(rig.grain);
        CHECK(b.absent());
        CHECK_FALSE(store.erase(b.k));
    }
    SECTION("within its grace an entry is there, as stale") {
        b.put(1, minute_with_grace);
        rig.advance(60s);
        REQUIRE(b.has(1));
        CHECK(store.find(b.k)->remaining <= Ttl::zero());
        rig.advance(30s - rig.grain);
        REQUIRE(b.has(1));
        rig.advance(rig.grain);
        CHECK(b.absent());
    }
    SECTION("a stale entry can be erased and replaced") {
        b.put_stale(1);
        CHECK(store.erase(b.k));
        b.put_stale(2);
        b.put(3);
        REQUIRE(b.has(3));
        CHECK(b.lasts(store.find(b.k)->remaining, 60s));
    }
    SECTION("keys are apart") {
        for (int i = 0; i < 50; ++i) {
            store.put(b.key(i), b.value(i), minute);
        }
        CHECK(store.erase(b.key(7)));
        for (int i = 0; i < 50; ++i) {
            const auto entry = store.find(b.key(i));
            CHECK(entry.has_value() == (i != 7));
            CHECK((!entry || entry->value == b.value(i)));
        }
    }
    SECTION("a copy of the store is a handle to the same entries") {
        auto other = store;
        b.put(1);
        REQUIRE(other.find(b.k));
        CHECK(other.find(b.k)->value == b.value(1));
        other.erase(b.k);
        CHECK(b.absent());
    }
    if constexpr (std::same_as<typename B::K, std::string> &&
                  requires { store.find(std::string_view{}); }) {
        SECTION("a string key is looked up by a view of it") {
            b.put(1);
            const std::string_view view{b.k};
            REQUIRE(store.find(view));
            CHECK(store.find(view)->value == b.value(1));
            CHECK(store.find(b.k.c_str()));
            CHECK(store.erase(view));
            CHECK(b.absent());
        }
    }
    if constexpr (larder::BatchStore<typename B::Store>) {
        using Pair = std::pair<typename B::K, std::optional<typename B::V>>;
        SECTION("a batch answers in the order of its keys") {
            const std::vector<Pair> pairs{
                {b.key(1), b.value(1)}, {b.key(2), std::nullopt}, {b.key(3), b.value(3)}};
            store.put_many(pairs, minute);
            const std::vector keys{b.key(3), b.key(9), b.key(2), b.key(1), b.key(3)};
            const auto entries = store.find_many(keys);
            REQUIRE(entries.size() == 5);
            REQUIRE(entries[0]);
            CHECK(entries[0]->value == b.value(3));
            CHECK(b.lasts(entries[0]->remaining, 60s));
            CHECK_FALSE(entries[1]);
            REQUIRE(entries[2]);
            CHECK_FALSE(entries[2]->value);
            REQUIRE(entries[3]);
            CHECK(entries[3]->value == b.value(1));
            CHECK(entries[4]);
            const std::vector some{b.key(1), b.key(9), b.key(2)};
            CHECK(store.erase_many(some) == 2);
            CHECK_FALSE(store.find(b.key(1)));
            CHECK(store.find(b.key(3)));
        }
        SECTION("of the values that a batch puts under one key the last wins") {
            const std::vector<Pair> pairs{{b.k, b.value(1)}, {b.k, b.value(2)}};
            store.put_many(pairs, minute);
            CHECK(b.has(2));
        }
        SECTION("an empty batch does nothing") {
            const std::vector<typename B::K> none;
            CHECK(store.find_many(none).empty());
            CHECK(store.erase_many(none) == 0);
            store.put_many(std::vector<Pair>{}, minute);
        }
    }
    SECTION("of all who erase a key at once, one had it") {
        for (int round = 0; round < 30; ++round) {
            b.put(round);
            std::atomic<int> had{0};
            at_once(4, [&](int) { had += store.erase(b.k) ? 1 : 0; });
            CHECK(had == 1);
        }
    }
    SECTION("puts and finds of one key are explained by one order") {
        History history;
        b.put(0);
        std::atomic<bool> done{false};
        at_once(3, [&](int who) {
            if (who == 0) {
                for (int i = 1; i <= 300; ++i) {
                    history.write([&] {
                        b.put(i);
                        return i;
                    });
                }
                done = true;
                return;
            }
            for (int i = 0; i < 2000 && !done; ++i) {
                history.read([&] { return b.number(*store.find(b.k)->value); });
            }
        });
        CHECK(history.unexplained() == std::vector<std::string>{});
        CHECK(b.has(300));
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_FIND_PUT_ERASE_HPP
