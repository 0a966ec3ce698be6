// SPDX-License-Identifier: MIT

/// @file
/// Sequence: ids for rows that are created before the database has seen them.

#ifndef LARDER_SEQUENCE_HPP
#define LARDER_SEQUENCE_HPP

#include <larder/version.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <mutex>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

/// Hands out ids, each once, in this process.
///
/// ```cpp
/// larder::Sequence ids{[&] { return db.greatest_product_id(); }};
/// products.put(ids.next(), product);
/// ```
///
/// `floor()` is asked before the first id: the greatest id that is taken, or ids would repeat those
/// of an earlier run. Ids that are reserved and not used are lost.
///
/// Thread safety: all members may run concurrently.
template <class Floor>
    requires std::convertible_to<std::invoke_result_t<Floor&>, std::int64_t>
class Sequence {
public:
    explicit Sequence(Floor floor) : floor_{std::move(floor)} {}

    /// An id greater than all before.
    ///
    /// @throws whatever `floor` threw, in which case the next call asks it again
    [[nodiscard]] std::int64_t next() { return reserve(1); }

    /// The first of `count` ids in a row.
    [[nodiscard]] std::int64_t reserve(std::int64_t count) {
        const std::scoped_lock lock{mutex_};
        if (!asked_) {
            last_ = static_cast<std::int64_t>(std::invoke(floor_));
            asked_ = true;
        }
        const std::int64_t first = last_ + 1;
        last_ += count;
        return first;
    }

private:
    std::mutex mutex_{};
    Floor floor_;
    bool asked_ = false;
    std::int64_t last_ = 0;
};

LARDER_NS_END

#endif  // LARDER_SEQUENCE_HPP
