// SPDX-License-Identifier: MIT

/// @file
/// unshared: a journal of one process, over a store that processes share.

#ifndef LARDER_JOURNAL_UNSHARED_HPP
#define LARDER_JOURNAL_UNSHARED_HPP

#include <larder/version.hpp>

#include <utility>

LARDER_NS_BEGIN

/// A journal that is known not to be shared. Made by `unshared`.
template <class J>
struct Unshared : J {
    /// As `unshared` does.
    explicit Unshared(J journal) : J{std::move(journal)} {}

    static constexpr bool unshared = true;
};

/// A WriteBehind over a store that processes share asks for a journal that they share, too: another
/// process would load the old row while a change waits here. Where that is good enough, this is the
/// way around:
///
/// ```cpp
/// larder::WriteBehind cache{store, Table{db}, larder::unshared(larder::MemoryJournal<int, Product>{})};
/// ```
///
/// The process that has put a change reads it from the first moment: its reads ask the journal before
/// they look for a copy, as long as anything is pending there. For the others:
///
/// Once a change is written, and before the journal forgets it, its copy is erased from the store: the
/// old row is read until then, and no longer. While the store cannot be told, the change stays in the
/// journal and is written again. Rule W10.
template <class J>
[[nodiscard]] Unshared<J> unshared(J journal) {
    return Unshared<J>{std::move(journal)};
}

LARDER_NS_END

#endif  // LARDER_JOURNAL_UNSHARED_HPP
