// SPDX-License-Identifier: MIT

// Random walks of MemoryJournal beside write_behind.pml: the same steps on both, compared after each.

#include "support/catch.hpp"
#include "write_behind_model.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

using larder::Ttl;
using larder_test::WriteBehindModel;

namespace {

constexpr int walks = 300;
constexpr int steps = 800;
constexpr std::size_t keys = 3;

class JournalWalk {
public:
    explicit JournalWalk(std::uint64_t seed) : random_{seed} {}

    // Empty if every step agreed, else what the last ones were.
    std::string run() {
        for (int i = 0; i < steps; ++i) {
            step();
            compare();
            if (!wrong_.empty()) {
                for (const std::string& done : history_) {
                    wrong_ += "\n  " + done;
                }
                return wrong_;
            }
        }
        return {};
    }

    long settled = 0;
    long superseded = 0;
    long revived = 0;

private:
    using Journal = larder::MemoryJournal<int, int, larder::ManualClock>;
    using Claimed = larder::Claimed<int, int>;

    std::uint64_t draw(std::uint64_t below) {
        return std::uniform_int_distribution<std::uint64_t>{0, below - 1}(random_);
    }
    void note(std::string text) {
        history_.push_back(std::to_string(now_) + ": " + std::move(text));
        if (history_.size() > 30) {
            history_.pop_front();
        }
    }
    void expect(bool same, const char* what) {
        if (!same && wrong_.empty()) {
            wrong_ = std::string{what} + ": the model says otherwise, after:";
        }
    }
    WriteBehindModel& model(int key) { return models_[static_cast<std::size_t>(key)]; }
    static std::string name(const Claimed& claimed) {
        return std::to_string(claimed.claim) + " of key " + std::to_string(claimed.change.key);
    }

    // Every third change is a removal.
    static std::optional<int> value_of(int change) {
        return change % 3 == 0 ? std::nullopt : std::optional{change};
    }

    void record(int key) {
        const int change = ++changes_;
        const std::uint64_t version =
            draw(2) == 0 ? journal_.record({key, value_of(change)}) : record_within(key, change);
        note("record " + std::to_string(change) + " of key " + std::to_string(key));
        std::uint64_t& last = last_version_[static_cast<std::size_t>(key)];
        expect(version > last, "a version that grows");
        last = version;
        model(key).record(change, version, now_);
    }

    // In one step with another, after one that came to nothing.
    std::uint64_t record_within(int key, int change) {
        auto value = value_of(change);
        constexpr auto any = static_cast<std::size_t>(-1);
        expect(!journal_.record(key, value, any, [] { return false; }), "a step not taken");
        try {
            journal_.record(key, value, any, []() -> bool { throw StepFails{}; });
            expect(false, "a step that throws");
        } catch (const StepFails&) {}
        compare();
        int taken = 0;
        const auto version = journal_.record(key, value, any, [&] { return ++taken == 1; });
        expect(version.has_value() && taken == 1, "a step that is taken once");
        return version.value_or(0);
    }
    struct StepFails {};

