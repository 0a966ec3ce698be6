// SPDX-License-Identifier: MIT

// What a read does next, without any store: by tables, and through all answers beside a model.

#include "support/catch.hpp"

#include <larder/detail/read/read_steps.hpp>
#include <larder/detail/read/remote_steps.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using larder::detail::FlightEnd;
using larder::detail::MayWait;
using larder::detail::ReadAct;
using larder::detail::ReadCount;
using larder::detail::ReadKind;
using larder::detail::ReadStart;
using larder::detail::ReadStep;
using larder::detail::ReadSteps;
using larder::detail::RemoteAct;
using larder::detail::RemoteEnd;
using larder::detail::RemoteSteps;
using larder::detail::Slot;
using larder::detail::WaitEnd;

// Whatever a step may be answered; which of it counts depends on the step.
struct Answer {
    bool yes = false;    // there is one, it is this read's, it was kept
    bool other = false;  // a stale copy, one ahead, a failure
    bool due = true;
    bool ours = true;
    Slot slot = Slot::bypass;
    WaitEnd end = WaitEnd::over;
    FlightEnd brought = FlightEnd::nothing;
    RemoteEnd remote = RemoteEnd::lasts;
    ReadAct handed = ReadAct::hand_on;  // of a queued load: how to wait instead
};

ReadStep tell(ReadSteps& steps, ReadAct act, const Answer& answer) {
    switch (act) {
        case ReadAct::find_underway: return steps.found(answer.yes);
        case ReadAct::open:
        case ReadAct::open_reload:
        case ReadAct::open_refresh:
            return steps.opened(answer.slot, answer.other, answer.due, answer.ours);
        case ReadAct::queue:
        case ReadAct::queue_reload: return steps.queued(answer.yes);
        case ReadAct::join_bypass:
        case ReadAct::lead_bypass: return steps.joined_bypass(answer.yes, answer.other);
        case ReadAct::find_next: return steps.found_next(answer.yes);
        case ReadAct::wait_queued:
            if (answer.handed != ReadAct::hand_on) {
                return steps.handed_on(answer.handed, answer.ours);
            }
            return steps.waited(act, answer.end, answer.brought);
        case ReadAct::wait_underway:
        case ReadAct::wait_flight:
        case ReadAct::wait_bypass:
        case ReadAct::wait_predecessor:
        case ReadAct::wait_ahead: return steps.waited(act, answer.end, answer.brought);
        case ReadAct::wait_remote: return steps.waited_remote(answer.remote);
        case ReadAct::load_leased:
        case ReadAct::load_bypass:
        case ReadAct::load_alone: return answer.other ? steps.load_failed(act) : steps.loaded(act);
        case ReadAct::fill: return steps.filled(answer.yes, answer.other);
        case ReadAct::close_reload: return steps.closed(answer.other);
        case ReadAct::invalidate: return steps.invalidated();
        case ReadAct::undo_fill: return steps.undone();
        case ReadAct::give_back: return steps.gave_back();
        default: break;
    }
    FAIL("a last step has no answer");
    return {ReadAct::give_nothing};
}

// All that a step can be answered.
std::vector<Answer> answers_to(ReadAct act, const ReadStart& start) {
    std::vector<Answer> all;
    const auto both = {false, true};
    switch (act) {
        case ReadAct::find_underway:
        case ReadAct::queue:
        case ReadAct::find_next: return {{.yes = false}, {.yes = true}};
        case ReadAct::queue_reload: return {{.yes = true}};
        case ReadAct::join_bypass:
            return {{.yes = false}, {.yes = true}, {.yes = true, .other = true}};
        case ReadAct::lead_bypass:
            return {{.yes = true}, {.yes = false}, {.yes = false, .other = true}};
        case ReadAct::open:
        case ReadAct::open_reload:
        case ReadAct::open_refresh:
            for (const Slot slot :
                 {Slot::hit, Slot::lead, Slot::join, Slot::remote, Slot::bypass}) {
                for (const bool stale : both) {
                    for (const bool due : both) {
                        if ((slot != Slot::hit || !stale) &&
                            (due || start.kind == ReadKind::refresh)) {
                            all.push_back({.other = stale, .due = due, .slot = slot});
                        }
                    }
                }
            }
            all.push_back({.ours = false, .slot = Slot::bypass});
            return all;
        case ReadAct::wait_underway:
        case ReadAct::wait_flight:
        case ReadAct::wait_queued:
        case ReadAct::wait_bypass:
        case ReadAct::wait_predecessor:
        case ReadAct::wait_ahead:
            all = {{.brought = FlightEnd::nothing},
                   {.brought = FlightEnd::value},
                   {.brought = FlightEnd::failure},
                   {.end = WaitEnd::recursive},
                   {.end = WaitEnd::deadlock}};
            if (act == ReadAct::wait_queued) {
                all.push_back({.brought = FlightEnd::refused});
                for (const ReadAct wait : {ReadAct::wait_bypass, ReadAct::wait_ahead}) {
                    all.push_back({.handed = wait});
                    all.push_back({.ours = false, .handed = wait});
                }
                if (start.kind == ReadKind::miss) {
                    all.push_back({.handed = ReadAct::wait_flight});
                    all.push_back({.handed = ReadAct::wait_remote});
                }
            }
            if (act == ReadAct::wait_ahead) {  // what that has brought is not for this read
                all.erase(all.begin() + 1, all.begin() + 3);
            }
            if (start.limited) {
                all.push_back({.end = WaitEnd::timed_out});
                all.push_back({.end = WaitEnd::cancelled});
            }
            return all;
        case ReadAct::wait_remote:
            all = {{.remote = RemoteEnd::ended},
                   {.remote = RemoteEnd::died},
                   {.remote = RemoteEnd::lasts}};
            if (start.limited) {
                all.push_back({.remote = RemoteEnd::timed_out});
                all.push_back({.remote = RemoteEnd::cancelled});
            }
            return all;
        case ReadAct::fill: return {{.yes = false}, {.yes = true}, {.other = true}};
        case ReadAct::load_leased:
        case ReadAct::load_bypass:
        case ReadAct::load_alone:
        case ReadAct::close_reload: return {{.other = false}, {.other = true}};
        default: return {{}};
    }
}

