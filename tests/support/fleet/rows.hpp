// SPDX-License-Identifier: MIT

/// @file
/// The database of a fleet: versions by key in one SQLite file, and which operation made which.

#ifndef LARDER_TESTS_SUPPORT_FLEET_ROWS_HPP
#define LARDER_TESTS_SUPPORT_FLEET_ROWS_HPP

#include "support/fleet/operation_log.hpp"

#include <sqlite3.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace larder_test {

/// The database was busy for too long: nothing was written.
struct Busy : std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// A connection. A key that has no row has version 0 and is not there.
///
/// Thread safety: one thread; each process opens its own.
class Rows {
public:
    struct Row {
        int version = 0;
        bool is_there = false;
    };

    explicit Rows(const std::string& path) {
        sqlite3* raw = nullptr;
        const int code = sqlite3_open(path.c_str(), &raw);
        database_.reset(raw);
        if (code != SQLITE_OK) {
            throw std::runtime_error{"cannot open " + path};
        }
        // Short waits of our own: SQLite's grow to a tenth of a second.
        sqlite3_busy_handler(raw, &Rows::wait, nullptr);
        // A killed process loses nothing; a killed machine ends the test.
        run("PRAGMA journal_mode = WAL");
        run("PRAGMA synchronous = OFF");
        run("CREATE TABLE IF NOT EXISTS rows (key INTEGER PRIMARY KEY, version INTEGER NOT NULL,"
            " is_there INTEGER NOT NULL)");
        run("CREATE TABLE IF NOT EXISTS commits (operation INTEGER NOT NULL, key INTEGER NOT NULL,"
            " version INTEGER NOT NULL, is_there INTEGER NOT NULL)");
        load_ = prepare("SELECT version, is_there FROM rows WHERE key = ?1");
        change_ = prepare(
            "INSERT INTO rows VALUES (?1, 1, ?2) ON CONFLICT (key) DO"
            " UPDATE SET version = version + 1, is_there = ?2 RETURNING version");
        note_ = prepare("INSERT INTO commits VALUES (?1, ?2, ?3, ?4)");
    }

    Row load(int key) {
        const Use use{load_, {key}};
        Row row;
        if (step(*load_)) {
            row = {sqlite3_column_int(load_.get(), 0), sqlite3_column_int(load_.get(), 1) != 0};
        }
        return row;
    }

    /// Commits the next version of the row, as made by that operation; `before_commit` is called
    /// when all has been written but the commit.
    ///
    /// @return  the version
    /// @throws Busy  nothing was written
    template <class F>
    int change(int key, bool is_there, std::size_t operation, F&& before_commit) {
        run("BEGIN IMMEDIATE");
        int version = 0;
        try {
            {
                const Use use{change_, {key, is_there ? 1 : 0}};
                step(*change_);
                version = sqlite3_column_int(change_.get(), 0);
                while (step(*change_)) {}
            }
            {
                const Use use{
                    note_, {static_cast<sqlite3_int64>(operation), key, version, is_there ? 1 : 0}};
                step(*note_);
            }
            before_commit();
            run("COMMIT");
        } catch (...) {
            sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
            throw;
        }
        return version;
    }

    /// Everything that was committed, in order, and forgets it.
    std::vector<Commit> take_commits() {
        std::vector<Commit> all;
        const Statement list =
            prepare("SELECT key, version, is_there, operation FROM commits ORDER BY rowid");
        while (step(*list)) {
            const auto column = [&](int at) { return sqlite3_column_int64(list.get(), at); };
            all.push_back({static_cast<int>(column(0)), static_cast<int>(column(1)), column(2) != 0,
                           static_cast<std::size_t>(column(3))});
        }
        sqlite3_reset(list.get());
        run("DELETE FROM commits");
        return all;
    }

private:
    struct Close {
        void operator()(sqlite3* database) const noexcept { sqlite3_close(database); }
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };
    using Statement = std::unique_ptr<sqlite3_stmt, Close>;

    /// A statement with its arguments, until it is reset.
    class Use {
    public:
        Use(const Statement& statement, std::initializer_list<sqlite3_int64> arguments)
            : statement_{statement.get()} {
            int at = 0;
            for (const sqlite3_int64 argument : arguments) {
                sqlite3_bind_int64(statement_, ++at, argument);
            }
        }
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        ~Use() { sqlite3_reset(statement_); }

    private:
        sqlite3_stmt* statement_;
    };

    static int wait(void*, int tries) {
        std::this_thread::sleep_for(std::chrono::microseconds{200});
        return tries < 50'000 ? 1 : 0;
    }

    bool step(sqlite3_stmt& statement) { return check(sqlite3_step(&statement)) == SQLITE_ROW; }
    void run(const char* sql) {
        // A reader that meets the recovery from a killed process is told so at once.
        int code = SQLITE_BUSY;
        for (int tries = 0; code == SQLITE_BUSY && wait(nullptr, tries); ++tries) {
            code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
        }
        check(code);
    }
    int check(int code) const {
        if (code == SQLITE_BUSY) {
            throw Busy{sqlite3_errmsg(database_.get())};
        }
        if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
            throw std::runtime_error{sqlite3_errmsg(database_.get())};
        }
        return code;
    }
    Statement prepare(const char* sql) {
        sqlite3_stmt* raw = nullptr;
        int code = SQLITE_BUSY;
        for (int tries = 0; code == SQLITE_BUSY && wait(nullptr, tries); ++tries) {
            code = sqlite3_prepare_v2(database_.get(), sql, -1, &raw, nullptr);
        }
        check(code);
        return Statement{raw};
    }

    std::unique_ptr<sqlite3, Close> database_{};
    Statement load_{}, change_{}, note_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_ROWS_HPP
