// SPDX-License-Identifier: MIT

/// @file
/// A thin layer over SQLite for the examples: connections, transactions, a count of statements.

#ifndef LARDER_EXAMPLES_DATABASE_HPP
#define LARDER_EXAMPLES_DATABASE_HPP

#include "statement.hpp"

#include <sqlite3.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace examples {

/// A database file, with a connection for each thread that asks: readers see what is committed.
///
/// Thread safety: all members may run concurrently.
class Database {
public:
    explicit Database(std::string path) : path_{std::move(path)} {}

    /// A statement on this thread's connection, with its arguments.
    template <class... Args>
    [[nodiscard]] Statement prepare(std::string_view sql, const Args&... args) {
        Statement statement{connection(), sql};
        statement.bind(args...);
        return statement;
    }

    /// Carries out a statement that gives no rows.
    template <class... Args>
    void exec(std::string_view sql, const Args&... args) {
        prepare(sql, args...).step();
    }

    [[nodiscard]] const std::string& path() const noexcept { return path_; }

    /// How many statements this object's connections have begun, as SQLite's own trace tells.
    [[nodiscard]] std::uint64_t statements() const noexcept { return statements_; }

private:
    struct Close {
        void operator()(sqlite3* connection) const noexcept { sqlite3_close_v2(connection); }
    };
    using Connection = std::unique_ptr<sqlite3, Close>;

    sqlite3* connection() {
        const std::scoped_lock lock{mutex_};
        Connection& mine = connections_[std::this_thread::get_id()];
        if (!mine) {
            mine = open();
        }
        return mine.get();
    }

    Connection open() {
        sqlite3* raw = nullptr;
        const int code = sqlite3_open(path_.c_str(), &raw);
        Connection opened{raw};
        if (code != SQLITE_OK) {
            throw DatabaseError{raw, "open " + path_};
        }
        sqlite3_busy_timeout(raw, 30'000);
        // A log of its own lets readers read while one writes; a scratch file need not be synced.
        Statement{raw, "PRAGMA journal_mode = WAL"}.step();
        Statement{raw, "PRAGMA synchronous = OFF"}.step();
        const auto count = [](unsigned, void* statements, void*, void*) {
            ++*static_cast<std::atomic<std::uint64_t>*>(statements);
            return 0;
        };
        sqlite3_trace_v2(raw, SQLITE_TRACE_STMT, count, &statements_);
        return opened;
    }

    std::string path_;
    std::atomic<std::uint64_t> statements_{0};
    std::mutex mutex_;
    std::map<std::thread::id, Connection> connections_;
};

/// A transaction on this thread's connection, rolled back unless it is committed.
class Transaction {
public:
    explicit Transaction(Database& db) : db_{&db} { db.exec("BEGIN IMMEDIATE"); }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;
    ~Transaction() {
        try {
            rollback();
        } catch (const DatabaseError&) {
            // Closing the connection will do it.
        }
    }

    void commit() { end("COMMIT"); }
    void rollback() { end("ROLLBACK"); }

private:
    void end(std::string_view how) {
        if (open_) {
            db_->exec(how);
            open_ = false;
        }
    }

    Database* db_;
    bool open_ = true;
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_DATABASE_HPP
