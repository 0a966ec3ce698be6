// SPDX-License-Identifier: MIT

// How fast a journal is drained into a database, beside the same batches written by hand: rows a second,
// interleaved, medians, and the median of the ratios within a round. On a disk, synced, as databases are when
// nothing is tuned; and in memory, where what a journal costs is seen.
//   benchmark_drain [ROWS [ROUNDS [DATABASE]]]    DATABASE: what its name begins with, `SQLite, on` say

#include "support/behind/postgres_server.hpp"
#include "support/fleet/folder.hpp"
#include "support/redis_server.hpp"

#include <larder/codec/raw.hpp>
#include <larder/larder.hpp>
#include <larder/redis.hpp>
#include <larder/sqlite.hpp>

#include <libpq-fe.h>
#include <sqlite3.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
using Change = larder::Change<int, std::string>;
using Store = larder::MemoryStore<int, std::string>;

constexpr std::size_t batch = 100;

void require(bool right, const char* what) {
    if (!right) {
        throw std::runtime_error{what};
    }
}

// Rows that keep their version, and tombstones; a batch is one transaction.
//
// Thread safety: any number of threads may save.
class Table {
public:
    Table() = default;
    Table(const Table&) = delete;
    Table& operator=(const Table&) = delete;
    virtual ~Table() = default;

    virtual void clear() = 0;
    virtual std::vector<bool> save_many(std::span<const Change> changes) = 0;
};

class InSqlite final : public Table {
public:
    // On a disk and synced, as it is when nothing is tuned; or neither.
    explicit InSqlite(bool synced) : folder_{synced} {
        sqlite3* raw = nullptr;
        require(sqlite3_open((folder_.path() / "rows.db").c_str(), &raw) == SQLITE_OK, "sqlite");
        database_.reset(raw);
        run("PRAGMA journal_mode = WAL");
        run(synced ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
        run("CREATE TABLE row (id INTEGER PRIMARY KEY, value TEXT, version INTEGER NOT NULL)");
        sqlite3_stmt* upsert = nullptr;
        require(sqlite3_prepare_v2(raw,
                                   "INSERT INTO row VALUES (?1, ?2, ?3) ON CONFLICT (id) DO UPDATE"
                                   " SET value = excluded.value, version = excluded.version"
                                   " WHERE row.version <= excluded.version",
                                   -1, &upsert, nullptr) == SQLITE_OK,
                "sqlite");
        upsert_.reset(upsert);
    }

    void clear() override { run("DELETE FROM row"); }
    std::vector<bool> save_many(std::span<const Change> changes) override {
        std::vector<bool> applied;
        applied.reserve(changes.size());
        const std::scoped_lock lock{mutex_};  // SQLite lets one write at a time
        run("BEGIN IMMEDIATE");
        for (const Change& change : changes) {
            sqlite3_bind_int(upsert_.get(), 1, change.key);
            if (change.value) {
                sqlite3_bind_text(upsert_.get(), 2, change.value->data(),
                                  static_cast<int>(change.value->size()), SQLITE_STATIC);
            } else {
                sqlite3_bind_null(upsert_.get(), 2);
            }
            sqlite3_bind_int64(upsert_.get(), 3, static_cast<sqlite3_int64>(change.version));
            require(sqlite3_step(upsert_.get()) == SQLITE_DONE, "sqlite");
            applied.push_back(sqlite3_changes(database_.get()) == 1);
            sqlite3_reset(upsert_.get());
        }
        run("COMMIT");
        return applied;
    }

private:
    struct Close {
        void operator()(sqlite3* database) const noexcept { sqlite3_close(database); }
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };

    void run(const std::string& sql) {
        require(sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK,
                sql.c_str());
    }

    larder_test::Folder folder_;
    std::mutex mutex_{};
    std::unique_ptr<sqlite3, Close> database_{};
    std::unique_ptr<sqlite3_stmt, Close> upsert_{};
};

class InPostgres final : public Table {
public:
    explicit InPostgres(bool synced) : server_{{synced ? "fsync=on" : "fsync=off"}, synced} {
        run("CREATE TABLE row (id int PRIMARY KEY, value text, version bigint NOT NULL)");
        idle_.push_back(connect());
    }

    void clear() override { run("TRUNCATE row"); }
    std::vector<bool> save_many(std::span<const Change> changes) override {
        std::string ids = "{";
        std::string values = "{";
        std::string versions = "{";
        for (const Change& change : changes) {
            ids += std::to_string(change.key) + ',';
            values += (change.value ? '"' + *change.value + '"' : "NULL") + ',';
            versions += std::to_string(change.version) + ',';
        }
        ids.back() = values.back() = versions.back() = '}';
        const char* const arguments[] = {ids.c_str(), values.c_str(), versions.c_str()};
        Connection connection = take();
        const Result result{
            PQexecPrepared(connection.get(), "upsert", 3, arguments, nullptr, nullptr, 0)};
        require(PQresultStatus(result.get()) == PGRES_TUPLES_OK, PQerrorMessage(connection.get()));
        // Each is there: no key is in two batches.
        require(PQntuples(result.get()) == static_cast<int>(changes.size()), "postgres");
        const std::scoped_lock lock{mutex_};
        idle_.push_back(std::move(connection));
        return std::vector<bool>(changes.size(), true);
    }

private:
    struct Close {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
        void operator()(PGresult* result) const noexcept { PQclear(result); }
    };
    using Connection = std::unique_ptr<PGconn, Close>;
    using Result = std::unique_ptr<PGresult, Close>;

