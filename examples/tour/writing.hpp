// SPDX-License-Identifier: MIT

/// @file
/// Parts of the tour: what a write leaves behind.

#ifndef LARDER_EXAMPLES_TOUR_WRITING_HPP
#define LARDER_EXAMPLES_TOUR_WRITING_HPP

#include "support/iso_codes.hpp"
#include "tour.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <latch>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace examples {

using namespace std::chrono_literals;

template <class Stores>
void write_through(Tour<Stores>& tour) {
    larder::WriteThrough languages{
        tour.template store<Language>(), Languages{tour.db}, {.ttl = 1h}};
    tour.get(languages, "isl");
    tour.step("put isl \"  íslenska  \"", [&] {
        languages.put("isl", {"isl", "  íslenska  "});
        return Outcome{"written", "the row; the copy is what was stored"};
    });
    tour.get(languages, "isl", ", without the blanks");
    tour.step("put isl \"\"", [&] {
        try {
            languages.put("isl", {"isl", ""});
            return Outcome{"written", "which should not be"};
        } catch (const DatabaseError& error) {
            const std::string_view words{error.what()};
            return Outcome{"thrown", std::string{words.substr(0, words.find(','))}};
        }
    });
    tour.get(languages, "isl");
}

// A repository that lets something happen between the commit and the return of a save.
struct Interrupted {
    Languages rows;
    std::function<void()> after_commit;

    std::optional<Language> load(const std::string& code) { return rows.load(code); }
    void save(const std::string& code, const Language& language) {
        rows.save(code, language);
        if (auto now = std::exchange(after_commit, {})) {
            now();
        }
    }
    void remove(const std::string& code) { rows.remove(code); }
};

template <class Stores>
void two_writers(Tour<Stores>& tour) {
    Interrupted rows{Languages{tour.db}, {}};
    larder::WriteThrough languages{tour.template store<Language>(), std::ref(rows), {.ttl = 1h}};
    const auto meet = [&](const auto& put) {
        rows.after_commit = [&] { std::jthread{[&] { put("second"); }}.join(); };
        put("first");
    };
    tour.step("a map and a lock, two writers meet", [&] {
        std::string copy;
        meet([&](const std::string& name) {
            rows.save("fao", {"fao", name});
            copy = name;
        });
        return Outcome{"wrong", "row: " + text(rows.load("fao")) + ", copy: " + copy};
    });
    tour.step("larder, the same two writers meet", [&] {
        meet([&](const std::string& name) { languages.put("fao", {"fao", name}); });
        return Outcome{"no copy", "nobody knows which was last"};
    });
    tour.get(languages, "fao");
    tour.step("500 times two racing writers", [&] {
        const Languages table{tour.db};
        larder::WriteThrough racing{tour.template store<Language>(), table, {.ttl = 1h}};
        int wrong = 0;
        for (int round = 0; round < 500; ++round) {
            std::latch start{2};
            const auto put = [&](const std::string& name) {
                start.arrive_and_wait();
                racing.put("fao", {"fao", name});
            };
            std::jthread other{[&] { put("føroyskt"); }};
            put("Faroese");
            other.join();
            wrong += text(racing.get("fao")) == text(table.load("fao")) ? 0 : 1;
        }
        return Outcome{"right",
                       times(static_cast<std::uint64_t>(wrong), "wrong copy", "wrong copies")};
    });
}

template <class Stores>
void own_transaction(Tour<Stores>& tour) {
    larder::CacheAside places{
        tour.template store<Subdivision>(), Subdivisions{tour.db}, {.ttl = 1h}};
    const auto move_to = [&](const std::string& region) {
        for (const std::string code : {"FR-44", "FR-85"}) {
            tour.db.exec("UPDATE subdivision SET parent = ? WHERE code = ?", region, code);
        }
    };
    tour.get(places, "FR-44");
    {
        auto write = places.writing("FR-44", "FR-85");
        Transaction transaction{tour.db};
        move_to("FR-BRE");
        // Another thread, and so another connection.
        std::jthread{[&] { tour.get(places, "FR-44", " (committed)"); }}.join();
        transaction.commit();
        write.commit();
    }
    tour.note("that was during writing(\"FR-44\", \"FR-85\"); after its commit():");
    tour.get(places, "FR-44");
    {
        auto write = places.writing("FR-44", "FR-85");
        Transaction transaction{tour.db};
        move_to("FR-XXX");
        transaction.rollback();
        write.rollback();
    }
    tour.note("another transaction, to FR-XXX, with rollback():");
    tour.get(places, "FR-44");
    tour.get(places, "FR-44");
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_WRITING_HPP
