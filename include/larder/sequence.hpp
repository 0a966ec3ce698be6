// SPDX-License-Identifier: MIT

/// @file
/// Sequence: ids for rows that are created before the database has seen them.

#ifndef LARDER_SEQUENCE_HPP
#define LARDER_SEQUENCE_HPP

#include <larder/fwd.hpp>
#include <larder/version.hpp>

#include <concepts>
#include <cstdint>
#include <functional>
#include <limits>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// A sequence's counter in this process.
///
/// What a counter does: `add(count, floor)` takes `count` ids and gives the last of them, which is
/// greater than `floor()`, asked where the counter has nothing to go by.
///
/// Thread safety: `add` may run concurrently.
class MemoryCounter {
public:
    template <class Floor>
    std::int64_t add(std::int64_t count, Floor& floor) {
        const std::scoped_lock lock{mutex_};
        if (!last_) {
            last_ = static_cast<std::int64_t>(std::invoke(floor));
        }
        if (*last_ > (std::numeric_limits<std::int64_t>::max)() - count) {
            throw std::overflow_error{
                "larder: Sequence has given its last id: " + std::to_string(*last_) + " and " +
                std::to_string(count) + " more do not fit 64 bits"};
        }
        return *last_ += count;
    }

private:
    std::mutex mutex_{};
    std::optional<std::int64_t> last_{};
};

}  // namespace detail

/// Hands out ids, each once: in this process.
///
/// ```cpp
/// larder::Sequence ids{[&] { return db.greatest_product_id(); }};
/// products.put(ids.next(), product);
/// ```
///
/// `floor()` is asked before the first id: the greatest id that is taken, or ids would repeat those
/// of an earlier run. Ids that are reserved and not used are lost.
///
/// Thread safety: all members may run concurrently. `floor` is called by one thread at a time.
///
/// @tparam Counter  where the last id is kept
template <class Floor, class Counter>
class Sequence {
    static_assert(std::is_invocable_r_v<std::int64_t, Floor&>,
                  "larder: a Sequence needs a floor that can be called and gives a whole number");

public:
    /// In this process. Nothing is asked yet.
    explicit Sequence(Floor floor)
        requires std::default_initializable<Counter>
        : floor_{std::move(floor)} {}

    /// The sequence of this name, where the counter is kept in a place that others see.
    template <class Place>
        requires std::constructible_from<Counter, Place, std::string>
    Sequence(Place&& place, std::string name, Floor floor)
        : floor_{std::move(floor)}, counter_(std::forward<Place>(place), std::move(name)) {}

    /// An id greater than all before.
    ///
    /// @throws whatever `floor` threw, in which case the next call asks it again
    /// @throws std::overflow_error  there are no more, in which case none is taken
    [[nodiscard]] std::int64_t next() { return reserve(1); }

    /// The first of `count` ids in a row.
    ///
    /// @throws std::invalid_argument  `count` is not positive
    /// @throws as `next`
    [[nodiscard]] std::int64_t reserve(std::int64_t count) {
        if (count <= 0) {
            throw std::invalid_argument{
                "larder: Sequence::reserve needs a positive count, but was given " +
                std::to_string(count)};
        }
        return counter_.add(count, floor_) - count + 1;
    }

private:
    Floor floor_;
    Counter counter_{};
};

template <class Floor>
Sequence(Floor) -> Sequence<Floor>;

LARDER_NS_END

#endif  // LARDER_SEQUENCE_HPP
