// SPDX-License-Identifier: MIT

/// @file
/// The databases that a durable journal is tested with, one of them at a time.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_DATABASES_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_DATABASES_HPP

#include "support/behind/row_table.hpp"
#include "support/behind/sqlite_table.hpp"
#include "support/fleet/folder.hpp"
#ifdef LARDER_TEST_POSTGRES
#include "support/behind/postgres_server.hpp"
#include "support/behind/postgres_table.hpp"
#endif

#include <filesystem>
#include <memory>
#include <string>

namespace larder_test {

/// Empty at first, and gone with it.
class TestDatabase {
public:
    TestDatabase() = default;
    TestDatabase(const TestDatabase&) = delete;
    TestDatabase& operator=(const TestDatabase&) = delete;
    virtual ~TestDatabase() = default;

    [[nodiscard]] virtual std::unique_ptr<RowTable> connect() const = 0;

    /// A repository that opens connections where they are used: also in children that are forked later.
    [[nodiscard]] RowRepository repository() const {
        return RowRepository{[this] { return connect(); }};
    }
};

class SqliteDatabase final : public TestDatabase {
public:
    [[nodiscard]] std::unique_ptr<RowTable> connect() const override {
        return std::make_unique<SqliteTable>(folder_.path() / "rows.db");
    }

private:
    Folder folder_{};
};

#ifdef LARDER_TEST_POSTGRES
class PostgresDatabase final : public TestDatabase {
public:
    PostgresDatabase() { PostgresTable::create(server_.connection_info()); }

    [[nodiscard]] std::unique_ptr<RowTable> connect() const override {
        return std::make_unique<PostgresTable>(server_.connection_info());
    }

private:
    PostgresServer server_{};
};
#endif

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_DATABASES_HPP
