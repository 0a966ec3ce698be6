// SPDX-License-Identifier: MIT

/// @file
/// What `kill -9` costs: another process acknowledges writes until it is killed.

#ifndef LARDER_EXAMPLES_TOUR_COMPARISON_KILLED_HPP
#define LARDER_EXAMPLES_TOUR_COMPARISON_KILLED_HPP

#include "comparison.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace examples {

/// Starts the command, kills it, lets the strategy start anew on the database, and counts what was
/// acknowledged and is not there.
void kill_in_the_middle(const std::vector<std::string>& command, const MakeContestant& make,
                        Strategy strategy, const std::filesystem::path& database,
                        Measured& measured);

}  // namespace examples

#endif  // LARDER_EXAMPLES_TOUR_COMPARISON_KILLED_HPP