// What must hold of every read, whatever it is answered. It knows what was handed out, not what is to
// be done with it.
class Model {
public:
    explicit Model(const ReadStart& start)
        : start_{start},
          stale_{start.stale && start.kind == ReadKind::miss},
          on_executor_{start.limited && start.outlives_call && start.kind != ReadKind::refresh},
          remote_ended_{start.past_remote} {}

    void answered(ReadAct act, const Answer& answer) {
        if (act == ReadAct::invalidate) {
            invalidated_ = true;  // and what it gives is what it was to give
            return;
        }
        last_ = answer;
        after_ = act;
        switch (act) {
            case ReadAct::open:
            case ReadAct::open_reload:
            case ReadAct::open_refresh:
                CHECK_FALSE(lease_);
                lease_ = answer.slot == Slot::lead;
                stale_ = answer.other && start_.kind == ReadKind::miss;
                ours_ = answer.ours;
                break;
            case ReadAct::load_leased:
                loaded_ = !answer.other;
                failed_ = answer.other;
                break;
            case ReadAct::load_bypass:
            case ReadAct::load_alone:
                loaded_ = !answer.other;
                failed_ = answer.other;
                break;
            case ReadAct::fill: lease_ = answer.other; break;
            case ReadAct::undo_fill:
            case ReadAct::give_back: lease_ = false; break;
            case ReadAct::wait_remote:
                remote_ended_ = remote_ended_ || answer.remote == RemoteEnd::ended ||
                                answer.remote == RemoteEnd::lasts;
                break;
            case ReadAct::wait_queued:
                if (answer.handed != ReadAct::hand_on) {
                    ours_ = answer.ours;
                } else if (answer.brought == FlightEnd::refused ||
                           (start_.kind == ReadKind::reload &&
                            (answer.end == WaitEnd::deadlock ||
                             answer.brought == FlightEnd::nothing))) {
                    on_executor_ = false;
                }
                break;
            default: break;
        }
        // These send a read on; nothing else may lead back.
        const bool waits = act >= ReadAct::wait_underway && act <= ReadAct::wait_ahead;
        if (act == ReadAct::wait_remote ||
            (waits && answer.end == WaitEnd::over && answer.brought != FlightEnd::value &&
             answer.brought != FlightEnd::failure)) {
            since_.clear();
        }
    }

