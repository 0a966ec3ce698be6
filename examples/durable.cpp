// SPDX-License-Identifier: MIT

// Write-behind with a journal in a file: what was acknowledged reaches the database, though the process is
// killed. And a repository that such a journal needs, over SQLite: a table that knows nothing of versions,
// and beside it one that keeps them, those of removed rows, too.

#include "support/database.hpp"
#include "support/scratch_folder.hpp"

#include <larder/json.hpp>
#include <larder/larder.hpp>
#include <larder/sqlite.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using examples::Database;

struct Order {
    std::string item{};
    int pieces{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, item, pieces)

// A change applies when its key has no newer version. Its version is written first, in the transaction
// that changes the row.
class Orders {
public:
    using Change = larder::Change<std::int64_t, Order>;

    explicit Orders(Database& db) : db_{&db} {}

    static void create(Database& db) {
        db.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, item TEXT NOT NULL, pieces INTEGER)");
        db.exec(
            "CREATE TABLE order_version (id INTEGER PRIMARY KEY, version INTEGER NOT NULL,"
            " changed INTEGER NOT NULL DEFAULT (strftime('%s', 'now')))");
    }

    std::optional<Order> load(std::int64_t id) const {
        auto row = db_->prepare("SELECT item, pieces FROM orders WHERE id = ?", id);
        return row.step() ? std::optional{Order{row.column<std::string>(0), row.column<int>(1)}}
                          : std::nullopt;
    }
    bool save(std::int64_t id, const Order& order, std::uint64_t version) const {
        const Change change{id, order, version};
        return save_many({&change, 1}).front();
    }
    bool remove(std::int64_t id, std::uint64_t version) const {
        const Change change{id, std::nullopt, version};
        return save_many({&change, 1}).front();
    }

    std::vector<bool> save_many(std::span<const Change> changes) const {
        std::vector<bool> applied;
        examples::Transaction transaction{*db_};
        for (const Change& change : changes) {
            applied.push_back(is_newest(change));
            if (applied.back() && change.value) {
                db_->exec(
                    "INSERT INTO orders VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
                    " SET item = excluded.item, pieces = excluded.pieces",
                    change.key, change.value->item, change.value->pieces);
            } else if (applied.back()) {
                db_->exec("DELETE FROM orders WHERE id = ?", change.key);
            }
        }
        transaction.commit();
        return applied;
    }

    // Forgets the versions of rows that are gone for so long that no write of before can be under way any
    // more: longer than any process may have stood still. A day is plenty.
    std::int64_t purge(std::chrono::seconds age) const {
        auto gone = db_->prepare(
            "DELETE FROM order_version WHERE changed <= strftime('%s', 'now') - ?"
            " AND NOT EXISTS (SELECT 1 FROM orders WHERE orders.id = order_version.id)"
            " RETURNING id",
            age.count());
        std::int64_t count = 0;
        while (gone.step()) {
            ++count;
        }
        return count;
    }

private:
    bool is_newest(const Change& change) const {
        return db_
            ->prepare(
                "INSERT INTO order_version (id, version) VALUES (?, ?) ON CONFLICT (id) DO UPDATE"
                " SET version = excluded.version, changed = excluded.changed"
                " WHERE order_version.version <= excluded.version RETURNING id",
                change.key, change.version)
            .step();
    }

    Database* db_;
};

// The database is written to when it is told to, or after an hour.
auto open_shop(Database& db, const std::string& journal) {
    return larder::WriteBehind{larder::MemoryStore<std::int64_t, Order>{},
                               Orders{db},
                               larder::SqliteJournal<std::int64_t, Order>{journal},
                               {.ttl = 1h},
                               {.delay = 1h, .drain = 0ms}};
}

void take_orders_until_killed(Database& db, const std::string& journal) {
    auto orders = open_shop(db, journal);
    orders.put(1, {"a kettle", 1});
    orders.put(2, {"a cup", 6});
    orders.put(1, {"a kettle", 2});
    orders.remove(2);
    orders.put(3, {"a spoon", 12});
    std::cout << "acknowledged: 2 kettles, 12 spoons, and no cups after all" << std::endl;
    std::raise(SIGKILL);
}

int main() {
    const examples::ScratchFolder folder;
    const std::string journal = folder.path() / "orders.journal";
    Database db{folder.path() / "shop.db"};
    if (::fork() == 0) {
        Orders::create(db);
        take_orders_until_killed(db, journal);
    }
    int status = 0;
    ::wait(&status);
    std::cout << "the process has ended by signal " << WTERMSIG(status) << '\n';

    const Orders table{db};
    std::cout << "the table has " << (table.load(1) ? "an order" : "no order") << '\n';
    auto orders = open_shop(db, journal);
    std::cout << "the journal has " << orders.stats().pending << "; order 1 is of "
              << orders.get(1)->pieces << '\n';
    std::cout << orders.flush(10s) << " left to write; the table's order 1 is of "
              << table.load(1)->pieces << '\n';

    // A process that stood still, and goes on now with what it had in hand:
    std::cout << "an old write of order 2 is "
              << (table.save(2, {"a cup", 6}, 1) ? "applied" : "refused") << '\n';
    std::cout << "versions of removed rows to forget: " << table.purge(24h) << " after a day, "
              << table.purge(0s) << " at once\n";
}
