// SPDX-License-Identifier: MIT

/// @file
/// Every step of every verb of a policy fails: the first, the second, … until none is left, once or
/// from then on. Whatever has failed, the next calls work, nothing that is known to be old comes
/// back, and nothing is left in hand.

#ifndef LARDER_TESTS_SUPPORT_POLICY_STEPS_HPP
#define LARDER_TESTS_SUPPORT_POLICY_STEPS_HPP

#include "support/brittle.hpp"
#include "support/catch.hpp"
#include "support/failing.hpp"
#include "support/watchdog.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <functional>
#include <latch>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

using namespace std::chrono_literals;

using BrittleMemory = larder::MemoryStore<Frail, Frail, BrittleClock, BrittleHash>;
using BrittleCoordinated = larder::Coordinated<BrittleStore>;

inline constexpr int the_key = 7;
inline constexpr int another_key = 8;
inline constexpr int old_row = 1;
inline constexpr int new_row = 2;
inline constexpr int written_row = 3;
inline constexpr int last_row = 4;

using Row = std::optional<int>;

[[nodiscard]] inline Row row_of(const std::optional<Frail>& value) {
    return value ? Row{value->number()} : std::nullopt;
}

template <class S>
[[nodiscard]] S brittle_store() {
    if constexpr (std::same_as<S, BrittleMemory>) {
        larder::MemoryStoreOptions<Frail, Frail> options;
        options.on_removal = [](const Frail&, const Frail&, larder::RemovalCause) {
            Failing::step(Fault::listener);
        };
        return S{std::move(options), BrittleClock{}};
    } else {
        return S{BrittleStore{}};
    }
}

/// The tags of an entry, where they are asked for.
inline larder::Tags brittle_tags(const Frail&, const Frail&) {
    Failing::step(Fault::tags);
    return {"a tag that is too long to be kept in place without memory"};
}

/// A policy over things of its own, for one call of which a step fails.
///
/// @tparam P  the policy
template <class P>
struct Trial {
    using Store = typename P::store_type;

    Store store = brittle_store<Store>();
    BrittleBatches table{};
    larder::ManualClock clock{store.clock().manual};
    larder::Options options{
        .ttl = 60s,
        .negative_ttl = 60s,
        .grace = 30s,
        .ticket = 30s,
        .executor = larder::Executor{run_now},
        .observer = [](const larder::Event&) { Failing::step(Fault::observer); }};
    std::unique_ptr<P> policy{};
    Frail key{the_key};
    Frail other{another_key};
    std::vector<Frail> keys{Frail{the_key}, Frail{another_key}, Frail{the_key}};
    std::vector<std::pair<Frail, Frail>> pairs{{Frail{the_key}, Frail{written_row}},
                                               {Frail{another_key}, Frail{written_row}}};
    Frail written{written_row};

    /// What a copy may hold that is older than the truth, as long as nobody has been told better.
    std::optional<Row> old{};

    /// The write of another, that is under way.
    larder::detail::Ticket ticket{};
    std::jthread loading{};

    /// Where work runs in the background: returns when all of it has ended.
    std::function<void()> drain = [] {};

    /// How a read waits that has a bound.
    larder::Read timed{.timeout = 1h};
    std::stop_source stop{};

    /// What the call has returned, where it is a read of the key.
    std::optional<Row> read{};

    /// The call has returned, and no older copy may be served from now on.
    bool told = false;

    /// What a reader is to see: what is recorded, else the row.
    [[nodiscard]] Row truth() const {
        if constexpr (requires { policy->journal(); }) {
            if (const auto change = policy->journal().pending(Frail{the_key})) {
                return row_of(change->value);
            }
        }
        return table.row(the_key);
    }

    // As it is in a store's table: at once, in the thread that submits. It may refuse before, and
    // throw after.
    static void run_now(const larder::Task& task) {
        const Twice step{Fault::executor};
        task();
        step.done();
    }
};

/// A state in which a verb is called.
template <class P>
struct Start {
    std::string name;
    std::function<void(larder::Options&)> tune;
    std::function<void(Trial<P>&)> prepare;
};

/// A verb by name.
template <class P>
struct Verb {
    std::string name;
    std::function<void(Trial<P>&)> call;
};

