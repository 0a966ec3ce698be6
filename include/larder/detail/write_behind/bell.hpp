// SPDX-License-Identifier: MIT

/// @file
/// What the writers of a write-behind policy and its flusher tell each other.

#ifndef LARDER_DETAIL_WRITE_BEHIND_BELL_HPP
#define LARDER_DETAIL_WRITE_BEHIND_BELL_HPP

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

/// Writers ring it, and the flusher answers; whoever waits for the journal to shrink is woken by it. In
/// a forked child nobody has rung yet.
///
/// Thread safety: all members may run concurrently, `hang` apart.
class Bell {
    using Time = std::chrono::steady_clock;

public:
    /// @param heard  called by whoever rings when nobody has since it was answered; false: in vain
    void hang(std::function<bool()> heard) { heard_ = std::move(heard); }

    /// There is something to write. Costs a look at a flag while that has not been answered.
    void ring() {
        Own& own = own_.get();
        if (!own.rung && !own.rung.exchange(true) && heard_ && !heard_()) {
            own.rung = false;  // the next one tries again
        }
    }
    /// There was no room for a change.
    void press() {
        own_.get().pressed = true;
        if (heard_) {
            heard_();
        }
    }
    [[nodiscard]] bool rung() { return own_.get().rung; }
    [[nodiscard]] bool pressed() { return own_.get().pressed; }

    /// What is rung for from here on is not answered yet.
    void answer() {
        Own& own = own_.get();
        own.rung = false;
        own.pressed = false;
    }

    /// Whoever waits asks again whether it is done.
    void wake() {
        Own& own = own_.get();
        {
            const std::scoped_lock lock{own.mutex};
            ++own.wakes;
        }
        own.changed.notify_all();
    }

    /// Waits for `done()`, asked at each wake without a lock, but not beyond `until`.
    template <class Done>
    bool wait(Time::time_point until, Done&& done) {
        Own& own = own_.get();
        std::unique_lock lock{own.mutex};
        for (;;) {
            const std::uint64_t seen = own.wakes;
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
                                   [&] { return own.wakes != seen; });
        }
    }

private:
    struct Own {
        std::mutex mutex{};
        std::condition_variable changed{};
        std::uint64_t wakes = 0;
        std::atomic<bool> rung{false};
        std::atomic<bool> pressed{false};
    };

    std::function<bool()> heard_{};
    ForkLocal<Own> own_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_BELL_HPP