    void says(const ReadSteps& steps, ReadStep step) {
        for (const ReadAct act : since_) {
            CHECK(act != step.act);  // it goes round without a reason
        }
        since_.push_back(step.act);
        count(step);
        CHECK(step.leave_queued ==
              (step.act == ReadAct::give_stale && after_ == ReadAct::wait_queued &&
               last_.end == WaitEnd::timed_out));
        switch (step.act) {
            case ReadAct::wait_underway:
                CHECK((after_ == ReadAct::find_underway && last_.yes));
                break;
            case ReadAct::wait_flight:
                CHECK((handed(step.act) || (opened() && last_.slot == Slot::join)));
                break;
            case ReadAct::wait_remote:
                CHECK((handed(step.act) ||
                       (opened() && last_.slot == Slot::remote && !remote_ended_)));
                break;
            case ReadAct::wait_queued:
                CHECK((after_ == ReadAct::queue || after_ == ReadAct::queue_reload));
                own_ = last_.yes;
                break;
            case ReadAct::wait_bypass:
                CHECK((handed(step.act) || (after_ == ReadAct::join_bypass && !last_.yes) ||
                       (after_ == ReadAct::find_next && last_.yes)));
                break;
            case ReadAct::wait_ahead: CHECK(handed(step.act)); break;
            case ReadAct::find_next: CHECK(after_ == ReadAct::wait_ahead); break;
            case ReadAct::hand_on: hands_on(steps.handed()); break;
            case ReadAct::wait_predecessor:
                CHECK((after_ == ReadAct::join_bypass && last_.yes && last_.other));
                break;
            case ReadAct::load_leased: CHECK(lease_); break;
            case ReadAct::load_bypass:
                CHECK((after_ == ReadAct::wait_predecessor || (last_.yes && !last_.other)));
                CHECK_FALSE(lease_);
                break;
            case ReadAct::load_alone: CHECK_FALSE(lease_); break;
            case ReadAct::fill: CHECK((lease_ && loaded_)); break;
            case ReadAct::undo_fill:
                CHECK((after_ == ReadAct::fill || after_ == ReadAct::close_reload));
                break;
            case ReadAct::close_reload:
                CHECK((after_ == ReadAct::fill && !last_.yes && start_.kind == ReadKind::reload));
                break;
            case ReadAct::invalidate: CHECK((!lease_ && start_.kind == ReadKind::reload)); break;
            case ReadAct::give_back: CHECK((lease_ && !loaded_)); break;
            default: break;
        }
        // It waits for nobody on a thread of the executor, and loads on none of its callers'.
        const bool waits = step.act >= ReadAct::wait_underway && step.act <= ReadAct::wait_remote;
        CHECK_FALSE((start_.for_others && waits));
        const bool in_this_thread = step.act == ReadAct::open || step.act == ReadAct::open_reload ||
                                    step.act == ReadAct::load_leased ||
                                    step.act == ReadAct::load_bypass;
        CHECK_FALSE((on_executor_ && in_this_thread));
        if (step.last()) {
            ends(step.act);
        }
    }

private:
    [[nodiscard]] bool handed(ReadAct act) const {
        return after_ == ReadAct::wait_queued && last_.handed == act;
    }

    // What has been found, and is there to be waited for.
    void hands_on(ReadAct act) {
        CHECK(start_.for_others);
        switch (act) {
            case ReadAct::wait_flight: CHECK((opened() && last_.slot == Slot::join)); break;
            case ReadAct::wait_remote:
                CHECK((opened() && last_.slot == Slot::remote && !remote_ended_));
                break;
            case ReadAct::wait_bypass:
            case ReadAct::wait_ahead:
                CHECK((after_ == ReadAct::lead_bypass && !last_.yes));
                CHECK(last_.other == (act == ReadAct::wait_ahead));
                break;
            default: FAIL("nothing to wait for"); break;
        }
    }

    void ends(ReadAct act) {
        CHECK_FALSE(lease_);
        CHECK(joined_ == waits_for_others_);
        CHECK(bypassed_ == (without_lease_ && !start_.bypassed ? 1U : 0U));
        switch (act) {
            case ReadAct::give_hit:
            case ReadAct::give_remote:
                CHECK((after_ == ReadAct::open && last_.slot == Slot::hit));
                CHECK((act == ReadAct::give_remote) == remote_ended_);
                break;
            case ReadAct::give_stale:
                CHECK(stale_);
                CHECK((failed_ || start_.backs_off || last_.end != WaitEnd::over ||
                       last_.brought == FlightEnd::failure ||
                       last_.remote >= RemoteEnd::timed_out));
                break;
            case ReadAct::give_joined:
            case ReadAct::give_queued:
                CHECK(last_.brought == FlightEnd::value);
                CHECK((act == ReadAct::give_queued) == (after_ == ReadAct::wait_queued && own_));
                break;
            case ReadAct::give_loaded: CHECK(loaded_); break;
            case ReadAct::give_nothing: CHECK(start_.kind == ReadKind::refresh); break;
            case ReadAct::hand_on: break;
            case ReadAct::throw_failure:
                CHECK((failed_ || last_.brought == FlightEnd::failure));
                CHECK_FALSE(stale_);
                break;
            case ReadAct::throw_timed_out:
                CHECK((last_.end == WaitEnd::timed_out || last_.remote == RemoteEnd::timed_out));
                CHECK_FALSE(stale_);
                break;
            case ReadAct::throw_cancelled:
                CHECK((last_.end == WaitEnd::cancelled || last_.remote == RemoteEnd::cancelled));
                CHECK_FALSE(stale_);
                break;
            case ReadAct::throw_recursive:
                CHECK((last_.end == WaitEnd::recursive || start_.may == MayWait::recursive));
                break;
            default: FAIL("no end"); break;
        }
        // No load that began before it satisfies a reload, and no stale copy stands in for it.
        if (start_.kind == ReadKind::reload) {
            CHECK(act != ReadAct::give_hit);
            CHECK(act != ReadAct::give_stale);
            CHECK((act != ReadAct::give_joined || after_ == ReadAct::wait_bypass));
            CHECK(invalidated_ == (ours_ && (act == ReadAct::give_joined ||
                                             (act == ReadAct::give_loaded && loaded_without_))));
        }
        if (start_.kind == ReadKind::refresh) {
            CHECK_FALSE(without_lease_);
            CHECK(waits_for_others_ == 0);
        }
    }

