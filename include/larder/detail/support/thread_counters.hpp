// SPDX-License-Identifier: MIT

/// @file
/// Counters that do not slow a hit: each thread has a row of its own.

#ifndef LARDER_DETAIL_SUPPORT_THREAD_COUNTERS_HPP
#define LARDER_DETAIL_SUPPORT_THREAD_COUNTERS_HPP

#include <larder/version.hpp>

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

LARDER_NS_BEGIN

namespace detail {

/// Numbers the threads that count, from 0; a number is free again when its thread has ended.
class ThreadNumber {
public:
    /// Threads with a number below have a row to themselves.
    static constexpr std::size_t own = 63;

    ThreadNumber(const ThreadNumber&) = delete;
    ThreadNumber& operator=(const ThreadNumber&) = delete;

    /// That of a thread which has not counted yet.
    static constexpr std::size_t unknown = own + 1;

    /// This thread's number; `own` where all are taken, and for a thread that has given it back.
    [[nodiscard]] static std::size_t here() noexcept {
        if (number() == unknown) {
            thread_local const ThreadNumber holder{number()};
        }
        return number();
    }
    /// The same, or `unknown` where it has none yet: all that counting asks for, most often.
    [[nodiscard]] static std::size_t& number() noexcept {
        // Apart from its holder: a thread's last objects may count after the holder has gone.
        thread_local constinit std::size_t number = unknown;
        return number;
    }

private:
    explicit ThreadNumber(std::size_t& number) noexcept : number_{number} {
        std::uint64_t seen = taken().load(std::memory_order_relaxed);
        do {
            number_ = static_cast<std::size_t>(std::countr_one(seen));
            if (number_ >= own) {
                number_ = own;
                return;
            }
            // Acquire: what the former holder counted is seen before this one adds to it.
        } while (!taken().compare_exchange_weak(seen, seen | (std::uint64_t{1} << number_),
                                                std::memory_order_acquire));
    }
    ~ThreadNumber() {
        const std::size_t held = std::exchange(number_, own);
        if (held < own) {
            taken().fetch_and(~(std::uint64_t{1} << held), std::memory_order_release);
        }
    }

    static std::atomic<std::uint64_t>& taken() noexcept {
        static std::atomic<std::uint64_t> numbers{0};
        return numbers;
    }

    std::size_t& number_;
};

/// N counters. `add` costs a load and a store of this thread's own cache line.
///
/// Thread safety: all members may run concurrently; a sum taken meanwhile may lack what is being
/// added, and never goes back.
template <std::size_t N>
class ThreadCounters {
public:
    ThreadCounters() = default;
    ~ThreadCounters() {
        for (auto& row : rows_) {
            delete row.load(std::memory_order_acquire);
        }
    }
    ThreadCounters(const ThreadCounters&) = delete;
    ThreadCounters& operator=(const ThreadCounters&) = delete;

    [[gnu::always_inline]] void add(std::size_t which, std::uint64_t by = 1) noexcept {
        Row* const row = rows_[ThreadNumber::number()].load(std::memory_order_acquire);
        if (row == nullptr) [[unlikely]] {
            add_shared(which, by);
            return;
        }
        auto& cell = row->cells[which];
        cell.store(cell.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }

    [[nodiscard]] std::uint64_t sum(std::size_t which) const noexcept {
        std::uint64_t all = spare_.cells[which].load(std::memory_order_relaxed);
        for (const auto& place : rows_) {
            if (const Row* const row = place.load(std::memory_order_acquire)) {
                all += row->cells[which].load(std::memory_order_relaxed);
            }
        }
        return all;
    }

private:
    struct alignas(64) Row {
        std::array<std::atomic<std::uint64_t>, N> cells{};
    };

    // The row that a thread uses for the first time, and the one that late threads share.
    [[gnu::noinline]] void add_shared(std::size_t which, std::uint64_t by) noexcept {
        const std::size_t number = ThreadNumber::here();
        if (Row* const row = rows_[number].load(std::memory_order_acquire)) {
            auto& cell = row->cells[which];  // the first count of a thread whose number others had
            cell.store(cell.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
            return;
        }
        if (number < ThreadNumber::own) {
            if (Row* const row = new (std::nothrow) Row) {
                row->cells[which].store(by, std::memory_order_relaxed);
                rows_[number].store(row, std::memory_order_release);
                return;
            }
        }
        spare_.cells[which].fetch_add(by, std::memory_order_relaxed);
    }

    // None for `own` and `unknown`.
    std::array<std::atomic<Row*>, ThreadNumber::unknown + 1> rows_{};
    Row spare_{};
};

}  // namespace detail

LARDER_NS_END

#endif  // LARDER_DETAIL_SUPPORT_THREAD_COUNTERS_HPP
