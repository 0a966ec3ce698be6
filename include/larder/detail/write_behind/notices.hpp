// SPDX-License-Identifier: MIT

/// @file
/// Waiting until something is so, asked again at each notice.

#ifndef LARDER_DETAIL_WRITE_BEHIND_NOTICES_HPP
#define LARDER_DETAIL_WRITE_BEHIND_NOTICES_HPP

#include <larder/version.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

LARDER_NS_BEGIN

namespace detail {

/// Thread safety: all members may run concurrently.
class Notices {
    using Time = std::chrono::steady_clock;

public:
    /// Whoever waits asks again whether it is done.
    void notify() {
        {
            const std::scoped_lock lock{mutex_};
            ++count_;
        }
        changed_.notify_all();
    }

    /// Waits for `done()`, asked at each notice without a lock, but not beyond `until`.
    template <class Done>
    bool wait(Time::time_point until, Done&& done) {
        std::unique_lock lock{mutex_};
        for (;;) {
            const std::uint64_t seen = count_;
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
            changed_.wait_until(lock, (std::min)(until, now + std::chrono::hours{1}),
                                [&] { return count_ != seen; });
        }
    }

private:
    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::uint64_t count_ = 0;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_WRITE_BEHIND_NOTICES_HPP
