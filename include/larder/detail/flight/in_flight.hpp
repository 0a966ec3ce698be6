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
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// What one thread brings, and any number of others wait for. It is ended once, by whoever leads it.
/// Who waits, joins and leads need not know the type of what it brings.
///
/// Thread safety: what it brought may be read by all, once it is over.
class AnyFlight : public Awaitable {
public:
    /// It brought something. Only after it is over.
    [[nodiscard]] bool brought() const noexcept { return result_ != nullptr; }

    /// Why it failed. Without either, whoever waited is to look again: its leader has gone, or what
    /// it brought has been invalidated.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

protected:
    AnyFlight() = default;
    ~AnyFlight() = default;

    const void* result_ = nullptr;  // these two are written before it is over, and never after
    std::exception_ptr failure_{};

private:
    friend class AnyLead;
};

/// The same with what it brings.
template <class R>
class InFlight final : public AnyFlight {
public:
    /// What it brought; null if it failed, or brought nothing at all. Only after it is over.
    [[nodiscard]] const R* result() const noexcept { return static_cast<const R*>(result_); }

private:
    template <class>
    friend class Lead;

    // By its leader.
    void bring(R&& result) noexcept {
        try {
            result_ = std::addressof(room_.emplace(std::move(result)));
        } catch (...) {
            failure_ = std::current_exception();  // a move that throws
        }
    }

    std::optional<R> room_{};
};

/// The one load that a lease stands for.
template <class V>
using Flight = InFlight<Fetched<V>>;

/// What a flight of this store's values is, to who knows that it is one.
template <class R>
[[nodiscard]] const InFlight<R>& as_flight_of(const AnyFlight& flight) noexcept {
    return static_cast<const InFlight<R>&>(flight);
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_IN_FLIGHT_HPP
