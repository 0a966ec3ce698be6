// SPDX-License-Identifier: MIT

/// @file
/// What needs nlohmann_json.

#ifndef LARDER_JSON_HPP
#define LARDER_JSON_HPP

#include <larder/codec/cbor.hpp>
#include <larder/codec/json.hpp>

#endif  // LARDER_JSON_HPP
