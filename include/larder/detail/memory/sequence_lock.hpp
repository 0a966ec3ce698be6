// SPDX-License-Identifier: MIT

/// @file
/// The lock of a shard, which readers of plain bytes do without.

#ifndef LARDER_DETAIL_MEMORY_SEQUENCE_LOCK_HPP
#define LARDER_DETAIL_MEMORY_SEQUENCE_LOCK_HPP

#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

LARDER_NS_BEGIN

namespace detail {

/// A lock that counts how often it was taken. Who only reads atomics may do without it: what was read
/// holds if the count was even before and is the same after (Lameter, "Effective synchronization on
/// Linux/NUMA systems", 2005; in terms of the language: Boehm, "Can seqlocks get along with
/// programming language memory models?", MSPC 2012). Readers load with acquire, writers store with
/// release.
///
/// What it guards takes nanoseconds: who waits spins, then lets others run, then sleeps.
class SequenceLock {
public:
    SequenceLock() = default;
    SequenceLock(const SequenceLock&) = delete;
    SequenceLock& operator=(const SequenceLock&) = delete;

    void lock() noexcept {
        for (unsigned tries = 0; !try_lock(); ++tries) {
            wait(tries);
        }
    }
    [[nodiscard]] bool try_lock() noexcept {
        std::uint64_t count = count_.load(std::memory_order_relaxed);
        return count % 2 == 0 &&
               count_.compare_exchange_strong(count, count + 1, std::memory_order_acq_rel,
                                              std::memory_order_relaxed);
    }
    void unlock() noexcept {
        count_.store(count_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    }

    /// Where a look begins: odd if somebody has the lock.
    [[nodiscard]] std::uint64_t begin() const noexcept {
        return count_.load(std::memory_order_acquire);
    }
    /// True if nobody has had the lock since `begin` answered this. Comes after the reads.
    [[nodiscard]] bool undisturbed(std::uint64_t since) const noexcept {
        return count_.load(std::memory_order_relaxed) == since;
    }

private:
    static void wait(unsigned tries) noexcept {
        constexpr unsigned spins = 64;
        constexpr unsigned yields = 1024;
        if (tries < spins) {
#if defined(__x86_64__) || defined(__i386__)
            __builtin_ia32_pause();
#endif
        } else if (tries < spins + yields) {
            std::this_thread::yield();
        } else {
            // Who has it may not run while one of a higher priority goes on asking.
            std::this_thread::sleep_for(std::chrono::microseconds{50});
        }
    }

    std::atomic<std::uint64_t> count_{0};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_MEMORY_SEQUENCE_LOCK_HPP
