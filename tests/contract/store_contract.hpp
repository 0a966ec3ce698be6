// SPDX-License-Identifier: MIT

/// @file
/// The store contract, written once: what every Store promises, and row by row of the slot protocol
/// what every CoherentStore promises besides.
///
/// A store joins by an empty one, and a way to move the time that it lives by:
///
/// ```cpp
/// TEST_CASE("MyStore keeps the store contract") {
///     larder::ManualClock clock;
///     larder_test::Rig<MyStore> rig{MyStore{clock}, [clock](auto by) mutable { clock.advance(by); }};
///     larder_test::store_contract(rig);
///     larder_test::slot_contract(rig);  // only for a CoherentStore
/// }
/// ```

#ifndef LARDER_TESTS_CONTRACT_STORE_CONTRACT_HPP
#define LARDER_TESTS_CONTRACT_STORE_CONTRACT_HPP

#include "support/catch.hpp"
#include "support/history.hpp"
#include "support/leading.hpp"

#include <larder/detail/flight/waiting.hpp>
#include <larder/larder.hpp>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

/// A store under test, empty at first.
template <class S>
struct Rig {
    S store;
    std::function<void(larder::Ttl)> advance;

    /// How exactly it keeps time: 1 ms by a clock that a test moves, more where real time passes, too.
    larder::Ttl grain{1};
};

/// Another key or value for each number, and back. Specialise it for types of your own.
template <class T>
struct Numbered {
    static T of(int i) { return static_cast<T>(i); }
    static int from(const T& t) { return static_cast<int>(t); }
};
template <>
struct Numbered<std::string> {
    static constexpr std::string_view text = "text that is too long to be kept in place ";
    static std::string of(int i) { return std::string{text} + std::to_string(i); }
    static int from(const std::string& s) { return std::stoi(s.substr(text.size())); }
};

namespace contract {

using larder::Lifetime;
using larder::Ttl;
using larder::detail::Finish;
using larder::detail::Lease;
using larder::detail::Slot;
using larder::detail::Ticket;
using namespace std::chrono_literals;

inline constexpr Lifetime minute{60s};
inline constexpr Lifetime minute_with_grace{60s, 30s};

/// What `peek` shows.
template <class V>
struct Seen {
    bool there = false;
    std::optional<V> value{};
    bool fresh = false;
    bool refreshing = false;
};

/// A rig, and short words for what the cases do with it.
template <class S>
struct Bench {
    using Store = S;
    using K = typename Store::key_type;
    using V = typename Store::value_type;
    using Opening = larder::detail::Opening<V>;

    Rig<S>& rig;
    Store& store;
    K k = key(1);

    explicit Bench(Rig<S>& given) : rig{given}, store{given.store} {}

    static V value(int i) { return Numbered<V>::of(100 + i); }
    static int number(const V& v) { return Numbered<V>::from(v) - 100; }
    static K key(int i) { return Numbered<K>::of(i); }

    void put(int i, Lifetime life = minute) { store.put(k, value(i), life); }
    void put_stale(int i) {
        put(i, minute_with_grace);
        rig.advance(61s);
    }
    bool has(int i) {
        const auto entry = store.find(k);
        return entry && entry->value == value(i);
    }
    bool absent() { return !store.find(k); }
    bool lasts(Ttl remaining, Ttl expected) const {
        return remaining <= expected && remaining > expected - rig.grain;
    }

    // ---- the slot protocol ----

    Seen<V> peek() {
        Seen<V> seen;
        seen.there = store.peek(
            k, [&](const V* v, larder::detail::Remaining remaining, Ttl life, bool refreshing) {
                if (v != nullptr) {
                    seen.value = *v;
                }
                seen.fresh = remaining > remaining.zero();
                seen.refreshing = refreshing;
                CHECK((life == Ttl::zero() || life == 60s));  // where the store knows it
            });
        return seen;
    }
    Slot slot() { return peek().there ? Slot::hit : store.open(k).slot; }

    Leading<V> lead() { return Leading<V>{store.open(k)}; }
    Leading<V> lead_refresh(bool force = false) { return Leading<V>{store.open_refresh(k, force)}; }
    bool fill(const Lease& lease, int i, Lifetime life = minute) {
        return store.fill(k, lease, value(i), {life}).kept;
    }
    Ticket begin(Ttl life = 30s) {
        Ticket ticket = store.begin_write(k, life);
        REQUIRE(ticket);
        return ticket;
    }
    bool finish(const Ticket& ticket, int i) {
        return store.finish_write(k, ticket, Finish::value, value(i), {minute});
    }
    bool finish_nothing(const Ticket& ticket) {
        return store.finish_write(k, ticket, Finish::nothing, {}, {});
    }
    // Nobody has the slot in hand, and no copy is there.
    bool is_free() {
        if (!absent() || store.underway(k)) {
            return false;
        }
        const Opening opening = store.open(k);
        if (opening.slot == Slot::lead) {
            store.release(k, opening.lease);
        }
        return opening.slot == Slot::lead && nothing_in_hand();
    }
    bool nothing_in_hand() { return store.in_hand() == larder::detail::InHand{}; }
};

/// Runs `work(i)` on as many threads at once.
template <class Work>
void at_once(int threads, const Work& work) {
    std::barrier start{threads};
    std::vector<std::jthread> crowd;
    for (int i = 0; i < threads; ++i) {
        crowd.emplace_back([&, i] {
            start.arrive_and_wait();
            work(i);
        });
    }
}

}  // namespace contract

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

