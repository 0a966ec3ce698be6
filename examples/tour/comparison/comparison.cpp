// SPDX-License-Identifier: MIT

#include "comparison.hpp"

#include "killed.hpp"
#include "tour/telling.hpp"
#include "visitor.hpp"

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <iomanip>
#include <iostream>
#include <memory>
#include <sstream>
#include <thread>

namespace examples {

namespace {

constexpr std::chrono::milliseconds run_time{500};

// Of values that it reorders.
double quantile(std::vector<double>& values, double share) {
    const auto at = values.begin() +
                    static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), at, values.end());
    return *at;
}

void append(std::vector<double>& all, const std::vector<double>& more) {
    all.insert(all.end(), more.begin(), more.end());
}

Measured run(const MakeContestant& make, const Named& named, const std::filesystem::path& path) {
    Database db{path.string()};
    Acknowledged acknowledged(popular_pages);
    auto contestant = make(named.strategy, db);
    for (std::size_t rank = 0; rank < popular_pages; ++rank) {
        (void)contestant->get(page_of(rank));  // the first load is not what they differ in
    }
    std::vector<Visitor> all;
    for (std::size_t number = 0; number < visitors; ++number) {
        all.emplace_back(number, *contestant, acknowledged);
    }

    std::uint64_t before = 0;
    {
        std::barrier start{static_cast<std::ptrdiff_t>(visitors),
                           [&]() noexcept { before = db.statements(); }};
        std::vector<std::jthread> threads;
        for (Visitor& visitor : all) {
            threads.emplace_back([&] {
                db.exec("SELECT 1");  // opens this thread's connection
                start.arrive_and_wait();
                const auto until = std::chrono::steady_clock::now() + run_time;
                while (std::chrono::steady_clock::now() < until) {
                    visitor.request([](std::size_t, std::uint64_t) {});
                }
            });
        }
    }
    contestant.reset();  // what is pending counts, too
    const std::uint64_t statements = db.statements() - before;

    Measured measured;
    measured.name = named.name;
    std::vector<double> reads;
    std::vector<double> writes;
    std::uint64_t waited = 0;
    for (const Visitor& visitor : all) {
        append(reads, visitor.seen().read_times);
        append(writes, visitor.seen().write_times);
        waited += visitor.seen().waited;
        measured.stale += visitor.seen().stale;
    }
    const auto requests = static_cast<double>(reads.size());  // of which each reads once
    measured.statements_per_1000 = 1'000 * static_cast<double>(statements) / requests;
    measured.reads = reads.size();
    measured.writes = writes.size();
    measured.read_p50 = quantile(reads, 0.5);
    measured.read_p99 = quantile(reads, 0.99);
    measured.write_p50 = quantile(writes, 0.5);
    measured.waited = static_cast<double>(waited) / requests;
    return measured;
}

}  // namespace

std::vector<Measured> compare(const MakeContestant& make, const std::vector<std::string>& writer,
                              const std::filesystem::path& scratch) {
    const std::filesystem::path fresh = scratch / "pages.db";
    {
        Database db{fresh.string()};
        Pages::create(db);
    }
    const auto copy = [&](const std::string& name) {
        const std::filesystem::path path = scratch / name;
        std::filesystem::copy_file(fresh, path);
        return path;
    };
    std::vector<Measured> all;
    for (const Named& named : contestants) {
        const std::string number = std::to_string(static_cast<int>(named.strategy));
        Measured measured = run(make, named, copy(number + ".db"));
        const std::filesystem::path database = copy(number + "-killed.db");
        std::vector<std::string> command = writer;
        command.insert(command.end(), {number, database.string()});
        kill_in_the_middle(command, make, named.strategy, database, measured);
        all.push_back(measured);
    }
    return all;
}

std::string about_the_workload() {
    std::ostringstream out;
    out << visitors << " threads for " << run_time.count() << " ms each; " << popular_pages
        << " pages asked for by Zipf's law, " << share_of_edits * 100
        << " % of the requests edit one and save it " << saves_of_an_edit
        << " times; the database is a local SQLite file";
    return out.str();
}

void print_table(const std::vector<Measured>& all) {
    const auto percent = [](double share) {
        std::ostringstream out;
        out << std::fixed << std::setprecision(share < 0.1 ? 1 : 0) << share * 100 << " %";
        return out.str();
    };
    const auto row = [](const std::string& name, const std::vector<std::string>& cells) {
        constexpr std::size_t widths[] = {9, 9, 9, 11, 13, 14, 19};
        std::cout << "   " << padded(name, 22);
        for (std::size_t i = 0; i < cells.size(); ++i) {
            std::cout << right_aligned(cells[i], widths[i]);
        }
        std::cout << '\n';
    };
    row("", {"read", "read", "write", "reads", "statements", "stale reads", "lost by kill -9,"});
    row("",
        {"median", "p99", "median", "that load", "per 1,000", "per million", "of acknowledged"});
    for (const Measured& one : all) {
        const double stale = 1e6 * static_cast<double>(one.stale) / static_cast<double>(one.reads);
        row(one.name,
            {spell(one.read_p50), spell(one.read_p99), spell(one.write_p50), percent(one.waited),
             with_commas(static_cast<std::uint64_t>(std::llround(one.statements_per_1000))),
             with_commas(static_cast<std::uint64_t>(std::llround(stale))),
             with_commas(one.lost) + " of " + with_commas(one.acknowledged)});
    }
}

}  // namespace examples
