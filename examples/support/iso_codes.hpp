// SPDX-License-Identifier: MIT

/// @file
/// Real rows for the examples: the countries, subdivisions and languages of the ISO standards, as
/// Debian's package iso-codes ships them, in an SQLite database.

#ifndef LARDER_EXAMPLES_ISO_CODES_HPP
#define LARDER_EXAMPLES_ISO_CODES_HPP

#include "database.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <exception>
#include <fstream>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace examples {

/// ISO 3166-1: FR, France, French Republic.
struct Country {
    std::string code{};
    std::string name{};
    std::string official_name{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Country, code, name, official_name)

/// ISO 3166-2: FR-44, Loire-Atlantique, a metropolitan department in FR-PDL.
struct Subdivision {
    std::string code{};
    std::string name{};
    std::string type{};
    std::string parent{};  ///< empty: the country itself
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Subdivision, code, name, type, parent)

/// ISO 639-3: isl, Icelandic.
struct Language {
    std::string code{};
    std::string name{};
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Language, code, name)

/// A table of rows that have a code: load, load_many, save, remove.
///
/// Thread safety: all members may run concurrently. A copy is a handle to the same table.
template <class Row>
class Table {
public:
    explicit Table(Database& db) : db_{&db} {}

    [[nodiscard]] std::optional<Row> load(const std::string& code) const {
        auto found = db_->prepare(select() + " WHERE code = ?", code);
        return found.step() ? std::optional{row(found)} : std::nullopt;
    }

    /// One statement, however many codes; the answers in their order.
    [[nodiscard]] std::vector<std::optional<Row>> load_many(
        std::span<const std::string> codes) const {
        auto found = db_->prepare(select() + " WHERE code IN (SELECT value FROM json_each(?))",
                                  nlohmann::json(codes).dump());
        std::unordered_map<std::string, Row> rows;
        while (found.step()) {
            Row one = row(found);
            rows.insert_or_assign(one.code, std::move(one));
        }
        std::vector<std::optional<Row>> answers;
        for (const std::string& code : codes) {
            const auto at = rows.find(code);
            answers.push_back(at == rows.end() ? std::nullopt : std::optional{at->second});
        }
        return answers;
    }

    /// Inserts or replaces, and gives the row as it is stored: names lose the blanks around them.
    Row save(const std::string& code, const Row& row) const;

    void remove(const std::string& code) const {
        db_->exec("DELETE FROM " + std::string{name} + " WHERE code = ?", code);
    }

    /// A row that a rule of the table refuses was not written.
    [[nodiscard]] static bool wrote_nothing(const std::exception& error) {
        const auto* const from_database = dynamic_cast<const DatabaseError*>(&error);
        return from_database != nullptr && from_database->constraint();
    }

    [[nodiscard]] std::vector<std::string> codes() const {
        std::vector<std::string> all;
        for (auto row = db_->prepare("SELECT code FROM " + std::string{name} + " ORDER BY code");
             row.step();) {
            all.push_back(row.template column<std::string>(0));
        }
        return all;
    }

    [[nodiscard]] std::size_t count() const {
        auto counted = db_->prepare("SELECT count(*) FROM " + std::string{name});
        counted.step();
        return counted.column<std::size_t>(0);
    }

private:
    static const std::string_view name;
    static const std::string_view columns;

    static std::string select() {
        return "SELECT " + std::string{columns} + " FROM " + std::string{name};
    }
    static Row row(const Statement& at);