/// What a CoherentStore promises besides, for one key: open, fill and release.
template <class S>
void lease_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    auto& store = b.store;
    static_assert(larder::CoherentStore<typename Bench<S>::Store>);

    SECTION("open, Absent: the caller leads") {
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::lead);
        CHECK(opening.lease);
        CHECK(opening.lead);
        CHECK_FALSE(opening.copy);
    }
    SECTION("open, fresh Value: there it is") {
        b.put(1);
        const auto opening = store.open(b.k);
        REQUIRE(opening.slot == Slot::hit);
        REQUIRE(opening.copy);
        CHECK(opening.copy->entry.value == b.value(1));
        CHECK(b.lasts(opening.copy->entry.remaining, 60s));
        CHECK_FALSE(opening.copy->stale());
    }
    SECTION("open, a known absence: there it is") {
        store.put(b.k, std::nullopt, minute);
        const auto opening = store.open(b.k);
        REQUIRE(opening.slot == Slot::hit);
        REQUIRE(opening.copy);
        CHECK_FALSE(opening.copy->entry.value);
        const auto seen = b.peek();
        CHECK(seen.there);
        CHECK_FALSE(seen.value);
        CHECK(seen.fresh);
    }
    // Rule S10.
    SECTION("open, Loading: the caller joins the flight of that lease") {
        const auto first = store.open(b.k);
        const auto second = store.open(b.k);
        REQUIRE(second.slot == Slot::join);
        CHECK(second.flight == first.lead.flight());
        CHECK(second.lease.id == first.lease.id);
        CHECK(store.underway(b.k) == first.lead.flight());
        CHECK_FALSE(b.peek().there);
    }
    SECTION("open, Writing: the caller loads and fills nothing") {
        b.put(1);
        b.begin();
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::bypass);
        CHECK_FALSE(opening.copy);
        CHECK_FALSE(opening.lease);
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.peek().there);
    }
    SECTION("open, stale Value: one caller leads, the others join, all keep the stale copy") {
        b.put_stale(1);
        const auto first = store.open(b.k);
        REQUIRE(first.slot == Slot::lead);
        REQUIRE(first.copy);
        CHECK(first.copy->entry.value == b.value(1));
        CHECK(first.copy->stale());
        const auto second = store.open(b.k);
        REQUIRE(second.slot == Slot::join);
        CHECK(second.flight == first.lead.flight());
        REQUIRE(second.copy);
        CHECK(second.copy->stale());
        const auto seen = b.peek();
        CHECK(seen.there);
        CHECK_FALSE(seen.fresh);
        CHECK(store.underway(b.k) == first.lead.flight());
    }
    SECTION("open, past its grace: as Absent") {
        b.put(1, minute_with_grace);
        rig.advance(90s);
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::lead);
        CHECK_FALSE(opening.copy);
        CHECK_FALSE(b.peek().there);
    }
    SECTION("open, a refresh whose value is gone: a new load") {
        b.put(1, minute);
        const auto old = b.lead_refresh();
        rig.advance(60s);
        CHECK_FALSE(store.underway(b.k));
        const auto lease = b.lead();
        CHECK_FALSE(b.fill(old, 2));
        CHECK(b.fill(lease, 3));
        CHECK(b.has(3));
    }

    SECTION("fill, Loading: Value") {
        const auto lease = b.lead();
        const auto filled = store.fill(b.k, lease, b.value(1), {minute});
        CHECK(filled.kept);
        CHECK(filled.tags_stand);
        CHECK(b.has(1));
        CHECK(b.lasts(store.find(b.k)->remaining, 60s));
        CHECK(b.peek().value == b.value(1));
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.fill(lease, 2));  // it is used up
        CHECK(b.has(1));
    }
    SECTION("fill with a known absence") {
        const auto lease = b.lead();
        CHECK(store.fill(b.k, lease, std::nullopt, {minute}).kept);
        REQUIRE(store.find(b.k));
        CHECK_FALSE(store.find(b.k)->value);
    }
    SECTION("fill, stale Value+Refreshing: the new value") {
        b.put_stale(1);
        const auto lease = b.lead();
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
        CHECK(b.slot() == Slot::hit);
        CHECK(b.peek().fresh);
    }
    SECTION("fill, after the key was invalidated: dropped") {
        const auto lease = b.lead();
        store.erase(b.k);
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.is_free());
    }
    SECTION("fill, while the key is written: dropped") {
        const auto lease = b.lead();
        const Ticket ticket = b.begin();
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 2));
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.has(2));
    }
    SECTION("fill, after the key was written: dropped, whatever the writer left") {
        const auto lease = b.lead();
        b.finish_nothing(b.begin());
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.is_free());
    }
    // Rule S1.
    SECTION("fill, after somebody else took the lease: dropped, the other's counts") {
        const auto old = b.lead();
        store.erase(b.k);
        const auto lease = b.lead();
        CHECK_FALSE(b.fill(old, 1));
        CHECK(b.slot() == Slot::join);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }
    SECTION("fill, without a lease: dropped") {
        CHECK_FALSE(b.fill({}, 1));
        CHECK(b.is_free());
        b.put(1);
        CHECK_FALSE(b.fill({}, 2));
        CHECK(b.has(1));
    }
    SECTION("fill with a life of nothing: nothing is kept, and the slot is free") {
        CHECK_FALSE(b.fill(b.lead(), 1, {}));
        CHECK(b.is_free());
        b.put_stale(1);
        CHECK_FALSE(b.fill(b.lead(), 2, {}));
        CHECK(b.is_free());
        b.put(1);
        CHECK_FALSE(b.fill(b.lead_refresh(), 2, {Ttl{-1}, 60s}));
        CHECK(b.is_free());
    }
    SECTION("fill and put with an endless life: a hundred years") {
        constexpr Lifetime endless{(Ttl::max)(), (Ttl::max)()};
        CHECK(b.fill(b.lead(), 1, endless));
        const auto lives = [&] {
            const auto entry = store.find(b.k);
            return entry && b.lasts(entry->remaining, larder::detail::longest_life) &&
                   b.store.open(b.k).slot == Slot::hit;
        };
        CHECK(lives());
        b.put(2, endless);
        CHECK(lives());
        const Ticket ticket = b.begin((Ttl::max)());
        CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(3), {endless}));
        CHECK(lives());
        CHECK(b.has(3));
        rig.advance(std::chrono::hours{24 * 365});
        CHECK(b.has(3));
    }

    SECTION("release, Loading: Absent") {
        store.release(b.k, b.lead());
        CHECK(b.is_free());
    }
    SECTION("release, stale Value+Refreshing: the stale Value") {
        b.put_stale(1);
        const auto lease = b.lead();
        store.release(b.k, lease);
        CHECK(b.has(1));
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.slot() == Slot::hit);  // still to be had
        CHECK(store.open(b.k).slot == Slot::lead);
    }
    SECTION("release of a lease that is gone: nothing") {
        const auto old = b.lead();
        store.erase(b.k);
        const auto lease = b.lead();
        store.release(b.k, old);
        CHECK(b.fill(lease, 2));
        store.release(b.k, lease);
        CHECK(b.has(2));
        const Ticket ticket = b.begin();
        store.release(b.k, lease);
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 3));
        CHECK(b.has(3));
    }

    SECTION("withdraw, Loading: Absent") {
        store.withdraw(b.k, b.lead());
        CHECK(b.is_free());
    }
    // Rule S6.
    SECTION("withdraw, Value+Refreshing: Absent, for the source has said otherwise") {
        b.put_stale(1);
        SECTION("stale") {
            store.withdraw(b.k, b.lead());
        }
        SECTION("fresh") {
            b.put(1);
            store.withdraw(b.k, b.lead_refresh());
        }
        SECTION("by name") {
            store.withdraw(b.k, b.lead_refresh(true));
        }
        CHECK(b.is_free());
    }
    SECTION("withdraw of a lease that is gone: nothing") {
        const auto old = b.lead();
        store.erase(b.k);
        store.withdraw(b.k, old);
        CHECK(b.is_free());
        const auto lease = b.lead();
        store.withdraw(b.k, old);
        store.withdraw(b.k, {});
        CHECK(b.fill(lease, 2));
        store.withdraw(b.k, lease);
        CHECK(b.has(2));
        const Ticket ticket = b.begin();
        store.withdraw(b.k, lease);
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 3));
        CHECK(b.has(3));
    }

    SECTION("a lease ends with its load") {
        b.lead();
        CHECK(b.nothing_in_hand());
        CHECK_FALSE(store.underway(b.k));
        const auto lease = b.lead();
        CHECK(b.fill(lease, 1));
        b.lead_refresh();
        CHECK_FALSE(store.underway(b.k));
        CHECK(b.has(1));
        const auto again = b.lead_refresh();
        CHECK(b.fill(again, 2));
        CHECK(b.has(2));
    }

    SECTION("the store lets go of a flight whose lease is gone") {
        const auto opening = store.open(b.k);
        REQUIRE(opening.lead.flight().use_count() == 2);
        SECTION("filled") {
            b.fill(opening.lease, 1);
        }
        SECTION("released") {
            store.release(b.k, opening.lease);
        }
        SECTION("invalidated") {
            store.erase(b.k);
        }
        SECTION("written") {
            b.begin();
        }
        SECTION("put") {
            b.put(1);
        }
        SECTION("taken by a refresh") {
            b.lead_refresh(true);
        }
        CHECK(opening.lead.flight().use_count() == 1);
    }

    SECTION("a batch opens each of its keys as that key is") {
        const auto at = [&](int i) {
            b.k = b.key(i);
            return b.k;
        };
        at(2);
        b.put(2);
        at(3);
        const auto loading = b.lead();
        at(4);
        b.begin();
        const std::vector keys{at(1), at(2), at(3), at(4)};
        auto openings = store.open_many(keys);
        REQUIRE(openings.size() == 4);
        CHECK(openings[0].slot == Slot::lead);
        CHECK(openings[0].lead);
        CHECK(openings[1].slot == Slot::hit);
        REQUIRE(openings[1].copy);
        CHECK(openings[1].copy->entry.value == b.value(2));
        CHECK(openings[2].slot == Slot::join);
        CHECK(openings[2].lease.id == loading->lease.id);
        CHECK(openings[3].slot == Slot::bypass);
        CHECK(openings[3].writing);
        at(1);
        CHECK(b.fill(openings[0].lease, 1));
        CHECK(b.has(1));

        std::vector<std::size_t> seen;
        store.peek_many(keys, [&](std::size_t i, const auto* value, auto remaining, Ttl, bool) {
            seen.push_back(i);
            REQUIRE(value != nullptr);
            CHECK(*value == b.value(static_cast<int>(i) + 1));
            CHECK(remaining > remaining.zero());
        });
        CHECK(seen == std::vector<std::size_t>{0, 1});
        CHECK(store.open_many(std::vector<typename Bench<S>::K>{}).empty());
    }

    SECTION("of all who open a key at once, one leads and all others join it") {
        for (int round = 0; round < 20; ++round) {
            b.k = b.key(round);
            std::atomic<int> leads{0};
            std::atomic<int> joins{0};
            std::vector<typename Bench<S>::Opening> openings(8);
            at_once(8, [&](int who) {
                auto& opening = openings[static_cast<std::size_t>(who)];
                opening = store.open(b.k);
                leads += opening.slot == Slot::lead ? 1 : 0;
                joins += opening.slot == Slot::join ? 1 : 0;
            });
            CHECK(leads == 1);
            CHECK(joins == 7);
            const auto underway = store.underway(b.k);
            for (const auto& opening : openings) {
                CHECK((opening.lead ? opening.lead.flight() : opening.flight) == underway);
            }
        }
    }
    SECTION("a fill that races an invalidation leaves nothing") {
        for (int round = 0; round < 100; ++round) {
            const auto lease = b.lead();
            at_once(2, [&](int who) {
                if (who == 0) {
                    b.fill(lease, round);
                } else {
                    store.erase(b.k);
                }
            });
            CHECK(b.is_free());
        }
    }
    SECTION("a fill that races a write leaves nothing beside it") {
        for (int round = 0; round < 100; ++round) {
            const auto lease = b.lead();
            Ticket ticket;
            at_once(2, [&](int who) {
                if (who == 0) {
                    b.fill(lease, 1);
                } else {
                    ticket = store.begin_write(b.k, 30s);
                }
            });
            CHECK(b.absent());
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(ticket, 2));
            CHECK(b.has(2));
            store.erase(b.k);
        }
    }
}

