// SPDX-License-Identifier: MIT

/// @file
/// The reload of a copy in the background, while it is still served.

#ifndef LARDER_DETAIL_READ_REFRESH_HPP
#define LARDER_DETAIL_READ_REFRESH_HPP

#include <larder/detail/core.hpp>
#include <larder/detail/keyed_core.hpp>
#include <larder/detail/read/loads.hpp>
#include <larder/detail/read/read_run.hpp>
#include <larder/detail/read/read_step.hpp>
#include <larder/detail/support/policy_counters.hpp>
#include <larder/detail/support/saturating_time.hpp>
#include <larder/detail/support/task_scope.hpp>
#include <larder/entry.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <exception>
#include <memory>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Reloads a key in this thread.
template <class K>
using Refresh = void (*)(KeyedCore<K>&, const K&);

/// The same with a policy's own loader.
///
/// @throws whatever the loader throws
template <class E>
void refresh_with(KeyedCore<typename E::Key>& core, const typename E::Key& key) {
    E& mine = static_cast<E&>(core);
    const OwnLoad<E> load{&mine};
    ReadRun run{mine, key, load};
    static_cast<void>(run.run(ReadKind::refresh));
}

/// Reloads a copy that is near its end, in this thread. A failure makes the key back off, and goes to
/// the observer.
template <class K>
void refresh_now(KeyedCore<K>& core, const K& key, Refresh<K> refresh) noexcept {
    try {
        refresh(core, key);
    } catch (...) {
        core.count(Count::refresh_failures);
        core.back_off(key);
        core.report(EventKind::refresh_failed, key, std::current_exception());
    }
}

/// Starts the background reload of a key, unless one is on its way, the key backs off after a failure,
/// or too many others are being refreshed. A hit does not wait for it, nor does it load by itself:
/// without an executor that takes the task, the key backs off.
///
/// @throws anything  there is no room for the task, or user code threw it: a later hit will try
template <class K>
void begin_refresh(KeyedCore<K>& core, const K& key, Refresh<K> refresh) {
    const auto now = core.now();
    auto place = core.loads().begin_refresh(key, core.options.refresh_concurrency, now,
                                            later(now, core.options.refresh_backoff));
    if (!place) {
        return;
    }
    static_cast<void>(core.executor.submit([mine = &core, background = core.background, key,
                                            refresh, place = std::move(place)]() mutable {
        const TaskScope::Pass pass{background->scope};
        if (pass) {
            place->begin();
            refresh_now(*mine, key, refresh);
        }
        place.reset();
        if (auto* const loads = background->loads.find()) {
            loads->tidy(key);
        }
    }));
}

/// The same where nothing may fail, for what a key is looked up by.
template <class E, class Q>
void refresh_soon(E& core, const Q& asked) noexcept {
    try {
        const typename E::Key key(asked);
        begin_refresh<typename E::Key>(core, key, &refresh_with<E>);
    } catch (...) {
        // A copy, a hash, a comparison or a clock that throws; no room for the task.
    }
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_READ_REFRESH_HPP
