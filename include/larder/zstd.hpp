// SPDX-License-Identifier: MIT

/// @file
/// What needs zstd.

#ifndef LARDER_ZSTD_HPP
#define LARDER_ZSTD_HPP

#include <larder/codec/zstd.hpp>

#endif  // LARDER_ZSTD_HPP