/// Writes: begin_write, finish_write, their tickets; and invalidations and puts that meet them.
template <class S>
void ticket_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    auto& store = b.store;

    // Rule S2.
    SECTION("begin_write: no copy is served from then on") {
        SECTION("Absent") {}
        SECTION("Value") {
            b.put(1);
        }
        SECTION("a known absence") {
            store.put(b.k, std::nullopt, minute);
        }
        SECTION("stale Value") {
            b.put_stale(1);
        }
        SECTION("Loading") {
            b.lead();
        }
        SECTION("Value+Refreshing") {
            b.put(1);
            b.lead_refresh();
        }
        const Ticket ticket = b.begin();
        CHECK(b.absent());
        CHECK_FALSE(b.peek().there);
        CHECK(b.slot() == Slot::bypass);
        CHECK_FALSE(store.underway(b.k));
        CHECK(b.finish(ticket, 2));
        CHECK(b.has(2));
        CHECK(b.slot() == Slot::hit);
    }
    SECTION("finish_write with nothing: Absent") {
        b.put(1);
        CHECK(b.finish_nothing(b.begin()));
        CHECK(b.is_free());
    }
    SECTION("finish_write with a known absence") {
        const Ticket ticket = b.begin();
        CHECK(store.finish_write(b.k, ticket, Finish::value, std::nullopt, {minute}));
        REQUIRE(store.find(b.k));
        CHECK_FALSE(store.find(b.k)->value);
    }
    SECTION("finish_write with a life of nothing: Absent") {
        const Ticket ticket = b.begin();
        CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {}));
        CHECK(b.is_free());
    }
    SECTION("two writers that overlap leave nothing") {
        const Ticket first = b.begin();
        const Ticket second = b.begin();
        SECTION("in one order") {
            CHECK(b.finish(first, 1));
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(second, 2));
        }
        SECTION("in the other") {
            CHECK(b.finish(second, 2));
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(first, 1));
        }
        SECTION("one of them without a value") {
            CHECK(b.finish_nothing(first));
            CHECK(b.finish(second, 2));
        }
        CHECK(b.is_free());
    }
    SECTION("a writer that meets another's tail overlaps with it") {
        const Ticket first = b.begin();
        const Ticket second = b.begin();
        CHECK(b.finish(first, 1));
        const Ticket third = b.begin();
        CHECK(b.finish(second, 2));
        CHECK(b.finish(third, 3));
        CHECK(b.is_free());
    }
    SECTION("writers one after the other each leave their value") {
        for (int i = 0; i < 5; ++i) {
            CHECK(b.finish(b.begin(), i));
            CHECK(b.has(i));
        }
    }
    SECTION("a ticket ends at its deadline, and its slot with the last") {
        const Ticket ticket = b.begin(10s);
        rig.advance(10s - rig.grain);
        CHECK(b.slot() == Slot::bypass);
        rig.advance(rig.grain);
        CHECK(b.is_free());
        // A writer that comes back finds it gone: what is there is older or newer, nobody knows.
        b.put(1);
        CHECK_FALSE(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    // Rule S8.
    SECTION("a ticket that is gone spoils the value of whoever writes now") {
        const Ticket slow = b.begin(10s);
        rig.advance(11s);
        const Ticket ticket = b.begin();
        CHECK_FALSE(b.finish(slow, 1));
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    SECTION("a ticket that is gone ends a load that has begun") {
        const Ticket slow = b.begin(10s);
        rig.advance(11s);
        const auto lease = b.lead();
        CHECK_FALSE(b.finish(slow, 1));
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.is_free());
    }
    // Rule S3.
    SECTION("each ticket has a deadline of its own, and overlap is not forgotten with the dead") {
        const Ticket dead = b.begin(10s);
        const Ticket alive = b.begin(60s);
        rig.advance(11s);
        CHECK(b.slot() == Slot::bypass);
        SECTION("the one that is left leaves nothing") {
            CHECK(b.finish(alive, 2));
            CHECK(b.is_free());
        }
        SECTION("the other's is gone") {
            CHECK_FALSE(b.finish(dead, 1));
            CHECK(b.finish(alive, 2));
            CHECK(b.is_free());
        }
        SECTION("its own deadline ends the slot") {
            rig.advance(50s);
            CHECK(b.is_free());
        }
    }
    SECTION("a ticket is worth nothing a second time") {
        const Ticket ticket = b.begin();
        CHECK(b.finish(ticket, 1));
        CHECK_FALSE(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    // Rule S3.
    SECTION("tickets beyond the thirty-second have no name, and hold the slot to their deadline") {
        std::vector<Ticket> tickets;
        for (int i = 0; i < 32; ++i) {
            tickets.push_back(b.begin(20s));
        }
        const Ticket beyond = b.begin(40s);
        CHECK_FALSE(b.finish(beyond, 1));
        for (const Ticket& ticket : tickets) {
            CHECK(b.finish(ticket, 2));
        }
        CHECK(b.slot() == Slot::bypass);
        rig.advance(40s);
        CHECK(b.is_free());
    }
    // Rule S4.
    SECTION("erase, Writing: whoever finishes last leaves nothing") {
        const Ticket ticket = b.begin();
        CHECK_FALSE(store.erase(b.k));
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 1));
        CHECK(b.is_free());
    }
    SECTION("put, Writing: nothing is stored, and the writer leaves nothing") {
        const Ticket ticket = b.begin();
        b.put(1);
        CHECK(b.absent());
        CHECK(b.slot() == Slot::bypass);
        CHECK(b.finish(ticket, 2));
        CHECK(b.is_free());
    }
    SECTION("put, Loading: the value, and the load is fenced") {
        const auto lease = b.lead();
        b.put(1);
        CHECK(b.slot() == Slot::hit);
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.has(1));
    }
    SECTION("put, Value+Refreshing: the value, and the refresh is fenced") {
        b.put(1);
        const auto lease = b.lead_refresh();
        b.put(2);
        CHECK_FALSE(b.fill(lease, 3));
        CHECK(b.has(2));
        CHECK_FALSE(store.underway(b.k));
    }
    SECTION("put with a life of nothing: as erase") {
        b.put(1);
        b.put(2, {});
        CHECK(b.is_free());
    }
    SECTION("a batch begins a write on each of its keys") {
        const std::vector keys{b.key(1), b.key(2), b.key(3)};
        for (const auto& key : keys) {
            store.put(key, b.value(0), minute);
        }
        b.k = b.key(2);
        const auto lease = b.lead_refresh();
        const std::vector<Ticket> tickets = store.begin_write_many(keys, 30s);
        REQUIRE(tickets.size() == 3);
        CHECK_FALSE(b.fill(lease, 9));
        for (std::size_t i = 0; i < keys.size(); ++i) {
            b.k = keys[i];
            CHECK(b.absent());
            CHECK(b.slot() == Slot::bypass);
            CHECK(b.finish(tickets[i], static_cast<int>(i)));
            CHECK(b.has(static_cast<int>(i)));
        }
        CHECK(store.begin_write_many(std::vector<typename Bench<S>::K>{}, 30s).empty());
    }
    SECTION("a batch erases as erase does") {
        const std::vector keys{b.key(1), b.key(2), b.key(3)};
        b.k = b.key(1);
        b.put(1);
        b.k = b.key(2);
        const auto lease = b.lead();
        b.k = b.key(3);
        const Ticket ticket = b.begin();
        CHECK(store.erase_many(keys) == 1);
        CHECK(b.finish(ticket, 3));
        CHECK(b.is_free());
        b.k = b.key(2);
        CHECK_FALSE(b.fill(lease, 2));
        CHECK(b.is_free());
        b.k = b.key(1);
        CHECK(b.is_free());
    }
    SECTION("of writers that meet, none leaves a value, in whatever order they end") {
        for (int round = 0; round < 50; ++round) {
            std::barrier begun{4};
            at_once(4, [&](int who) {
                const Ticket ticket = store.begin_write(b.k, 30s);
                begun.arrive_and_wait();
                b.finish(ticket, who);
            });
            CHECK(b.is_free());
        }
    }
}

