// SPDX-License-Identifier: MIT

// The checker of recorded histories: it accepts what is right, and sees what is wrong.

#include "support/history.hpp"

#include "support/catch.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <random>
#include <stdexcept>
#include <vector>

using larder_test::History;
using Kind = History::Kind;
using Holds = History::Holds;
using Flight = History::Flight;
using Operations = std::vector<History::Operation>;

namespace {

bool right(const Operations& operations) {
    return History::unexplained(operations).empty();
}

History::Operation removal(int version, History::Moment began, History::Moment ended) {
    return {Kind::write, version, began, ended, Holds::nothing};
}
History::Operation found_nothing(History::Moment began, History::Moment ended) {
    return {Kind::read, 0, began, ended, Holds::nothing};
}
History::Operation loose(int version, History::Moment began, History::Moment ended) {
    return {Kind::write, version, began, ended, Holds::value, Flight::loose};
}

// By trying every order: a read gives what the last write ahead of it wrote, and time is kept.
bool right_by_trial(const Operations& operations) {
    std::vector<std::size_t> order(operations.size());
    for (std::size_t i = 0; i < order.size(); ++i) {
        order[i] = i;
    }
    do {
        int held = 0;
        Holds holds = Holds::nothing;
        bool good = true;
        for (std::size_t i = 0; i < order.size() && good; ++i) {
            const auto& o = operations[order[i]];
            for (std::size_t j = i + 1; j < order.size(); ++j) {
                good = good && !(operations[order[j]].ended < o.began);
            }
            if (o.kind == Kind::write) {
                good = good && o.version > held;  // versions grow
                held = o.version;
                holds = o.holds;
            } else if (o.holds == Holds::nothing) {
                good = good && holds == Holds::nothing;
            } else {
                good = good && o.version == held && (holds == Holds::value || held == 0);
            }
        }
        if (good) {
            return true;
        }
    } while (std::next_permutation(order.begin(), order.end()));
    return false;
}

}  // namespace

TEST_CASE("histories that one order explains", "[history]") {
    CHECK(right({}));
    CHECK(right({{Kind::read, 0, 0, 1}}));
    CHECK(right({{Kind::write, 1, 0, 1}, {Kind::read, 1, 2, 3}}));
    // Reads beside a write see either version, and an early one may see the new.
    CHECK(right({{Kind::write, 1, 0, 9}, {Kind::read, 0, 1, 2}, {Kind::read, 1, 3, 4}}));
    CHECK(right({{Kind::write, 1, 0, 9}, {Kind::read, 1, 1, 4}, {Kind::read, 0, 2, 3}}));
    // A write that was never acknowledged may have been carried out.
    CHECK(right({{Kind::attempt, 0, 0, History::never}, {Kind::read, 1, 1, 2}}));
    CHECK(right({{Kind::attempt, 0, 0, History::never}, {Kind::read, 0, 1, 2}}));
}

TEST_CASE("histories that no order explains", "[history]") {
    // Older than what was acknowledged before it began.
    CHECK_FALSE(right({{Kind::write, 1, 0, 1}, {Kind::read, 0, 2, 3}}));
    // Two reads that go back, under a write that has not returned.
    CHECK_FALSE(right({{Kind::write, 1, 0, 9}, {Kind::read, 1, 1, 2}, {Kind::read, 0, 3, 4}}));
    // From before the write began, or from nowhere.
    CHECK_FALSE(right({{Kind::read, 1, 0, 1}, {Kind::write, 1, 2, 3}}));
    CHECK_FALSE(right({{Kind::read, 7, 0, 1}}));
    CHECK_FALSE(right({{Kind::read, 1, 0, 1}, {Kind::attempt, 0, 2, History::never}}));
    // Writes that became versions in another order than they were made in.
    CHECK_FALSE(right({{Kind::write, 2, 0, 1}, {Kind::write, 1, 2, 3}}));
    CHECK_FALSE(right({{Kind::write, 1, 0, 3}, {Kind::write, 1, 1, 2}}));
    // Seen before an older one began.
    CHECK_FALSE(right({{Kind::write, 2, 0, 9}, {Kind::read, 2, 1, 2}, {Kind::write, 1, 3, 4}}));
}

TEST_CASE("reads that find nothing", "[history]") {
    CHECK(right({found_nothing(0, 1)}));  // as at first
    CHECK(right({{Kind::write, 1, 0, 9}, found_nothing(1, 2), {Kind::read, 1, 3, 4}}));
    CHECK(right({{Kind::write, 1, 0, 1}, removal(2, 2, 9), found_nothing(3, 4)}));
    // Either removal, whichever explains it.
    CHECK(right({removal(1, 0, 9),
                 {Kind::write, 2, 0, 9},
                 removal(3, 0, 9),
                 found_nothing(1, 2),
                 {Kind::read, 2, 3, 4},
                 found_nothing(5, 6)}));
    CHECK(right(
        {{Kind::write, 1, 0, 1}, {Kind::attempt, 0, 2, History::never}, found_nothing(3, 4)}));

    CHECK_FALSE(right({{Kind::write, 1, 0, 1}, found_nothing(2, 3)}));
    CHECK_FALSE(right({{Kind::write, 1, 0, 1}, found_nothing(2, 3), removal(2, 4, 5)}));
    CHECK_FALSE(right({removal(1, 0, 1), {Kind::read, 1, 2, 3}}));
    // Having seen the second removal, one does not see what was there before it.
    CHECK_FALSE(right({removal(1, 0, 1),
                       {Kind::write, 2, 0, 9},
                       removal(3, 0, 9),
                       {Kind::read, 2, 2, 3},
                       found_nothing(4, 5),
                       {Kind::read, 2, 6, 7}}));
}

