// SPDX-License-Identifier: MIT

/// @file
/// What all parts of the tour share: a database, stores, and one line for each step.

#ifndef LARDER_EXAMPLES_TOUR_TOUR_HPP
#define LARDER_EXAMPLES_TOUR_TOUR_HPP

#include "stores.hpp"
#include "support/database.hpp"
#include "telling.hpp"

#include <larder/larder.hpp>

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <utility>

namespace examples {

struct Outcome {
    std::string how;     // hit, loaded, …
    std::string remark;  // the row, or what to notice
};

/// @tparam Stores  makes the stores: InMemory, or a class with its `store`
template <class Stores>
class Tour {
public:
    Tour(const std::string& path, Stores stores)
        : db{path}, other_program{path}, stores_{std::move(stores)} {}

    Database db;
    Database other_program;     // its statements are not ours, and not counted
    larder::ManualClock clock;  // of what `memory` gives

    /// A store of the kind that the tour is about.
    template <class Row, class Key = std::string>
    [[nodiscard]] auto store() {
        return stores_.template store<Row, Key>();
    }

    /// In memory whatever the tour is about: for what needs time moved by hand, or a bound.
    template <class Row>
    [[nodiscard]] Memory<Row> memory(std::size_t capacity = 10'000) const {
        return Memory<Row>{{.capacity = capacity}, clock};
    }

    /// One line: what was done, how it went, what it cost the database.
    template <class Do>
    void step(const std::string& what, Do&& act) {
        const std::uint64_t before = db.statements();
        const Outcome outcome = act();
        const std::string cost = times(db.statements() - before, "statement", "statements");
        std::cout << "   " << padded(what, 35) << padded(outcome.how, 9) << padded(cost, 17)
                  << outcome.remark << '\n';
    }

    template <class Cache>
    void get(Cache& cache, const std::string& code, const std::string& note = {}) {
        step("get " + code, [&] {
            const auto got = cache.fetch(code);
            return Outcome{std::string{to_string(got.source)}, text(got.value) + note};
        });
    }

    void note(const std::string& words) const { std::cout << "   · " << words << '\n'; }

private:
    Stores stores_;
};

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_TOUR_HPP
