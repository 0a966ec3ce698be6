// SPDX-License-Identifier: MIT

/// @file
/// One step of many slots over a plain store.

#ifndef LARDER_DETAIL_COORDINATED_SLOT_BATCH_HPP
#define LARDER_DETAIL_COORDINATED_SLOT_BATCH_HPP

#include <larder/detail/slot/state_machine.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <span>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Holds the stripes of many keys, which are locked in one order, by whomever.
///
/// @tparam Stripes  what it is a step of
template <class Stripes>
class SlotBatch {
    using Key = typename Stripes::Key;
    using Handle = typename Stripes::Handle;
    using Create = typename Stripes::Create;

public:
    SlotBatch(Stripes& stripes, std::span<const Key> keys) : stripes_{stripes}, keys_{keys} {
        std::vector<std::size_t> places;
        places.reserve(keys.size());
        for (const Key& key : keys) {
            places.push_back(Stripes::place(key));
        }
        std::sort(places.begin(), places.end());
        places.erase(std::unique(places.begin(), places.end()), places.end());
        locks_.reserve(places.size());
        for (const std::size_t place : places) {
            locks_.emplace_back(stripes.at(place).mutex);
        }
    }

    /// Calls `step(index, slot)` for one key after the other.
    template <class Step>
    void each(Create create, Step&& step) const {
        for (std::size_t i = 0; i < keys_.size(); ++i) {
            Handle slot{stripes_.of(keys_[i]).slots, keys_[i], Held::fresh, stripes_.clock.now(),
                        create};
            step(i, slot);
        }
    }

private:
    Stripes& stripes_;
    std::span<const Key> keys_;
    std::vector<std::unique_lock<std::mutex>> locks_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_COORDINATED_SLOT_BATCH_HPP
