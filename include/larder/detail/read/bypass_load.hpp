// SPDX-License-Identifier: MIT

/// @file
/// A load without a lease: nothing is filled.

#ifndef LARDER_DETAIL_READ_BYPASS_LOAD_HPP
#define LARDER_DETAIL_READ_BYPASS_LOAD_HPP

#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/keyed_core.hpp>
#include <larder/version.hpp>

#include <exception>
#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// One read's part in a load without a lease, which only those share who came before it began. The key
/// must outlive it.
template <class K>
class BypassLoad {
public:
    enum class Join : bool {
        next,
        idle,  ///< to lead only where nobody has to be waited for
    };

    /// Joins the next one.
    ///
    /// @param made  the flight of this read's, if it leads
    BypassLoad(const KeyedCore<K>& core, const K& key, std::shared_ptr<AnyFlight> made, Join how)
        : flight_{how == Join::idle ? core.loads().join_idle_bypass(key, std::move(made))
                                    : core.loads().join_bypass(key, std::move(made))} {}

    /// It is this read's to carry out.
    [[nodiscard]] bool leads() const noexcept { return flight_.leads(); }

    /// One is ahead that has begun: it is to be waited for, and brings nothing.
    [[nodiscard]] bool behind() const noexcept { return flight_.predecessor() != nullptr; }

    /// What is to be waited for first: the one ahead, or the load itself. Null: nothing.
    [[nodiscard]] const std::shared_ptr<AnyFlight>& awaited() const noexcept {
        return leads() || behind() ? flight_.predecessor() : flight_.flight();
    }

    /// The leader's load begins: nobody joins any more.
    void begin() {
        if (awaited()) {
            flight_.begin();
        }
    }

    /// It has brought this: whoever has joined is told.
    template <class R>
    void complete(const R& brought) noexcept {
        flight_.complete(brought);
    }
    /// It has failed, likewise.
    void fail(std::exception_ptr why) noexcept { flight_.fail(std::move(why)); }

private:
    typename SingleFlight<K>::Bypass flight_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_BYPASS_LOAD_HPP
