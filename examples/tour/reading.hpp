// SPDX-License-Identifier: MIT

/// @file
/// Parts of the tour: what a read costs.

#ifndef LARDER_EXAMPLES_TOUR_READING_HPP
#define LARDER_EXAMPLES_TOUR_READING_HPP

#include "support/database.hpp"
#include "support/iso_codes.hpp"
#include "tour.hpp"

#include <larder/larder.hpp>

#include <barrier>
#include <chrono>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace examples {

using namespace std::chrono_literals;

template <class Stores>
void cache_aside(Tour<Stores>& tour) {
    larder::CacheAside countries{tour.template store<Country>(), Countries{tour.db}, {.ttl = 1h}};
    const Stopwatch first;
    tour.get(countries, "IS");
    const double loading = first.microseconds();
    tour.get(countries, "IS");
    constexpr int repeats = Stores::repeats;
    tour.step("get IS " + with_commas(repeats) + " times", [&] {
        const Stopwatch watch;
        for (int i = 0; i < repeats; ++i) {
            (void)countries.get("IS");
        }
        return Outcome{"hit",
                       spell(watch.microseconds() / repeats) + " each; the load " + spell(loading)};
    });
    tour.step("put IS \"Ísland\"", [&] {
        countries.put("IS", {"IS", "Ísland", "Lýðveldið Ísland"});
        return Outcome{"written", "the row; then the copy is dropped"};
    });
    tour.get(countries, "IS");
    tour.step("get_many SE FI IS", [&] {
        const auto all = countries.get_many({"SE", "FI", "IS"});
        std::string names;
        for (const auto& country : all) {
            names += (names.empty() ? "" : ", ") + text(country);
        }
        return Outcome{"mixed", names};
    });
}

template <class Stores>
void known_absence(Tour<Stores>& tour) {
    const auto ask = [&](larder::Ttl negative_ttl, const std::string& what) {
        larder::CacheAside countries{
            tour.template store<Country>(), Countries{tour.db}, {.negative_ttl = negative_ttl}};
        tour.step(what, [&] {
            for (int i = 0; i < 1'000; ++i) {
                (void)countries.get("ZZ");
            }
            const auto stats = countries.stats();
            return Outcome{"no row", times(stats.loads, "load", "loads") + ", " +
                                         times(stats.hits, "hit", "hits")};
        });
        return countries;
    };
    ask(0s, "get ZZ 1,000 times");
    auto countries = ask(1min, "the same with .negative_ttl = 1min");
    tour.step("put ZZ", [&] {
        countries.put("ZZ", {"ZZ", "Atlantis", ""});
        return Outcome{"written", "it ends the known absence at once"};
    });
    tour.get(countries, "ZZ");
    countries.remove("ZZ");
}

template <class Stores>
void time_to_live(Tour<Stores>& tour) {
    Countries rows{tour.db};
    bool broken = false;
    const auto load = [&](const std::string& code) {
        if (broken) {
            throw std::runtime_error{"the database does not answer"};
        }
        return rows.load(code);
    };
    larder::CacheAside countries{
        tour.template memory<Country>(), load, {.ttl = 10min, .grace = 1h}};
    tour.note(".ttl = 10min, .grace = 1h");
    tour.get(countries, "JP");
    tour.clock.advance(9min);
    tour.get(countries, "JP", ", after 9 minutes");
    tour.clock.advance(2min);
    tour.get(countries, "JP", ", after 11 minutes");
    tour.clock.advance(11min);
    broken = true;
    tour.get(countries, "JP", ", 11 later: the load failed");
    tour.note("within .grace the old copy stands in for a load that fails");
}

/// A report that is worth keeping: which names of places here are found in other countries, too?
inline std::string names_abroad(Database& db, const std::string& code) {
    auto found = db.prepare(
        "SELECT replace(group_concat(DISTINCT here.name), ',', ', ') FROM subdivision here "
        "JOIN subdivision there ON there.name = here.name "
        "WHERE here.code GLOB ? AND NOT there.code GLOB ?",
        code + "-*", code + "-*");
    found.step();
    return found.column<std::string>(0);
}

