// SPDX-License-Identifier: MIT

/// @file
/// How many changes may still be recorded in a journal of several partitions.

#ifndef LARDER_REDIS_DETAIL_JOURNAL_PENDING_BOUND_HPP
#define LARDER_REDIS_DETAIL_JOURNAL_PENDING_BOUND_HPP

#include <larder/error.hpp>
#include <larder/redis/detail/journal/names.hpp>
#include <larder/redis/detail/journal/partitions.hpp>
#include <larder/redis/error.hpp>
#include <larder/redis/pipeline.hpp>
#include <larder/redis/reply.hpp>
#include <larder/version.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <vector>

LARDER_NS_BEGIN

namespace redis::detail {

/// A script sees what waits in its own partition, and is told here how many that may be. What waits in
/// the others was counted a tenth of a second ago, or before this process has used up half of the room
/// that it saw then: exact where there is little room, cheap where there is much. What several processes
/// record in that time may exceed the bound. Rule W9.
///
/// Thread safety: all members may run concurrently.
///
/// A template so that whoever includes it and has no journal does not compile it.
template <class = void>
class BasicPendingBound {
public:
    static constexpr std::size_t unbounded = (std::numeric_limits<std::size_t>::max)();

    /// @param partitions  outlive it
    explicit BasicPendingBound(const JournalPartitions& partitions)
        : partitions_{partitions}, counted_(partitions.count()) {}

    /// Counts what waits, if it is time to.
    ///
    /// @param most   in all partitions
    /// @param more   are about to be recorded
    /// @param again  in any case: there seemed to be no room
    /// @return whether it has: what a server that cannot be asked has is taken to be what it had
    bool count(std::size_t most, std::size_t more, bool again) {
        if (most == unbounded || partitions_.count() == 1) {
            return false;
        }
        const std::size_t since = since_.fetch_add(more, std::memory_order_relaxed) + more;
        const std::int64_t now = std::chrono::steady_clock::now().time_since_epoch().count();
        const auto age =
            std::chrono::steady_clock::duration{now - counted_at_.load(std::memory_order_relaxed)};
        if (!again && since <= room(most) / 2 && age < fresh) {
            return false;
        }
        counted_at_.store(now, std::memory_order_relaxed);
        since_.store(more, std::memory_order_relaxed);
        try {
            static_cast<void>(recount());
        } catch (const StoreError&) {
            // What waits in partitions of other servers matters to nobody who cannot be told.
        }
        return true;
    }

    /// How many wait in all partitions; asks them.
    ///
    /// @throws StoreError  a server cannot be asked: what it has is taken to be what it had
    std::size_t recount() {
        Pipeline pipeline;
        for (const JournalNames& names : partitions_.all()) {
            pipeline.command("HLEN", names.changes());
        }
        std::vector<Reply> replies(pipeline.size());
        std::exception_ptr failure;
        try {
            partitions_.ask(pipeline, replies);
        } catch (const NoReply&) {
            failure = std::current_exception();
        }
        std::size_t all = 0;
        const Reply* error = nullptr;
        for (std::size_t i = 0; i < replies.size(); ++i) {
            if (replies[i].is_integer()) {
                counted_[i].store(static_cast<std::size_t>(replies[i].integer()),
                                  std::memory_order_relaxed);
            } else if (replies[i].is_error()) {
                error = &replies[i];
            }
            all += counted_[i].load(std::memory_order_relaxed);
        }
        all_.store(all, std::memory_order_relaxed);
        if (failure) {
            std::rethrow_exception(failure);
        }
        if (error != nullptr) {
            partitions_.check(*error, "the changes");
        }
        return all;
    }

    /// How many more may wait, as far as is known.
    [[nodiscard]] std::size_t room(std::size_t most) const noexcept {
        if (most == unbounded || partitions_.count() == 1) {
            return most;
        }
        const std::size_t all = all_.load(std::memory_order_relaxed);
        return most > all ? most - all : 0;
    }

    /// How many may wait in one of them.
    [[nodiscard]] std::size_t of(std::size_t partition, std::size_t most) const noexcept {
        if (most == unbounded || partitions_.count() == 1) {
            return most;
        }
        const std::size_t all = all_.load(std::memory_order_relaxed);
        const std::size_t mine = counted_[partition].load(std::memory_order_relaxed);
        const std::size_t others = all > mine ? all - mine : 0;
        return most > others ? most - others : 0;
    }

private:
    static constexpr std::chrono::milliseconds fresh{100};

    const JournalPartitions& partitions_;
    std::vector<std::atomic<std::size_t>> counted_;
    std::atomic<std::size_t> all_{0};
    std::atomic<std::size_t> since_{0};  // recorded here since
    std::atomic<std::int64_t> counted_at_{(std::numeric_limits<std::int64_t>::min)() / 2};
};

using PendingBound = BasicPendingBound<>;

}  // namespace redis::detail

LARDER_NS_END

#endif  // LARDER_REDIS_DETAIL_JOURNAL_PENDING_BOUND_HPP