    void count(ReadStep step) {
        joined_ += step.count == ReadCount::joined ? 1U : 0U;
        bypassed_ += step.count == ReadCount::bypassed ? 1U : 0U;
        CHECK((step.count == ReadCount::refreshes) ==
              (step.act == ReadAct::load_leased && start_.kind == ReadKind::refresh));
        switch (step.act) {
            case ReadAct::wait_underway:
            case ReadAct::wait_flight:
            case ReadAct::wait_remote:
                waits_for_others_ += handed(step.act) && !own_ ? 0U : 1U;
                break;
            case ReadAct::wait_queued: waits_for_others_ += last_.yes ? 0U : 1U; break;
            case ReadAct::wait_bypass:
            case ReadAct::wait_ahead:
                without_lease_ = without_lease_ || (handed(step.act) && own_);
                break;
            case ReadAct::lead_bypass: stale_ = false; break;
            case ReadAct::join_bypass:
            case ReadAct::load_bypass:
            case ReadAct::load_alone:
                loaded_without_ = loaded_without_ || step.act != ReadAct::join_bypass;
                without_lease_ = true;
                stale_ = false;
                break;
            default: break;
        }
    }

    [[nodiscard]] bool opened() const { return after_ == ReadAct::open && !lease_; }

    ReadStart start_;
    bool stale_;
    bool lease_ = false;
    bool loaded_ = false;
    bool failed_ = false;
    bool own_ = false;
    bool on_executor_;
    bool remote_ended_;
    bool loaded_without_ = false;
    bool without_lease_ = false;
    bool invalidated_ = false;
    bool ours_ = true;
    std::size_t joined_ = 0;
    std::size_t waits_for_others_ = 0;
    std::size_t bypassed_ = 0;
    ReadAct after_ = ReadAct::give_nothing;
    Answer last_{};
    std::vector<ReadAct> since_{};
};

struct Walk {
    ReadStart start;
    std::size_t ended = 0;
    std::size_t cut = 0;

    void go(const ReadSteps& steps, const Model& model, ReadStep step, std::size_t left) {
        if (step.last()) {
            ++ended;
            return;
        }
        if (left == 0) {
            ++cut;
            return;
        }
        for (const Answer& answer : answers_to(step.act, start)) {
            ReadSteps now = steps;
            Model beside = model;
            const ReadStep next = tell(now, step.act, answer);
            beside.answered(step.act, answer);
            beside.says(now, next);
            go(now, beside, next, left - 1);
        }
    }
};

std::vector<ReadStart> all_starts() {
    std::vector<ReadStart> all;
    for (const ReadKind kind : {ReadKind::miss, ReadKind::reload, ReadKind::refresh}) {
        for (const MayWait may : {MayWait::yes, MayWait::recursive, MayWait::deadlock}) {
            for (unsigned bits = 0; bits < 16; ++bits) {
                all.push_back({kind, may, (bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0,
                               (bits & 8U) != 0});
            }
            for (unsigned bits = 0; bits < 4 && kind != ReadKind::refresh; ++bits) {
                ReadStart start{kind, may};
                start.for_others = true;
                start.past_remote = (bits & 1U) != 0;
                start.bypassed = (bits & 2U) != 0;
                all.push_back(start);
            }
        }
    }
    return all;
}

// One read: what it is answered, and what it does next.
struct Row {
    std::string what;
    ReadStart start;
    ReadStep first;
    struct Next {
        Answer answer;
        ReadStep step;
    };
    std::vector<Next> then;
};

constexpr ReadStart miss{};
constexpr ReadStart stale_miss{.stale = true};
constexpr ReadStart limited{.limited = true, .outlives_call = true};
constexpr ReadStart stale_limited{.stale = true, .limited = true, .outlives_call = true};
constexpr ReadStart reload{.kind = ReadKind::reload};
constexpr ReadStart refresh{.kind = ReadKind::refresh};
constexpr ReadStart for_others{.for_others = true};

constexpr Answer leads{.slot = Slot::lead};
constexpr Answer leads_stale{.other = true, .slot = Slot::lead};
constexpr Answer joins{.slot = Slot::join};
constexpr Answer remote{.slot = Slot::remote};
constexpr Answer bypasses{.slot = Slot::bypass};
constexpr Answer hit{.slot = Slot::hit};
constexpr Answer yes{.yes = true};
constexpr Answer no{};
constexpr Answer done{};
constexpr Answer fails{.other = true};
constexpr Answer behind{.other = true};
constexpr Answer hands_on(ReadAct wait) {
    return {.handed = wait};
}
constexpr Answer value{.brought = FlightEnd::value};
constexpr Answer failure{.brought = FlightEnd::failure};
constexpr Answer refused{.brought = FlightEnd::refused};
constexpr Answer timed_out{.end = WaitEnd::timed_out};
constexpr Answer cancelled{.end = WaitEnd::cancelled};
constexpr Answer recursive{.end = WaitEnd::recursive};
constexpr Answer deadlock{.end = WaitEnd::deadlock};

constexpr ReadStep joined(ReadAct act) {
    return {act, ReadCount::joined};
}
constexpr ReadStep bypassed(ReadAct act) {
    return {act, ReadCount::bypassed};
}

void check(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        INFO(row.what);
        ReadSteps steps;
        ReadStep step = steps.begin(row.start);
        CHECK(step == row.first);
        for (const Row::Next& next : row.then) {
            REQUIRE_FALSE(step.last());
            step = tell(steps, step.act, next.answer);
            CHECK(step == next.step);
        }
        CHECK(step.last());
    }
}

}  // namespace

