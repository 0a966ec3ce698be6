// SPDX-License-Identifier: MIT

/// @file
/// Hands events to the user's observer: never twice at once, and few of those that come by the thousand.

#ifndef LARDER_DETAIL_SUPPORT_EVENT_SINK_HPP
#define LARDER_DETAIL_SUPPORT_EVENT_SINK_HPP

#include <larder/detail/support/event_coalescer.hpp>
#include <larder/detail/support/observer_call.hpp>
#include <larder/stats.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <string>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Thread safety: all members may run concurrently.
class EventSink {
public:
    /// @param observer  outlives this; may be empty
    explicit EventSink(const Observer& observer) noexcept : observer_{observer} {}
    EventSink(const EventSink&) = delete;
    EventSink& operator=(const EventSink&) = delete;

    /// The observer's own failures concern nobody.
    ///
    /// @param text  gives the key as text; called only if the observer is called
    template <class Text>
    void report(EventKind kind, const Text& text, std::exception_ptr error) noexcept {
        if (!observer_) {
            return;
        }
        EventCoalescer* const many = frequent(kind);
        if (const std::uint64_t count =
                many == nullptr ? 1 : many->add(std::chrono::steady_clock::now());
            count > 0) {
            call(kind, text, std::move(error), count);
        }
    }

    /// At the end: what was kept back of events that come by the thousand.
    void flush() noexcept {
        for (const EventKind kind :
             {EventKind::store_failed, EventKind::invalidation_queued, EventKind::fill_failed}) {
            if (const std::uint64_t count = frequent(kind)->rest(); count > 0) {
                call(
                    kind, [] { return std::string{}; }, {}, count);
            }
        }
    }

private:
    template <class Text>
    void call(EventKind kind, const Text& text, std::exception_ptr error,
              std::uint64_t count) noexcept {
        const ObserverCall first{this};
        if (observer_ && first) {
            try {
                observer_(Event{kind, text(), std::move(error), count});
            } catch (...) {}
        }
    }

    // Those that come with every call while a store is away; of the others none is like another.
    [[nodiscard]] EventCoalescer* frequent(EventKind kind) noexcept {
        switch (kind) {
            case EventKind::store_failed: return &store_failures_;
            case EventKind::invalidation_queued: return &queued_invalidations_;
            case EventKind::fill_failed: return &failed_fills_;
            default: return nullptr;
        }
    }

    const Observer& observer_;
    EventCoalescer store_failures_{};
    EventCoalescer queued_invalidations_{};
    EventCoalescer failed_fills_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_EVENT_SINK_HPP
