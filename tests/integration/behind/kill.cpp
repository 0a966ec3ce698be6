// SPDX-License-Identifier: MIT

// kill -9: writers and flushers are processes, one of which is killed or stopped every few hundred
// milliseconds; then it is seen that the database has what was acknowledged.
//
// Longer: tests/run.sh fleet, or LARDER_KILL_SECONDS=60 test_integration_behind_kill.

#include "support/behind/databases.hpp"
#include "support/behind/fire_and_forget.hpp"
#include "support/behind/judge.hpp"
#include "support/behind/row_table.hpp"
#include "support/behind/supervisor.hpp"
#include "support/catch.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace larder_test;

namespace {

using Store = larder::MemoryStore<int, std::string>;

[[maybe_unused]] std::chrono::milliseconds length() {
    const char* const text = std::getenv("LARDER_KILL_SECONDS");
    return text == nullptr ? 10s : std::chrono::seconds{std::strtol(text, nullptr, 10)};
}

KillVerdict judge(const KillReport& report, const TestDatabase& database) {
    const auto table = database.connect();
    return judge(report.notes, table->rows(), table->history());
}

void tell(const char* what, const KillReport& report, const KillVerdict& verdict) {
    if (std::getenv("LARDER_KILL_REPORT") != nullptr) {
        std::fprintf(stderr,
                     "%s: acknowledged %zu (removals %zu) in doubt %zu coalesced %zu, killed %zu "
                     "stopped %zu servers %zu, lost %zu went back %zu\n",
                     what, verdict.acknowledged, verdict.removed, verdict.in_doubt,
                     verdict.coalesced, report.killed, report.stopped, report.server_killed,
                     verdict.lost.size(), verdict.went_back.size());
    }
}

}  // namespace

TEST_CASE("the checker sees what a fire-and-forget queue loses", "[kill]") {
    const SqliteDatabase database;
    const RowRepository rows = database.repository();
    std::size_t lost = 0;
    for (std::uint64_t seed = 1; seed <= 5 && lost == 0; ++seed) {
        const KillPlan plan{.seed = seed, .length = 1s, .quiet = 150ms, .make = [&](std::size_t) {
                                return std::make_unique<FireAndForget>(rows);
                            }};
        const KillReport report = Supervisor{plan}.run();
        const KillVerdict verdict = judge(report, database);
        tell("fire and forget", report, verdict);
        CHECK(report.failures == std::vector<std::string>{});
        CHECK(report.killed > 0);
        lost = verdict.lost.size();
    }
    CHECK(lost > 0);
}

TEST_CASE("the checker sees what write-behind with a journal in memory loses", "[kill]") {
    const SqliteDatabase database;
    const RowRepository rows = database.repository();
    const KillPlan plan{
        .length = 2s, .quiet = 150ms, .make = [&](std::size_t) {
            return writer_of(larder::WriteBehind{Store{}, rows, {.ttl = 1h}, {.delay = 20ms}});
        }};
    const KillReport report = Supervisor{plan}.run();
    const KillVerdict verdict = judge(report, database);
    tell("journal in memory", report, verdict);
    CHECK(report.failures == std::vector<std::string>{});
    CHECK(verdict.lost != std::vector<std::string>{});
    CHECK(verdict.went_back == std::vector<std::string>{});
}
