// SPDX-License-Identifier: MIT

/// @file
/// A store under test, and short words for what the cases do with it.

#ifndef LARDER_TESTS_CONTRACT_BENCH_HPP
#define LARDER_TESTS_CONTRACT_BENCH_HPP

#include "support/catch.hpp"
#include "support/leading.hpp"

#include <larder/larder.hpp>

#include <barrier>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
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
                CHECK((life == Ttl::zero() || lasts(life, 60s)));  // where the store knows it
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

}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_BENCH_HPP
