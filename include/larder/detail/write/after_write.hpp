// SPDX-License-Identifier: MIT

/// @file
/// What a policy leaves in the slot once the database has taken a write.

#ifndef LARDER_DETAIL_WRITE_AFTER_WRITE_HPP
#define LARDER_DETAIL_WRITE_AFTER_WRITE_HPP

#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

enum class AfterWrite : std::uint8_t {
    drop,     ///< nothing: the next read loads
    replace,  ///< a copy of what was written
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_AFTER_WRITE_HPP
