// SPDX-License-Identifier: MIT

// A repository for durable journals over PostgreSQL: a removed row stays as a tombstone with its version,
// which readers do not see through a view. A batch is one statement.
//
// postgres [CONNECTION]: as libpq takes it, such as "host=/run/postgresql dbname=shop".

#include "support/scratch_folder.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <libpq-fe.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

// One connection, and who uses it waits for the other; in life there is a pool of them.
class Postgres {
public:
    explicit Postgres(const std::string& info) : connection_{PQconnectdb(info.c_str())} {
        if (PQstatus(connection_.get()) != CONNECTION_OK) {
            throw std::runtime_error{PQerrorMessage(connection_.get())};
        }
    }

    // The rows that it gives, as text. Arguments are $1, $2, …
    std::vector<std::vector<std::string>> run(const std::string& sql,
                                              const std::vector<std::string>& arguments = {}) {
        std::vector<const char*> values;
        for (const std::string& argument : arguments) {
            values.push_back(argument.c_str());
        }
        const std::scoped_lock lock{mutex_};
        const std::unique_ptr<PGresult, Close> result{
            PQexecParams(connection_.get(), sql.c_str(), static_cast<int>(values.size()), nullptr,
                         values.data(), nullptr, nullptr, 0)};
        const auto status = PQresultStatus(result.get());
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
            throw std::runtime_error{PQerrorMessage(connection_.get())};
        }
        std::vector<std::vector<std::string>> rows;
        for (int row = 0; row < PQntuples(result.get()); ++row) {
            auto& columns = rows.emplace_back();
            for (int column = 0; column < PQnfields(result.get()); ++column) {
                columns.emplace_back(PQgetvalue(result.get(), row, column));
            }
        }
        return rows;
    }

private:
    struct Close {
        void operator()(PGconn* connection) const noexcept { PQfinish(connection); }
        void operator()(PGresult* result) const noexcept { PQclear(result); }
    };
    std::unique_ptr<PGconn, Close> connection_;
    std::mutex mutex_;
};

// A change applies when its row, or its row's tombstone, has no newer version.
class Orders {
public:
    using Change = larder::Change<std::int64_t, std::string>;

    explicit Orders(Postgres& db) : db_{&db} {}

    static void create(Postgres& db) {
        db.run(
            "CREATE TEMPORARY TABLE order_row (id bigint PRIMARY KEY, version bigint NOT NULL,"
            " item text, removed timestamptz)");
        db.run(
            "CREATE TEMPORARY VIEW orders AS SELECT id, item FROM order_row WHERE removed IS NULL");
    }

    std::optional<std::string> load(std::int64_t id) const {
        const auto rows =
            db_->run("SELECT item FROM orders WHERE id = $1::bigint", {std::to_string(id)});
        return rows.empty() ? std::nullopt : std::optional{rows[0][0]};
    }
    bool save(std::int64_t id, const std::string& item, std::uint64_t version) const {
        const Change change{id, item, version};
        return save_many({&change, 1}).front();
    }
    bool remove(std::int64_t id, std::uint64_t version) const {
        const Change change{id, std::nullopt, version};
        return save_many({&change, 1}).front();
    }

    std::vector<bool> save_many(std::span<const Change> changes) const {
        nlohmann::json batch = nlohmann::json::array();
        for (const Change& change : changes) {
            batch.push_back({{"id", change.key}, {"version", change.version}});
            if (change.value) {
                batch.back()["item"] = *change.value;
            }
        }
        // In the order of the ids, so that two who write the same rows do not wait for each other.
        const auto rows = db_->run(
            "INSERT INTO order_row SELECT id, version, item,"
            " CASE WHEN item IS NULL THEN now() END"
            " FROM json_to_recordset($1::json) AS change(id bigint, version bigint, item text)"
            " ORDER BY id ON CONFLICT (id) DO UPDATE SET version = excluded.version,"
            " item = excluded.item, removed = excluded.removed"
            " WHERE order_row.version <= excluded.version RETURNING id",
            {batch.dump()});
        std::unordered_set<std::string> ids;
        for (const auto& row : rows) {
            ids.insert(row[0]);
        }
        std::vector<bool> applied;
        for (const Change& change : changes) {
            applied.push_back(ids.contains(std::to_string(change.key)));
        }
        return applied;
    }

    // Forgets rows that are gone for so long that no write of before can be under way any more: longer
    // than any process may have stood still. A day is plenty.
    std::size_t purge(std::chrono::seconds age) const {
        return db_
            ->run("DELETE FROM order_row WHERE removed <= now() - $1::interval RETURNING id",
                  {std::to_string(age.count()) + " s"})
            .size();
    }

private:
    Postgres* db_;
};

int main(int argc, char** argv) try {
    const examples::ScratchFolder folder;
    Postgres db{argc > 1 ? argv[1] : ""};
    Orders::create(db);
    const Orders table{db};
    larder::SqliteJournal<std::int64_t, std::string> journal{folder.path() / "orders.journal"};
    larder::WriteBehind orders{larder::MemoryStore<std::int64_t, std::string>{},
                               table,
                               journal,
                               {.ttl = 1h},
                               {.delay = 1h}};  // until it is told to
    orders.put(1, "a kettle");
    orders.put(1, "two kettles");
    orders.put(2, "a cup");
    std::cout << orders.flush(10s) << " left; the table's order 1 is " << *table.load(1) << '\n';
    orders.remove(2);
    std::cout << orders.flush(10s) << " left; order 2 is " << table.load(2).value_or("gone")
              << '\n';

    // A process that stood still, and goes on now with what it had in hand:
    std::cout << "an old write of order 2 is "
              << (table.save(2, "a cup", 1) ? "applied" : "refused") << '\n';
    std::cout << "tombstones to forget: " << table.purge(24h) << " after a day, " << table.purge(0s)
              << " at once\n";
    return EXIT_SUCCESS;
} catch (const std::exception& error) {
    std::cerr << error.what() << "\nIs there a PostgreSQL server? Try: postgres CONNECTION\n";
    return EXIT_FAILURE;
}