TEST_CASE("a miss under a lease", "[read][steps]") {
    using enum ReadAct;
    check({
        {"loaded and kept",
         miss,
         {open},
         {{leads, {load_leased}}, {done, {fill}}, {yes, {give_loaded}}}},
        {"loaded, and fenced",
         miss,
         {open},
         {{leads, {load_leased}}, {done, {fill}}, {no, {give_loaded}}}},
        {"the fill fails",
         miss,
         {open},
         {{leads, {load_leased}}, {done, {fill}}, {fails, {undo_fill}}, {done, {give_loaded}}}},
        {"the load fails",
         miss,
         {open},
         {{leads, {load_leased}}, {fails, {give_back}}, {done, {throw_failure}}}},
        {"the load fails, and a stale copy stands in",
         miss,
         {open},
         {{leads_stale, {load_leased}}, {fails, {give_back}}, {done, {give_stale}}}},
        {"the stale copy has gone when the slot is opened",
         stale_miss,
         {open},
         {{leads, {load_leased}}, {fails, {give_back}}, {done, {throw_failure}}}},
    });
}

// Rule S11.
TEST_CASE("a miss that waits for another", "[read][steps]") {
    using enum ReadAct;
    check({
        {"it is there after all", miss, {open}, {{hit, {give_hit}}}},
        {"a value", miss, {open}, {{joins, joined(wait_flight)}, {value, {give_joined}}}},
        {"a failure", miss, {open}, {{joins, joined(wait_flight)}, {failure, {throw_failure}}}},
        {"a failure, and a stale copy",
         miss,
         {open},
         {{{.other = true, .slot = Slot::join}, joined(wait_flight)}, {failure, {give_stale}}}},
        {"left alone, it opens anew",
         miss,
         {open},
         {{joins, joined(wait_flight)},
          {no, {open}},
          {leads, {load_leased}},
          {done, {fill}},
          {yes, {give_loaded}}}},
        {"for itself",
         miss,
         {open},
         {{joins, joined(wait_flight)}, {recursive, {throw_recursive}}}},
        {"in a circle of batches",
         miss,
         {open},
         {{joins, joined(wait_flight)}, {deadlock, bypassed(load_alone)}, {done, {give_loaded}}}},
        {"elsewhere",
         miss,
         {open},
         {{remote, joined(wait_remote)},
          {{.remote = RemoteEnd::ended}, {open}},
          {hit, {give_remote}}}},
        {"elsewhere, and another after it",
         miss,
         {open},
         {{remote, joined(wait_remote)},
          {{.remote = RemoteEnd::ended}, {open}},
          {remote, bypassed(join_bypass)},
          {yes, {load_bypass}},
          {done, {give_loaded}}}},
        {"elsewhere, where the holder dies",
         miss,
         {open},
         {{remote, joined(wait_remote)},
          {{.remote = RemoteEnd::died}, {open}},
          {remote, joined(wait_remote)},
          {{.remote = RemoteEnd::lasts}, bypassed(join_bypass)},
          {yes, {load_bypass}},
          {done, {give_loaded}}}},
    });
}