/// Refreshes, in the background and by name.
template <class S>
void refresh_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    auto& store = b.store;

    SECTION("background, fresh Value: one leads, and the copy is served meanwhile") {
        b.put(1);
        const auto lease = b.lead_refresh();
        CHECK(b.has(1));
        CHECK(b.peek().fresh);
        CHECK(b.slot() == Slot::hit);
        CHECK(store.underway(b.k));
        CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
        CHECK_FALSE(store.underway(b.k));
        CHECK_FALSE(b.peek().refreshing);
        b.lead_refresh();  // the next one may
    }
    SECTION("background, otherwise: nothing to do, and nothing is changed") {
        SECTION("Absent") {
            CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
            CHECK(b.is_free());
        }
        SECTION("Loading") {
            const auto lease = b.lead();
            CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
            CHECK(b.fill(lease, 1));
        }
        SECTION("Writing") {
            const Ticket ticket = b.begin();
            CHECK(store.open_refresh(b.k, false).slot == Slot::bypass);
            CHECK(b.finish(ticket, 1));
            CHECK(b.has(1));
        }
        SECTION("stale Value") {
            b.put_stale(1);
            CHECK(store.open_refresh(b.k, false).slot != Slot::lead);
            CHECK(store.open(b.k).slot == Slot::lead);
        }
    }
    SECTION("a refresh that fails leaves the copy it would have replaced") {
        b.put(1);
        store.release(b.k, b.lead_refresh());
        CHECK(b.has(1));
        CHECK_FALSE(store.underway(b.k));
        b.lead_refresh();
    }
    SECTION("a refresh does not resurrect what was invalidated") {
        b.put(1);
        const auto lease = b.lead_refresh();
        CHECK(store.erase(b.k));
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.is_free());
    }
    SECTION("a refresh does not overwrite what was written") {
        b.put(1);
        const auto lease = b.lead_refresh();
        const Ticket ticket = b.begin();
        CHECK(b.finish(ticket, 2));
        CHECK_FALSE(b.fill(lease, 1));
        CHECK(b.has(2));
    }
    SECTION("a refresh outlives the freshness of its copy, not the copy") {
        b.put(1, minute_with_grace);
        const auto lease = b.lead_refresh();
        rig.advance(61s);
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::join);
        REQUIRE(opening.copy);
        CHECK(opening.copy->stale());
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }

    SECTION("by name, Absent: Loading") {
        const auto lease = b.lead_refresh(true);
        CHECK(b.slot() == Slot::join);
        CHECK(b.fill(lease, 1));
        CHECK(b.has(1));
    }
    // Rule S5.
    SECTION("by name, Loading: the older load is fenced, and nobody joins it") {
        const auto old = store.open(b.k);
        const auto forced = store.open_refresh(b.k, true);
        REQUIRE(forced.slot == Slot::lead);
        const auto joined = store.open(b.k);
        REQUIRE(joined.slot == Slot::join);
        CHECK(joined.flight == forced.lead.flight());
        CHECK(joined.flight != old.lead.flight());
        CHECK_FALSE(b.fill(old.lease, 1));
        CHECK(b.fill(forced.lease, 2));
        CHECK(b.has(2));
    }
    SECTION("by name, Value: it is served until the load is done") {
        b.put(1);
        const auto lease = b.lead_refresh(true);
        CHECK(b.has(1));
        CHECK(b.slot() == Slot::hit);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }
    SECTION("by name, Value+Refreshing: the older refresh is fenced") {
        b.put(1);
        const auto old = b.lead_refresh();
        const auto lease = b.lead_refresh(true);
        CHECK_FALSE(b.fill(old, 2));
        CHECK(b.has(1));
        CHECK(b.fill(lease, 3));
        CHECK(b.has(3));
    }
    SECTION("by name, stale Value: as Value") {
        b.put_stale(1);
        const auto lease = b.lead_refresh(true);
        const auto opening = store.open(b.k);
        CHECK(opening.slot == Slot::join);
        CHECK(opening.copy);
        CHECK(b.fill(lease, 2));
        CHECK(b.has(2));
    }
    SECTION("by name, Writing: load without filling, and the writer leaves nothing") {
        const Ticket ticket = b.begin();
        const auto opening = store.open_refresh(b.k, true);
        CHECK(opening.slot == Slot::bypass);
        CHECK_FALSE(opening.lease);
        CHECK(b.finish(ticket, 1));
        CHECK(b.is_free());
    }

    SECTION("of all who refresh in the background at once, one leads") {
        for (int round = 0; round < 20; ++round) {
            b.put(round);
            std::vector<typename Bench<S>::Opening> openings(6);
            at_once(6, [&](int who) {
                openings[static_cast<std::size_t>(who)] = store.open_refresh(b.k, false);
            });
            CHECK(std::count_if(openings.begin(), openings.end(), [](const auto& opening) {
                      return opening.slot == Slot::lead;
                  }) == 1);
        }
    }
    SECTION("of all who refresh by name at once, each leads, and one fills") {
        for (int round = 0; round < 20; ++round) {
            std::vector<typename Bench<S>::Opening> openings(6);
            at_once(6, [&](int who) {
                openings[static_cast<std::size_t>(who)] = store.open_refresh(b.k, true);
            });
            std::atomic<int> kept{0};
            at_once(6, [&](int who) {
                kept += b.fill(openings[static_cast<std::size_t>(who)].lease, who) ? 1 : 0;
            });
            CHECK(kept == 1);
            store.erase(b.k);
        }
    }
}