template <class P>
[[nodiscard]] std::vector<Start<P>> starts() {
    using T = Trial<P>;
    const auto usual = [](larder::Options&) {};
    const auto forgetful = [](larder::Options& o) { o.negative_ttl = 0ms; };
    const auto hurried = [](larder::Options& o) { o.load_timeout = 0ms; };
    // A copy of the old row, which another program has replaced since.
    const auto copied = [](T& t) {
        t.table.set(the_key, old_row);
        (void)t.policy->get(t.key);
        t.table.set(the_key, new_row);
        t.old = Row{old_row};
    };
    const auto stale = [copied](T& t) {
        copied(t);
        t.clock.advance(61s);
    };
    return {
        {"absent", usual, [](T& t) { t.table.set(the_key, new_row); }},
        {"fresh", usual, copied},
        {"due", usual,
         [copied](T& t) {
             copied(t);
             t.clock.advance(55s);
         }},
        {"stale", usual, stale},
        {"stale, and need not be waited for", hurried, stale},
        {"stale, and removed", forgetful,
         [stale](T& t) {
             stale(t);
             t.table.set(the_key, std::nullopt);
         }},
        {"due, and removed", forgetful,
         [copied](T& t) {
             copied(t);
             t.clock.advance(55s);
             t.table.set(the_key, std::nullopt);
         }},
        {"known to be absent", usual,
         [](T& t) {
             (void)t.policy->get(t.key);
             t.table.set(the_key, new_row);
             t.old = Row{};
         }},
        {"loaded by another thread", usual,
         [stale](T& t) {
             stale(t);
             std::latch begun{1};
             t.loading = std::jthread{[&t, &begun] {
                 (void)t.policy->get(t.key, [&](const Frail&) {
                     begun.count_down();
                     std::this_thread::sleep_for(100us);  // others come meanwhile, or later
                     return std::optional{Frail{new_row}};
                 });
             }};
             begun.wait();
         }},
        {"written by another", usual,
         [copied](T& t) {
             copied(t);
             t.ticket = t.store.begin_write(t.key, 30s);
         }},
    };
}

template <class P>
[[nodiscard]] std::vector<Verb<P>> verbs() {
    using T = Trial<P>;
    using larder::From;
    using larder::Read;
    const auto lent = [](T& t) { return [&t](const Frail& key) { return t.table.load(key); }; };
    const auto given = [](T& t) {
        return larder::detached([table = t.table](const Frail& key) { return table.load(key); });
    };
    std::vector<Verb<P>> all{
        {"get", [](T& t) { t.read = row_of(t.policy->get(t.key)); }},
        {"get in time", [](T& t) { t.read = row_of(t.policy->get(t.key, t.timed)); }},
        {"get until a stop",
         [](T& t) { t.read = row_of(t.policy->get(t.key, Read{.stop = t.stop.get_token()})); }},
        {"get, lent", [=](T& t) { t.read = row_of(t.policy->get(t.key, lent(t))); }},
        {"get, lent, in time",
         [=](T& t) { t.read = row_of(t.policy->get(t.key, lent(t), t.timed)); }},
        {"get, detached", [=](T& t) { t.read = row_of(t.policy->get(t.key, given(t), t.timed)); }},
        {"fetch", [](T& t) { t.read = row_of(t.policy->fetch(t.key).value); }},
        {"fetch from the source",
         [](T& t) {
             t.read = row_of(t.policy->fetch(t.key, Read{.from = From::source}).value);
             t.told = true;
         }},
        {"fetch from the source in time",
         [](T& t) {
             t.read = row_of(
                 t.policy->fetch(t.key, Read{.timeout = t.timed.timeout, .from = From::source})
                     .value);
             t.told = true;
         }},
        {"peek", [](T& t) { (void)t.policy->peek(t.key); }},
        {"get_many",
         [](T& t) { t.read = row_of(t.policy->get_many(std::span<const Frail>{t.keys}).front()); }},
        {"warm", [](T& t) { (void)t.policy->warm(t.keys, {.batch = 1}); }},
        {"refresh",
         [](T& t) {
             t.read = row_of(t.policy->refresh(t.key));
             t.told = true;
         }},
        {"invalidate",
         [](T& t) {
             t.policy->invalidate(t.key);
             t.told = true;
         }},
        {"invalidate_many",
         [](T& t) {
             t.policy->invalidate_many(std::span<const Frail>{t.keys});
             t.told = true;
         }},
        {"put", [](T& t) { t.policy->put(t.key, t.written); }},
        {"put_many", [](T& t) { t.policy->put_many(t.pairs); }},
        {"remove", [](T& t) { t.policy->remove(t.key); }},
    };
    if constexpr (requires(T& t) { t.policy->writing(t.key); }) {
        all.push_back({"writing, committed", [](T& t) {
                           auto write = t.policy->writing(t.key, t.other, t.key);
                           t.table.save(t.key, t.written);
                           write.commit();
                           t.told = true;
                       }});
        all.push_back({"writing, rolled back", [](T& t) {
                           auto write = t.policy->writing(t.keys);
                           write.rollback();
                       }});
        all.push_back({"writing, and nobody knows", [](T& t) {
                           const auto write = t.policy->writing(t.keys);
                           t.table.save(t.key, t.written);
                       }});
    }
    if constexpr (requires(T& t) { t.policy->invalidate_all(); }) {
        all.push_back({"invalidate_tag", [](T& t) {
                           t.policy->invalidate_tag(brittle_tags(t.key, t.key).front());
                           t.told =
                               !t.old || t.old->has_value();  // a known absence has no such tag
                       }});
        all.push_back({"invalidate_all", [](T& t) {
                           t.policy->invalidate_all();
                           t.told = true;
                       }});
    }
    return all;
}