TEST_CASE("a miss with a deadline", "[read][steps]") {
    using enum ReadAct;
    const ReadStep queued{wait_queued};
    check({
        {"whose load may not outlive it is in its own thread",
         {.limited = true},
         {open},
         {{joins, joined(wait_flight)}, {timed_out, {throw_timed_out}}}},
        {"what is under way is joined",
         limited,
         {find_underway},
         {{yes, joined(wait_underway)}, {value, {give_joined}}}},
        {"what is under way is left alone",
         limited,
         {find_underway},
         {{yes, joined(wait_underway)},
          {no, {find_underway}},
          {no, {queue}},
          {yes, queued},
          {value, {give_queued}}}},
        {"queued by another",
         limited,
         {find_underway},
         {{no, {queue}}, {no, joined(wait_queued)}, {value, {give_joined}}}},
        {"late",
         limited,
         {find_underway},
         {{no, {queue}}, {yes, queued}, {timed_out, {throw_timed_out}}}},
        {"stopped",
         limited,
         {find_underway},
         {{no, {queue}}, {yes, queued}, {cancelled, {throw_cancelled}}}},
        {"late, with a stale copy: the load goes on",
         stale_limited,
         {find_underway},
         {{no, {queue}}, {yes, queued}, {timed_out, {give_stale, ReadCount::nothing, true}}}},
        {"stopped, with a stale copy: nobody needs the load",
         stale_limited,
         {find_underway},
         {{no, {queue}}, {yes, queued}, {cancelled, {give_stale}}}},
        {"refused by the executor",
         limited,
         {find_underway},
         {{no, {queue}}, {yes, queued}, {refused, {open}}, {hit, {give_hit}}}},
        {"in a circle",
         limited,
         {find_underway},
         {{no, {queue}},
          {yes, queued},
          {deadlock, bypassed(load_alone)},
          {fails, {throw_failure}}}},
        {"too soon after a failure",
         {.stale = true, .backs_off = true, .limited = true, .outlives_call = true},
         {give_stale},
         {}},
    });
}

// Rule S12.
TEST_CASE("a read on the executor waits for nobody", "[read][steps]") {
    using enum ReadAct;
    const ReadStart past_remote{.for_others = true, .past_remote = true};
    const ReadStart counted{.for_others = true, .bypassed = true};
    const ReadStart of_reload{.kind = ReadKind::reload, .for_others = true};
    check({
        {"it loads",
         for_others,
         {open},
         {{leads, {load_leased}}, {done, {fill}}, {yes, {give_loaded}}}},
        {"it finds a load", for_others, {open}, {{joins, {hand_on}}}},
        {"it finds one of another process", for_others, {open}, {{remote, {hand_on}}}},
        {"which one of its waiters has waited for before",
         past_remote,
         {open},
         {{remote, {lead_bypass}}, {yes, bypassed(load_bypass)}, {done, {give_loaded}}}},
        {"it finds a load without a lease that is to begin",
         for_others,
         {open},
         {{bypasses, {lead_bypass}}, {no, {hand_on}}}},
        {"and one that has begun",
         for_others,
         {open},
         {{bypasses, {lead_bypass}}, {behind, {hand_on}}}},
        {"it is counted once",
         counted,
         {open},
         {{bypasses, {lead_bypass}}, {yes, {load_bypass}}, {done, {give_loaded}}}},
        {"a reload without a lease",
         of_reload,
         {open_reload},
         {{bypasses, {lead_bypass}},
          {yes, bypassed(load_bypass)},
          {done, {invalidate}},
          {done, {give_loaded}}}},
    });
}

// Rules S10 and S12.
TEST_CASE("what was handed on is waited for by whoever asks", "[read][steps]") {
    using enum ReadAct;
    const ReadStep queued{wait_queued};
    const ReadStart limited_reload{
        .kind = ReadKind::reload, .limited = true, .outlives_call = true};
    check({
        {"a load",
         limited,
         {find_underway},
         {{no, {queue}},
          {yes, queued},
          {hands_on(wait_flight), joined(wait_flight)},
          {timed_out, {throw_timed_out}}}},
        {"a load that leaves it alone: what is next is the executor's again",
         limited,
         {find_underway},
         {{no, {queue}},
          {yes, queued},
          {hands_on(wait_flight), joined(wait_flight)},
          {no, {find_underway}},
          {no, {queue}},
          {yes, queued},
          {value, {give_queued}}}},
        {"it is counted once",
         limited,
         {find_underway},
         {{no, {queue}},
          {no, joined(wait_queued)},
          {hands_on(wait_flight), {wait_flight}},
          {value, {give_joined}}}},
        {"a load of another process, once",
         limited,
         {find_underway},
         {{no, {queue}},
          {yes, queued},
          {hands_on(wait_remote), joined(wait_remote)},
          {{.remote = RemoteEnd::lasts}, {find_underway}},
          {no, {queue}},
          {yes, queued},
          {value, {give_queued}}}},
        {"a load without a lease that begins later",
         limited,
         {find_underway},
         {{no, {queue}},
          {yes, queued},
          {hands_on(wait_bypass), bypassed(wait_bypass)},
          {value, {give_joined}}}},
        {"one that has begun is not for it, but what comes after it is",
         limited,
         {find_underway},
         {{no, {queue}},
          {yes, queued},
          {hands_on(wait_ahead), bypassed(wait_ahead)},
          {value, {find_next}},
          {yes, {wait_bypass}},
          {value, {give_joined}}}},
        {"and if nothing does, it has one of its own",
         limited,
         {find_underway},
         {{no, {queue}},
          {yes, queued},
          {hands_on(wait_ahead), bypassed(wait_ahead)},
          {failure, {find_next}},
          {no, {find_underway}},
          {no, {queue}},
          {yes, queued},
          {value, {give_queued}}}},
        {"a reload ends as an invalidation",
         limited_reload,
         {queue_reload},
         {{yes, queued},
          {hands_on(wait_ahead), bypassed(wait_ahead)},
          {no, {find_next}},
          {yes, {wait_bypass}},
          {value, {invalidate}},
          {done, {give_joined}}}},
    });
    ReadSteps steps;
    (void)steps.begin(limited);
    (void)steps.found(false);
    (void)steps.queued(true);
    CHECK_FALSE(steps.for_executor().past_remote);
    (void)steps.handed_on(wait_remote, true);
    (void)steps.waited_remote(RemoteEnd::ended);
    CHECK(steps.for_executor().past_remote);
    CHECK(steps.for_executor().for_others);
    CHECK_FALSE(steps.for_executor().bypassed);
    (void)steps.handed_on(wait_ahead, true);
    CHECK(steps.for_executor().bypassed);
}

