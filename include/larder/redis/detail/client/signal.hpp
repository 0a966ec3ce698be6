// SPDX-License-Identifier: MIT

/// @file
/// What one thread waits for until another has it go on.

#ifndef LARDER_REDIS_DETAIL_CLIENT_SIGNAL_HPP
#define LARDER_REDIS_DETAIL_CLIENT_SIGNAL_HPP

#include <larder/version.hpp>

#if defined(__APPLE__)
#include <semaphore>
#else
#include <semaphore.h>
#endif

LARDER_NS_BEGIN

namespace redis::detail {

/// A binary semaphore whose waits sleep at once. Those of libstdc++ first yield some times, which is
/// a time slice each where the processors are busy. It may be destroyed as soon as a wait for it has
/// ended, even if `set` has not returned yet.
class Signal {
public:
#if defined(__APPLE__)
    /// Lets the one that waits go on, now or later; once.
    void set() noexcept { signal_.release(); }

    /// Waits until it is set.
    void wait() noexcept { signal_.acquire(); }

    /// Whether it is set: then it needs no waiting for.
    [[nodiscard]] bool try_wait() noexcept { return signal_.try_acquire(); }

private:
    std::binary_semaphore signal_{0};
#else
    Signal() noexcept { (void)::sem_init(&signal_, 0, 0); }
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    ~Signal() { (void)::sem_destroy(&signal_); }

    /// Lets the one that waits go on, now or later; once.
    void set() noexcept { (void)::sem_post(&signal_); }

    /// Waits until it is set.
    void wait() noexcept {
        while (::sem_wait(&signal_) != 0) {}  // a signal handler ran
    }

    /// Whether it is set: then it needs no waiting for.
    [[nodiscard]] bool try_wait() noexcept { return ::sem_trywait(&signal_) == 0; }

private:
    sem_t signal_;
#endif
};

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_CLIENT_SIGNAL_HPP