    Database* db_;
};

using Countries = Table<Country>;
using Subdivisions = Table<Subdivision>;
using Languages = Table<Language>;

template <>
inline constexpr std::string_view Countries::name = "country";
template <>
inline constexpr std::string_view Countries::columns = "code, name, official_name";
template <>
inline Country Countries::row(const Statement& at) {
    return {at.column<std::string>(0), at.column<std::string>(1), at.column<std::string>(2)};
}
template <>
inline Country Countries::save(const std::string& code, const Country& country) const {
    auto saved = db_->prepare(
        "INSERT INTO country VALUES (?, trim(?), trim(?)) ON CONFLICT (code) DO UPDATE "
        "SET name = excluded.name, official_name = excluded.official_name "
        "RETURNING code, name, official_name",
        code, country.name, country.official_name);
    saved.step();
    return row(saved);
}

template <>
inline constexpr std::string_view Subdivisions::name = "subdivision";
template <>
inline constexpr std::string_view Subdivisions::columns = "code, name, type, parent";
template <>
inline Subdivision Subdivisions::row(const Statement& at) {
    return {at.column<std::string>(0), at.column<std::string>(1), at.column<std::string>(2),
            at.column<std::string>(3)};
}
template <>
inline Subdivision Subdivisions::save(const std::string& code, const Subdivision& place) const {
    auto saved = db_->prepare(
        "INSERT INTO subdivision VALUES (?, trim(?), ?, ?) ON CONFLICT (code) DO UPDATE "
        "SET name = excluded.name, type = excluded.type, parent = excluded.parent "
        "RETURNING code, name, type, parent",
        code, place.name, place.type, place.parent);
    saved.step();
    return row(saved);
}

template <>
inline constexpr std::string_view Languages::name = "language";
template <>
inline constexpr std::string_view Languages::columns = "code, name";
template <>
inline Language Languages::row(const Statement& at) {
    return {at.column<std::string>(0), at.column<std::string>(1)};
}
template <>
inline Language Languages::save(const std::string& code, const Language& language) const {
    auto saved = db_->prepare(
        "INSERT INTO language VALUES (?, trim(?)) ON CONFLICT (code) DO UPDATE "
        "SET name = excluded.name RETURNING code, name",
        code, language.name);
    saved.step();
    return row(saved);
}

/// The list of one ISO standard: "3166-1", "3166-2" or "639-3".
///
/// @throws std::runtime_error  saying what to install
inline nlohmann::json read_iso_codes(const std::string& standard) {
    const std::string file = "/usr/share/iso-codes/json/iso_" + standard + ".json";
    std::ifstream in{file};
    if (!in) {
        throw std::runtime_error{"cannot read " + file +
                                 "; install it with:  sudo apt-get install iso-codes"};
    }
    return nlohmann::json::parse(in).at(standard);
}

/// Creates the three tables and fills them, in one transaction.
inline void import_iso_codes(Database& db) {
    Transaction transaction{db};
    db.exec(
        "CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT NOT NULL CHECK (name <> ''), "
        "official_name TEXT NOT NULL) WITHOUT ROWID");
    db.exec(
        "CREATE TABLE subdivision (code TEXT PRIMARY KEY, name TEXT NOT NULL "
        "CHECK (name <> ''), type TEXT NOT NULL, parent TEXT NOT NULL) WITHOUT ROWID");
    db.exec(
        "CREATE TABLE language (code TEXT PRIMARY KEY, name TEXT NOT NULL "
        "CHECK (name <> '')) WITHOUT ROWID");
    const auto text = [](const nlohmann::json& row, const char* field) {
        return row.value(field, std::string{});
    };

    auto country = db.prepare("INSERT INTO country VALUES (?, ?, ?)");
    for (const auto& row : read_iso_codes("3166-1")) {
        country.bind(text(row, "alpha_2"), text(row, "name"), text(row, "official_name")).step();
    }
    auto subdivision = db.prepare("INSERT INTO subdivision VALUES (?, ?, ?, ?)");
    for (const auto& row : read_iso_codes("3166-2")) {
        const std::string code = text(row, "code");
        std::string parent = text(row, "parent");
        if (!parent.empty() && parent.find('-') == std::string::npos) {
            parent = code.substr(0, 3) + parent;  // within its country: PDL is FR-PDL
        }
        subdivision.bind(code, text(row, "name"), text(row, "type"), parent).step();
    }
    auto language = db.prepare("INSERT INTO language VALUES (?, ?)");
    for (const auto& row : read_iso_codes("639-3")) {
        language.bind(text(row, "alpha_3"), text(row, "name")).step();
    }
    transaction.commit();
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_ISO_CODES_HPP
