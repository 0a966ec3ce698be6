// SPDX-License-Identifier: MIT

/// @file
/// What a process must know of itself: that it was forked off, and that its threads take no signals.

#ifndef LARDER_DETAIL_SUPPORT_PROCESS_HPP
#define LARDER_DETAIL_SUPPORT_PROCESS_HPP

#include <larder/version.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#include <unistd.h>
#include <csignal>
#endif

LARDER_NS_BEGIN

namespace detail {

inline std::atomic<std::uint64_t>& fork_count() noexcept {
    static std::atomic<std::uint64_t> count{0};
    return count;
}

/// How many forks lie between this process and the first that called this.
[[nodiscard]] inline std::uint64_t forks() noexcept {
#if defined(__unix__) || defined(__APPLE__)
    [[maybe_unused]] static const int registered = ::pthread_atfork(
        nullptr, nullptr, [] { fork_count().fetch_add(1, std::memory_order_relaxed); });
#endif
    return fork_count().load(std::memory_order_relaxed);
}

/// The number of this process, where it has one.
[[nodiscard]] inline std::uint64_t process_number() noexcept {
#if defined(__unix__) || defined(__APPLE__)
    return static_cast<std::uint64_t>(::getpid());
#else
    return 0;
#endif
}

/// A T that a forked child replaces by a fresh one. Of the parent's, another thread may have held a
/// lock, and its threads do not live here: in the child nothing of it is locked, and nothing destroyed.
///
/// Thread safety: `get` may run concurrently.
template <class T>
class ForkLocal {
public:
    ForkLocal() : item_{new Item} {}
    ForkLocal(const ForkLocal&) = delete;
    ForkLocal& operator=(const ForkLocal&) = delete;
    ~ForkLocal() {
        Item* const item = item_.load(std::memory_order_acquire);
        item->generation == forks() ? delete item : abandon(item);
    }

    /// This process' own.
    ///
    /// @throws std::bad_alloc  in a child only
    [[nodiscard]] T& get() {
        Item* known = item_.load(std::memory_order_acquire);
        if (known->generation == forks()) [[likely]] {
            return known->value;
        }
        auto mine = std::make_unique<Item>();
        if (item_.compare_exchange_strong(known, mine.get(), std::memory_order_acq_rel)) {
            abandon(known);
            return mine.release()->value;
        }
        return known->value;  // another thread of the child was first
    }

    /// This process' own, if it has one: the destructor of a child that never used it needs none.
    [[nodiscard]] T* find() noexcept {
        Item* const known = item_.load(std::memory_order_acquire);
        return known->generation == forks() ? &known->value : nullptr;
    }

private:
    struct Item {
        T value{};
        Item* before = nullptr;  // of those abandoned
        const std::uint64_t generation = forks();
    };

    // Kept where a leak checker finds it.
    static void abandon(Item* item) noexcept {
        static std::atomic<Item*> abandoned{nullptr};
        item->before = abandoned.exchange(item);
    }

    std::atomic<Item*> item_;
};

/// Starts a thread of the library's own: no signal of the program is delivered there.
///
/// @throws std::system_error  there can be no more threads
template <class F>
[[nodiscard]] std::thread quiet_thread(F&& f) {
#if defined(__unix__) || defined(__APPLE__)
    struct Blocked {
        Blocked() noexcept {
            sigset_t all;
            ::sigfillset(&all);
            ::pthread_sigmask(SIG_SETMASK, &all, &before);
        }
        ~Blocked() { ::pthread_sigmask(SIG_SETMASK, &before, nullptr); }
        Blocked(const Blocked&) = delete;
        Blocked& operator=(const Blocked&) = delete;
        sigset_t before{};
    } const blocked;  // what a thread blocks, those that it starts inherit
#endif
    return std::thread{std::forward<F>(f)};
}

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_PROCESS_HPP
