// SPDX-License-Identifier: MIT

/// @file
/// A connection to a file of SQLite's, and what it throws.

#ifndef LARDER_JOURNAL_DETAIL_SQLITE_CONNECTION_HPP
#define LARDER_JOURNAL_DETAIL_SQLITE_CONNECTION_HPP

#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <sqlite3.h>

LARDER_NS_BEGIN

namespace detail {

/// Why SQLite could not do something. Who calls the journal is told by a StoreError, which names the
/// file and the key, too.
class SqliteFailure : public std::runtime_error {
public:
    SqliteFailure(int code, const std::string& what) : std::runtime_error{what}, code_{code} {}

    /// The extended result code.
    [[nodiscard]] int code() const noexcept { return code_; }
    /// The result code without its details: `SQLITE_FULL`.
    [[nodiscard]] int kind() const noexcept { return code_ & 0xff; }

private:
    int code_;
};

/// An open file, which nobody else can open meanwhile: all that is known of it may be kept in memory,
/// the index of its log, too, so that it needs no file of shared memory (sqlite.org/wal.html, section
/// 8).
///
/// Thread safety: none of its own.
class SqliteConnection {
public:
    /// @param wait  how long to wait for another process that has it
    /// @throws SqliteFailure
    SqliteConnection(const std::string& path, Ttl wait) {
        sqlite3* opened = nullptr;
        const int code = sqlite3_open_v2(
            path.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
            nullptr);
        db_.reset(opened);
        if (code != SQLITE_OK) {
            throw failure(code);
        }
        if (sqlite3_db_readonly(opened, "main") ==
            1) {  // what cannot be written is opened all the same
            throw SqliteFailure{SQLITE_READONLY, "it is read-only"};
        }
        sqlite3_extended_result_codes(opened, 1);
        constexpr Ttl::rep most = (std::numeric_limits<int>::max)();
        sqlite3_busy_timeout(opened, static_cast<int>((std::min)(wait.count(), most)));
        run("PRAGMA locking_mode = EXCLUSIVE");
        run("PRAGMA temp_store = MEMORY");
        run("PRAGMA cell_size_check = ON");
    }

    [[nodiscard]] sqlite3* handle() const noexcept { return db_.get(); }

    /// @throws SqliteFailure
    void run(const char* sql) {
        if (const int code = sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr)) {
            throw failure(code);
        }
    }
    /// Whether a commit from here on waits until it is on the disk. One that does not outlives the process,
    /// and the machine once a later one has waited, or the log was taken over into the file. Not within a
    /// transaction.
    ///
    /// @throws SqliteFailure
    void wait_for_disk(bool on) {
        if (waits_for_disk_ != on) {
            run(on ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL");
            waits_for_disk_ = on;
        }
    }
    /// What was begun is undone. What SQLite keeps in memory is that of the file again.
    void roll_back() noexcept {
        if (sqlite3_get_autocommit(db_.get()) == 0) {
            sqlite3_exec(db_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
        }
    }
    /// Takes what is in the log over into the file, so that the log begins anew in the place that it
    /// has already: where a disk is full, that is all there is.
    void reuse_log() noexcept {
        sqlite3_wal_checkpoint_v2(db_.get(), nullptr, SQLITE_CHECKPOINT_RESTART, nullptr, nullptr);
    }

    /// The last call has failed with this code.
    [[nodiscard]] SqliteFailure failure(int code) const {
        const int extended = db_ ? sqlite3_extended_errcode(db_.get()) : code;
        const int exact = (extended & 0xff) == (code & 0xff) ? extended : code;
        const bool said = db_ && exact == extended;
        std::string what = said ? sqlite3_errmsg(db_.get()) : sqlite3_errstr(exact);
        if ((exact & 0xff) == SQLITE_BUSY) {
            what = "another process has it, or another journal of this one (" + what + ')';
        }
        return {exact, what + " (SQLite " + std::to_string(exact) + ')'};
    }

private:
    struct Close {
        void operator()(sqlite3* db) const noexcept { sqlite3_close_v2(db); }
    };

    std::unique_ptr<sqlite3, Close> db_{};
    std::optional<bool> waits_for_disk_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_JOURNAL_DETAIL_SQLITE_CONNECTION_HPP
