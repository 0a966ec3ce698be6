// SPDX-License-Identifier: MIT

/// @file
/// What can be waited for, and the list of those who wait.

#ifndef LARDER_DETAIL_FLIGHT_AWAITABLE_HPP
#define LARDER_DETAIL_FLIGHT_AWAITABLE_HPP

#include <larder/detail/support/process.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

struct WaitingThread;

/// What is to go on when something is over: a blocked thread, or whatever else waits. It is linked into
/// the list of what it waits for, so that waiting allocates nothing.
class Waiter {
public:
    Waiter() = default;
    Waiter(const Waiter&) = delete;
    Waiter& operator=(const Waiter&) = delete;

protected:
    virtual ~Waiter() = default;

private:
    friend class Awaitable;

    // Called once, by whoever has ended what is waited for, in its thread and without a lock. The waiter
    // may be gone when it returns.
    virtual void resume() noexcept = 0;

    Waiter* next_ = nullptr;  // guarded by what it waits for
    Waiter* before_ = nullptr;
};

/// What can be waited for: who carries it, whether it is over, and who waits. It must not end before
/// its waiters have been resumed or have given up.
///
/// Thread safety: all members may run concurrently.
class Awaitable {
public:
    Awaitable() = default;
    Awaitable(const Awaitable&) = delete;
    Awaitable& operator=(const Awaitable&) = delete;

    /// It has ended; or it was begun before this process was forked off, and ends in the parent.
    [[nodiscard]] bool over() const noexcept {
        return over_.load(std::memory_order_acquire) || process_ != forks();
    }

    /// Has the waiter resumed when it is over.
    ///
    /// @return false if it is over already: nobody resumes the waiter
    [[nodiscard]] bool attach(Waiter& waiter) const {
        if (over()) {
            return false;
        }
        const std::scoped_lock lock{mutex_};
        if (over()) {
            return false;
        }
        waiter.before_ = last_;
        waiter.next_ = nullptr;
        (last_ != nullptr ? last_->next_ : first_) = &waiter;
        last_ = &waiter;
        return true;
    }
    /// The waiter, which was attached, gives up.
    ///
    /// @return false if it is over: the waiter is resumed all the same, if it has not been yet
    [[nodiscard]] bool detach(Waiter& waiter) const {
        const std::scoped_lock lock{mutex_};
        if (over_.load(std::memory_order_relaxed)) {
            return false;
        }
        (waiter.before_ != nullptr ? waiter.before_->next_ : first_) = waiter.next_;
        (waiter.next_ != nullptr ? waiter.next_->before_ : last_) = waiter.before_;
        return true;
    }

    /// This thread carries it from now on, until it lets go of it or it is over.
    void carry();

    /// By the thread that carries it.
    void let_go() noexcept;

    /// Carried among others by a loader of many: what that asks for, this need not depend on.
    void among_others(bool so) noexcept { among_others_.store(so, std::memory_order_relaxed); }

protected:
    ~Awaitable() = default;

    // Resumes whoever waits, in the order of their coming.
    void end() noexcept {
        Waiter* waiter = nullptr;
        {
            const std::scoped_lock lock{mutex_};
            over_.store(true, std::memory_order_release);
            waiter = std::exchange(first_, nullptr);
        }
        while (waiter != nullptr) {
            Waiter* const next = waiter->next_;  // it is gone once it is resumed
            waiter->resume();
            waiter = next;
        }
    }

private:
    friend class WaitGraph;

    mutable std::mutex mutex_{};
    mutable Waiter* first_ = nullptr;
    mutable Waiter* last_ = nullptr;
    std::atomic<bool> over_{false};
    std::atomic<bool> among_others_{false};
    std::atomic<WaitingThread*> carrier_{nullptr};
    const std::uint64_t process_ = forks();
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_FLIGHT_AWAITABLE_HPP
