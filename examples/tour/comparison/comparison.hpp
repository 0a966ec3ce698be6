// SPDX-License-Identifier: MIT

/// @file
/// The strategies compared in numbers, under one workload.

#ifndef LARDER_EXAMPLES_TOUR_COMPARISON_COMPARISON_HPP
#define LARDER_EXAMPLES_TOUR_COMPARISON_COMPARISON_HPP

#include "contestant.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace examples {

/// What one strategy did. Times are in microseconds.
struct Measured {
    std::string name{};
    std::uint64_t reads{};
    std::uint64_t writes{};
    double read_p50{};
    double read_p99{};
    double write_p50{};
    double waited{};               ///< the share of the reads that loaded
    double statements_per_1000{};  ///< requests
    std::uint64_t stale{};

    std::uint64_t acknowledged{};  ///< writes that had returned when the process was killed
    std::uint64_t lost{};          ///< those of them that the database does not have
    double lost_within{};          ///< milliseconds before the kill, in which these were made
};

/// Runs all of them, each in a process and then in one that is killed.
///
/// @param make      makes a contestant in this process
/// @param writer    the command that does the same in another: `write_until_killed`, with the number
///                  of a strategy and the path of a database as further arguments
/// @param scratch   a folder for the databases
[[nodiscard]] std::vector<Measured> compare(const MakeContestant& make,
                                            const std::vector<std::string>& writer,
                                            const std::filesystem::path& scratch);

/// The other process: makes requests, and tells of acknowledged writes on its standard output.
[[noreturn]] void write_until_killed(const MakeContestant& make, Strategy strategy,
                                     const std::string& database);

/// Threads, pages, edits: what all of them go through.
[[nodiscard]] std::string about_the_workload();

void print_table(const std::vector<Measured>& all);

/// The same as a drawing.
[[nodiscard]] std::string chart(const std::vector<Measured>& all);

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_COMPARISON_COMPARISON_HPP
