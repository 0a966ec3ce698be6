// SPDX-License-Identifier: MIT

/// @file
/// Counts the background work of a policy, so that its destructor can wait for it.

#ifndef LARDER_DETAIL_CUSTODY_HPP
#define LARDER_DETAIL_CUSTODY_HPP

#include <larder/version.hpp>

#include <condition_variable>
#include <cstddef>
#include <mutex>

LARDER_NS_BEGIN

namespace detail {

/// User code that has begun is waited for; what has not begun when the policy goes, never begins.
///
/// Thread safety: all members may run concurrently; `close` is called once.
class Custody {
public:
    /// One piece of background work, for its lifetime; false if it must not begin.
    class Pass {
    public:
        explicit Pass(Custody& custody) : custody_{custody}, granted_{custody.enter()} {}
        ~Pass() {
            if (granted_) {
                custody_.leave();
            }
        }
        Pass(const Pass&) = delete;
        Pass& operator=(const Pass&) = delete;

        explicit operator bool() const noexcept { return granted_; }

    private:
        Custody& custody_;
        bool granted_;
    };

    /// Lets nothing begin any more, and returns when all that had begun has ended.
    void close() {
        std::unique_lock lock{mutex_};
        closed_ = true;
        changed_.wait(lock, [this] { return running_ == 0; });
    }

private:
    bool enter() {
        const std::scoped_lock lock{mutex_};
        running_ += closed_ ? 0U : 1U;
        return !closed_;
    }
    void leave() {
        const std::scoped_lock lock{mutex_};
        --running_;
        changed_.notify_all();
    }

    std::mutex mutex_{};
    std::condition_variable changed_{};
    std::size_t running_ = 0;
    bool closed_ = false;
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_CUSTODY_HPP