template <class Stores>
void single_flight(Tour<Stores>& tour) {
    const auto report_on = [&](const std::string& code) { return names_abroad(tour.db, code); };
    larder::CacheAside report{tour.template memory<std::string>(), report_on, {.ttl = 10min}};
    const Stopwatch first;
    tour.step("get AR", [&] {
        const auto got = report.fetch("AR");
        return Outcome{std::string{to_string(got.source)}, "a query of " + first.elapsed()};
    });
    tour.note("Argentine names found abroad: " + *report.get("AR"));
    tour.clock.advance(11min);
    tour.step("expired; then 200 threads get AR", [&] {
        constexpr std::ptrdiff_t crowd = 200;
        std::barrier start{crowd};
        const auto before = report.stats();
        {
            std::vector<std::jthread> threads;
            for (std::ptrdiff_t i = 0; i < crowd; ++i) {
                threads.emplace_back([&] {
                    start.arrive_and_wait();
                    (void)report.get("AR");
                });
            }
        }
        const auto after = report.stats();
        return Outcome{"1 for all", times(after.loads - before.loads, "load", "loads") + "; " +
                                        times(after.joined - before.joined, "thread", "threads") +
                                        " waited for it"};
    });
}

template <class Stores>
void refresh_ahead(Tour<Stores>& tour) {
    std::vector<std::jthread> background;  // an executor of one's own: here, a thread for each task
    larder::RefreshAhead countries{
        tour.template memory<Country>(),
        Countries{tour.db},
        {.ttl = 10min, .executor = larder::Executor{[&](larder::Task task) {
                           background.emplace_back(std::move(task));
                       }}}};
    tour.get(countries, "NZ");
    tour.clock.advance(7min);
    tour.get(countries, "NZ", ", after 7 of 10 minutes");
    tour.other_program.exec("UPDATE country SET name = 'Aotearoa' WHERE code = 'NZ'");
    tour.clock.advance(2min);
    tour.step("get NZ", [&] {
        const auto got = countries.fetch("NZ");
        background.clear();  // waits for the reload
        return Outcome{std::string{to_string(got.source)}, text(got.value) + ", after 9"};
    });
    tour.note("the row has changed; the old copy was served at once, one reload began");
    tour.get(countries, "NZ", ": nobody has waited");
}

template <class Stores>
void warming(Tour<Stores>& tour) {
    larder::CacheAside places{
        tour.template store<Subdivision>(), Subdivisions{tour.db}, {.ttl = 1h}};
    const std::vector<std::string> codes = Subdivisions{tour.other_program}.codes();
    tour.get(places, "FR-44");
    const auto warm = [&](const std::string& what) {
        tour.step(what, [&] {
            const Stopwatch watch;
            const auto report = places.warm(codes, {.batch = 500, .parallel = 4});
            return Outcome{"warm", with_commas(report.filled) + " filled, " +
                                       with_commas(report.skipped) + " skipped, in " +
                                       watch.elapsed()};
        });
    };
    warm("warm all, 500 by 500");
    tour.get(places, "CA-ON");
    warm("warm all again");
}

/// Names that places of two countries share.
inline std::string names_in_both(Database& db, const std::string& one, const std::string& other) {
    auto found = db.prepare(
        "SELECT ifnull(replace(group_concat(DISTINCT a.name), ',', ', '), 'none') "
        "FROM subdivision a JOIN subdivision b ON b.name = a.name "
        "WHERE a.code GLOB ? AND b.code GLOB ?",
        one + "-*", other + "-*");
    found.step();
    return found.column<std::string>(0);
}

template <class Stores>
void memoized(Tour<Stores>& tour) {
    auto shared_names =
        larder::memoize(tour.template store<std::string, std::tuple<std::string, std::string>>(),
                        [&](const std::string& one, const std::string& other) {
                            return names_in_both(tour.db, one, other);
                        },
                        {.ttl = 1h});
    const auto call = [&](const std::string& one, const std::string& other) {
        tour.step("shared_names(" + one + ", " + other + ")", [&] {
            const Stopwatch watch;
            const std::string names = shared_names(one, other);
            return Outcome{"returned", watch.elapsed() + ": " + names};
        });
    };
    call("CO", "VE");
    call("CO", "VE");
    call("CO", "EC");
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_READING_HPP
