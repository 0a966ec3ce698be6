// SPDX-License-Identifier: MIT

/// @file
/// What a writer is told when the journal has no room.

#ifndef LARDER_DETAIL_WRITE_BEHIND_JOURNAL_FULL_HPP
#define LARDER_DETAIL_WRITE_BEHIND_JOURNAL_FULL_HPP

#include <larder/error.hpp>
#include <larder/version.hpp>

LARDER_NS_BEGIN

namespace detail {

/// Too many changes wait: nothing was recorded.
class JournalFull : public Error, public NotWritten {
public:
    using Error::Error;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_JOURNAL_FULL_HPP
