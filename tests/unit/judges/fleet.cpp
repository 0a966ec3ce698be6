// SPDX-License-Identifier: MIT

// How the log of a fleet becomes histories: who died, who was told otherwise, what was in flight.

#include "support/catch.hpp"
#include "support/fleet/judge.hpp"

#include <chrono>
#include <cstddef>
#include <map>
#include <vector>

using namespace std::chrono_literals;
using namespace larder_test;
using Kind = Logged::Kind;
using State = Logged::State;

namespace {

constexpr auto loose = History::Flight::loose;

struct Story {
    std::vector<Logged> log{};
    std::vector<Commit> commits{};
    std::map<unsigned, Moment> deaths{};

    Story& read(int version, Moment began, Moment ended) {
        log.push_back({Kind::read, State::done, 0, 1, version, began, ended});
        return *this;
    }
    Story& write(int version, Moment began, Moment ended, Kind kind = Kind::write) {
        commits.push_back({1, version, true, log.size()});
        log.push_back({kind, State::done, 0, 1, 0, began, ended});
        return *this;
    }
    Story& died_writing(int version, Moment began, Moment died) {
        const auto life = static_cast<unsigned>(log.size() + 1);
        commits.push_back({1, version, true, log.size()});
        log.push_back({Kind::write, State::begun, life, 1, 0, began, 0});
        deaths[life] = died;
        return *this;
    }
    [[nodiscard]] bool right(const Promise& promise = {}) const {
        return judge(log, commits, deaths, promise).wrong.empty();
    }
};

constexpr Moment ms = 1'000'000;

}  // namespace

TEST_CASE("a fleet's reads are no older than what was acknowledged", "[fleet]") {
    CHECK(Story{}.write(1, 0, 1).read(1, 2, 3).right());
    CHECK_FALSE(Story{}.write(1, 0, 1).read(0, 2, 3).right());
    CHECK_FALSE(Story{}.write(1, 0, 1).read(Logged::nothing, 2, 3).right());
    CHECK(Story{}.read(Logged::nothing, 0, 1).right());
    CHECK_FALSE(Story{}.write(1, 0, 1).read(0, 2, 3).right({.flight = loose, .life = 1h}));
    CHECK_FALSE(Story{}.read(2, 0, 1).right());
}

TEST_CASE("a write in flight may be seen and then not seen only where it is loose", "[fleet]") {
    const Story back = Story{}.write(1, 0, 9).read(1, 1, 2).read(Logged::nothing, 3, 4);
    CHECK_FALSE(back.right());
    CHECK(back.right({.flight = loose}));
    // Past the policy nobody was told.
    CHECK(Story{}.write(1, 0, 9, Kind::past).read(1, 1, 2).read(Logged::nothing, 3, 4).right());
    CHECK_FALSE(Story{}.write(1, 0, 1, Kind::past).read(Logged::nothing, 3, 4).right());
}

TEST_CASE("a writer that died may be seen, and for how long not", "[fleet]") {
    const Promise strict{};
    const Promise bounded{.flight = loose, .life = 10ms, .slack = 5ms};
    const Story seen = Story{}.died_writing(1, 0, 9 * ms).read(1, 1, 2).read(1, 3, 4);
    CHECK(seen.right(strict));
    CHECK(seen.right(bounded));
    CHECK(Story{}.died_writing(1, 0, 9 * ms).read(Logged::nothing, 3, 4).right(strict));

    const auto back_at = [](Moment when) {
        return Story{}
            .died_writing(1, 0, 9 * ms)
            .read(1, 1, 2)
            .read(Logged::nothing, when, when + 1);
    };
    CHECK_FALSE(back_at(3).right(strict));
    CHECK(back_at(3).right(bounded));
    CHECK(back_at(23 * ms).right(bounded));
    CHECK_FALSE(back_at(25 * ms).right(bounded));
    // As long as a read takes, its fill may come later.
    CHECK(back_at(25 * ms).read(1, 0, 3 * ms).right(bounded));
}

TEST_CASE("the database says what became of a write", "[fleet]") {
    // Killed ahead of its commit.
    Story story;
    story.log.push_back({Kind::write, State::begun, 7, 1, 0, 0, 0});
    story.deaths[7] = 5;
    CHECK(story.read(Logged::nothing, 6, 7).right());
    // It threw, and had committed all the same: from then on it may be seen, and stays so.
    Story lost;
    lost.commits.push_back({1, 1, true, 0});
    lost.log.push_back({Kind::write, State::failed, 0, 1, 0, 0, 5});
    lost.read(Logged::nothing, 6, 7).read(1, 8, 9);
    CHECK(lost.right());
    CHECK(judge(lost.log, lost.commits, {}, {}).unreturned == 1);
    CHECK_FALSE(lost.read(Logged::nothing, 10, 11).right());
    // It returned, and nothing was committed.
    Story liar;
    liar.log.push_back({Kind::write, State::done, 0, 1, 0, 0, 5});
    CHECK_FALSE(liar.right());
}
