// SPDX-License-Identifier: MIT

// A walk through the strategies on real rows in a real database, and their comparison in numbers.
// The database itself counts the statements that it is sent; time is moved by hand, so nothing
// sleeps.
//
// tour [--redis URL] [NUMBER…]: all of it, or these parts; with the copies in Redis, but for the parts
// that move time by hand. tour --help tells the parts.

#include "tour/tour.hpp"
#include "support/database.hpp"
#include "support/iso_codes.hpp"
#include "support/scratch_folder.hpp"
#include "tour/changes.hpp"
#include "tour/comparison/comparison.hpp"
#include "tour/reading.hpp"
#include "tour/statistics.hpp"
#include "tour/stores.hpp"
#include "tour/telling.hpp"
#include "tour/write_behind.hpp"
#include "tour/writing.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace examples;

namespace {

// The arguments of the process that the comparison kills: this, a strategy's number, a database.
constexpr std::string_view writer_flag = "--writer";

template <class Stores>
struct Part {
    std::string_view title;
    void (*show)(Tour<Stores>&);
};

// A further part is a further function, and a line here.
template <class Stores>
constexpr Part<Stores> parts[] = {
    {"Cache-aside: load on demand; a write drops the copy", cache_aside},
    {"Known absence: \"no such row\" is an answer, too", known_absence},
    {"Time to live, and grace when the database fails", time_to_live},
    {"One load for all who wait", single_flight},
    {"Write-through: a write leaves a copy", write_through},
    {"Two writers at once never leave a wrong copy", two_writers},
    {"Write-behind: the journal now, the database later", write_behind},
    {"Refresh-ahead: reload before the copy ends", refresh_ahead},
    {"Events: somebody else has changed the row", event_invalidation},
    {"Tags: everything of a country, or of a type", tag_invalidation},
    {"Warming: filled before anybody asks", warming},
    {"A transaction of your own over several rows", own_transaction},
    {"Memoize: any function, by its arguments", memoized},
    {"Statistics", statistics},
};

constexpr std::string_view comparison_title = "The strategies compared";

void print_usage(std::ostream& out) {
    out << "usage: tour [--redis URL] [NUMBER...]\n"
           "A walk through larder's strategies: all of it, or the parts with these numbers.\n"
           "With --redis, copies are kept by the Redis at URL, such as redis://127.0.0.1:6379.\n\n";
    std::size_t number = 0;
    for (const Part<InMemory>& part : parts<InMemory>) {
        out << std::setw(4) << ++number << ' ' << part.title << '\n';
    }
    out << std::setw(4) << ++number << ' ' << comparison_title << '\n';
}

/// An argument that is none.
struct UsageError : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

void require_numbers_of_parts(const std::vector<std::string>& arguments) {
    for (auto argument = arguments.begin() + 1; argument != arguments.end(); ++argument) {
        std::size_t number = 0;
        const char* const end = argument->data() + argument->size();
        const auto read = std::from_chars(argument->data(), end, number);
        if (read.ec != std::errc{} || read.ptr != end || number < 1 ||
            number > std::size(parts<InMemory>) + 1) {
            throw UsageError{"there is no part \"" + *argument + '"'};
        }
    }
}

void show_comparison(const MakeContestant& make, const std::string& program,
                     const std::vector<std::string>& where, const std::filesystem::path& scratch) {
    std::cout << "   " << about_the_workload() << ".\n\n";
    std::vector<std::string> writer{program};
    writer.insert(writer.end(), where.begin(), where.end());
    writer.emplace_back(writer_flag);
    const auto all = compare(make, writer, scratch);
    print_table(all);
    std::cout << '\n';
    for (const Measured& one : all) {
        if (one.lost > 0) {
            std::cout << "   · what " << one.name << " lost was acknowledged in the last "
                      << spell(1'000 * one.lost_within) << " before the kill\n";
        }
    }
    const auto drawing = std::filesystem::absolute(program).parent_path() / "larder-comparison.svg";
    std::ofstream{drawing} << chart(all);
    std::cout << "   · drawn in " << drawing.string() << '\n';
}

template <class Stores>
int run(const Stores& stores, std::vector<std::string> arguments,
        const std::vector<std::string>& where = {}) {
    const MakeContestant make = [&](Strategy strategy, Database& db) {
        return make_contestant(strategy, stores, db);
    };
    if (arguments.size() == 4 && arguments[1] == writer_flag) {
        write_until_killed(make, static_cast<Strategy>(std::stoi(arguments[2])), arguments[3]);
    }
    require_numbers_of_parts(arguments);

    const ScratchFolder folder;
    Tour<Stores> tour{(folder.path() / "iso.db").string(), stores};
    const Stopwatch watch;
    import_iso_codes(tour.db);
    std::cout << "larder " << LARDER_VERSION_MAJOR << '.' << LARDER_VERSION_MINOR << '.'
              << LARDER_VERSION_PATCH << ", on an SQLite database made of Debian's iso-codes in "
              << watch.elapsed() << ":\n"
              << times(Countries{tour.db}.count(), "country", "countries") << ", "
              << times(Subdivisions{tour.db}.count(), "subdivision", "subdivisions") << ", "
              << times(Languages{tour.db}.count(), "language", "languages")
              << ". SQLite itself counts the statements.\n";

    std::size_t number = 0;
    const auto chosen = [&](std::string_view title) {
        ++number;
        const bool wanted = arguments.size() == 1 ||
                            std::count(arguments.begin(), arguments.end(), std::to_string(number));
        if (wanted) {
            std::cout << '\n' << std::right << std::setw(2) << number << ' ' << title << '\n';
        }
        return wanted;
    };
    for (const Part<Stores>& part : parts<Stores>) {
        if (chosen(part.title)) {
            part.show(tour);
        }
    }
    if (chosen(comparison_title)) {
        show_comparison(make, arguments[0], where, folder.path());
    }
    return EXIT_SUCCESS;
}

}  // namespace

int main(int argc, char** argv) try {
    std::vector<std::string> arguments{argv, argv + argc};
    if (std::count(arguments.begin(), arguments.end(), "--help")) {
        print_usage(std::cout);
        return EXIT_SUCCESS;
    }
    if (arguments.size() > 1 && arguments[1] == "--redis") {
        if (arguments.size() < 3) {
            throw UsageError{"--redis needs a URL"};
        }
#if defined(TOUR_WITH_REDIS)
        const std::vector<std::string> where{arguments[1], arguments[2]};
        arguments.erase(arguments.begin() + 1, arguments.begin() + 3);
        return run(InRedis{where[1]}, arguments, where);
#else
        throw std::invalid_argument{
            "this tour was built without hiredis: apt install libhiredis-dev"};
#endif
    }
    return run(InMemory{}, arguments);
} catch (const UsageError& error) {
    std::cerr << "tour: " << error.what() << '\n';
    print_usage(std::cerr);
    return 2;
} catch (const std::exception& error) {
    std::cerr << "tour: " << error.what() << '\n';
    return EXIT_FAILURE;
}
