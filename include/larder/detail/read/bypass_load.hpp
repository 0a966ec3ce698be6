// SPDX-License-Identifier: MIT

/// @file
/// A load without a lease: nothing is filled.

#ifndef LARDER_DETAIL_READ_BYPASS_LOAD_HPP
#define LARDER_DETAIL_READ_BYPASS_LOAD_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/in_flight.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/flight/single_flight.hpp>
#include <larder/detail/read/loads.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <exception>
#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Loads for nobody but the caller.
///
/// @throws whatever the loader throws
template <class E, class Load>
Fetched<typename E::Value> load_alone(E& core, const typename E::Key& key, const Load& load) {
    try {
        const KeyFrame<typename E::Key> frame{&core, key};
        return {std::move(timed(core, key, load).loaded.value), Source::bypassed, {}, {}};
    } catch (...) {
        core.count(Count::load_failures);
        throw;
    }
}

/// One read's part in a load without a lease, which only those share who came before it began. The key
/// must outlive it.
template <class E>
class BypassLoad {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    /// Joins the next one.
    BypassLoad(E& core, const Key& key)
        : core_{core},
          key_{key},
          flight_{core.loads().join_bypass(key, std::make_shared<Flight<Value>>())} {}

    /// It is this read's to carry out.
    [[nodiscard]] bool leads() const noexcept { return flight_.leads(); }

    /// What is to be waited for first: the one ahead for a leader, the load itself for the others. Null:
    /// nothing.
    [[nodiscard]] const std::shared_ptr<AnyFlight>& awaited() const noexcept {
        return leads() ? flight_.predecessor() : flight_.flight();
    }

    /// Loads, and tells whoever has joined.
    ///
    /// @throws whatever the loader throws
    template <class Load>
    Fetched<Value> operator()(const Load& load) {
        if (awaited()) {
            flight_.begin();
        }
        try {
            Fetched<Value> fetched = load_alone(core_, key_, load);
            flight_.complete(fetched);
            return fetched;
        } catch (...) {
            flight_.fail(std::current_exception());
            throw;
        }
    }

private:
    E& core_;
    const Key& key_;
    typename SingleFlight<Key>::Bypass flight_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_BYPASS_LOAD_HPP
