// SPDX-License-Identifier: MIT

/// @file
/// A journal under test, and short words for what the cases do with it.

#ifndef LARDER_TESTS_CONTRACT_JOURNAL_BENCH_HPP
#define LARDER_TESTS_CONTRACT_JOURNAL_BENCH_HPP

#include "bench.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace larder_test {

/// A journal under test, empty at first.
template <class J>
struct JournalRig {
    J journal;
    std::function<void(larder::Ttl)> advance;

    /// How exactly it keeps time: 1 ms by a clock that a test moves, more where real time passes, too.
    larder::Ttl grain{1};

    /// Whether the oldest of all keys is the first, not only of those that it keeps together.
    bool ordered = true;
};

namespace contract {

inline constexpr std::size_t all = 1000;

/// A rig, and short words for what the cases do with it. Values are numbers, or removals.
template <class J>
struct JournalBench {
    using K = typename J::key_type;
    using V = typename J::value_type;
    using Claim = larder::Claimed<K, V>;

    JournalRig<J>& rig;
    J& journal;

    explicit JournalBench(JournalRig<J>& given) : rig{given}, journal{given.journal} {}

    static K key(int i) { return Numbered<K>::of(i); }
    static V value(int i) { return Numbered<V>::of(i); }
    static int number(const K& key) { return Numbered<K>::from(key); }

    std::uint64_t record(int k, std::optional<int> v) {
        return journal.record({key(k), v ? std::optional<V>{value(*v)} : std::nullopt, 0});
    }
    /// 1=10, a second later 2=20, and so on.
    void record_each(int count) {
        for (int k = 1; k <= count; ++k) {
            record(k, 10 * k);
            rig.advance(std::chrono::seconds{1});
        }
    }
    std::vector<Claim> claim() {
        return journal.claim(all, std::chrono::minutes{1}, larder::Ttl{0});
    }
    Claim claim_one() { return claim().at(0); }
    /// Of this key, which is the oldest.
    std::vector<Claim> claim_of(int k) {
        if (rig.ordered) {
            return journal.claim(1, std::chrono::minutes{1}, larder::Ttl{0});
        }
        std::vector<Claim> claims = claim();
        const auto mine = std::partition(claims.begin(), claims.end(), [&](const Claim& claimed) {
            return claimed.change.key != key(k);
        });
        journal.renew(std::span{claims.begin(), mine}, larder::Ttl{0});
        return {mine, claims.end()};
    }
    /// `y` for each that was settled, `n` for each that was not.
    std::string settle(const std::vector<Claim>& claims) {
        std::string text;
        for (const bool settled : journal.settle(claims)) {
            text += settled ? 'y' : 'n';
        }
        return text;
    }

    static std::string text(const std::optional<V>& value) {
        return value ? std::to_string(Numbered<V>::from(*value)) : "removed";
    }
    std::string state(int k) {
        const auto pending = journal.pending(key(k));
        return pending ? text(pending->value) : "none";
    }
    static std::string name(const larder::Change<K, V>& change) {
        return std::to_string(number(change.key)) + '=' + text(change.value);
    }
    std::string names(const std::vector<Claim>& claims) {
        std::string all_names;
        for (const Claim& claimed : claims) {
            all_names += name(claimed.change) + ' ';
        }
        return all_names;
    }
    /// By key: the order is for another case.
    std::string letters() {
        std::vector<std::string> each;
        for (const auto& letter : journal.dead_letters()) {
            each.push_back(name(letter.change) + ':' + letter.why + ' ');
        }
        CHECK(journal.buried() == each.size());
        std::sort(each.begin(), each.end());
        std::string text;
        for (const std::string& letter : each) {
            text += letter;
        }
        return text;
    }
    [[nodiscard]] bool about(larder::Ttl age, larder::Ttl expected) const {
        return age >= expected - rig.grain && age <= expected + rig.grain;
    }
};

/// A letter says how often it was tried, and when. A journal that lives by a clock of its own may say so
/// by that.
template <class Letter, class J>
void check_times(const Letter& letter, std::size_t attempts,
                 std::chrono::system_clock::time_point before, const JournalRig<J>& rig) {
    CHECK(letter.attempts == attempts);
    CHECK(letter.first >= before);
    CHECK(letter.first <= letter.last);
    CHECK(letter.last <= std::chrono::system_clock::now() + rig.grain + std::chrono::minutes{1});
}

}  // namespace contract
}  // namespace larder_test

#endif  // LARDER_TESTS_CONTRACT_JOURNAL_BENCH_HPP
