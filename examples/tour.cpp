// SPDX-License-Identifier: MIT

// A walk through the strategies on real rows in a real database. The database itself counts the
// statements that it is sent; time is moved by hand, so nothing sleeps.
//
// tour [NUMBER…]: all of it, or these parts.

#include "support/database.hpp"
#include "support/iso_codes.hpp"
#include "support/scratch_folder.hpp"

#include <larder/larder.hpp>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <functional>
#include <iomanip>
#include <iostream>
#include <latch>
#include <optional>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
using namespace examples;

namespace {

// ---- Telling what happened ----------------------------------------------------------------------

// A copy in the tour: any row, in memory, by a clock that moves when the tour says so.
template <class Row>
using Memory = larder::MemoryStore<std::string, Row, larder::ManualClock>;

struct Outcome {
    std::string how;     // hit, loaded, …
    std::string remark;  // the row, or what to notice
};

std::string text(const Country& country) {
    return country.name;
}
std::string text(const Language& language) {
    return language.name;
}
std::string text(const Subdivision& place) {
    return place.name + ", in " + place.parent;
}

template <class Row>
std::string text(const std::optional<Row>& row) {
    return row ? text(*row) : "no such row";
}

std::string times(std::uint64_t count, std::string_view one, std::string_view more) {
    std::string digits = std::to_string(count);
    for (std::size_t at = digits.size(); at > 3; at -= 3) {
        digits.insert(at - 3, ",");
    }
    return digits + ' ' + std::string{count == 1 ? one : more};
}

class Stopwatch {
public:
    [[nodiscard]] double microseconds() const {
        return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start_)
            .count();
    }
    [[nodiscard]] std::string elapsed() const { return spell(microseconds()); }

    static std::string spell(double microseconds) {
        std::ostringstream out;
        out << std::fixed << std::setprecision(microseconds < 10 ? 2 : 0);
        if (microseconds < 1000) {
            out << microseconds << " µs";
        } else {
            out << std::setprecision(1) << microseconds / 1000 << " ms";
        }
        return out.str();
    }

private:
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

class Tour {
public:
    explicit Tour(const std::string& path) : db{path}, other_program{path} {}

    Database db;
    Database other_program;  // its statements are not ours, and not counted
    larder::ManualClock clock;

    template <class Row>
    [[nodiscard]] Memory<Row> memory(std::size_t capacity = 10'000) const {
        return Memory<Row>{{.capacity = capacity}, clock};
    }

