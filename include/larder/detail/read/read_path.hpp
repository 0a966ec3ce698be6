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
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/read/refresh.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/user/arguments.hpp>
#include <larder/entry.hpp>
#include <larder/version.hpp>

#include <algorithm>
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

    /// The value alone.
    ///
    /// @param load  the policy's own loader
    /// @throws whatever the loader threw, or `Error`
    template <class Q, class Load>
    std::optional<Value> get(const Q& key, const Load& load) {
        std::optional<Value> value;
        Lookup<E> lookup;
        const auto take = [&value](const Value* found, Remaining, Ttl) {
            if (found != nullptr) {
                value.emplace(*found);
            }
        };
        if (hit(as_lookup_key<Key>(key), lookup, take)) [[likely]] {
            return value;
        }
        return miss(as_key<Key>(key), lookup, Read{}, load).value;
    }

    /// The value, where it came from, its age, and the time that it has left.
    ///
    /// @throws as `get`
    template <class Q, class Load>
    Fetched<Value> fetch(const Q& key, const Read& how, const Load& load) {
        if (how.from == From::source) {
            return reload(as_key<Key>(key), how, load);
        }
        Fetched<Value> fetched;
        const Ttl usual = core_.options.ttl;
        Lookup<E> lookup{.exact = true, .from = how.from};
        const auto take = [&](const Value* found, Remaining remaining, Ttl life) {
            if (found != nullptr) {
                fetched.value.emplace(*found);
            }
            fetched.source = lookup.source;
            if (lookup.source != Source::pending) {
                fetched.remaining = whole(remaining);
                fetched.age = (std::max)((life > Ttl::zero() ? life : usual) - fetched.remaining,
                                         Ttl::zero());
            }
        };
        if (hit(as_lookup_key<Key>(key), lookup, take)) {
            return fetched;
        }
        return miss(as_key<Key>(key), lookup, how, load);
    }

    /// Loads now, never satisfied by a load that began earlier.
    ///
    /// @throws as `get`
    template <class Load>
    Fetched<Value> reload(const Key& key, const Read& how, const Load& load) {
        ReadRun run{core_, key, load};
        return run.run(run.begin(ReadKind::reload, patience_of(how)));
    }

private:
    // One that is near its end is reloaded in the background.
    template <class Q, class Take>
    bool hit(const Q& key, Lookup<E>& lookup, const Take& take) {
        return lookup.find(core_, key, take, [&] { refresh_soon(core_, key); });
    }

    template <class Load>
    [[gnu::noinline]] Fetched<Value> miss(const Key& key, Lookup<E>& lookup, const Read& how,
                                          const Load& load) {
        core_.count(Count::misses);
        ReadRun run{core_, key, load};
        return run.run(run.begin(std::move(lookup), patience_of(how)));
    }

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