TEST_CASE("a loose write may be seen and not seen while it is in flight", "[history]") {
    const Operations back{loose(1, 0, 9), {Kind::read, 1, 1, 2}, {Kind::read, 0, 3, 4}};
    CHECK(right(back));
    CHECK(right({loose(1, 0, History::never), {Kind::read, 1, 1, 2}, {Kind::read, 0, 3, 4}}));
    // Not before it began, not once it has ended, and nothing that is older than what has.
    CHECK_FALSE(right({{Kind::read, 1, 0, 1}, loose(1, 2, 9)}));
    CHECK_FALSE(right({loose(1, 0, 1), {Kind::read, 0, 2, 3}}));
    CHECK_FALSE(right(
        {{Kind::write, 1, 0, 1}, loose(2, 2, 9), {Kind::read, 2, 3, 4}, {Kind::read, 0, 5, 6}}));
    // Who saw it has seen the strict one ahead of it, which has not ended either.
    CHECK_FALSE(right(
        {{Kind::write, 1, 0, 9}, loose(2, 0, 9), {Kind::read, 2, 1, 2}, {Kind::read, 0, 3, 4}}));
}

TEST_CASE("the checker agrees with trying every order", "[history]") {
    std::mt19937 random{20};
    const auto draw = [&](unsigned below) { return static_cast<unsigned>(random()) % below; };
    int explained = 0;
    int not_explained = 0;
    for (int round = 0; round < 5000; ++round) {
        Operations operations;
        const unsigned writes = 1 + draw(3);
        const unsigned all = writes + 1 + draw(3);
        // Each moment is used once, as the recorder does.
        std::vector<History::Moment> moments(2 * all);
        for (std::size_t i = 0; i < moments.size(); ++i) {
            moments[i] = i;
        }
        // Mostly near to each other: far apart, hardly anything overlaps or is right.
        for (unsigned swaps = draw(2 * all); swaps > 0; --swaps) {
            const unsigned at = draw(2 * all - 1);
            std::swap(moments[at], moments[at + 1]);
        }
        for (unsigned i = 0; i < all; ++i) {
            const auto a = moments[2 * i];
            const auto b = moments[2 * i + 1];
            const bool write = i % 2 == 0 && i / 2 < writes;
            operations.push_back({write ? Kind::write : Kind::read,
                                  static_cast<int>(write ? i / 2 + 1 : draw(writes + 1)),
                                  (std::min)(a, b), (std::max)(a, b),
                                  draw(4) == 0 ? Holds::nothing : Holds::value});
        }
        const bool good = right_by_trial(operations);
        (good ? explained : not_explained) += 1;
        REQUIRE(right(operations) == good);
    }
    CHECK(explained > 300);
    CHECK(not_explained > 300);
}

TEST_CASE("what is recorded is what was done", "[history]") {
    History history;
    int row = 0;
    CHECK(history.read([&] { return row; }) == 0);
    CHECK(history.write([&] { return ++row; }) == 1);
    CHECK(history.read([&] { return row; }) == 1);
    CHECK(history.unexplained().empty());
    CHECK_THROWS_AS(history.write([&]() -> int {
        ++row;
        throw std::runtime_error{"the answer was lost"};
    }),
                    std::runtime_error);
    history.read([&] { return row; });
    CHECK(history.unexplained().empty());
    CHECK(history.size() == 5);
    history.read([] { return 1; });
    REQUIRE(history.unexplained().size() == 1);
    CHECK(history.unexplained()[0].find("read 1") == 0);
}

TEST_CASE("a history of values: removals look alike, and are told apart", "[history]") {
    using larder_test::ValueHistory;
    const auto nothing = [] { return std::optional<int>{}; };
    const auto version = [](std::uint64_t n) { return [n] { return n; }; };
    const auto value = [](int n) { return [n] { return std::optional{n}; }; };
    SECTION("in order") {
        ValueHistory history;
        history.read(nothing);  // at first
        history.write(10, version(5));
        history.read(value(10));
        history.write(std::nullopt, version(7));
        history.read(nothing);
        history.write(11, version(8));
        history.write(std::nullopt, version(9));
        history.read(nothing);
        CHECK(history.unexplained().empty());
    }
    SECTION("nothing, where there must be something") {
        ValueHistory history;
        history.write(10, version(5));
        history.read(nothing);
        CHECK(history.unexplained().size() == 1);
    }
    SECTION("an older value after a newer one") {
        ValueHistory history;
        history.write(10, version(5));
        history.write(11, version(6));
        history.read(value(10));
        CHECK(history.unexplained().size() == 1);
    }
    SECTION("a value after its removal was seen") {
        ValueHistory history;
        history.write(10, version(5));
        history.write(std::nullopt, version(6));
        history.read(nothing);
        history.read(value(10));
        CHECK_FALSE(history.unexplained().empty());
    }
    SECTION("nothing before a removal that overlaps, and the value after") {
        ValueHistory history;
        history.write(10, version(5));
        history.write(std::nullopt, [&] {
            history.read(value(10));
            history.read(nothing);
            return std::uint64_t{6};
        });
        CHECK(history.unexplained().empty());
        history.read(value(10));
        CHECK_FALSE(history.unexplained().empty());
    }
    SECTION("what nobody wrote") {
        ValueHistory history;
        history.read(value(10));
        CHECK(history.unexplained().size() == 1);
    }
}
