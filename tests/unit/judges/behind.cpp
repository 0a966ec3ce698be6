// SPDX-License-Identifier: MIT

// What the judge of killed processes finds lost, in doubt, or gone back.

#include "support/behind/judge.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

using namespace larder_test;

namespace {

struct Told {
    std::vector<Note> notes{};

    Told& begun(std::uint64_t number, bool removes = false) {
        notes.push_back({number, 1, Note::Kind::begun, removes});
        return *this;
    }
    Told& acknowledged(std::uint64_t number, bool removes = false) {
        begun(number, removes);
        notes.push_back({number, 1, Note::Kind::acknowledged, removes});
        return *this;
    }
    [[nodiscard]] bool has_lost_with(std::uint64_t number) const {
        return !judge(notes, {{1, value_of(1, number)}}, {}).lost.empty();
    }
    [[nodiscard]] bool has_lost_without_a_row() const { return !judge(notes, {}, {}).lost.empty(); }
};

}  // namespace

TEST_CASE("the last acknowledged change is what a row must hold", "[kill]") {
    const Told put = Told{}.acknowledged(1).acknowledged(2);
    CHECK_FALSE(put.has_lost_with(2));
    CHECK(put.has_lost_with(1));
    CHECK(put.has_lost_with(3));
    CHECK(put.has_lost_without_a_row());
    const Told removed = Told{}.acknowledged(1).acknowledged(2, true);
    CHECK_FALSE(removed.has_lost_without_a_row());
    CHECK(removed.has_lost_with(1));
}

TEST_CASE("a change whose writer was killed may be there or not", "[kill]") {
    const Told put = Told{}.acknowledged(1).begun(2);
    CHECK_FALSE(put.has_lost_with(1));
    CHECK_FALSE(put.has_lost_with(2));
    CHECK(put.has_lost_without_a_row());
    const Told removed = Told{}.acknowledged(1).begun(2, true);
    CHECK_FALSE(removed.has_lost_with(1));
    CHECK_FALSE(removed.has_lost_without_a_row());
    const Told first = Told{}.begun(1);
    CHECK_FALSE(first.has_lost_with(1));
    CHECK_FALSE(first.has_lost_without_a_row());
    // What was acknowledged after it counts.
    const Told later = Told{}.acknowledged(1).begun(2).acknowledged(3);
    CHECK(later.has_lost_with(2));
    CHECK_FALSE(later.has_lost_with(3));
}

TEST_CASE("a row that nobody has written is seen", "[kill]") {
    CHECK_FALSE(judge({}, {{1, value_of(1, 7)}}, {}).lost.empty());
    CHECK_THROWS_AS(judge({}, {{1, value_of(2, 7)}}, {}), std::logic_error);
}

TEST_CASE("a version that goes back is seen, of each key alone", "[kill]") {
    CHECK(judge({}, {}, {{1, 5}, {2, 3}, {1, 5}, {2, 4}, {1, 6}}).went_back.empty());
    CHECK(judge({}, {}, {{1, 5}, {2, 3}, {1, 4}}).went_back.size() == 1);
}
