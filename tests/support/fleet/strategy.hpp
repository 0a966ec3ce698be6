// SPDX-License-Identifier: MIT

/// @file
/// What a fleet's member works with: one strategy over one Redis, of the library or not.

#ifndef LARDER_TESTS_SUPPORT_FLEET_STRATEGY_HPP
#define LARDER_TESTS_SUPPORT_FLEET_STRATEGY_HPP

#include "support/fleet/tally.hpp"

#include <array>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace larder_test {

/// The verbs, each by key.
///
/// Thread safety: all threads of one process.
class Strategy {
public:
    using Row = std::optional<std::string>;

    Strategy() = default;
    Strategy(const Strategy&) = delete;
    Strategy& operator=(const Strategy&) = delete;
    virtual ~Strategy() = default;

    virtual Row get(int key) = 0;
    virtual void put(int key) = 0;
    virtual void remove(int key) = 0;
    /// After a change of the row that was made past the strategy.
    virtual void invalidate(int key) = 0;

    virtual Row refresh(int key) { return get(key); }
    virtual std::array<Row, 2> get_two(int a, int b) { return {get(a), get(b)}; }
    /// A write around a transaction of the caller's own.
    virtual void write(int key, const std::function<void()>& transaction) = 0;
    /// As `invalidate`, by something that this row and others carry.
    virtual void invalidate_tag_of(int key) { invalidate(key); }
    virtual void add_to(Tally&) const {}
};

}  // namespace larder_test

#endif  // LARDER_TESTS_SUPPORT_FLEET_STRATEGY_HPP
