// SPDX-License-Identifier: MIT

/// @file
/// One load under way, as whoever waits for it sees it.

#ifndef LARDER_DETAIL_FLIGHT_IN_FLIGHT_HPP
#define LARDER_DETAIL_FLIGHT_IN_FLIGHT_HPP

#include <larder/detail/flight/awaitable.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <exception>
#include <memory>
#include <optional>

LARDER_NS_BEGIN

namespace detail {

/// What one thread brings, and any number of others wait for. It is ended once, by whoever leads it.
///
/// Thread safety: what it brought may be read by all, once it is over.
///
/// @tparam R  what it brings
template <class R>
class InFlight : public Awaitable {
public:
    /// What it brought; null if it failed, or brought nothing at all. Only after it is over.
    [[nodiscard]] const R* result() const noexcept {
        return result_ ? std::addressof(*result_) : nullptr;
    }
    /// Why it failed. Without either, whoever waited is to look again: its leader has gone, or what
    /// it brought has been invalidated.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

private:
    template <class>
    friend class Lead;

    std::optional<R> result_{};  // these two are written before it is over, and never after
    std::exception_ptr failure_{};
};

/// The one load that a lease stands for.
template <class V>
using Flight = InFlight<Fetched<V>>;

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_IN_FLIGHT_HPP