/// Tags, where they are kept; and where not, that nobody relies on them.
template <class S>
void tag_contract(Rig<S>& rig) {
    using namespace contract;
    Bench<S> b{rig};
    using B = Bench<S>;
    auto& store = b.store;
    const larder::Tags tags{"shoes", "sale"};

    if constexpr (!B::Store::keeps_tags) {
        static_assert(!larder::TaggingStore<typename B::Store>);
        SECTION("a fill with tags is refused, and its lease let go") {
            const auto lease = b.lead();
            try {
                store.fill(b.k, lease, b.value(1), {minute, tags});
                FAIL("nothing was thrown");
            } catch (const larder::Error& error) {
                CHECK(error.code() == larder::Errc::tags_unsupported);
            }
            CHECK(b.is_free());
        }
        SECTION("a write with tags leaves nothing") {
            const Ticket ticket = b.begin();
            CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {minute, tags}));
            CHECK(b.is_free());
        }
    } else {
        static_assert(larder::TaggingStore<typename B::Store>);
        const auto invalidate = [&](std::string tag) {
            const std::vector<std::string> some{std::move(tag)};
            store.invalidate_tags(some);
        };
        const auto fill = [&](const Lease& lease, int i) {
            return store.fill(b.k, lease, b.value(i), {minute, tags});
        };

        SECTION("a tag's invalidation makes each entry that carries it a miss") {
            CHECK(fill(b.lead(), 1).kept);
            CHECK(b.has(1));
            invalidate("hats");
            CHECK(b.has(1));
            invalidate("sale");
            CHECK(b.absent());
            CHECK_FALSE(b.peek().there);
            if constexpr (!B::Store::shared) {
                CHECK_FALSE(store.erase(b.k));  // one that is shared does not read it for that
            }
            CHECK(b.is_free());
        }
        SECTION("what is loaded after it is good again") {
            CHECK(fill(b.lead(), 1).kept);
            invalidate("shoes");
            const auto opening = store.open(b.k);
            REQUIRE(opening.slot == Slot::lead);
            CHECK_FALSE(opening.copy);
            CHECK(fill(opening.lease, 2).kept);
            CHECK(b.has(2));
        }
        // Rule T1.
        SECTION("a load that met it is dropped, and told so") {
            const auto lease = b.lead();
            invalidate("shoes");
            const auto filled = fill(lease, 1);
            CHECK_FALSE(filled.kept);
            CHECK_FALSE(filled.tags_stand);
            CHECK(b.is_free());
        }
        SECTION("a load is told whether its tags stand even if its lease was lost") {
            const auto lease = b.lead();
            store.erase(b.k);
            CHECK(fill(lease, 1).tags_stand);
            invalidate("shoes");
            const auto filled = fill(lease, 1);
            CHECK_FALSE(filled.kept);
            CHECK_FALSE(filled.tags_stand);
        }
        SECTION("a write that met it leaves nothing") {
            const Ticket ticket = b.begin();
            invalidate("shoes");
            CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {minute, tags}));
            CHECK(b.is_free());
        }
        SECTION("a write that did not meet it leaves its value") {
            invalidate("shoes");
            const Ticket ticket = b.begin();
            CHECK(store.finish_write(b.k, ticket, Finish::value, b.value(1), {minute, tags}));
            CHECK(b.has(1));
            invalidate("shoes");
            CHECK(b.absent());
        }
        SECTION("a known absence carries tags too") {
            CHECK(store.fill(b.k, b.lead(), std::nullopt, {minute, tags}).kept);
            REQUIRE(store.find(b.k));
            invalidate("sale");
            CHECK(b.absent());
        }
        SECTION("a refresh replaces tags") {
            CHECK(fill(b.lead(), 1).kept);
            CHECK(store.fill(b.k, b.lead_refresh(), b.value(2), {minute, {"hats"}}).kept);
            invalidate("sale");
            CHECK(b.has(2));
            invalidate("hats");
            CHECK(b.absent());
        }
        SECTION("a stale copy whose tag was invalidated is not kept for a failure") {
            const auto lease = b.lead();
            CHECK(store.fill(b.k, lease, b.value(1), {minute_with_grace, tags}).kept);
            rig.advance(61s);
            invalidate("sale");
            const auto opening = store.open(b.k);
            CHECK(opening.slot == Slot::lead);
            CHECK_FALSE(opening.copy);
        }
    }
}