    // One line: what was done, how it went, what it cost the database.
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
    // To a width in characters, which UTF-8 writes in one or more bytes.
    static std::string padded(const std::string& words, std::ptrdiff_t width) {
        const auto characters = std::count_if(words.begin(), words.end(), [](char byte) {
            return (static_cast<unsigned char>(byte) & 0xC0U) != 0x80U;
        });
        const auto missing = std::max<std::ptrdiff_t>(width - characters, 1);
        return words + std::string(static_cast<std::size_t>(missing), ' ');
    }
};

// ---- The strategies -----------------------------------------------------------------------------

void cache_aside(Tour& tour) {
    larder::CacheAside countries{tour.memory<Country>(), Countries{tour.db}, {.ttl = 1h}};
    const Stopwatch first;
    tour.get(countries, "IS");
    const double loading = first.microseconds();
    tour.get(countries, "IS");
    tour.step("get IS 100,000 times", [&] {
        const Stopwatch watch;
        for (int i = 0; i < 100'000; ++i) {
            (void)countries.get("IS");
        }
        return Outcome{"hit", Stopwatch::spell(watch.microseconds() / 100'000) +
                                  " each; the load " + Stopwatch::spell(loading)};
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

void known_absence(Tour& tour) {
    const auto ask = [&](larder::Ttl negative_ttl, const std::string& what) {
        larder::CacheAside countries{
            tour.memory<Country>(), Countries{tour.db}, {.negative_ttl = negative_ttl}};
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

void time_to_live(Tour& tour) {
    Countries rows{tour.db};
    bool broken = false;
    const auto load = [&](const std::string& code) {
        if (broken) {
            throw std::runtime_error{"the database does not answer"};
        }
        return rows.load(code);
    };
    larder::CacheAside countries{tour.memory<Country>(), load, {.ttl = 10min, .grace = 1h}};
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

void single_flight(Tour& tour) {
    // A report that is worth keeping: which names of places here are found in other countries, too?
    const auto namesakes = [&tour](const std::string& code) {
        auto found = tour.db.prepare(
            "SELECT replace(group_concat(DISTINCT here.name), ',', ', ') FROM subdivision here "
            "JOIN subdivision there ON there.name = here.name "
            "WHERE here.code GLOB ? AND NOT there.code GLOB ?",
            code + "-*", code + "-*");
        found.step();
        return found.column<std::string>(0);
    };
    larder::CacheAside report{tour.memory<std::string>(), namesakes, {.ttl = 10min}};
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

void write_through(Tour& tour) {
    larder::WriteThrough languages{tour.memory<Language>(), Languages{tour.db}, {.ttl = 1h}};
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

void two_writers(Tour& tour) {
    Interrupted rows{Languages{tour.db}, {}};
    larder::WriteThrough languages{tour.memory<Language>(), std::ref(rows), {.ttl = 1h}};
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
        larder::WriteThrough racing{tour.memory<Language>(), table, {.ttl = 1h}};
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

void refresh_ahead(Tour& tour) {
    std::vector<std::jthread> background;  // an executor of one's own: here, a thread for each task
    larder::RefreshAhead countries{
        tour.memory<Country>(),
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

void event_invalidation(Tour& tour) {
    larder::CacheAside countries{tour.memory<Country>(), Countries{tour.db}, {.ttl = 1h}};
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

void own_transaction(Tour& tour) {
    larder::CacheAside places{tour.memory<Subdivision>(), Subdivisions{tour.db}, {.ttl = 1h}};
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

void statistics(Tour& tour) {
    std::vector<std::string> codes;
    for (auto row = tour.db.prepare("SELECT code FROM subdivision ORDER BY code"); row.step();) {
        codes.push_back(row.column<std::string>(0));
    }
    larder::CacheAside places{tour.memory<Subdivision>(1'000), Subdivisions{tour.db}, {.ttl = 1h}};
    // Few are asked for often, many seldom.
    std::mt19937 random{42};
    std::exponential_distribution<double> rank{1.0 / 400.0};
    constexpr std::uint64_t reads = 50'000;
    tour.step(times(reads, "read", "reads") + ", room for 1,000 rows", [&] {
        for (std::uint64_t i = 0; i < reads; ++i) {
            (void)places.get(codes[static_cast<std::size_t>(rank(random)) * 7919 % codes.size()]);
        }
        return Outcome{"mixed", "of " + times(codes.size(), "row", "rows")};
    });
    const larder::Stats stats = places.stats();
    tour.note(times(stats.hits, "hit", "hits") + " (" + std::to_string(stats.hits * 100 / reads) +
              " %), " + times(stats.loads, "load", "loads") + ", " +
              times(stats.evictions, "eviction", "evictions") +
              "; half of the loads took at most " +
              std::to_string(stats.load_times.quantile(0.5).count()) + " µs");
    tour.note(to_json(stats).substr(0, 78) + "…");
}

struct Part {
    std::string_view title;
    void (*show)(Tour&);
};

// A further strategy is a further function, and a line here.
constexpr Part parts[] = {
    {"Cache-aside: load on demand; a write drops the copy", cache_aside},
    {"Known absence: \"no such row\" is an answer, too", known_absence},
    {"Time to live, and grace when the database fails", time_to_live},
    {"One load for all who wait", single_flight},
    {"Write-through: a write leaves a copy", write_through},
    {"Two writers at once never leave a wrong copy", two_writers},
    {"Refresh-ahead: reload before the copy ends", refresh_ahead},
    {"Events: somebody else has changed the row", event_invalidation},
    {"A transaction of your own over several rows", own_transaction},
    {"Statistics", statistics},
};

}  // namespace

int main(int argc, char** argv) try {
    const ScratchFolder folder;
    Tour tour{(folder.path() / "iso.db").string()};
    const Stopwatch watch;
    import_iso_codes(tour.db);
    std::cout << "larder " << LARDER_VERSION_MAJOR << '.' << LARDER_VERSION_MINOR << '.'
              << LARDER_VERSION_PATCH << ", on an SQLite database made of Debian's iso-codes in "
              << watch.elapsed() << ":\n"
              << times(Countries{tour.db}.count(), "country", "countries") << ", "
              << times(Subdivisions{tour.db}.count(), "subdivision", "subdivisions") << ", "
              << times(Languages{tour.db}.count(), "language", "languages")
              << ". SQLite itself counts the statements.\n";

    int number = 0;
    for (const Part& part : parts) {
        ++number;
        bool chosen = argc == 1;
        for (int i = 1; i < argc; ++i) {
            chosen = chosen || std::atoi(argv[i]) == number;
        }
        if (chosen) {
            std::cout << '\n' << std::right << std::setw(2) << number << ' ' << part.title << '\n';
            part.show(tour);
        }
    }
    return 0;
} catch (const std::exception& error) {
    std::cerr << "tour: " << error.what() << '\n';
    return 1;
}
