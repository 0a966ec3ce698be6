// SPDX-License-Identifier: MIT

/// @file
/// A table with versions in PostgreSQL.

#ifndef LARDER_TESTS_SUPPORT_BEHIND_POSTGRES_TABLE_HPP
#define LARDER_TESTS_SUPPORT_BEHIND_POSTGRES_TABLE_HPP

#include "support/behind/row_table.hpp"

#include <libpq-fe.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <vector>

namespace larder_test {

/// Three statements a batch: whose version is not older; then, in a snapshot of after that, rows that go
/// and rows that come. One statement for all of it would delete by a snapshot of before it has waited.
class PostgresTable final : public RowTable {
public:
    /// @param info  as PQconnectdb takes it
    explicit PostgresTable(const std::string& info) : connection_{PQconnectdb(info.c_str())} {
        if (PQstatus(connection_.get()) != CONNECTION_OK) {
            throw std::runtime_error{PQerrorMessage(connection_.get())};
        }
        PQsetNoticeProcessor(
            connection_.get(), [](void*, const char*) {}, nullptr);
    }

    /// The tables; once, by one who is alone.
    static void create(const std::string& info) {
        PostgresTable{info}.run(
            "CREATE TABLE row (key int PRIMARY KEY, value text NOT NULL);"
            "CREATE TABLE row_version (key int PRIMARY KEY, version bigint NOT NULL);"
            "CREATE TABLE history (step bigserial PRIMARY KEY, key int, version bigint);"
            "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " INSERT INTO history (key, version) VALUES (new.key, new.version); RETURN new; END $$;"
            "CREATE TRIGGER note AFTER INSERT OR UPDATE ON row_version"
            " FOR EACH ROW EXECUTE FUNCTION note()");
    }

    std::optional<std::string> load(int key) override {
        const Result found =
            run("SELECT value FROM row WHERE key = $1::int", {std::to_string(key)});
        return PQntuples(found.get()) > 0 ? std::optional{text(found, 0, 0)} : std::nullopt;
    }

    std::vector<bool> save_many(std::span<const RowChange> changes) override {
        std::string keys;
        std::string versions;
        for (const RowChange& change : changes) {
            keys += (keys.empty() ? "{" : ",") + std::to_string(change.key);
            versions += (versions.empty() ? "{" : ",") + std::to_string(change.version);
        }
        run("BEGIN");
        try {
            // In one order for all, or two who write the same keys would wait for each other.
            const Result newer = run(
                "INSERT INTO row_version SELECT * FROM unnest($1::int[], $2::bigint[]) ORDER BY 1"
                " ON CONFLICT (key) DO UPDATE SET version = excluded.version"
                " WHERE row_version.version <= excluded.version RETURNING key",
                {keys + "}", versions + "}"});
            std::unordered_set<int> keys_of_newer;
            for (int i = 0; i < PQntuples(newer.get()); ++i) {
                keys_of_newer.insert(std::stoi(text(newer, i, 0)));
            }
            std::vector<bool> applied;
            for (const RowChange& change : changes) {
                applied.push_back(keys_of_newer.contains(change.key));
            }
            write(changes, applied);
            run("COMMIT");
            return applied;
        } catch (...) {
            PQclear(PQexec(connection_.get(), "ROLLBACK"));
            throw;
        }
    }

    std::map<int, std::string> rows() override {
        std::map<int, std::string> all;
        const Result list = run("SELECT key, value FROM row");
        for (int i = 0; i < PQntuples(list.get()); ++i) {
            all.emplace(std::stoi(text(list, i, 0)), text(list, i, 1));
        }
        return all;
    }

    std::vector<RowStep> history() override {
        std::vector<RowStep> all;
        const Result list = run("SELECT key, version FROM history ORDER BY step");
        for (int i = 0; i < PQntuples(list.get()); ++i) {
            all.push_back({std::stoi(text(list, i, 0)), std::stoull(text(list, i, 1))});
        }
        return all;
    }

private:
    struct Close {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
        void operator()(PGresult* result) const noexcept { PQclear(result); }
    };
    using Result = std::unique_ptr<PGresult, Close>;

    void write(std::span<const RowChange> changes, const std::vector<bool>& applied) {
        std::string gone;
        std::string keys;
        std::string values;
        for (std::size_t i = 0; i < changes.size(); ++i) {
            const auto add = [](std::string& to, const std::string& what) {
                to += (to.empty() ? "{" : ",") + what;
            };
            if (applied[i] && changes[i].value) {
                add(keys, std::to_string(changes[i].key));
                add(values, quoted(*changes[i].value));
            } else if (applied[i]) {
                add(gone, std::to_string(changes[i].key));
            }
        }
        if (!gone.empty()) {
            run("DELETE FROM row WHERE key = ANY ($1::int[])", {gone + "}"});
        }
        if (!keys.empty()) {
            run("INSERT INTO row SELECT * FROM unnest($1::int[], $2::text[])"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                {keys + "}", values + "}"});
        }
    }

    // As an element of an array.
    static std::string quoted(const std::string& text) {
        std::string out = "\"";
        for (const char c : text) {
            if (c == '"' || c == '\\') {
                out += '\\';
            }
            out += c;
        }
        return out + '"';
    }

    static std::string text(const Result& result, int row, int column) {
        return {PQgetvalue(result.get(), row, column),
                static_cast<std::size_t>(PQgetlength(result.get(), row, column))};
    }

    Result run(const char* sql) { return check(PQexec(connection_.get(), sql)); }
    Result run(const char* sql, std::initializer_list<std::string> arguments) {
        std::vector<const char*> values;
        for (const std::string& argument : arguments) {
            values.push_back(argument.c_str());
        }
        return check(PQexecParams(connection_.get(), sql, static_cast<int>(values.size()), nullptr,
                                  values.data(), nullptr, nullptr, 0));
    }
    Result check(PGresult* raw) {
        Result result{raw};
        const ExecStatusType status = PQresultStatus(raw);
        if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            throw std::runtime_error{PQerrorMessage(connection_.get())};
        }
        return result;
    }

    std::unique_ptr<PGconn, Close> connection_;
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_BEHIND_POSTGRES_TABLE_HPP
