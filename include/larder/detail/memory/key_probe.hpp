// SPDX-License-Identifier: MIT

/// @file
/// What is looked up in a MemoryStore.

#ifndef LARDER_DETAIL_MEMORY_KEY_PROBE_HPP
#define LARDER_DETAIL_MEMORY_KEY_PROBE_HPP

#include <larder/version.hpp>

#include <cstdint>

LARDER_NS_BEGIN

namespace detail {

/// A key, or what it is looked up by, beside its hash: it is hashed once an operation.
template <class Q>
struct KeyProbe {
    const Q& key;
    std::uint64_t hash;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_KEY_PROBE_HPP