TEST_CASE("a miss without a lease", "[read][steps]") {
    using enum ReadAct;
    const ReadStep bypass = bypassed(join_bypass);
    check({
        {"joins", miss, {open}, {{bypasses, bypass}, {no, {wait_bypass}}, {value, {give_joined}}}},
        {"left alone, it joins the next",
         miss,
         {open},
         {{bypasses, bypass},
          {no, {wait_bypass}},
          {no, {join_bypass}},
          {yes, {load_bypass}},
          {done, {give_loaded}}}},
        {"begins after the one ahead",
         miss,
         {open},
         {{bypasses, bypass},
          {{.yes = true, .other = true}, {wait_predecessor}},
          {failure, {load_bypass}},
          {fails, {throw_failure}}}},
        {"the one ahead takes too long",
         {.limited = true},
         {open},
         {{bypasses, bypass},
          {{.yes = true, .other = true}, {wait_predecessor}},
          {timed_out, {throw_timed_out}}}},
        {"no stale copy stands in for it",
         stale_miss,
         {open},
         {{{.other = true, .slot = Slot::bypass}, bypass},
          {no, {wait_bypass}},
          {failure, {throw_failure}}}},
        {"counted once, even if it is in a circle then",
         miss,
         {open},
         {{bypasses, bypass},
          {no, {wait_bypass}},
          {deadlock, {load_alone}},
          {done, {give_loaded}}}},
        {"within a batch that loads the key",
         {.may = MayWait::deadlock},
         bypassed(load_alone),
         {{done, {give_loaded}}}},
        {"within the load of the key", {.may = MayWait::recursive}, {throw_recursive}, {}},
    });
}

TEST_CASE("a reload and a refresh", "[read][steps]") {
    using enum ReadAct;
    const ReadStart limited_reload{
        .kind = ReadKind::reload, .limited = true, .outlives_call = true};
    check({
        {"a reload whose fill is refused leaves no older copy",
         reload,
         {open_reload},
         {{leads_stale, {load_leased}},
          {done, {fill}},
          {no, {close_reload}},
          {done, {give_loaded}}}},
        {"nor does one that cannot say so",
         reload,
         {open_reload},
         {{leads, {load_leased}},
          {done, {fill}},
          {no, {close_reload}},
          {fails, {undo_fill}},
          {done, {give_loaded}}}},
        {"a reload takes no stale copy for an answer",
         reload,
         {open_reload},
         {{leads_stale, {load_leased}}, {fails, {give_back}}, {done, {throw_failure}}}},
        {"a reload within a batch that loads the key takes the lease",
         {.kind = ReadKind::reload, .may = MayWait::deadlock},
         {open_reload},
         {{bypasses, bypassed(join_bypass)},
          {yes, {load_bypass}},
          {done, {invalidate}},
          {done, {give_loaded}}}},
        {"a reload without a lease ends as an invalidation, whoever has loaded",
         reload,
         {open_reload},
         {{bypasses, bypassed(join_bypass)},
          {no, {wait_bypass}},
          {value, {invalidate}},
          {done, {give_joined}}}},
        {"but leaves alone what is not the store's to touch",
         reload,
         {open_reload},
         {{{.ours = false, .slot = Slot::bypass}, bypassed(join_bypass)},
          {yes, {load_bypass}},
          {done, {give_loaded}}}},
        {"a reload with a deadline",
         limited_reload,
         {queue_reload},
         {{yes, {wait_queued}}, {value, {give_queued}}}},
        {"a reload that the executor refuses",
         limited_reload,
         {queue_reload},
         {{yes, {wait_queued}},
          {refused, {open_reload}},
          {leads, {load_leased}},
          {done, {fill}},
          {yes, {give_loaded}}}},
        {"a refresh",
         refresh,
         {open_refresh},
         {{leads_stale, {load_leased, ReadCount::refreshes}},
          {done, {fill}},
          {yes, {give_loaded}}}},
        {"a refresh of what another has refreshed",
         refresh,
         {open_refresh},
         {{{.due = false, .slot = Slot::lead}, {give_back}}, {done, {give_nothing}}}},
        {"a refresh of what is being loaded", refresh, {open_refresh}, {{joins, {give_nothing}}}},
        {"a refresh within the load of the key",
         {.kind = ReadKind::refresh, .may = MayWait::recursive},
         {give_nothing},
         {}},
    });
}