/// The slot protocol as policies use it: reads and writes of one key are explained by one order.
template <class S>
void history_contract(Rig<S>& rig) {
    using namespace contract;
    using B = Bench<S>;
    using V = typename B::V;
    B b{rig};
    auto& store = b.store;
    std::atomic<int> row{0};  // the database: a version that grows with each write
    const auto dawdle = [](int n) {
        for (int i = n % 7; i > 0; --i) {
            std::this_thread::yield();
        }
    };

    // Loads with a lease in hand, and tells who has joined.
    const auto load = [&](typename B::Opening& opening, int n, bool forced) {
        dawdle(n);
        const int version = row;
        dawdle(n / 7);
        const bool kept =
            store.fill(b.k, opening.lease, b.value(version), {minute_with_grace}).kept;
        if (forced && !kept) {
            store.erase(b.k);
        }
        opening.lead.complete(larder::Fetched<V>{b.value(version), {}, {}, {}});
        return version;
    };
    const auto query = [&](int n) {
        int version = -1;
        store.peek(b.k, [&](const V* value, auto remaining, Ttl, bool) {
            if (value != nullptr && remaining > remaining.zero()) {
                version = b.number(*value);
            }
        });
        if (version >= 0) {
            return version;
        }
        typename B::Opening opening = store.open(b.k);
        switch (opening.slot) {
            case Slot::hit: return b.number(*opening.copy->entry.value);
            case Slot::lead: return load(opening, n, false);
            case Slot::join:
                static_cast<void>(larder::detail::BlockedThread{*opening.flight}.wait({}));
                return opening.flight->result() != nullptr
                           ? b.number(*opening.flight->result()->value)
                           : -1;
            default: return row.load();
        }
    };
    const auto get = [&](int n) {
        int version = query(n);
        while (version < 0) {  // whom it waited for has gone
            version = query(n);
        }
        return version;
    };
    const auto refresh = [&](int n) {
        typename B::Opening opening = store.open_refresh(b.k, true);
        return opening.slot == Slot::lead ? load(opening, n, true) : row.load();
    };
    const auto put = [&](int n) {
        const Ticket ticket = store.begin_write(b.k, 1h);
        dawdle(n);
        const int version = ++row;
        dawdle(n / 7);
        b.finish(ticket, version);
        return version;
    };

    SECTION("reads, writes, refreshes and invalidations are explained by one order") {
        History history;
        at_once(7, [&](int who) {
            for (int n = 0; n < 200; ++n) {
                switch (who) {
                    case 0:
                    case 1: history.write([&] { return put(n + who); }); break;
                    case 2: history.read([&] { return refresh(n); }); break;
                    case 3:
                        store.erase(b.k);
                        dawdle(n);
                        break;
                    default: history.read([&] { return get(n + who); }); break;
                }
            }
        });
        CHECK(history.unexplained() == std::vector<std::string>{});
        CHECK(history.size() == 6 * 200);
        CHECK(get(0) == row);
        CHECK(b.nothing_in_hand());
    }
}

/// All that a CoherentStore promises besides the plain store.
template <class S>
void slot_contract(Rig<S>& rig) {
    SECTION("leases") {
        lease_contract(rig);
    }
    SECTION("tickets") {
        ticket_contract(rig);
    }
    SECTION("refreshes") {
        refresh_contract(rig);
    }
    SECTION("tags") {
        tag_contract(rig);
    }
    SECTION("histories") {
        history_contract(rig);
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_STORE_CONTRACT_HPP
