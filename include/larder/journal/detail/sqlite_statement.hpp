// SPDX-License-Identifier: MIT

/// @file
/// A prepared statement of SQLite's.

#ifndef LARDER_JOURNAL_DETAIL_SQLITE_STATEMENT_HPP
#define LARDER_JOURNAL_DETAIL_SQLITE_STATEMENT_HPP

#include <larder/journal/detail/sqlite_connection.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>

#include <sqlite3.h>

LARDER_NS_BEGIN

namespace detail {

/// One row of an answer, until the next one is asked for.
class SqliteRow {
public:
    explicit SqliteRow(sqlite3_stmt* statement) noexcept : statement_{statement} {}

    [[nodiscard]] std::int64_t number(int column) const noexcept {
        return sqlite3_column_int64(statement_, column);
    }
    /// @throws std::bad_alloc
    [[nodiscard]] std::string bytes(int column) const {
        const void* const data = sqlite3_column_blob(statement_, column);
        const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
        if (data == nullptr && size > 0) {
            throw std::bad_alloc{};
        }
        return size == 0 ? std::string{} : std::string{static_cast<const char*>(data), size};
    }
    [[nodiscard]] std::optional<std::string> bytes_or_none(int column) const {
        return sqlite3_column_type(statement_, column) == SQLITE_NULL
                   ? std::nullopt
                   : std::optional{bytes(column)};
    }

private:
    sqlite3_stmt* statement_;
};

/// Prepared once, carried out many times.
///
/// Thread safety: that of its connection.
class SqliteStatement {
public:
    /// @throws SqliteFailure
    SqliteStatement(const SqliteConnection& connection, std::string_view sql)
        : connection_{&connection} {
        sqlite3_stmt* made = nullptr;
        const int code =
            sqlite3_prepare_v3(connection.handle(), sql.data(), static_cast<int>(sql.size()),
                               SQLITE_PREPARE_PERSISTENT, &made, nullptr);
        statement_.reset(made);
        if (code != SQLITE_OK) {
            throw connection.failure(code);
        }
    }

    /// Carries it out with these in the place of `?1`, `?2` and so on.
    ///
    /// @return how many rows have changed
    /// @throws SqliteFailure
    template <class... Args>
    int run(const Args&... args) {
        each([](const SqliteRow&) {}, args...);
        return sqlite3_changes(connection_->handle());
    }
    /// The same, and calls `see(row)` for each row of the answer.
    template <class See, class... Args>
    void each(See&& see, const Args&... args) {
        struct Reset {
            ~Reset() { sqlite3_reset(statement); }
            sqlite3_stmt* statement;
        } const reset{statement_.get()};
        int place = 0;
        (bind(++place, args), ...);
        for (;;) {
            const int code = sqlite3_step(statement_.get());
            if (code == SQLITE_DONE) {
                return;
            }
            check(code == SQLITE_ROW ? SQLITE_OK : code);
            see(SqliteRow{statement_.get()});
        }
    }

private:
    void check(int code) const {
        if (code != SQLITE_OK) {
            throw connection_->failure(code);
        }
    }
    void bind(int place, std::int64_t number) {
        check(sqlite3_bind_int64(statement_.get(), place, number));
    }
    // Stays where it is until the statement is carried out.
    void bind(int place, std::string_view bytes) {
        check(sqlite3_bind_blob64(statement_.get(), place, bytes.empty() ? "" : bytes.data(),
                                  bytes.size(), SQLITE_STATIC));
    }
    void bind(int place, const std::string& bytes) { bind(place, std::string_view{bytes}); }
    void bind(int place, const std::optional<std::string>& bytes) {
        if (bytes) {
            bind(place, std::string_view{*bytes});
        } else {
            check(sqlite3_bind_null(statement_.get(), place));
        }
    }

    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };

    const SqliteConnection* connection_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_JOURNAL_DETAIL_SQLITE_STATEMENT_HPP
