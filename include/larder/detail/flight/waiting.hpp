// SPDX-License-Identifier: MIT

/// @file
/// Waits for what another thread brings, unless that would wait for itself.

#ifndef LARDER_DETAIL_FLIGHT_WAITING_HPP
#define LARDER_DETAIL_FLIGHT_WAITING_HPP

#include <larder/detail/flight/awaitable.hpp>
#include <larder/detail/flight/wait_graph.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <stop_token>

LARDER_NS_BEGIN

namespace detail {

/// How long a caller waits for others: until a moment, a stop request, or for ever.
struct Patience {
    std::optional<std::chrono::steady_clock::time_point> deadline{};
    std::stop_token stop{};

    [[nodiscard]] bool endless() const noexcept { return !deadline && !stop.stop_possible(); }
};

/// How a wait for what is in flight ended.
enum class WaitEnd : std::uint8_t {
    over,
    timed_out,
    cancelled,
    recursive,  ///< it waits, through whatever chain, for this thread
    deadlock,   ///< the same, but only since loaders of many have mixed keys: load past it
};

/// How the wait for a load of another process ended.
enum class RemoteEnd : std::uint8_t {
    ended,  ///< its lease is gone
    died,   ///< its lease has run out: the holder has not renewed it
    lasts,  ///< it takes longer than `Options::wait`, or cannot be watched
    timed_out,
    cancelled,
};

/// A thread that waits for something, blocked. It leaves the list of those who wait before it goes.
class BlockedThread final : public Waiter {
public:
    /// From now on it is resumed when `awaited` is over.
    explicit BlockedThread(const Awaitable& awaited)
        : thread_{this_waiting_thread()}, awaited_{awaited}, attached_{awaited.attach(*this)} {}
    ~BlockedThread() override {
        if (attached_) {
            leave();
        }
    }

    /// Blocks, once.
    ///
    /// @return false if the caller's patience has ended before what it waits for was over
    [[nodiscard]] bool wait(const Patience& patience) {
        const bool over = !attached_ || block(patience) || leave();
        attached_ = false;
        return over;
    }

private:
    void resume() noexcept override {
        const std::scoped_lock lock{thread_.mutex};
        resumed_ = true;
        thread_.changed.notify_one();
    }

    // True if it has been resumed.
    bool block(const Patience& patience) {
        std::unique_lock lock{thread_.mutex};
        const auto done = [this] { return resumed_; };
        if (patience.endless()) {
            thread_.changed.wait(lock, done);
        } else if (!patience.deadline) {
            thread_.changed.wait(lock, patience.stop, done);
        } else {
            thread_.changed.wait_until(lock, patience.stop, *patience.deadline, done);
        }
        return resumed_;
    }

    // True if it has been resumed meanwhile: whoever does so must not find it gone.
    bool leave() { return !awaited_.detach(*this) && block({}); }

    WaitingThread& thread_;
    const Awaitable& awaited_;
    bool resumed_ = false;  // guarded by the thread's mutex
    bool attached_;
};

/// Waits for what is in flight. Deadlines are real time: a store's clock may be a test's and stand still.
inline WaitEnd wait_for(const Awaitable& awaited, const Patience& patience) {
    if (awaited.over()) {
        return WaitEnd::over;
    }
    const WaitGraph::Wait wait{awaited};
    switch (wait.may()) {
        case MayWait::recursive: return WaitEnd::recursive;
        case MayWait::deadlock: return WaitEnd::deadlock;
        case MayWait::yes: break;
    }
    BlockedThread thread{awaited};
    if (thread.wait(patience)) {
        return WaitEnd::over;
    }
    return patience.stop.stop_requested() ? WaitEnd::cancelled : WaitEnd::timed_out;
}

/// Blocks this thread for a while.
///
/// @return false if the stop was requested
inline bool pause_until(std::chrono::steady_clock::time_point until, const std::stop_token& stop) {
    WaitingThread& mine = this_waiting_thread();
    std::unique_lock lock{mine.mutex};
    static_cast<void>(mine.changed.wait_until(lock, stop, until, [] { return false; }));
    return !stop.stop_requested();
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_WAITING_HPP
