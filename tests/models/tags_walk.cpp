// SPDX-License-Identifier: MIT

// Random walks of MemoryStore's tags beside tags.pml: the same steps on both, compared after each.

#include "support/catch.hpp"
#include "tags_model.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <random>
#include <string>
#include <utility>
#include <vector>

using larder::detail::Finish;
using larder::detail::Lead;
using larder::detail::Lease;
using larder::detail::Slot;
using larder::detail::Ticket;
using larder_test::TagsModel;

namespace {

constexpr int walks = 100;
constexpr int steps = 500;
constexpr int key = 1;

class TagsWalk {
public:
    explicit TagsWalk(std::uint64_t seed) : random_{seed} {}

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

    long kept = 0;
    long spoilt = 0;
    long lost = 0;

private:
    struct Loading {
        std::uint64_t id;
        Lease lease;
        larder::detail::AnyLead lead;
        TagsModel::Moment epoch;
        int got = 0;  // what the database held; 0: not read yet
    };
    struct Writing {
        std::uint64_t id;
        Ticket ticket;
        TagsModel::Moment epoch;
        int mine = 0;  // what was committed; 0: nothing yet
    };

    std::uint64_t draw(std::uint64_t below) {
        return std::uniform_int_distribution<std::uint64_t>{0, below - 1}(random_);
    }
    void note(std::string text) {
        history_.push_back(std::move(text));
        if (history_.size() > 30) {
            history_.pop_front();
        }
    }
    void expect(bool same, const char* what) {
        if (!same && wrong_.empty()) {
            wrong_ = std::string{what} + ": the model says otherwise, after:";
        }
    }

