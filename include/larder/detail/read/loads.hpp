// SPDX-License-Identifier: MIT

/// @file
/// The loaders that a read may load with, and how a load is counted and timed.

#ifndef LARDER_DETAIL_READ_LOADS_HPP
#define LARDER_DETAIL_READ_LOADS_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/flight/load_frame.hpp>
#include <larder/detail/support/key_text.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/user/calls.hpp>
#include <larder/entry.hpp>
#include <larder/error.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

LARDER_NS_BEGIN

namespace detail {

/// Loads with the policy's own loader.
template <class E>
struct OwnLoad {
    using Loader = typename E::Loader;

    E* core;
    static constexpr bool outlives_call = true;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        if constexpr (requires { core->loader.load_sourced(key); }) {
            return core->loader.load_sourced(key);
        } else {
            return {load_one<typename E::Value>(core->loader, key)};
        }
    }
};

/// Loads with a loader that the caller lent for the call: `[&]` is safe, since only the calling
/// thread runs it.
template <class E, class F>
struct LentLoad {
    using Loader = F;

    E* core;
    F* load;
    static constexpr bool outlives_call = false;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        return load_one_covered<typename E::Value>(core->loader, *load, key);
    }
};

/// Loads with a loader that the caller gave away with `detached`.
template <class E, class F>
struct GivenLoad {
    using Loader = F;

    E* core;
    std::shared_ptr<F> load;
    static constexpr bool outlives_call = true;

    Sourced<typename E::Value> operator()(const typename E::Key& key) const {
        return load_one_covered<typename E::Value>(core->loader, *load, key);
    }
};

/// Tags that the store cannot keep would be a promise broken in silence.
///
/// @throws Error  `tags_unsupported`
template <class E>
void refuse_tags(const typename E::Key& key, const Loaded<typename E::Value>& loaded) {
    if constexpr (!E::Store::keeps_tags) {
        if (!loaded.tags.empty()) {
            throw Error{Errc::tags_unsupported, "the loader tagged key " + key_text(key) +
                                                    ", but this store cannot keep tags"};
        }
    }
}

/// The user's loader, counted and timed.
///
/// @throws whatever it throws
template <class E, class Load>
Sourced<typename E::Value> timed(E& core, const typename E::Key& key, const Load& load) {
    core.count(Count::loads);
    const auto began = std::chrono::steady_clock::now();
    Sourced<typename E::Value> sourced = load(key);
    core.load_times.record(std::chrono::steady_clock::now() - began);
    refuse_tags<E>(key, sourced.loaded);
    return sourced;
}

/// A load of many, counted and timed as one a key.
///
/// @param load  called with what puts a frame around each of the keys that a loader of one is asked for
///              in turn
template <class E, class Load>
std::vector<Loaded<typename E::Value>> timed_batch(E& core, std::span<const typename E::Key> keys,
                                                   const Load& load) {
    using Key = typename E::Key;
    for (std::size_t i = 0; i < keys.size(); ++i) {
        core.count(Count::loads);
    }
    const KeysFrame<Key> frame{&core, keys};
    const auto began = std::chrono::steady_clock::now();
    std::vector<Loaded<typename E::Value>> loaded = load([&core](const Key& key) {
        return KeyFrame<Key>{&core, key};
    });
    core.load_times.record(std::chrono::steady_clock::now() - began);
    for (std::size_t i = 0; i < keys.size(); ++i) {
        refuse_tags<E>(keys[i], loaded[i]);
    }
    return loaded;
}

/// The same with a loader for one call.
template <class E, class F>
std::vector<Loaded<typename E::Value>> timed_many(E& core, std::span<const typename E::Key> keys,
                                                  F& given) {
    return timed_batch(core, keys, [&](const auto& framed) {
        return load_many_covered<typename E::Value>(core.loader, given, keys, framed);
    });
}

/// The same with the policy's own.
template <class E>
std::vector<Loaded<typename E::Value>> timed_many(E& core, std::span<const typename E::Key> keys) {
    if constexpr (requires { core.loader.repository(); }) {
        return timed_many(core, keys, core.loader.repository());
    } else {
        return timed_batch(core, keys, [&](const auto& framed) {
            return load_many<typename E::Value>(core.loader, keys, framed);
        });
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_LOADS_HPP