TEST_CASE("every read ends well, whatever it is answered", "[read][steps]") {
    std::size_t ended = 0;
    std::size_t cut = 0;
    for (const ReadStart& start : all_starts()) {
        CAPTURE(start.kind, start.may, start.stale, start.backs_off, start.limited,
                start.outlives_call, start.for_others, start.past_remote, start.bypassed);
        ReadSteps steps;
        Model model{start};
        const ReadStep first = steps.begin(start);
        model.says(steps, first);
        Walk walk{start};
        walk.go(steps, model, first, 9);
        CHECK(walk.ended > 0);
        ended += walk.ended;
        cut += walk.cut;
    }
    CAPTURE(cut);  // these go round, for a new reason each time
    CHECK(ended > 20'000);
}

TEST_CASE("the wait for another process' load", "[read][steps]") {
    using Instant = RemoteSteps::Instant;
    const Instant start{1h};
    RemoteSteps steps{start, 5s, std::nullopt};
    CHECK(steps.deadline() == start + 5s);
    REQUIRE(steps.begin() == RemoteAct::watch);

    SECTION("for one who is told") {
        REQUIRE(steps.watched(false, start) == RemoteAct::wait);
        SECTION("of its end") {
            CHECK(steps.waited(WaitEnd::over, RemoteEnd::died) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::died);
        }
        SECTION("nothing: another must watch") {
            CHECK(steps.waited(WaitEnd::over, std::nullopt) == RemoteAct::watch);
        }
        SECTION("too late") {
            CHECK(steps.waited(WaitEnd::timed_out, std::nullopt) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::lasts);
        }
        SECTION("to stop") {
            CHECK(steps.waited(WaitEnd::cancelled, std::nullopt) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::cancelled);
        }
        SECTION("that it waits for itself") {
            CHECK(steps.waited(WaitEnd::recursive, std::nullopt) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::lasts);
        }
    }
    SECTION("for one who asks") {
        REQUIRE(steps.watched(true, start) == RemoteAct::pause);
        CHECK(steps.pause_until() == start + 500us);
        REQUIRE(steps.paused(false) == RemoteAct::ask);
        SECTION("soon at first, then at an eighth of the time that it takes, and at last") {
            CHECK(steps.answered(start + 80ms, 3s) == RemoteAct::pause);
            CHECK(steps.pause_until() == start + 90ms);
            CHECK(steps.answered(start + 800ms, 3s) == RemoteAct::pause);
            CHECK(steps.pause_until() == start + 820ms);
            CHECK(steps.answered(start + 4990ms, 3s) == RemoteAct::pause);
            CHECK(steps.pause_until() == start + 5s);
            CHECK(steps.answered(start + 5s, 3s) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::lasts);
        }
        SECTION("it has ended") {
            CHECK(steps.answered(start + 1ms, 3s) == RemoteAct::pause);
            CHECK(steps.answered(start + 2ms, std::nullopt) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::ended);
        }
        SECTION("it has run out") {
            CHECK(steps.answered(start + 1ms, 3ms) == RemoteAct::pause);
            CHECK(steps.answered(start + 4ms, std::nullopt) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::died);
        }
        SECTION("the store fails") {
            CHECK(steps.failed() == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::lasts);
        }
        SECTION("it is stopped") {
            CHECK(steps.paused(true) == RemoteAct::end);
            CHECK(steps.how() == RemoteEnd::cancelled);
        }
    }
    SECTION("with a deadline of the caller's own") {
        RemoteSteps hurried{start, 5s, start + 1s};
        CHECK(hurried.deadline() == start + 1s);
        CHECK(hurried.watched(false, start) == RemoteAct::wait);
        CHECK(hurried.waited(WaitEnd::timed_out, std::nullopt) == RemoteAct::end);
        CHECK(hurried.how() == RemoteEnd::timed_out);
    }
}
