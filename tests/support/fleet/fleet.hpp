// SPDX-License-Identifier: MIT

/// @file
/// A fleet: several processes that read and write few keys, with delays, deaths and disturbances.

#ifndef LARDER_TESTS_SUPPORT_FLEET_FLEET_HPP
#define LARDER_TESTS_SUPPORT_FLEET_FLEET_HPP

#include "support/fleet/chaos.hpp"
#include "support/fleet/judge.hpp"
#include "support/fleet/moment.hpp"
#include "support/fleet/operation_log.hpp"
#include "support/fleet/processes.hpp"
#include "support/fleet/rows.hpp"
#include "support/fleet/shared.hpp"
#include "support/fleet/strategy.hpp"
#include "support/fleet/table.hpp"
#include "support/fleet/tally.hpp"

#include <larder/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <random>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

/// Everything is counted in operations, not in time: a machine that is busy elsewhere takes longer
/// and does the same.
struct FleetPlan {
    std::uint64_t seed = 1;
    std::size_t members = 4;
    unsigned readers = 3;  // in each
    unsigned writers = 1;
    int keys = 2;
    /// How many reads, writes and loads there are in all.
    std::size_t length = 2000;
    /// After so many other keys are used; who died in a write hides its key for a ticket.
    std::size_t turn = 500;
    ChaosOptions chaos{};
    /// How long a writer rests at most.
    std::chrono::microseconds rest{4000};
    /// After one operation in so many some process is killed, or stands still for up to
    /// `stand_still`, wherever it is; 0: never.
    unsigned kill_one_in = 0;
    unsigned freeze_one_in = 0;
    std::chrono::milliseconds stand_still{10};
    Promise promise{};
    /// Called after every operation, with a key that is in use and a random number.
    std::function<void(int key, std::uint64_t random)> disturb{};
};

