// SPDX-License-Identifier: MIT

/// @file
/// A table with versions in an SQLite file.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_SQLITE_TABLE_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_SQLITE_TABLE_HPP

#include "support/behind/row_table.hpp"

#include <sqlite3.h>

#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace larder_test {

/// Several processes may have it open.
class SqliteTable final : public RowTable {
public:
    explicit SqliteTable(const std::string& path) {
        sqlite3* raw = nullptr;
        const int code = sqlite3_open(path.c_str(), &raw);
        database_.reset(raw);
        if (code != SQLITE_OK) {
            throw std::runtime_error{"cannot open " + path};
        }
        sqlite3_busy_handler(raw, &SqliteTable::wait, nullptr);
        // A killed process loses nothing; a killed machine ends the test.
        run("PRAGMA journal_mode = WAL");
        run("PRAGMA synchronous = OFF");
        run("CREATE TABLE IF NOT EXISTS row (key INTEGER PRIMARY KEY, value TEXT NOT NULL);"
            "CREATE TABLE IF NOT EXISTS row_version (key INTEGER PRIMARY KEY, version INTEGER NOT NULL);"
            "CREATE TABLE IF NOT EXISTS history (step INTEGER PRIMARY KEY, key INTEGER NOT NULL,"
            " version INTEGER NOT NULL);"
            "CREATE TRIGGER IF NOT EXISTS first AFTER INSERT ON row_version BEGIN"
            " INSERT INTO history (key, version) VALUES (new.key, new.version); END;"
            "CREATE TRIGGER IF NOT EXISTS next AFTER UPDATE ON row_version BEGIN"
            " INSERT INTO history (key, version) VALUES (new.key, new.version); END");
        load_ = prepare("SELECT value FROM row WHERE key = ?1");
        fence_ = prepare(
            "INSERT INTO row_version VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE"
            " SET version = excluded.version WHERE row_version.version <= excluded.version");
        save_ = prepare(
            "INSERT INTO row VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value");
        remove_ = prepare("DELETE FROM row WHERE key = ?1");
    }

    std::optional<std::string> load(int key) override {
        const Use use{load_};
        bind(load_, 1, key);
        return step(load_) ? std::optional{text(load_, 0)} : std::nullopt;
    }

    std::vector<bool> save_many(std::span<const RowChange> changes) override {
        std::vector<bool> applied;
        run("BEGIN IMMEDIATE");
        try {
            for (const RowChange& change : changes) {
                applied.push_back(save(change));
            }
            run("COMMIT");
        } catch (...) {
            sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
            throw;
        }
        return applied;
    }

    std::map<int, std::string> rows() override {
        std::map<int, std::string> all;
        const Statement list = prepare("SELECT key, value FROM row");
        while (step(list)) {
            all.emplace(sqlite3_column_int(list.get(), 0), text(list, 1));
        }
        return all;
    }

    std::vector<RowStep> history() override {
        std::vector<RowStep> all;
        const Statement list = prepare("SELECT key, version FROM history ORDER BY step");
        while (step(list)) {
            all.push_back({sqlite3_column_int(list.get(), 0),
                           static_cast<std::uint64_t>(sqlite3_column_int64(list.get(), 1))});
        }
        return all;
    }

private:
    struct Close {
        void operator()(sqlite3* database) const noexcept { sqlite3_close(database); }
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };
    using Statement = std::unique_ptr<sqlite3_stmt, Close>;

    /// Reset at its end, so that it holds no lock.
    struct Use {
        explicit Use(const Statement& s) : statement{s.get()} {}
        Use(const Use&) = delete;
        Use& operator=(const Use&) = delete;
        ~Use() { sqlite3_reset(statement); }
        sqlite3_stmt* statement;
    };

    bool save(const RowChange& change) {
        {
            const Use use{fence_};
            bind(fence_, 1, change.key);
            bind(fence_, 2, static_cast<sqlite3_int64>(change.version));
            step(fence_);
        }
        if (sqlite3_changes(database_.get()) == 0) {
            return false;
        }
        const Statement& write = change.value ? save_ : remove_;
        const Use use{write};
        bind(write, 1, change.key);
        if (change.value) {
            sqlite3_bind_text(write.get(), 2, change.value->data(),
                              static_cast<int>(change.value->size()), SQLITE_STATIC);
        }
        step(write);
        return true;
    }

    static int wait(void*, int tries) {
        std::this_thread::sleep_for(std::chrono::microseconds{200});
        return tries < 50'000 ? 1 : 0;
    }
    static void bind(const Statement& statement, int at, sqlite3_int64 number) {
        sqlite3_bind_int64(statement.get(), at, number);
    }
    static std::string text(const Statement& statement, int column) {
        const auto* const bytes = sqlite3_column_text(statement.get(), column);
        return {reinterpret_cast<const char*>(bytes),
                static_cast<std::size_t>(sqlite3_column_bytes(statement.get(), column))};
    }
    bool step(const Statement& statement) {
        return check(sqlite3_step(statement.get())) == SQLITE_ROW;
    }
    void run(const char* sql) {
        // Who meets the recovery from a killed process is told so at once.
        int code = SQLITE_BUSY;
        for (int tries = 0; code == SQLITE_BUSY && wait(nullptr, tries); ++tries) {
            code = sqlite3_exec(database_.get(), sql, nullptr, nullptr, nullptr);
        }
        check(code);
    }
    int check(int code) const {
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
    Statement load_{}, fence_{}, save_{}, remove_{};
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_SQLITE_TABLE_HPP
