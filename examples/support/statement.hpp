// SPDX-License-Identifier: MIT

/// @file
/// A prepared statement of SQLite with typed arguments and columns, for the examples.

#ifndef LARDER_EXAMPLES_STATEMENT_HPP
#define LARDER_EXAMPLES_STATEMENT_HPP

#include <sqlite3.h>

#include <concepts>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace examples {

/// What SQLite said, and to which statement.
class DatabaseError : public std::runtime_error {
public:
    DatabaseError(sqlite3* connection, std::string_view sql)
        : std::runtime_error{std::string{sqlite3_errmsg(connection)} + ", in: " + std::string{sql}},
          code_{sqlite3_errcode(connection)} {}

    /// The statement broke a rule of the table (a CHECK, a unique key): nothing was written.
    [[nodiscard]] bool constraint() const noexcept { return code_ == SQLITE_CONSTRAINT; }

private:
    int code_;
};

/// A prepared statement; it belongs to one thread.
class Statement {
public:
    Statement(sqlite3* connection, std::string_view sql) : connection_{connection} {
        sqlite3_stmt* raw = nullptr;
        const int size = static_cast<int>(sql.size());
        if (sqlite3_prepare_v2(connection, sql.data(), size, &raw, nullptr) != SQLITE_OK) {
            throw DatabaseError{connection, sql};
        }
        statement_.reset(raw);
    }

    /// Starts over with these arguments for its question marks.
    template <class... Args>
    Statement& bind(const Args&... args) {
        sqlite3_reset(statement_.get());
        int at = 0;
        (bind_one(++at, args), ...);
        return *this;
    }

    /// Goes to the next row; false if there is none.
    bool step() {
        const int code = sqlite3_step(statement_.get());
        if (code != SQLITE_ROW && code != SQLITE_DONE) {
            throw DatabaseError{connection_, sqlite3_sql(statement_.get())};
        }
        return code == SQLITE_ROW;
    }

    /// A column of the row, counted from 0: a string or a number.
    template <class T>
    [[nodiscard]] T column(int at) const {
        if constexpr (std::same_as<T, std::string>) {
            const int size = sqlite3_column_bytes(statement_.get(), at);
            const void* text = sqlite3_column_blob(statement_.get(), at);
            return text == nullptr
                       ? T{}
                       : T(static_cast<const char*>(text), static_cast<std::size_t>(size));
        } else if constexpr (std::integral<T>) {
            return static_cast<T>(sqlite3_column_int64(statement_.get(), at));
        } else {
            static_assert(std::same_as<T, double>);
            return sqlite3_column_double(statement_.get(), at);
        }
    }

private:
    void bind_one(int at, std::string_view text) {
        check(sqlite3_bind_text64(statement_.get(), at, text.data(), text.size(), SQLITE_TRANSIENT,
                                  SQLITE_UTF8));
    }
    void bind_one(int at, std::integral auto number) {
        check(sqlite3_bind_int64(statement_.get(), at, static_cast<sqlite3_int64>(number)));
    }
    void bind_one(int at, double number) {
        check(sqlite3_bind_double(statement_.get(), at, number));
    }
    void check(int code) const {
        if (code != SQLITE_OK) {
            throw DatabaseError{connection_, sqlite3_sql(statement_.get())};
        }
    }

    struct Finalize {
        void operator()(sqlite3_stmt* statement) const noexcept { sqlite3_finalize(statement); }
    };
    sqlite3* connection_;
    std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_STATEMENT_HPP
