// SPDX-License-Identifier: MIT

/// @file
/// A callable for many keys, as an object with `load_many`.

#ifndef LARDER_DETAIL_USER_BULK_CALL_HPP
#define LARDER_DETAIL_USER_BULK_CALL_HPP

#include <larder/version.hpp>

#include <functional>
#include <span>

LARDER_NS_BEGIN

namespace detail {

template <class F>
struct BulkCall {
    F& call;

    template <class K>
    decltype(auto) load_many(std::span<const K> keys) const {
        return std::invoke(call, keys);
    }
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_USER_BULK_CALL_HPP
