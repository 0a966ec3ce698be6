// SPDX-License-Identifier: MIT

/// @file
/// What can be tuned in a SqliteJournal.

#ifndef LARDER_JOURNAL_SQLITE_OPTIONS_HPP
#define LARDER_JOURNAL_SQLITE_OPTIONS_HPP

#include <larder/entry.hpp>
#include <larder/options.hpp>
#include <larder/version.hpp>

LARDER_NS_BEGIN

/// Tuning of a SqliteJournal, written with designated initialisers: `{.wait = 10s}`.
struct SqliteJournalOptions {
    /// How long to wait for another process that has the file, before giving up: long enough for the
    /// one that this one replaces to end.
    Ttl wait{0};
};

/// @throws std::invalid_argument  naming the first field that makes no sense, and its value
inline void validate(const SqliteJournalOptions& options) {
    detail::require_not_negative("SqliteJournalOptions::wait", options.wait);
}

LARDER_NS_END

#endif  // LARDER_JOURNAL_SQLITE_OPTIONS_HPP