    void claim() {
        const std::size_t most = 1 + draw(keys);
        const long life = static_cast<long>(1 + draw(6));
        const long age = static_cast<long>(draw(4));
        std::size_t due = 0;
        for (const WriteBehindModel& of : models_) {
            due += of.claimable(now_, age) ? 1U : 0U;
        }
        const std::size_t all = (std::min)(most, due);
        const auto claims = journal_.claim(most, Ttl{life}, Ttl{age});
        expect(claims.size() == all, "how many are due");
        long last_due = 0;
        for (const Claimed& claimed : claims) {
            note("claim " + name(claimed));
            WriteBehindModel& of = model(claimed.change.key);
            expect(of.claimable(now_, age), "a claim of what is not due");
            expect(of.pver == claimed.change.version && of.attempts == claimed.attempts &&
                       claimed.change.value == value_of(of.pend),
                   "what is claimed");
            // What has been due for longest comes first.
            const long due_at = of.due.value_or(of.since + age);
            expect(due_at >= last_due, "the order of the claims");
            last_due = due_at;
            changes_of_.push_back(of.pend);
            claims_.push_back(claimed);
            of.claimed(claimed.claim, now_ + life);
        }
        while (claims_.size() > 6) {
            forget(0);  // a flusher has died
        }
    }
    void forget(std::size_t at) {
        claims_.erase(claims_.begin() + static_cast<std::ptrdiff_t>(at));
        changes_of_.erase(changes_of_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    void flush(std::size_t at) {
        const Claimed mine = claims_[at];
        WriteBehindModel& of = model(mine.change.key);
        switch (draw(7)) {
            case 0: {
                note("renew " + name(mine));
                const long life = static_cast<long>(1 + draw(6));
                journal_.renew(std::vector{mine}, Ttl{life});
                of.renew(mine.claim, now_ + life);
                return;
            }
            case 1: {
                note("defer " + name(mine));
                const long delay = static_cast<long>(1 + draw(6));
                journal_.defer(mine, Ttl{delay});
                of.defer(mine.claim, mine.change.version, mine.attempts, now_, delay);
                break;
            }
            case 2:
                note("bury " + name(mine));
                expect(journal_.bury(mine, "why") == of.bury(mine.claim, mine.change.version, now_),
                       "bury");
                break;
            case 3:
                note("save " + name(mine));
                expect(of.save(changes_of_[at], mine.change.version), "a row that goes back");
                return;
            default: {
                note("save and settle " + name(mine));
                expect(of.save(changes_of_[at], mine.change.version), "a row that goes back");
                const bool theirs = journal_.settle(std::vector{mine}).front();
                expect(theirs == of.settle(mine.claim, mine.change.version, now_), "settle");
                (theirs ? settled : superseded) += 1;
                break;
            }
        }
        if (draw(4) != 0) {  // else it tries once more with a claim that is over
            forget(at);
        }
    }

    void step() {
        const int key = static_cast<int>(draw(keys));
        switch (draw(12)) {
            case 0:
            case 1: record(key); break;
            case 2:
            case 3:
            case 4: claim(); break;
            case 5:
            case 6:
            case 7:
            case 8:
                if (!claims_.empty()) {
                    flush(draw(claims_.size()));
                }
                break;
            case 9: {
                note("revive key " + std::to_string(key));
                const bool theirs = journal_.revive(key);
                revived += theirs ? 1 : 0;
                expect(theirs == model(key).revive(now_), "revive");
                break;
            }
            case 10:
                if (draw(4) == 0) {
                    note("discard key " + std::to_string(key));
                    expect(journal_.discard(key) == model(key).discard(), "discard");
                }
                break;
            default: {
                const long by = static_cast<long>(1 + draw(5));
                note("time passes");
                now_ += by;
                clock_.advance(Ttl{by});
                break;
            }
        }
    }

    // What both show, by functions that change nothing; and what the model asserts.
    void compare() {
        std::size_t pending = 0;
        std::size_t dead = 0;
        std::optional<long> oldest;
        for (int key = 0; key < static_cast<int>(keys); ++key) {
            const WriteBehindModel& of = model(key);
            const auto found = journal_.pending(key);
            expect(found.has_value() == (of.pend != 0), "whether a change is pending");
            if (found && of.pend != 0) {
                expect(found->version == of.pver && found->value == value_of(of.pend),
                       "the pending change");
                oldest = (std::max)(oldest.value_or(0), now_ - of.since);
                ++pending;
            }
            dead += of.dead != 0 ? 1U : 0U;
            if (of.pend == 0 && of.dead == 0 && of.excused != of.recorded) {
                expect(of.db == of.recorded, "the last change is written");
            }
        }
        expect(journal_.size() == pending, "how many are pending");
        const auto age = journal_.oldest();
        expect(age.has_value() == oldest.has_value() && (!age || age->count() == *oldest),
               "the age of the oldest");
        const auto letters = journal_.dead_letters();
        expect(letters.size() == dead, "how many are dead");
        for (const auto& letter : letters) {
            const WriteBehindModel& of = model(letter.change.key);
            expect(of.dver == letter.change.version && value_of(of.dead) == letter.change.value,
                   "a dead letter");
        }
    }

    std::mt19937_64 random_;
    larder::ManualClock clock_{};
    Journal journal_{clock_};
    std::array<WriteBehindModel, keys> models_{};
    long now_ = 0;
    int changes_ = 0;
    std::array<std::uint64_t, keys> last_version_{};
    std::vector<Claimed> claims_{};
    std::vector<int> changes_of_{};  // the change of each claim
    std::deque<std::string> history_{};
    std::string wrong_{};
};

}  // namespace

// Rules W4, W8 and W11.
TEST_CASE("MemoryJournal walks as the model does", "[model]") {
    long settled = 0;
    long superseded = 0;
    long revived = 0;
    for (std::uint64_t seed = 1; seed <= walks; ++seed) {
        JournalWalk walk{seed};
        const std::string difference = walk.run();
        INFO("seed " << seed << ": " << difference);
        REQUIRE(difference.empty());
        settled += walk.settled;
        superseded += walk.superseded;
        revived += walk.revived;
    }
    // The walks have been where it matters.
    CHECK(settled > walks);
    CHECK(superseded > walks);
    CHECK(revived > walks);
}