/// Until what a plain store has missed was told.
template <class S>
[[nodiscard]] bool settled(const S& store, const Frail& key) {
    if constexpr (requires { store.queued_invalidations(); }) {
        const auto deadline = std::chrono::steady_clock::now() + 20s;
        while (store.queued_invalidations() != 0) {
            if (std::chrono::steady_clock::now() > deadline) {
                return false;
            }
            (void)store.find(key);  // who touches it helps
            std::this_thread::yield();
        }
    }
    return true;
}

template <class P>
[[nodiscard]] bool nothing_in_hand(const P& policy) {
    // A task lets go of its pass a moment after it has told of its end.
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    for (;;) {
        const auto graph = larder::detail::WaitGraph::count();
        if (larder::detail::Inspect::in_hand(policy) == larder::detail::PolicyInHand{} &&
            graph.carried == 0 && graph.waits == 0) {
            return true;
        }
        if (std::chrono::steady_clock::now() > until) {
            return false;
        }
        std::this_thread::yield();
    }
}

/// What must hold once nothing runs any more.
///
/// @param outdated  the old copy may not be served
template <class P>
void judge(Trial<P>& t, bool outdated) {
    const auto may_be = [&](const Row& row) {
        return row == t.truth() || (!outdated && t.old && row == *t.old);
    };
    if (t.read) {
        CHECK(may_be(*t.read));
    }
    Row copy = t.truth();
    try {
        const Failing down{Fault::loader, 1, Failing::Times::from_then_on};
        copy = row_of(t.policy->get(t.key));
    } catch (const StepFailed&) {}  // there is none
    CHECK(may_be(copy));
    t.clock.advance(2s);  // nor does it rest any more
    CHECK(may_be(row_of(t.policy->get(t.key))));
    t.clock.advance(30s);  // tickets of which nobody knows
    CHECK(settled(t.store, t.other));
    CHECK(may_be(row_of(t.policy->get(t.key))));
    t.policy->put(t.key, Frail{last_row});
    CHECK(row_of(t.policy->get(t.key)) == last_row);
    CHECK(row_of(t.policy->get_many(t.keys).front()) == last_row);
    t.policy->remove(t.key);
    CHECK(row_of(t.policy->get(t.key)) == Row{});
    CHECK(row_of(t.policy->refresh(t.key)) == Row{});
    CHECK(settled(t.store, t.other));
    t.drain();
    CHECK(nothing_in_hand(*t.policy));
}

/// Calls a verb of which the n-th step of a kind fails.
///
/// @return false if there was no such step
template <class P, class Make>
bool fail(Watchdog& dog, const Make& make, const Start<P>& start, const Verb<P>& verb, Fault fault,
          int nth, Failing::Times times) {
    const std::string name = verb.name + ", " + start.name + ", " + std::string{to_string(fault)} +
                             ' ' + std::to_string(nth) +
                             (times == Failing::Times::once ? "" : " and after");
    INFO(name);
    const Watchdog::Step step{dog, name};
    Trial<P> t;
    start.tune(t.options);
    t.policy = std::make_unique<P>(make(t));
    start.prepare(t);
    const Row before = t.truth();
    const auto bypassed = t.policy->stats().bypassed;
    bool hit = false;
    bool threw = false;
    {
        const Failing failing{fault, nth, times};
        try {
            verb.call(t);
        } catch (...) {
            threw = true;
            t.told = false;
        }
        hit = failing.hit();
    }
    CHECK((hit || !threw));
    t.drain();
    t.loading = {};
    if (t.ticket) {
        t.store.finish_write(t.key, t.ticket, larder::detail::Finish::nothing, {}, {});
    }
    // What is loaded past a store that has failed changes nothing there.
    const bool read_anew =
        t.policy->stats().bypassed == bypassed && t.read && t.old && *t.read != *t.old;
    judge(t, t.told || read_anew || t.truth() != before);
    return hit;
}

/// @param make  gives the policy, over the trial's store and table, with its options
template <class P, class Make>
void fail_every_step(const Make& make) {
    Watchdog dog{30s};
    for (const auto& start : starts<P>()) {
        for (const auto& verb : verbs<P>()) {
            for (const Fault fault : every_fault) {
                for (const auto times : {Failing::Times::once, Failing::Times::from_then_on}) {
                    int nth = 1;
                    while (fail(dog, make, start, verb, fault, nth, times)) {
                        ++nth;
                        REQUIRE(nth < 400);
                    }
                }
            }
        }
    }
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_POLICY_STEPS_HPP
