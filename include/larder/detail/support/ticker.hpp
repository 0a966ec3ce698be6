// SPDX-License-Identifier: MIT

/// @file
/// A thread of the library's own that does something from time to time.

#ifndef LARDER_DETAIL_SUPPORT_TICKER_HPP
#define LARDER_DETAIL_SUPPORT_TICKER_HPP

#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Started when it is kicked for the first time, asleep while there is nothing to do, joined at the
/// end. In a forked child it starts anew when it is kicked there.
///
/// Thread safety: all members may run concurrently; it is destroyed by one thread, not its own.
///
/// A template so that whoever includes it and needs none does not compile it.
template <class Step = std::function<std::optional<std::chrono::steady_clock::duration>()>>
class BasicTicker {
public:
    using Duration = std::chrono::steady_clock::duration;

    /// When the step is to be taken again if nobody kicks: after this time, or never.
    using Next = std::optional<Duration>;

    /// @param step  what is done, by one thread, without a lock held. It must not throw
    explicit BasicTicker(Step step) : step_{std::move(step)} {}
    BasicTicker(const BasicTicker&) = delete;
    BasicTicker& operator=(const BasicTicker&) = delete;
    ~BasicTicker() { stop(); }

    /// Has the step taken now.
    ///
    /// @return false if no thread could be started for it: somebody else must take it
    bool kick() noexcept {
        try {
            Own& own = own_.get();
            {
                const std::scoped_lock lock{own.mutex};
                if (own.stopping) {
                    return false;
                }
                own.kicked = true;
                if (!own.thread.joinable()) {
                    own.thread = quiet_thread([this, &own] { run(own); });
                }
            }
            own.changed.notify_one();
            return true;
        } catch (...) {
            return false;
        }
    }

    /// No step is taken any more; returns when the one that runs has ended.
    void stop() noexcept {
        if (Own* const own = own_.find()) {
            {
                const std::scoped_lock lock{own->mutex};
                own->stopping = true;
            }
            own->changed.notify_all();
            if (own->thread.joinable()) {
                own->thread.join();
            }
        }
    }

private:
    struct Own {
        std::mutex mutex{};
        std::condition_variable changed{};
        std::thread thread{};
        bool kicked = false;
        bool stopping = false;
    };

    void run(Own& own) {
        Next next{};
        std::unique_lock lock{own.mutex};
        for (;;) {
            const auto woken = [&] { return own.kicked || own.stopping; };
            if (next) {
                own.changed.wait_until(lock, std::chrono::steady_clock::now() + *next, woken);
            } else {
                own.changed.wait(lock, woken);
            }
            if (own.stopping) {
                return;
            }
            own.kicked = false;
            lock.unlock();
            next = step_();
            lock.lock();
        }
    }

    const Step step_;
    ForkLocal<Own> own_{};
};

using Ticker = BasicTicker<>;

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_TICKER_HPP
