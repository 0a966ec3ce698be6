// SPDX-License-Identifier: MIT

/// @file
/// Rows that are created by the thousand: reviews of places, in a table whose rows keep a version.

#ifndef LARDER_EXAMPLES_REVIEWS_HPP
#define LARDER_EXAMPLES_REVIEWS_HPP

#include "database.hpp"

#include <larder/entry.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

namespace examples {

struct Review {
    std::string place{};
    int stars{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Review, place, stars)

/// A repository for write-behind: a change applies when the row's version is not greater, and a
/// row that is removed keeps its version. So a write that comes late, or twice, does no harm.
///
/// Thread safety: all members may run concurrently. A copy is a handle to the same table.
class Reviews {
public:
    using Change = larder::Change<std::int64_t, Review>;

    explicit Reviews(Database& db) : db_{&db} {}

    static void create(Database& db) {
        db.exec(
            "CREATE TABLE review (id INTEGER PRIMARY KEY, place TEXT, "
            "stars INTEGER CHECK (stars BETWEEN 1 AND 5), version INTEGER NOT NULL)");
    }

    [[nodiscard]] std::optional<Review> load(std::int64_t id) const {
        auto found =
            db_->prepare("SELECT place, stars FROM review WHERE id = ? AND place IS NOT NULL", id);
        return found.step()
                   ? std::optional{Review{found.column<std::string>(0), found.column<int>(1)}}
                   : std::nullopt;
    }

    bool save(std::int64_t id, const Review& review, std::uint64_t version) const {
        const Change change{id, review, version};
        return save_many({&change, 1}).front();
    }
    bool remove(std::int64_t id, std::uint64_t version) const {
        const Change change{id, std::nullopt, version};
        return save_many({&change, 1}).front();
    }

    /// One statement, however many changes; says which were applied.
    [[nodiscard]] std::vector<bool> save_many(std::span<const Change> changes) const {
        nlohmann::json rows;
        for (const Change& change : changes) {
            nlohmann::json& row = rows.emplace_back();
            row["id"] = change.key;
            row["version"] = change.version;
            if (change.value) {
                row["place"] = change.value->place;
                row["stars"] = change.value->stars;
            }
        }
        auto saved = db_->prepare(
            "INSERT INTO review SELECT json_extract(value, '$.id'), json_extract(value, '$.place'),"
            " json_extract(value, '$.stars'), json_extract(value, '$.version') FROM json_each(?) "
            "WHERE true ON CONFLICT (id) DO UPDATE SET place = excluded.place, "
            "stars = excluded.stars, version = excluded.version "
            "WHERE excluded.version >= review.version RETURNING id",
            rows.dump());
        std::unordered_set<std::int64_t> ids;
        while (saved.step()) {
            ids.insert(saved.column<std::int64_t>(0));
        }
        std::vector<bool> applied;
        for (const Change& change : changes) {
            applied.push_back(ids.contains(change.key));
        }
        return applied;
    }

    [[nodiscard]] std::int64_t greatest_id() const {
        return number<std::int64_t>("coalesce(max(id), 0)");
    }
    [[nodiscard]] std::size_t count() const { return number<std::size_t>("count(place)"); }

private:
    template <class Number>
    [[nodiscard]] Number number(const std::string& expression) const {
        auto asked = db_->prepare("SELECT " + expression + " FROM review");
        asked.step();
        return asked.column<Number>(0);
    }

    Database* db_;
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_REVIEWS_HPP