/// What a member does from its birth to the end of the run.
class FleetMember {
public:
    FleetMember(const FleetPlan& plan, OperationLog& log, Tally& tally, unsigned life)
        : plan_{plan},
          log_{log},
          tally_{tally},
          life_{life},
          chaos_{plan.chaos, plan.seed * 10'000 + life} {}

    /// @param done  how many operations there have been
    static int key_at(const FleetPlan& plan, std::size_t done, int which) {
        return static_cast<int>(plan.seed % 100'000) * 1000 +
               static_cast<int>(done / plan.turn) * plan.keys + which;
    }

    template <class Make>
    void run(const std::string& database, Make&& make) {
        FleetTable table{database, chaos_, log_, life_};
        const std::unique_ptr<Strategy> strategy = make(table);
        employ(*strategy, table);
        strategy->add_to(tally_);
    }

private:
    void employ(Strategy& strategy, FleetTable& table) {
        std::vector<std::jthread> threads;
        const auto crowd = [&](unsigned size, std::chrono::microseconds rest, auto work) {
            for (unsigned i = 0; i < size; ++i) {
                threads.emplace_back([this, work, rest] {
                    while (log_.size() < plan_.length) {
                        work();
                        chaos_.step();
                        chaos_.sleep(rest);
                    }
                });
            }
        };
        crowd(plan_.readers, {}, [&] { read(strategy); });
        crowd(plan_.writers, plan_.rest, [&] { write(strategy, table); });
    }

    void read(Strategy& strategy) {
        const int k = key();
        switch (chaos_.below(8)) {
            case 0: note_read({k}, [&] { return std::vector{strategy.refresh(k)}; }); break;
            case 1:
                note_read({k, k + 1}, [&] {
                    auto [a, b] = strategy.get_two(k, k + 1);
                    return std::vector{std::move(a), std::move(b)};
                });
                break;
            default: note_read({k}, [&] { return std::vector{strategy.get(k)}; });
        }
    }

    void write(Strategy& strategy, FleetTable& table) {
        const int k = key();
        using Kind = Logged::Kind;
        switch (chaos_.below(16)) {
            case 0:
            case 1: note_write(Kind::write, k, [&] { strategy.remove(k); }); break;
            case 2:
            case 3:
                note_write(Kind::write, k, [&] { strategy.write(k, [&] { table.save(k, {}); }); });
                break;
            case 4:
                note_write(Kind::past, k, [&] {
                    table.save(k, {});
                    strategy.invalidate(k);
                });
                break;
            case 5:
                note_write(Kind::past, k, [&] {
                    table.save(k, {});
                    strategy.invalidate_tag_of(k);
                });
                break;
            case 6: {
                try {
                    strategy.invalidate(k);
                } catch (const larder::StoreError&) {
                    // Nothing had changed.
                }
                break;
            }
            default: note_write(Kind::write, k, [&] { strategy.put(k); });
        }
    }

    [[nodiscard]] int key() {
        const int which = static_cast<int>(chaos_.below(static_cast<unsigned>(plan_.keys)));
        return key_at(plan_, log_.size(), which);
    }

    template <class F>
    void note_read(const std::vector<int>& keys, F&& f) {
        std::vector<OperationLog::Number> numbers;
        for (const int k : keys) {
            if (const auto number = log_.begin(Logged::Kind::read, life_, k)) {
                numbers.push_back(*number);
            }
        }
        if (numbers.size() != keys.size()) {
            return;  // the log is full
        }
        std::vector<Strategy::Row> rows;
        try {
            rows = f();
        } catch (const std::logic_error&) {
            throw;
        } catch (const std::exception&) {
            for (const auto number : numbers) {
                log_.end(number, Logged::State::failed);
            }
            return;
        }
        for (std::size_t i = 0; i < keys.size(); ++i) {
            log_.end(numbers[i], Logged::State::done, version_in(rows[i], keys[i]));
        }
    }

    template <class F>
    void note_write(Logged::Kind kind, int k, F&& f) {
        const auto number = log_.begin(kind, life_, k);
        if (!number) {
            return;
        }
        FleetTable::set_operation(*number);
        chaos_.step();
        try {
            f();
            log_.end(*number, Logged::State::done);
        } catch (const std::logic_error&) {
            throw;
        } catch (const std::exception&) {
            log_.end(*number, Logged::State::failed);
        }
    }

    const FleetPlan& plan_;
    OperationLog& log_;
    Tally& tally_;
    unsigned life_;
    Chaos chaos_;
};

/// Lets a fleet work as planned, and judges it.
///
/// @param tally     of this run and others
/// @param database  the path of its SQLite file
/// @param make      called in each process, makes its Strategy over a FleetTable
template <class Make>
Verdict run_fleet(const FleetPlan& plan, Tally& tally, const std::string& database, Make make) {
    Rows{database}.take_commits();
    const Shared<OperationLog> log;
    Processes fleet{plan.members, [&](Processes::Life life, std::size_t) {
                        FleetMember{plan, *log, tally, life}.run(database, make);
                    }};
    std::mt19937_64 random{plan.seed};
    std::vector<Moment> frozen_until(fleet.size(), 0);
    const auto one_in = [&](unsigned of) { return of != 0 && random() % of == 0; };
    const auto thaw = [&](Moment now) {
        for (std::size_t i = 0; i < fleet.size(); ++i) {
            if (frozen_until[i] != 0 && frozen_until[i] <= now) {
                fleet.thaw(i);
                frozen_until[i] = 0;
            }
        }
    };
    const Moment latest = moment() + moments(std::chrono::minutes{1});
    for (std::size_t done = 0; done < plan.length && moment() < latest;) {
        fleet.tend(true);
        thaw(moment());
        for (const std::size_t now_done = log->size(); done < now_done; ++done) {
            const std::size_t chosen = random() % fleet.size();
            if (one_in(plan.kill_one_in)) {
                fleet.kill(chosen);
            }
            if (one_in(plan.freeze_one_in)) {
                fleet.freeze(chosen);
                frozen_until[chosen] = moment() + 1 + random() % moments(plan.stand_still);
            }
            if (plan.disturb) {
                const int which = static_cast<int>(random() % static_cast<unsigned>(plan.keys));
                plan.disturb(FleetMember::key_at(plan, done, which), random());
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    thaw(History::never);
    fleet.join(std::chrono::minutes{1});
    Verdict verdict =
        judge(log->operations(), Rows{database}.take_commits(), fleet.deaths(), plan.promise);
    verdict.failures = fleet.failures();
    verdict.killed = fleet.killed();
    return verdict;
}

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_FLEET_HPP