    Connection connect() {
        Connection connection{PQconnectdb(server_.connection_info().c_str())};
        const Result prepared{
            PQprepare(connection.get(), "upsert",
                      "INSERT INTO row SELECT * FROM unnest($1::int[], $2::text[], $3::bigint[])"
                      " ON CONFLICT (id) DO UPDATE SET value = excluded.value,"
                      " version = excluded.version WHERE row.version <= excluded.version"
                      " RETURNING id",
                      3, nullptr)};
        require(PQresultStatus(prepared.get()) == PGRES_COMMAND_OK,
                PQerrorMessage(connection.get()));
        return connection;
    }
    Connection take() {
        {
            const std::scoped_lock lock{mutex_};
            if (!idle_.empty()) {
                Connection connection = std::move(idle_.back());
                idle_.pop_back();
                return connection;
            }
        }
        return connect();
    }
    void run(const char* sql) {
        const Connection connection{PQconnectdb(server_.connection_info().c_str())};
        const Result result{PQexec(connection.get(), sql)};
        require(PQresultStatus(result.get()) == PGRES_COMMAND_OK, PQerrorMessage(connection.get()));
    }

    larder_test::PostgresServer server_;
    std::mutex mutex_{};
    std::vector<Connection> idle_{};
};

// A repository that is this table.
struct Repository {
    Table* table;

    static std::optional<std::string> load(int) { return std::nullopt; }
    bool save(int key, const std::string& value, std::uint64_t version) const {
        const Change change{key, value, version};
        return table->save_many({&change, 1}).front();
    }
    bool remove(int key, std::uint64_t version) const {
        const Change change{key, std::nullopt, version};
        return table->save_many({&change, 1}).front();
    }
    std::vector<bool> save_many(std::span<const Change> changes) const {
        return table->save_many(changes);
    }
};

std::vector<Change> changes_of(std::size_t rows, std::uint64_t version) {
    std::vector<Change> all;
    for (std::size_t i = 0; i < rows; ++i) {
        all.push_back({static_cast<int>(i * 7919 % rows), std::string(100, 'x'), version});
    }
    return all;
}

double rate(std::size_t rows, const std::function<void()>& drain) {
    const auto began = Clock::now();
    drain();
    return static_cast<double>(rows) / std::chrono::duration<double>(Clock::now() - began).count();
}

double by_hand(Table& table, std::size_t rows) {
    const std::vector<Change> all = changes_of(rows, 1);
    return rate(rows, [&] {
        for (std::size_t at = 0; at < rows; at += batch) {
            const auto applied =
                table.save_many(std::span{all}.subspan(at, (std::min)(batch, rows - at)));
            require(std::count(applied.begin(), applied.end(), false) == 0, "not applied");
        }
    });
}

template <class S, class J>
double by_larder(Table& table, std::size_t rows, S store, J journal) {
    larder::WriteBehind cache{store,
                              Repository{&table},
                              journal,
                              {.ttl = 1h},
                              {.max_pending = 2 * rows, .batch = batch, .delay = 1h}};
    for (const Change& change : changes_of(rows, 0)) {
        cache.journal().record(change);
    }
    return rate(rows, [&] { require(cache.flush(60s) == 0, "not drained"); });
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

void compare(const std::string& database, Table& table, std::size_t rows, int rounds) {
    struct Way {
        const char* name;
        std::function<double()> run;
        std::vector<double> rates{};
        std::vector<double> ratios{};
    };
    using Raw = larder::RawCodec<std::string>;
    const larder_test::Folder folder{true};
    const larder_test::RedisServer server;
    const auto store = [&] { return Store{{.capacity = 2 * rows}}; };
    std::vector<Way> ways{
        {"by hand", [&] { return by_hand(table, rows); }},
        {"MemoryJournal",
         [&] {
             return by_larder(table, rows, store(), larder::MemoryJournal<int, std::string>{});
         }},
        {"SqliteJournal",
         [&] {
             return by_larder(
                 table, rows, store(),
                 larder::SqliteJournal<int, std::string, Raw>{folder.path() / "journal"});
         }},
        {"RedisJournal",
         [&] {
             larder::redis::Client client{server.unix_url()};
             larder::RedisStore<int, std::string, Raw> copies{client, "row"};
             return by_larder(table, rows, copies, copies.journal());
         }},
    };
    for (int round = 0; round <= rounds; ++round) {
        for (Way& way : ways) {
            table.clear();
            const double now = way.run();
            if (round > 0) {  // the first is to get warm
                way.rates.push_back(now);
                way.ratios.push_back(now / ways.front().rates.back());
            }
        }
    }
    std::printf("%s\n", database.c_str());
    for (const Way& way : ways) {
        std::printf("   %-16s %10.0f rows/s  %4.0f %%\n", way.name, median(way.rates),
                    100 * median(way.ratios));
    }
}

}  // namespace

int main(int argc, char** argv) try {
    const std::size_t rows = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 20'000;
    const int rounds = argc > 2 ? std::atoi(argv[2]) : 5;
    for (const bool synced : {true, false}) {
        const std::string how = synced ? ", on a disk, synced" : ", in memory, not synced";
        const std::string wanted = argc > 3 ? argv[3] : "";
        if (const std::string name = "SQLite" + how; name.rfind(wanted, 0) == 0) {
            InSqlite table{synced};
            compare(name, table, rows, rounds);
        }
        if (const std::string name = "PostgreSQL" + how; name.rfind(wanted, 0) == 0) {
            InPostgres table{synced};
            compare(name, table, rows, rounds);
        }
    }
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
