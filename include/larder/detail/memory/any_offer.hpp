// SPDX-License-Identifier: MIT

/// @file
/// What gets into a MemoryStore, but for the value.

#ifndef LARDER_DETAIL_MEMORY_ANY_OFFER_HPP
#define LARDER_DETAIL_MEMORY_ANY_OFFER_HPP

#include <larder/detail/memory/entry_head.hpp>
#include <larder/detail/memory/tag_marks.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <cstddef>
#include <memory>
#include <optional>

LARDER_NS_BEGIN

namespace detail {

/// What is known of a value that is to get in.
struct AnyOffer {
    Lifetime life;
    Ttl age;                      ///< how old it is already, as a copy of another
    Ttl beyond;                   ///< how much longer that one lives
    std::optional<Micros> since;  ///< from when its life counts; none: from when it gets in
    std::unique_ptr<TagMarks> marks;
    std::size_t weight;
    bool keepable;    ///< it lives, and could be found again
    bool never_fits;  ///< it is heavier than the store

    /// Its entry needs an `Extra`.
    [[nodiscard]] bool has_extra() const noexcept {
        return marks || life.grace > Ttl::zero() || beyond > Ttl::zero() || weight != 0;
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_ANY_OFFER_HPP
