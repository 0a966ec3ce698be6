// SPDX-License-Identifier: MIT

/// @file
/// What was evicted not long ago.

#ifndef LARDER_DETAIL_MEMORY_GHOSTS_HPP
#define LARDER_DETAIL_MEMORY_GHOSTS_HPP

#include <larder/version.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>

LARDER_NS_BEGIN

namespace detail {

/// The hashes of entries that went from the small queue not long ago.
template <class Hash = std::size_t>
class Ghosts {
public:
    void add(Hash hash, std::size_t most) {
        order_.push_back(hash);
        ++counts_[hash];
        while (order_.size() > most) {
            forget(order_.front());
            order_.pop_front();
        }
    }
    /// True, once, if the hash is remembered.
    bool recall(Hash hash) noexcept { return counts_.erase(hash) > 0; }

private:
    void forget(Hash hash) {
        if (const auto at = counts_.find(hash); at != counts_.end() && --at->second == 0) {
            counts_.erase(at);
        }
    }

    std::deque<Hash> order_{};
    std::unordered_map<Hash, std::uint32_t> counts_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_GHOSTS_HPP
