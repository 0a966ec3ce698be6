// SPDX-License-Identifier: MIT

#include "support/catch.hpp"

#include <larder/detail/write/write_steps.hpp>

#include <string>
#include <utility>
#include <vector>

using larder::OnStoreFailure;
using larder::Written;
using larder::detail::WriteAnswer;
using larder::detail::WriteStep;
using larder::detail::WriteSteps;

namespace {

// What a write has been told so far.
struct Told {
    OnStoreFailure choice = OnStoreFailure::proceed;
    std::vector<WriteAnswer> before_save{};
    std::vector<Written> saved{};  // none or one
    std::vector<WriteAnswer> after_save{};
};

WriteSteps told(const Told& story) {
    WriteSteps steps{story.choice};
    for (const WriteAnswer answer : story.before_save) {
        steps.answered(answer);
    }
    for (const Written written : story.saved) {
        steps.saving();
        steps.saved(written);
    }
    for (const WriteAnswer answer : story.after_save) {
        steps.answered(answer);
    }
    return steps;
}

struct Row {
    Told story;
    WriteStep next;
};

constexpr auto proceed = OnStoreFailure::proceed;
constexpr auto fail = OnStoreFailure::fail;
constexpr auto done = WriteAnswer::done;
constexpr auto lost = WriteAnswer::lost;
constexpr auto failed = WriteAnswer::failed;
constexpr auto yes = Written::yes;
constexpr auto no = Written::no;
constexpr auto unknown = Written::unknown;

const std::vector<Row> table{
    // The store is told before the database, or the write is refused.
    {{proceed}, WriteStep::begin},
    {{fail}, WriteStep::begin},
    {{proceed, {done}}, WriteStep::save},
    {{proceed, {failed}}, WriteStep::queue},
    {{proceed, {failed, done}}, WriteStep::save},
    {{proceed, {failed, failed}}, WriteStep::done},
    {{fail, {failed}}, WriteStep::done},
    // With a ticket.
    {{proceed, {done}, {yes}}, WriteStep::finish},
    {{proceed, {done}, {yes}, {done}}, WriteStep::done},
    {{proceed, {done}, {yes}, {lost}}, WriteStep::done},
    {{proceed, {done}, {yes}, {failed}}, WriteStep::clear},
    {{proceed, {done}, {yes}, {failed, done}}, WriteStep::done},
    {{proceed, {done}, {yes}, {failed, failed}}, WriteStep::queue_owed},
    {{proceed, {done}, {yes}, {failed, failed, done}}, WriteStep::done},
    {{proceed, {done}, {no}}, WriteStep::clear},
    {{proceed, {done}, {no}, {done}}, WriteStep::done},
    {{proceed, {done}, {no}, {failed}}, WriteStep::queue_owed},
    {{proceed, {done}, {unknown}}, WriteStep::done},
    // Without.
    {{proceed, {failed, done}, {yes}}, WriteStep::invalidate},
    {{proceed, {failed, done}, {yes}, {done}}, WriteStep::done},
    {{proceed, {failed, done}, {yes}, {failed}}, WriteStep::queue_owed},
    {{proceed, {failed, done}, {yes}, {failed, done}}, WriteStep::done},
    {{proceed, {failed, done}, {no}}, WriteStep::invalidate},
    {{proceed, {failed, done}, {unknown}}, WriteStep::queue_held},
    {{proceed, {failed, done}, {unknown}, {done}}, WriteStep::done},
};

}  // namespace

// Rule S2.
TEST_CASE("a write goes on as its table says", "[write_steps]") {
    for (std::size_t row = 0; row < table.size(); ++row) {
        INFO("row " << row);
        CHECK(told(table[row].story).next() == table[row].next);
    }
}

TEST_CASE("a write has a ticket if the store gave it one", "[write_steps]") {
    CHECK_FALSE(told({proceed}).has_ticket());
    CHECK(told({proceed, {done}}).has_ticket());
    CHECK_FALSE(told({proceed, {failed, done}}).has_ticket());
}

// Rule S7.
TEST_CASE("a write that is left has written nothing, or nobody knows", "[write_steps]") {
    const auto left = [](const Told& story, bool saving) {
        WriteSteps steps = told(story);
        if (saving) {
            steps.saving();
        }
        steps.leave();
        return steps.next();
    };
    CHECK(left({proceed}, false) == WriteStep::done);
    CHECK(left({proceed, {failed}}, false) == WriteStep::done);
    CHECK(left({proceed, {done}}, false) == WriteStep::clear);
    CHECK(left({proceed, {failed, done}}, false) == WriteStep::invalidate);
    CHECK(left({proceed, {done}}, true) == WriteStep::done);
    CHECK(left({proceed, {failed, done}}, true) == WriteStep::queue_held);
}

TEST_CASE("what is owed after the save stays owed when a write is left", "[write_steps]") {
    for (const Row& row : table) {
        if (row.story.saved.empty()) {
            continue;
        }
        WriteSteps steps = told(row.story);
        steps.leave();
        CHECK(steps.next() == row.next);
    }
}

TEST_CASE("every write ends, whatever it is told", "[write_steps]") {
    // All answers to all steps, to the end: a tree of at most nine levels.
    struct Walk {
        std::size_t ends = 0;

        void from(WriteSteps steps, int depth) {
            REQUIRE(depth < 9);
            switch (steps.next()) {
                case WriteStep::done: ++ends; return;
                case WriteStep::save:
                    for (const Written how : {yes, no, unknown}) {
                        WriteSteps then = steps;
                        then.saving();
                        then.saved(how);
                        from(then, depth + 1);
                    }
                    return;
                default:
                    for (const WriteAnswer how : {done, lost, failed}) {
                        WriteSteps then = steps;
                        then.answered(how);
                        from(then, depth + 1);
                    }
            }
        }
    };
    for (const OnStoreFailure choice : {proceed, fail}) {
        Walk walk;
        walk.from(WriteSteps{choice}, 0);
        CHECK(walk.ends > 10);
    }
}
