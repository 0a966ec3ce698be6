// SPDX-License-Identifier: MIT

/// @file
/// A part of the tour: the journal now, the database later.

#ifndef LARDER_EXAMPLES_TOUR_WRITE_BEHIND_HPP
#define LARDER_EXAMPLES_TOUR_WRITE_BEHIND_HPP

#include "support/reviews.hpp"
#include "tour.hpp"

#include <larder/larder.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace examples {

template <class Stores>
void write_behind(Tour<Stores>& tour) {
    using namespace std::chrono_literals;
    Reviews::create(tour.other_program);
    (void)Reviews{tour.other_program}.save(1'000, {"IS-1", 5}, 0);

    const Reviews table{tour.db};
    larder::Sequence ids{[&] { return table.greatest_id(); }};
    // It writes when it is told to, or 1,000 changes wait.
    auto store = tour.template store<Review, std::int64_t>();
    larder::WriteBehind reviews{
        store, table, {.ttl = 1h}, {.batch = 1'000, .delay = 1h, .attempts = 1}};
    const auto get = [&](std::int64_t id) {
        tour.step("get " + with_commas(static_cast<std::uint64_t>(id)), [&] {
            const auto got = reviews.fetch(id);
            return Outcome{std::string{to_string(got.source)},
                           std::to_string(got.value->stars) + " stars for " + got.value->place};
        });
    };
    const auto flush = [&] {
        tour.step("flush", [&] {
            const std::size_t left = reviews.flush(10s);
            return Outcome{
                std::to_string(left) + " left",
                "the table has " + times(Reviews{tour.other_program}.count(), "review", "reviews")};
        });
    };

    std::int64_t id = 0;
    tour.step("a larder::Sequence", [&] {
        id = ids.next();
        return Outcome{"asked", "the table's greatest id is 1,000; the next is ours"};
    });
    tour.step("put 500 new reviews", [&] {
        const Stopwatch watch;
        for (int i = 0; i < 500; ++i, id = ids.next()) {
            reviews.put(id, {"FR-44", 1 + i % 5});
        }
        return Outcome{"recorded", spell(watch.microseconds() / 500) + " each"};
    });
    get(1'500);
    tour.step("invalidate 1,500", [&] {
        reviews.invalidate(1'500);
        return Outcome{"dropped", "the copy, not the change"};
    });
    get(1'500);
    tour.step("put 1,001 10,000 times", [&] {
        for (int i = 0; i < 10'000; ++i) {
            reviews.put(1'001, {"FR-44", 1 + i % 5});
        }
        return Outcome{"recorded", times(reviews.stats().pending, "change", "changes") +
                                       " wait: the newest of each key"};
    });
    flush();
    get(1'001);
    tour.step("put 100 more, one with 9 stars", [&] {
        for (int i = 0; i < 100; ++i, id = ids.next()) {
            reviews.put(id, {"CA-ON", i == 49 ? 9 : 4});
        }
        return Outcome{"recorded", "the table would refuse one"};
    });
    flush();
    for (const auto& letter : reviews.dead_letters()) {
        tour.note("a dead letter: " + with_commas(static_cast<std::uint64_t>(letter.change.key)) +
                  ", " + letter.why.substr(0, letter.why.find(',')));
        tour.step("put it with 4 stars", [&] {
            reviews.put(letter.change.key, {"CA-ON", 4});
            return Outcome{"recorded",
                           times(reviews.dead_letters().size(), "dead letter", "dead letters") +
                               ": a newer change takes its place"};
        });
    }
    flush();
}

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_WRITE_BEHIND_HPP
