// SPDX-License-Identifier: MIT

// An executor may do with a task whatever it likes, and a step of the caller may fail besides: nobody
// waits for ever, and nothing is left in hand. Has threads: std::jthread.

#include "support/crooked_executor.hpp"
#include "support/failing_new.hpp"
#include "support/manual_executor.hpp"
#include "support/policy_steps.hpp"

using larder_test::BrittleBatches;
using larder_test::BrittleMemory;
using larder_test::CrookedExecutor;
using larder_test::every_way;
using larder_test::fail;
using larder_test::Failing;
using larder_test::Fault;
using larder_test::Start;
using larder_test::starts;
using larder_test::Trial;
using larder_test::verbs;
using larder_test::Watchdog;
using larder_test::Way;

using namespace std::chrono_literals;

namespace {

using Policy = larder::RefreshAhead<BrittleMemory, BrittleBatches>;

Policy make(Trial<Policy>& t) {
    return Policy{t.store, t.table, t.options};
}

Start<Policy> over(CrookedExecutor& executor, const Start<Policy>& start, Way way) {
    return {start.name + ", tasks " + std::string{to_string(way)},
            [&](larder::Options& options) {
                start.tune(options);
                options.executor = executor.handle();
            },
            [&](Trial<Policy>& t) {
                t.drain = [&] { executor.drain(); };
                start.prepare(t);
            }};
}

}  // namespace

TEST_CASE("whatever an executor does with a task", "[steps][executor]") {
    Watchdog dog{30s};
    for (const Way way : every_way) {
        CrookedExecutor executor{way};
        for (const auto& start : starts<Policy>()) {
            for (const auto& verb : verbs<Policy>()) {
                for (const Fault fault : {Fault::allocation, Fault::copy, Fault::hash}) {
                    for (int nth = 1; fail(dog, make, over(executor, start, way), verb, fault, nth,
                                           Failing::Times::once);
                         ++nth) {
                        REQUIRE(nth < 400);
                    }
                }
            }
        }
    }
}

TEST_CASE("tasks that outlive their policy", "[steps][executor]") {
    Watchdog dog{30s};
    for (const bool runs : {true, false}) {
        for (const auto& start : starts<Policy>()) {
            for (const auto& verb : verbs<Policy>()) {
                INFO(verb.name << ", " << start.name);
                const Watchdog::Step step{dog, verb.name + ", " + start.name};
                larder_test::ManualExecutor executor;
                Trial<Policy> t;
                start.tune(t.options);
                t.options.executor = executor.handle();
                t.timed.timeout = 0ms;
                t.stop.request_stop();
                t.policy = std::make_unique<Policy>(make(t));
                start.prepare(t);
                try {
                    verb.call(t);
                } catch (const larder::Error& error) {
                    CHECK((error.code() == larder::Errc::timed_out ||
                           error.code() == larder::Errc::cancelled));
                }
                t.loading = {};
                t.policy.reset();
                const int loads = t.table.loads();
                if (runs) {
                    executor.run_all();
                    CHECK(t.table.loads() == loads);  // what has not begun never begins
                } else {
                    executor = {};
                    t.options.executor = {};
                }
                if (t.ticket) {
                    t.store.finish_write(t.key, t.ticket, larder::detail::Finish::nothing, {}, {});
                }
                t.read.reset();
                t.options.executor = larder::Executor{Trial<Policy>::run_now};
                t.policy = std::make_unique<Policy>(make(t));
                judge(t, t.told);
            }
        }
    }
}
