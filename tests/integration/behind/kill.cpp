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
#include "support/fleet/folder.hpp"
#include "support/redis_server.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/sqlite.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <unistd.h>

using namespace std::chrono_literals;
using namespace larder_test;

namespace {

using Store = larder::MemoryStore<int, std::string>;

std::chrono::milliseconds length() {
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

namespace {

const larder::Options options{.ttl = 1h};

// Claims that a stopped process outlives, and nothing is waited for at the end.
constexpr larder::WriteBehindOptions behind(larder::Ttl delay) {
    return {.delay = delay, .claim = 300ms, .drain = 0ms};
}

/// A process's own, with a database that takes its time, so that processes die and stop with changes in
/// hand.
RowRepository slow(const TestDatabase& database) {
    RowRepository rows = database.repository();
    rows.before_write() = [](std::span<const RowChange>) {
        thread_local std::mt19937 random{static_cast<unsigned>(::getpid())};
        std::this_thread::sleep_for(std::chrono::microseconds{random() % 10'000});
    };
    return rows;
}

/// Nothing is left, neither to write nor in anybody's hand.
template <class Cache>
void check_drained(const Cache& cache) {
    CHECK(cache.flush(1min) == 0);
    CHECK(cache.journal().size() == 0);
    CHECK(cache.journal().claim(1000, 1s, 0ms).empty());
    for (const auto& letter : cache.dead_letters()) {
        FAIL_CHECK("a dead letter of key " << letter.change.key << ": " << letter.why);
    }
}

/// A journal that each writer has for itself, in a file.
class OwnJournals {
public:
    explicit OwnJournals(const TestDatabase& database) : database_{database} {}

    [[nodiscard]] auto cache(std::size_t member) const {
        return larder::WriteBehind{Store{}, slow(database_),
                                   larder::SqliteJournal<int, std::string>{path(member)}, options,
                                   behind(20ms)};
    }
    [[nodiscard]] KillPlan plan() const {
        return {.make = [this](std::size_t member) { return writer_of(cache(member)); }};
    }
    void drain(const KillPlan& plan) const {
        for (std::size_t member = 0; member < plan.writers; ++member) {
            check_drained(cache(member));
        }
    }
    void recreate() const { std::filesystem::remove_all(folder_.path() / "journals"); }

private:
    [[nodiscard]] std::string path(std::size_t member) const {
        const auto folder = folder_.path() / "journals";
        std::filesystem::create_directory(folder);
        return folder / std::to_string(member);
    }

    const TestDatabase& database_;
    Folder folder_{};
};

/// A journal in Redis that all share, beside their copies. The server is killed, too.
class SharedJournal {
public:
    explicit SharedJournal(const TestDatabase& database) : database_{database} {}

    /// The first member records only, and leaves the rest to the others.
    [[nodiscard]] auto cache(std::size_t member) const {
        larder::redis::Client client{
            {.path = server_->socket_path(), .breaker = 50ms, .max_breaker = 100ms}};
        return larder::WriteBehind{larder::RedisStore<int, std::string>{client, "row"},
                                   slow(database_),
                                   larder::RedisJournal<int, std::string>{client, "row"}, options,
                                   behind(member == 0 ? larder::Ttl{1h} : larder::Ttl{20})};
    }
    [[nodiscard]] KillPlan plan() const {
        return {.flushers = 2,
                .server_one_in = 6,
                .kill_server = [this] { server_->restart(); },
                .make = [this](std::size_t member) { return writer_of(cache(member)); }};
    }
    void drain(const KillPlan&) const { check_drained(cache(1)); }
    void recreate() const { server_->run("FLUSHALL"); }

private:
    const TestDatabase& database_;
    std::unique_ptr<RedisServer> server_ = std::make_unique<RedisServer>(
        std::vector<std::string>{"--appendonly", "yes", "--appendfsync", "always"});
};

/// Kills, drains, and judges; then once more in front of the same rows, with a journal that is new.
template <class Journals>
void nothing_is_lost(const char* what, const TestDatabase& database) {
    const Journals journals{database};
    std::vector<Note> notes;
    std::size_t killed = 0;
    for (const bool again : {false, true}) {
        KillPlan plan = journals.plan();
        plan.seed = again ? 2 : 1;
        plan.length = again ? length() / 5 : length();
        KillReport report = Supervisor{plan}.run();
        journals.drain(plan);
        notes.insert(notes.end(), report.notes.begin(), report.notes.end());
        report.notes = notes;
        const KillVerdict verdict = judge(report, database);
        tell(what, report, verdict);
        CHECK(report.failures == std::vector<std::string>{});
        CHECK(verdict.lost == std::vector<std::string>{});
        CHECK(verdict.went_back == std::vector<std::string>{});
        CHECK(verdict.removed > 0);
        killed += report.killed;
        journals.recreate();
    }
    CHECK(killed > 0);
}

}  // namespace

TEST_CASE("kill -9 loses nothing acknowledged: SqliteJournal, SQLite", "[kill]") {
    nothing_is_lost<OwnJournals>("SqliteJournal, SQLite", SqliteDatabase{});
}

TEST_CASE("kill -9 loses nothing acknowledged: RedisJournal, SQLite", "[kill]") {
    nothing_is_lost<SharedJournal>("RedisJournal, SQLite", SqliteDatabase{});
}

#ifdef LARDER_TEST_POSTGRES
TEST_CASE("kill -9 loses nothing acknowledged: SqliteJournal, PostgreSQL", "[kill]") {
    nothing_is_lost<OwnJournals>("SqliteJournal, PostgreSQL", PostgresDatabase{});
}

TEST_CASE("kill -9 loses nothing acknowledged: RedisJournal, PostgreSQL", "[kill]") {
    nothing_is_lost<SharedJournal>("RedisJournal, PostgreSQL", PostgresDatabase{});
}
#endif
