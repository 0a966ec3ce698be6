// SPDX-License-Identifier: MIT

/// @file
/// Parts of the tour: the rows change past the cache.

#ifndef LARDER_EXAMPLES_TOUR_CHANGES_HPP
#define LARDER_EXAMPLES_TOUR_CHANGES_HPP

#include "support/iso_codes.hpp"
#include "tour.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace examples {

using namespace std::chrono_literals;

template <class Stores>
void event_invalidation(Tour<Stores>& tour) {
    larder::CacheAside countries{tour.template store<Country>(), Countries{tour.db}, {.ttl = 1h}};
    tour.get(countries, "FI");
    tour.other_program.exec("UPDATE country SET name = 'Suomi' WHERE code = 'FI'");
    tour.note("another program has renamed it in the database, and nobody has said so");
    tour.get(countries, "FI");
    tour.step("invalidate FI", [&] {
        countries.invalidate("FI");
        return Outcome{"dropped", "when the event arrives"};
    });
    tour.get(countries, "FI");
    countries.invalidate("FI");

    // A load that has read the old row when the event arrives must not put it back.
    tour.step("get FI, the event meets the load", [&] {
        const auto got = countries.fetch("FI", [&](const std::string& code) {
            auto row = Countries{tour.db}.load(code);
            tour.other_program.exec("UPDATE country SET name = 'Finland' WHERE code = 'FI'");
            std::jthread{[&] { countries.invalidate("FI"); }}.join();
            return row;
        });
        return Outcome{std::string{to_string(got.source)},
                       text(got.value) + ", but that is not kept"};
    });
    tour.get(countries, "FI");
}

template <class Stores>
void tag_invalidation(Tour<Stores>& tour) {
    larder::Tagged places{
        larder::CacheAside{tour.template store<Subdivision>(), Subdivisions{tour.db}, {.ttl = 1h}},
        [](const Subdivision& place) {
            return larder::Tags{"country:" + place.code.substr(0, 2), "type:" + place.type};
        }};
    const std::vector<std::string> codes = Subdivisions{tour.other_program}.codes();
    const auto get_all = [&] {
        tour.step("get_many, all of them", [&] {
            const auto before = places.stats();
            (void)places.get_many(codes);
            const auto after = places.stats();
            return Outcome{"mixed", times(after.hits - before.hits, "hit", "hits") + ", " +
                                        with_commas(after.misses - before.misses) + " loaded"};
        });
    };
    const auto invalidate_tag = [&](const std::string& tag, const std::string& why) {
        tour.step("invalidate_tag " + tag, [&] {
            const Stopwatch watch;
            places.invalidate_tag(tag);
            return Outcome{"dropped", watch.elapsed() + ", " + why};
        });
    };
    tour.note("each place carries two tags: country:FR and type:Province, say");
    get_all();
    get_all();
    invalidate_tag("country:MC", "for the 17 quarters of Monaco");
    get_all();
    invalidate_tag("type:Province", "for provinces all over the world");
    tour.get(places, "CA-ON");
    tour.get(places, "FR-44");
    get_all();
    tour.step("invalidate_all", [&] {
        const Stopwatch watch;
        places.invalidate_all();
        return Outcome{"dropped", watch.elapsed()};
    });
    tour.get(places, "FR-44");
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_CHANGES_HPP
