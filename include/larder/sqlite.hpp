// SPDX-License-Identifier: MIT

/// @file
/// What needs SQLite.

#ifndef LARDER_SQLITE_HPP
#define LARDER_SQLITE_HPP

#include <larder/journal/sqlite.hpp>
#include <larder/journal/sqlite_options.hpp>

#endif  // LARDER_SQLITE_HPP