    void opened(const char* what, larder::detail::Opening<int> theirs, TagsModel::Answer mine,
                std::uint64_t id, TagsModel::Moment epoch) {
        using Answer = TagsModel::Answer;
        note(std::string{what} + " " + std::to_string(id) + " answers " +
             std::to_string(static_cast<int>(theirs.slot)));
        expect((theirs.slot == Slot::lead) == (mine == Answer::lead) &&
                   (theirs.slot == Slot::join) == (mine == Answer::join) &&
                   (theirs.slot == Slot::bypass) == (mine == Answer::bypass),
               what);
        if (theirs.slot == Slot::lead) {
            loads_.push_back({id, theirs.lease, std::move(theirs.lead), epoch});
            if (loads_.size() > 5) {
                release(0);
            }
        }
    }
    void release(std::size_t at) {
        note("release " + std::to_string(loads_[at].id));
        model_.release(loads_[at].id);
        store_.release(key, loads_[at].lease);
        loads_.erase(loads_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    void fill(std::size_t at) {
        Loading& load = loads_[at];
        if (load.got == 0) {
            load.got = db_;
            note("load " + std::to_string(load.id));
            return;
        }
        const auto theirs = store_.fill(key, load.lease, load.got, {life, {"tag"}});
        note("fill " + std::to_string(load.id) + (theirs.kept ? " kept" : " refused") +
             (theirs.tags_stand ? "" : ", spoilt"));
        expect(model_.learn(load.epoch, theirs.tags_stand), "whether the tag stands");
        const auto mine = model_.fill(load.id, load.got, load.epoch);
        expect(mine.kept == theirs.kept && mine.spoilt == !theirs.tags_stand, "fill");
        kept += theirs.kept ? 1 : 0;
        spoilt += theirs.tags_stand ? 0 : 1;
        loads_.erase(loads_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    void finish(std::size_t at) {
        Writing& write = writes_[at];
        if (write.mine == 0) {
            write.mine = ++db_;
            note("commit " + std::to_string(write.id));
            return;
        }
        note("finish_write " + std::to_string(write.id));
        expect(store_.finish_write(key, write.ticket, Finish::value, write.mine, {life, {"tag"}}),
               "finish_write");
        if (model_.tickets.size() == 1 && !model_.overlapped) {
            expect(model_.learn(write.epoch, store_.find(key).has_value()), "what a write leaves");
        }
        model_.finish_write(write.id, write.mine, write.epoch);
        acknowledged_ = std::max(acknowledged_, write.mine);
        writes_.erase(writes_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    // So many other tags that the one that no copy carries is forgotten.
    void lose_version() {
        if (model_.slot == TagsModel::Kind::absent) {
            store_.erase(key);  // a copy that is no hit may still be there, and carry it
        }
        if (model_.slot == TagsModel::Kind::value) {
            return;
        }
        note("the version is lost");
        constexpr int times = 3;
        for (int i = 0; i < times; ++i) {
            std::vector<std::string> others;
            for (int other = 0; other < 2'100; ++other) {
                others.push_back(std::to_string(++names_));
            }
            store_.invalidate_tags(others);
        }
        model_.lose_version(times);
        ++lost;
    }

    void step() {
        const std::uint64_t id = ++ids_;
        const auto epoch = model_.clock;
        if (draw(120) == 0) {
            lose_version();
            return;
        }
        switch (draw(12)) {
            case 0:
            case 1: opened("open", store_.open(key), model_.open(id), id, epoch); break;
            case 2:
                opened("open_refresh", store_.open_refresh(key, false), model_.open_refresh(id), id,
                       epoch);
                break;
            case 3:
            case 4:
            case 5:
                if (!loads_.empty()) {
                    fill(draw(loads_.size()));
                }
                break;
            case 6:
                if (!loads_.empty() && draw(3) == 0) {
                    release(draw(loads_.size()));
                }
                break;
            case 7:
                if (writes_.size() < 3) {
                    note("begin_write " + std::to_string(id));
                    model_.begin_write(id);
                    writes_.push_back({id, store_.begin_write(key, std::chrono::hours{1}), epoch});
                }
                break;
            case 8:
            case 9:
                if (!writes_.empty()) {
                    finish(draw(writes_.size()));
                }
                break;
            case 10:
                note("invalidate");
                ++db_;
                model_.invalidate();
                store_.invalidate_tags(std::vector<std::string>{"tag"});
                acknowledged_ = db_;
                break;
            default:
                if (model_.slot != TagsModel::Kind::writing && draw(3) == 0) {
                    note("evict");
                    model_.evict();
                    store_.erase(key);
                }
                break;
        }
    }

    // What both show, by operations that change nothing; and what the model asserts.
    void compare() {
        const auto found = store_.find(key);
        expect(found.has_value() == model_.hit(), "a hit");
        if (found && model_.hit()) {
            expect(*found->value == model_.val, "the value");
            expect(*found->value >= acknowledged_,
                   "a read that is older than what was acknowledged");
        }
        expect((store_.underway(key) != nullptr) == model_.leased(), "a lease");
    }

    static constexpr larder::Lifetime life{std::chrono::hours{1}};

    std::mt19937_64 random_;
    larder::MemoryStore<int, int, larder::ManualClock> store_{};
    TagsModel model_{};
    std::uint64_t ids_ = 0;
    int names_ = 0;
    int db_ = 1;
    int acknowledged_ = 1;  // the newest change whose write or invalidation has returned
    std::vector<Loading> loads_{};
    std::vector<Writing> writes_{};
    std::deque<std::string> history_{};
    std::string wrong_{};
};

}  // namespace

// Rules T1, T2 and T3.
TEST_CASE("MemoryStore's tags walk as the model does", "[model]") {
    long kept = 0;
    long spoilt = 0;
    long lost = 0;
    for (std::uint64_t seed = 1; seed <= walks; ++seed) {
        TagsWalk walk{seed};
        const std::string difference = walk.run();
        INFO("seed " << seed << ": " << difference);
        REQUIRE(difference.empty());
        kept += walk.kept;
        spoilt += walk.spoilt;
        lost += walk.lost;
    }
    // The walks have been where it matters.
    CHECK(kept > walks);
    CHECK(spoilt > walks);
    CHECK(lost > walks);
}
