// SPDX-License-Identifier: MIT

/// @file
/// What the writers of a write-behind policy and its flusher tell each other.

#ifndef LARDER_DETAIL_WRITE_BEHIND_FLUSH_SIGNAL_HPP
#define LARDER_DETAIL_WRITE_BEHIND_FLUSH_SIGNAL_HPP

#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Writers raise it, and the flusher clears it; whoever waits for the journal to shrink is notified. In a
/// forked child nobody has raised it yet.
///
/// Thread safety: all members may run concurrently, `connect` apart.
class FlushSignal {
    using Time = std::chrono::steady_clock;

public:
    /// @param kick  called by whoever raises the signal while it is clear; false: in vain
    void connect(std::function<bool()> kick) { kick_ = std::move(kick); }

    /// There is something to write. Costs a look at a flag while that has not been cleared.
    void raise() {
        Own& own = own_.get();
        if (!own.raised && !own.raised.exchange(true) && kick_ && !kick_()) {
            own.raised = false;  // the next one tries again
        }
    }

    /// There was no room for a change: what waits is to be written at once.
    void raise_urgent() {
        own_.get().urgent = true;
        if (kick_) {
            kick_();
        }
    }

    [[nodiscard]] bool raised() { return own_.get().raised; }
    [[nodiscard]] bool urgent() { return own_.get().urgent; }

    /// The flusher has seen it: what is raised from here on is another.
    void clear() {
        Own& own = own_.get();
        own.raised = false;
        own.urgent = false;
    }

    /// Whoever waits asks again whether it is done.
    void notify_waiters() {
        Own& own = own_.get();
        {
            const std::scoped_lock lock{own.mutex};
            ++own.notices;
        }
        own.changed.notify_all();
    }

    /// Waits for `done()`, asked at each notice without a lock, but not beyond `until`.
    template <class Done>
    bool wait(Time::time_point until, Done&& done) {
        Own& own = own_.get();
        std::unique_lock lock{own.mutex};
        for (;;) {
            const std::uint64_t seen = own.notices;
            lock.unlock();
            if (done()) {
                return true;
            }
            const auto now = Time::now();
            if (now >= until) {
                return false;
            }
            lock.lock();
            // Not all that long at once: the end of time is no time that every system can wait for.
            own.changed.wait_until(lock, (std::min)(until, now + std::chrono::hours{1}),
                                   [&] { return own.notices != seen; });
        }
    }

private:
    struct Own {
        std::mutex mutex{};
        std::condition_variable changed{};
        std::uint64_t notices = 0;
        std::atomic<bool> raised{false};
        std::atomic<bool> urgent{false};
    };

    std::function<bool()> kick_{};
    ForkLocal<Own> own_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_FLUSH_SIGNAL_HPP
