// SPDX-License-Identifier: MIT

/// @file
/// The table of the comparison: a page for each place, whose load is a query with some work to do.

#ifndef LARDER_EXAMPLES_TOUR_COMPARISON_PAGES_HPP
#define LARDER_EXAMPLES_TOUR_COMPARISON_PAGES_HPP

#include "support/database.hpp"
#include "support/iso_codes.hpp"

#include <larder/entry.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace examples {

struct Page {
    std::string title{};
    std::uint64_t revision{};   ///< grows with each write of the page
    std::uint64_t namesakes{};  ///< other places of its name
    std::uint64_t in_country{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Page, title, revision, namesakes, in_country)

/// Loads and saves pages, for every strategy: with versions (a write-behind's) and without.
///
/// Thread safety: all members may run concurrently. A copy is a handle to the same table.
class Pages {
public:
    using Change = larder::Change<int, Page>;

    explicit Pages(Database& db) : db_{&db} {}

    static void create(Database& db) {
        Transaction transaction{db};
        db.exec(
            "CREATE TABLE page (id INTEGER PRIMARY KEY, country TEXT NOT NULL, "
            "title TEXT NOT NULL, revision INTEGER NOT NULL, version INTEGER NOT NULL)");
        auto page = db.prepare("INSERT INTO page VALUES (NULL, ?, ?, 0, 0)");
        for (const auto& place : read_iso_codes("3166-2")) {
            page.bind(place.at("code").get<std::string>().substr(0, 2),
                      place.at("name").get<std::string>())
                .step();
        }
        db.exec("CREATE INDEX page_country ON page (country)");
        db.exec("CREATE INDEX page_title ON page (title)");
        transaction.commit();
    }

    /// The row, and then what its page shows beside it: three statements.
    [[nodiscard]] std::optional<Page> load(int id) const {
        ++loads_of_this_thread();
        auto row = db_->prepare("SELECT title, revision, country FROM page WHERE id = ?", id);
        if (!row.step()) {
            return std::nullopt;
        }
        const auto title = row.column<std::string>(0);
        return Page{title, row.column<std::uint64_t>(1), count("title", title) - 1,
                    count("country", row.column<std::string>(2))};
    }

    void save(int id, const Page& page) const {
        const std::scoped_lock lock{*one_writer_};
        db_->exec("UPDATE page SET title = ?, revision = ? WHERE id = ?", page.title, page.revision,
                  id);
    }
    void remove(int id) const {
        const std::scoped_lock lock{*one_writer_};
        db_->exec("DELETE FROM page WHERE id = ?", id);
    }

    bool save(int id, const Page& page, std::uint64_t version) const {
        const Change change{id, page, version};
        return save_many({&change, 1}).front();
    }
    bool remove(int id, std::uint64_t) const {
        remove(id);  // no page is ever made again
        return true;
    }

    /// One statement, however many pages.
    [[nodiscard]] std::vector<bool> save_many(std::span<const Change> changes) const {
        nlohmann::json rows;
        for (const Change& change : changes) {
            rows.push_back(
                {change.key, change.value->title, change.value->revision, change.version});
        }
        std::unordered_set<int> saved;
        {
            const std::scoped_lock lock{*one_writer_};
            auto updated = db_->prepare(
                "UPDATE page SET title = new.title, revision = new.revision, version = new.version "
                "FROM (SELECT json_extract(value, '$[0]') id, json_extract(value, '$[1]') title, "
                "json_extract(value, '$[2]') revision, json_extract(value, '$[3]') version "
                "FROM json_each(?)) new "
                "WHERE page.id = new.id AND page.version <= new.version RETURNING page.id",
                rows.dump());
            while (updated.step()) {
                saved.insert(updated.column<int>(0));
            }
        }
        std::vector<bool> applied;
        for (const Change& change : changes) {
            applied.push_back(saved.contains(change.key));
        }
        return applied;
    }

    /// How often this thread has waited for a load.
    static std::uint64_t& loads_of_this_thread() {
        static thread_local std::uint64_t loads = 0;
        return loads;
    }

private:
    [[nodiscard]] std::uint64_t count(const std::string& column, const std::string& value) const {
        auto counted = db_->prepare("SELECT count(*) FROM page WHERE " + column + " = ?", value);
        counted.step();
        return counted.column<std::uint64_t>(0);
    }

    Database* db_;
    // SQLite lets one write at a time. Waiting here is fair; its own way is to look again later.
    std::shared_ptr<std::mutex> one_writer_ = std::make_shared<std::mutex>();
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_COMPARISON_PAGES_HPP
