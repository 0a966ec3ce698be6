// SPDX-License-Identifier: MIT

/// @file
/// The one read path: a hit, or the steps of a miss or a reload, in the calling thread.

#ifndef LARDER_DETAIL_READ_READ_PATH_HPP
#define LARDER_DETAIL_READ_READ_PATH_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/waiting.hpp>
#include <larder/detail/read/loads.hpp>
#include <larder/detail/read/lookup.hpp>
#include <larder/detail/read/read_run.hpp>
#include <larder/detail/read/read_steps.hpp>
#include <larder/detail/read/refresh.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <optional>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// The reads of one policy. A thin view: make one where it is needed.
///
/// Thread safety: all members may run concurrently.
template <class E>
class ReadPath {
public:
    using Key = typename E::Key;
    using Value = typename E::Value;

    explicit ReadPath(E& core) noexcept : core_{core} {}

    /// The value of a fresh copy goes to `take`, by reference; false if there is none. One that is near
    /// its end is reloaded in the background.
    template <class Q, class Take>
    bool hit(const Q& key, Lookup<E>& lookup, Take&& take) {
        return lookup.find(core_, key, take, [&] { refresh_soon(core_, key); });
    }

    /// The answer for a key that had no fresh copy when `hit` looked.
    ///
    /// @throws whatever the loader threw, or `Error`
    template <class Load>
    Fetched<Value> miss(const Key& key, Lookup<E>& lookup, const Read& how, const Load& load) {
        core_.count(Count::misses);
        ReadRun run{core_, key, load};
        return run.run(run.begin(std::move(lookup), patience_of(how)));
    }

    /// Loads now, never satisfied by a load that began earlier.
    ///
    /// @throws as `miss`
    template <class Load>
    Fetched<Value> reload(const Key& key, const Read& how, const Load& load) {
        ReadRun run{core_, key, load};
        return run.run(run.begin(ReadKind::reload, patience_of(how)));
    }

private:
    [[nodiscard]] static Patience patience_of(const Read& how) {
        Patience patience{std::nullopt, how.stop};
        if (how.timeout) {
            patience.deadline = later(std::chrono::steady_clock::now(), *how.timeout);
        }
        return patience;
    }

    E& core_;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_READ_PATH_HPP
