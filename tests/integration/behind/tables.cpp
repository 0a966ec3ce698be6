// SPDX-License-Identifier: MIT

// The tables that durable journals are tested with keep what they promise: a version is never undone, not
// by writers that meet, and not over a row that is gone.

#include "support/behind/databases.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace larder_test;

namespace {

void a_version_is_never_undone(const TestDatabase& database) {
    const RowRepository rows = database.repository();
    CHECK(rows.save(1, "one", 10));
    CHECK(rows.save(1, "one, again", 10));
    CHECK_FALSE(rows.save(1, "older", 9));
    CHECK(rows.load(1) == "one, again");
    CHECK(rows.remove(1, 11));
    CHECK(rows.load(1) == std::nullopt);
    CHECK_FALSE(rows.save(1, "late", 10));
    CHECK(rows.load(1) == std::nullopt);
    CHECK(rows.remove(1, 11));
    CHECK_FALSE(rows.remove(1, 10));
    CHECK(rows.remove(2, 5));  // there was none, and older writes stay out
    CHECK_FALSE(rows.save(2, "late", 4));

    const std::vector<RowChange> many{
        {1, "back", 12}, {2, std::nullopt, 4}, {3, "quoted \"\\{,", 7}, {4, std::nullopt, 1}};
    CHECK(rows.save_many(many) == std::vector<bool>{true, false, true, true});
    const auto table = database.connect();
    CHECK(table->rows() == std::map<int, std::string>{{1, "back"}, {3, "quoted \"\\{,"}});
}

// Whatever order they come in: the greatest version of each key stays.
void writers_that_meet(const TestDatabase& database) {
    constexpr int keys = 6;
    constexpr std::uint64_t versions = 150;
    const RowRepository rows = database.repository();
    std::atomic<std::uint64_t> next{1};
    const auto value = [](std::uint64_t version) {
        return version % 3 == 0 ? std::nullopt : std::optional{std::to_string(version)};
    };
    {
        std::vector<std::jthread> writers;
        for (unsigned seed = 0; seed < 4; ++seed) {
            writers.emplace_back([&, seed] {
                std::mt19937 random{seed};
                for (std::uint64_t version = next++; version <= versions; version = next++) {
                    std::vector<RowChange> batch;
                    for (int key = 0; key < keys; ++key) {
                        batch.push_back({key, value(version), version});
                    }
                    std::shuffle(batch.begin(), batch.end(), random);
                    rows.save_many(batch);
                }
            });
        }
    }
    const auto table = database.connect();
    for (int key = 0; key < keys; ++key) {
        CHECK(rows.load(key) == value(versions));
    }
    std::map<int, std::uint64_t> newest;
    for (const RowStep& step : table->history()) {
        CHECK(step.version >= newest[step.key]);
        newest[step.key] = step.version;
    }
    CHECK(newest[0] == versions);
}

}  // namespace

TEST_CASE("a table with versions: SQLite", "[tables]") {
    SECTION("alone") {
        a_version_is_never_undone(SqliteDatabase{});
    }
    SECTION("beside others") {
        writers_that_meet(SqliteDatabase{});
    }
}

#ifdef LARDER_TEST_POSTGRES
TEST_CASE("a table with versions: PostgreSQL", "[tables]") {
    SECTION("alone") {
        a_version_is_never_undone(PostgresDatabase{});
    }
    SECTION("beside others") {
        writers_that_meet(PostgresDatabase{});
    }
}
#endif
