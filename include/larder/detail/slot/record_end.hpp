// SPDX-License-Identifier: MIT

/// @file
/// How a journal has taken one change of many.

#ifndef LARDER_DETAIL_SLOT_RECORD_END_HPP
#define LARDER_DETAIL_SLOT_RECORD_END_HPP

#include <larder/error.hpp>
#include <larder/version.hpp>

#include <exception>

LARDER_NS_BEGIN

namespace detail {

/// How a journal has taken one change of many: `no` without a failure says that there was no room.
struct RecordEnd {
    Written written = Written::no;
    std::exception_ptr failure{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SLOT_RECORD_END_HPP
