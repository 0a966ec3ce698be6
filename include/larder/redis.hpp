// SPDX-License-Identifier: MIT

/// @file
/// What needs hiredis.

#ifndef LARDER_REDIS_HPP
#define LARDER_REDIS_HPP

#include <larder/version.hpp>

#endif  // LARDER_REDIS_HPP
