// SPDX-License-Identifier: MIT

/// @file
/// What a file of a SqliteJournal looks like, and whether one is such a file.

#ifndef LARDER_JOURNAL_DETAIL_SQLITE_SCHEMA_HPP
#define LARDER_JOURNAL_DETAIL_SQLITE_SCHEMA_HPP

#include <larder/journal/detail/sqlite_connection.hpp>
#include <larder/journal/detail/sqlite_statement.hpp>
#include <larder/version.hpp>

#include <cstdint>
#include <string>

#include <sqlite3.h>

LARDER_NS_BEGIN

namespace detail {

/// The form of the file that is written here.
///
/// | Table      | Holds |
/// |------------|-------|
/// | `changes`  | what is pending, one row a key. No value: a removal. In the order of their versions: what is recorded, and what is settled, lies side by side. Where a key's row is, memory knows |
/// | `letters`  | what the database would not take |
/// | `versions` | the greatest version that was ever given, in one row |
///
/// Times are nanoseconds of the time of day. `seal`: see SqliteRows::seal().
class SqliteSchema {
public:
    static constexpr std::int64_t application = 0x6c726472;  // "lrdr"
    static constexpr std::int64_t version = 1;

    /// Makes the tables if the file is new. A file of something else is left as it is.
    ///
    /// @param no_version  the seal of the row that says that none was given
    /// @throws SqliteFailure  it is no journal, or one that is damaged or of a later larder
    static void open(SqliteConnection& connection, std::int64_t no_version) {
        const bool fresh = is_new(connection);
        const std::string mode = text(connection, "PRAGMA journal_mode = WAL");
        if (mode != "wal") {
            refuse("it cannot have a log of its own beside it: its journal_mode is " + mode);
        }
        connection.wait_for_disk(true);
        connection.run("PRAGMA fullfsync = ON");
        connection.run("PRAGMA checkpoint_fullfsync = ON");
        if (fresh) {
            create(connection, no_version);
        }
        const std::string damage = text(connection, "PRAGMA integrity_check(1)");
        if (damage != "ok") {
            throw SqliteFailure{SQLITE_CORRUPT, "it is damaged: " + damage};
        }
    }

private:
    [[noreturn]] static void refuse(const std::string& why) {
        throw SqliteFailure{SQLITE_NOTADB, why};
    }
    static bool is_new(SqliteConnection& connection) {
        const std::int64_t objects = number(connection, "SELECT count(*) FROM sqlite_master");
        const std::int64_t owner = number(connection, "PRAGMA application_id");
        const std::int64_t form = number(connection, "PRAGMA user_version");
        if (objects == 0 && owner == 0 && form == 0) {
            return true;
        }
        if (owner != application) {
            refuse("it is a database of something else: its application_id is " +
                   std::to_string(owner));
        }
        if (form != version) {
            refuse("its schema has version " + std::to_string(form) + ", this larder knows " +
                   std::to_string(version) + (form > version ? ": a later larder made it" : ""));
        }
        return false;
    }
    static void create(SqliteConnection& connection, std::int64_t no_version) {
        connection.run("BEGIN IMMEDIATE");
        connection.run(
            "CREATE TABLE changes(version INTEGER PRIMARY KEY, key BLOB NOT NULL,"
            " since INTEGER NOT NULL, value BLOB, seal INTEGER NOT NULL,"
            " attempts INTEGER NOT NULL, first INTEGER NOT NULL)");
        connection.run(
            "CREATE TABLE letters(key BLOB NOT NULL UNIQUE, version INTEGER NOT NULL,"
            " since INTEGER NOT NULL, value BLOB, seal INTEGER NOT NULL,"
            " attempts INTEGER NOT NULL, first INTEGER NOT NULL,"
            " last INTEGER NOT NULL, why BLOB NOT NULL)");
        connection.run("CREATE TABLE versions(last INTEGER NOT NULL, seal INTEGER NOT NULL)");
        connection.run(
            ("INSERT INTO versions VALUES(0, " + std::to_string(no_version) + ')').c_str());
        connection.run(("PRAGMA application_id = " + std::to_string(application)).c_str());
        connection.run(("PRAGMA user_version = " + std::to_string(version)).c_str());
        connection.run("COMMIT");
    }

    static std::int64_t number(SqliteConnection& connection, const char* sql) {
        std::int64_t answer = 0;
        SqliteStatement{connection, sql}.each(
            [&](const SqliteRow& row) { answer = row.number(0); });
        return answer;
    }
    static std::string text(SqliteConnection& connection, const char* sql) {
        std::string answer;
        SqliteStatement{connection, sql}.each([&](const SqliteRow& row) { answer = row.bytes(0); });
        return answer;
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_JOURNAL_DETAIL_SQLITE_SCHEMA_HPP
